import Glibc

/// What the process takes of its machine, as Linux tells it under `/proc/self` (proc(5)).
struct ProcessUsage: Sendable {
    /// User and system time, in seconds.
    var cpu = 0.0
    var residentBytes = 0.0
    var virtualBytes = 0.0
    var threads = 0.0
    var openFiles = 0.0
    var fileLimit = 0.0
    /// Since 1970, in seconds.
    var startedAt = 0.0

    /// How the process stands now; `nil` where there is no `/proc`. Reads a few small files: not for an event loop.
    static func now() -> ProcessUsage? {
        guard let stat = read("/proc/self/stat"), let system = read("/proc/stat") else { return nil }
        return ProcessUsage(
            stat: stat, bootTime: bootTime(system), ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))),
            pageBytes: Double(sysconf(Int32(_SC_PAGESIZE))))?.withFiles()
    }

    /// - Parameter stat: The text of `/proc/self/stat`.
    init?(stat: String, bootTime: Double, ticksPerSecond: Double, pageBytes: Double) {
        // The second field is the command in parentheses, and may hold anything, parentheses too.
        guard let end = stat.lastIndex(of: ")"), ticksPerSecond > 0 else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ").map { Double($0) }
        // The first here is the third of the page's list.
        func field(_ number: Int) -> Double? { fields.indices.contains(number - 3) ? fields[number - 3] : nil }
        guard let user = field(14), let system = field(15), let threads = field(20), let start = field(22),
            let virtual = field(23), let resident = field(24)
        else { return nil }
        cpu = (user + system) / ticksPerSecond
        self.threads = threads
        startedAt = bootTime + start / ticksPerSecond
        virtualBytes = virtual
        residentBytes = resident * pageBytes
    }

    private func withFiles() -> ProcessUsage {
        var usage = self
        if let directory = opendir("/proc/self/fd") {
            var count = 0
            while readdir(directory) != nil { count += 1 }
            closedir(directory)
            // Itself, its parent, and the one it was read through.
            usage.openFiles = Double(max(0, count - 3))
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            usage.fileLimit = Double(limit.rlim_cur)
        }
        return usage
    }

    /// When the machine was started, of `/proc/stat`.
    static func bootTime(_ text: String) -> Double {
        text.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst(6)) } ?? 0
    }

    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        // Of /proc/stat the counters of interrupts alone may be longer than all else; the limit is generous.
        while bytes.count < 1 << 20 {
            let count = fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { break }
            bytes += chunk.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension PrometheusMetrics {
    func enter(_ usage: ProcessUsage) {
        set(ServerMetrics.processCPU, toTotal: usage.cpu)
        let gauges = [
            (ServerMetrics.processMemory, usage.residentBytes),
            (ServerMetrics.processVirtualMemory, usage.virtualBytes),
            (ServerMetrics.processThreads, usage.threads), (ServerMetrics.processFiles, usage.openFiles),
            (ServerMetrics.processFileLimit, usage.fileLimit), (ServerMetrics.processStart, usage.startedAt),
        ]
        for (name, value) in gauges { makeRecorder(label: name, dimensions: [], aggregate: false).record(value) }
    }
}
