import Foundation

/// Where figures come from.
public struct Machine: Codable, Hashable, Sendable {
    /// As the kernel names it.
    public var processor: String
    public var cores: Int
    /// `x86_64`, `aarch64`.
    public var architecture: String
    /// The operating system's name: `Linux`.
    public var system: String
    /// `release` or `debug`; for scripts the interpreter.
    public var build: String
    /// When, in ISO 8601, UTC.
    public var date: String

    public init(processor: String, cores: Int, architecture: String, system: String, build: String, date: String) {
        self.processor = processor
        self.cores = cores
        self.architecture = architecture
        self.system = system
        self.build = build
        self.date = date
    }

    /// This one, now.
    public static var current: Machine {
        var name = utsname()
        uname(&name)
        let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model = information.split(separator: "\n").first { $0.hasPrefix("model name") }
        let processor = model?.split(separator: ":", maxSplits: 1).last?.trimmingCharacters(in: .whitespaces)
        return Machine(
            processor: processor ?? "unknown", cores: ProcessInfo.processInfo.activeProcessorCount,
            architecture: text(name.machine), system: text(name.sysname),
            build: isDebugBuild ? "debug" : "release", date: ISO8601DateFormatter().string(from: Date()))
    }

    /// Whether this program was built without optimisation, which makes its own code 10 to 100 times slower.
    public static var isDebugBuild: Bool {
        #if DEBUG
            true
        #else
            false
        #endif
    }

    /// What keeps times of two machines from being compared; empty when nothing does.
    public func differences(from other: Machine) -> [String] {
        var found: [String] = []
        if processor != other.processor || architecture != other.architecture {
            found.append("processor \(other.processor) (\(other.architecture)), here \(processor) (\(architecture))")
        }
        if cores != other.cores { found.append("\(other.cores) cores, here \(cores)") }
        if build != other.build { found.append("\(other.build) build, here \(build)") }
        return found
    }

    private static func text<Tuple>(_ characters: Tuple) -> String {
        withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
