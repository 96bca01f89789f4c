/// One run beside an earlier one.
public struct Comparison: Sendable {
    /// What became of one row.
    public struct Line: Sendable {
        public var row: BenchRow
        /// The earlier row; `nil` for a newcomer.
        public var before: BenchRow?
        /// Median time now over the median time then.
        public var ratio: Double?
        /// What got worse, in words; empty when nothing did.
        public var losses: [String]
    }

    public var lines: [Line]
    /// Rows of the earlier run that this one does not have.
    public var missing: [BenchRow]
    /// Why times may not be comparable.
    public var warnings: [String]

    /// - Parameter tolerance: How much slower a row may be before it is marked; 0.25 is a quarter.
    public init(_ report: BenchReport, with earlier: BenchReport, tolerance: Double) {
        let known = Dictionary(earlier.rows.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        lines = report.rows.map { row in
            guard let before = known[row.key] else { return Line(row: row, before: nil, ratio: nil, losses: []) }
            let ratio = row.cost.flatMap { now in
                before.cost.flatMap { $0.p50 > 0 ? now.p50 / $0.p50 : nil }
            }
            return Line(
                row: row, before: before, ratio: ratio,
                losses: Self.losses(row, before, ratio: ratio, tolerance: tolerance))
        }
        let present = Set(report.rows.map(\.key))
        missing = earlier.rows.filter { !present.contains($0.key) }
        let differences = report.machine.differences(from: earlier.machine)
        warnings = differences.isEmpty ? [] : ["measured on another machine: " + differences.joined(separator: "; ")]
    }

    /// The rows in which something got worse.
    public var worse: [Line] { lines.filter { !$0.losses.isEmpty } }

    /// Quality does not depend on the day: it may vary by what rounding and dither do, and no more.
    private static func losses(_ now: BenchRow, _ then: BenchRow, ratio: Double?, tolerance: Double) -> [String] {
        // Nothing else is left to compare of one that could not take part.
        if then.cost != nil && now.cost == nil { return ["gone"] }
        var found: [String] = []
        if let ratio, ratio > 1 + tolerance { found.append("slower") }
        func compare(_ name: String, _ now: Double?, _ then: Double?, isWorse: (_ now: Double, _ then: Double) -> Bool)
        {
            guard let then else { return }
            guard let now else { return found.append("\(name) gone") }
            if isWorse(now, then) { found.append(name) }
        }
        compare("SNR", now.signalToNoise, then.signalToNoise) { $0 < $1 - 0.5 }
        // Beyond this it is the rounding of 16 bits, and with soxr its dither, which is never the same twice.
        compare("rejection", now.rejection, then.rejection) { min($0, 95) < min($1, 95) - 1 }
        compare("ripple", now.ripple, then.ripple) { $0 > $1 + 0.02 }
        compare("delay", now.delayMeasured, then.delayMeasured) { $0 > $1 + 0.05 }
        compare("memory", now.bytes.map(Double.init), then.bytes.map(Double.init)) { $0 > $1 + max(256, $1 / 10) }
        // They are counted only where the counter was preloaded, so none is no news.
        if let allocations = now.cost?.allocations, let before = then.cost?.allocations, allocations > before + 0.01 {
            found.append("allocations")
        }
        return found
    }
}
