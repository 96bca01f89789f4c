import Glibc
import NIOCore

/// Times a body over many repetitions and counts its allocations, when the interposer of `Benchmarks/Allocations` is there.
enum Measure {
    struct Result {
        var name: String
        var nanoseconds: Double
        /// Allocations of one repetition; `nil` when nobody counts.
        var allocations: Double?
    }

    /// Best of five runs: on a shared machine the smallest is nearest to the truth.
    ///
    /// With a word on the command line only what has it in its name is run.
    static func run(_ name: String, repetitions: Int = 20_000, _ body: () -> Void) -> Result {
        if let word = CommandLine.arguments.dropFirst().first, !name.contains(word) {
            return Result(name: name, nanoseconds: .nan, allocations: nil)
        }
        for _ in 0..<repetitions / 10 { body() }
        var best = Double.infinity
        var allocations: Double?
        for _ in 0..<5 {
            let before = allocationCount?()
            let start = DispatchTime()
            for _ in 0..<repetitions { body() }
            let elapsed = start.nanoseconds
            if let before, let after = allocationCount?() {
                allocations = min(allocations ?? .infinity, Double(after - before) / Double(repetitions))
            }
            best = min(best, Double(elapsed) / Double(repetitions))
        }
        return Result(name: name, nanoseconds: best, allocations: allocations)
    }

    /// The interposer's counter for this thread, looked up at run time.
    private static let allocationCount: (@Sendable () -> UInt64)? = {
        typealias Counter = @convention(c) @Sendable () -> UInt64
        guard let symbol = dlsym(UnsafeMutableRawPointer(bitPattern: 0), "patchbay_allocation_count") else {
            return nil
        }
        let counter = unsafeBitCast(symbol, to: Counter.self)
        return { counter() }
    }()

    static var countsAllocations: Bool { allocationCount != nil }

    private struct DispatchTime {
        private let start = NIODeadline.now()
        var nanoseconds: Int64 { (NIODeadline.now() - start).nanoseconds }
    }
}
