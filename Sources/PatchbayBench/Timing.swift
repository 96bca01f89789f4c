import Glibc

/// What twenty milliseconds of sound cost.
public struct Cost: Codable, Hashable, Sendable {
    /// Median time, in µs.
    public var p50: Double
    /// The time that one packet in a hundred exceeds, in µs.
    public var p99: Double
    /// Mean CPU time of the process, helper threads included, in µs. What a core has to give.
    public var cpu: Double
    /// Calls of the allocator; `nil` when nobody counts.
    public var allocations: Double?

    private enum CodingKeys: String, CodingKey {
        case p50 = "p50Us"
        case p99 = "p99Us"
        case cpu = "cpuUs"
        case allocations
    }

    /// How many such streams one core could run: 20 ms over the CPU time.
    public var timesRealTime: Double { cpu > 0 ? 20_000 / cpu : 0 }

    /// From what a packet of so many milliseconds costs to what 20 ms do.
    func scaled(fromMilliseconds milliseconds: Double) -> Cost {
        let scale = 20 / milliseconds
        return Cost(p50: p50 * scale, p99: p99 * scale, cpu: cpu * scale, allocations: allocations.map { $0 * scale })
    }
}

/// Times one packet's work, many times.
///
/// On a shared machine noise only ever adds, so each figure is the lowest of several rounds. A slow spell of the machine can
/// outlast many rounds of cheap work, so rounds are added until they have taken 50 ms each on average. Work of less than 2 µs is timed
/// in groups, since reading the clock costs some 25 ns.
public struct CostMeter: Sendable {
    /// Packets of a round.
    public var packets: Int
    /// Rounds at the least.
    public var rounds: Int

    public init(packets: Int = 500, rounds: Int = 7) {
        self.packets = max(1, packets)
        self.rounds = max(1, rounds)
    }

    /// - Parameters:
    ///   - milliseconds: What one packet plays.
    ///   - body: Handles the packet of that number, counted through all rounds.
    public func measure(milliseconds: Double = 20, _ body: (Int) -> Void) -> Cost {
        var number = 0
        func next() {
            body(number)
            number += 1
        }
        for _ in 0..<min(packets, 50) { next() }
        let probe = Instant.now
        for _ in 0..<20 { next() }
        let single = max(1, (Instant.now - probe) / 20)
        let group = min(max(1, 2000 / single), 64)
        let groups = max(1, packets / group)
        var times = [Int](repeating: 0, count: groups)
        var best = Cost(p50: .infinity, p99: .infinity, cpu: .infinity, allocations: nil)
        let end = Instant.now + rounds * 50_000_000
        var done = 0
        while done < rounds || Instant.now < end {
            done += 1
            let allocations = AllocationCounter.count?()
            let cpu = Instant.cpu
            for index in 0..<groups {
                let start = Instant.now
                for _ in 0..<group { next() }
                times[index] = Instant.now - start
            }
            let spent = Instant.cpu - cpu
            if let allocations, let after = AllocationCounter.count?() {
                let each = Double(after - allocations) / Double(groups * group)
                best.allocations = min(best.allocations ?? .infinity, each)
            }
            times.sort()
            let unit = 1 / (1000 * Double(group))
            best.p50 = min(best.p50, Double(times[groups / 2]) * unit)
            best.p99 = min(best.p99, Double(times[min(groups - 1, groups * 99 / 100)]) * unit)
            best.cpu = min(best.cpu, Double(spent) / (1000 * Double(group * groups)))
        }
        return best.scaled(fromMilliseconds: milliseconds)
    }
}

/// Readings of the kernel's clocks in nanoseconds.
enum Instant {
    static var now: Int { read(CLOCK_MONOTONIC) }
    /// CPU time of all threads of the process.
    static var cpu: Int { read(CLOCK_PROCESS_CPUTIME_ID) }

    private static func read(_ clock: clockid_t) -> Int {
        var time = timespec()
        clock_gettime(clock, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

/// The counter of `Benchmarks/Allocations`, if it was preloaded.
public enum AllocationCounter {
    typealias Counter = @convention(c) @Sendable () -> UInt64

    /// Calls of the allocator on this thread so far.
    static let count: Counter? = dlsym(UnsafeMutableRawPointer(bitPattern: 0), "patchbay_allocation_count").map {
        unsafeBitCast($0, to: Counter.self)
    }

    public static var isPresent: Bool { count != nil }
}
