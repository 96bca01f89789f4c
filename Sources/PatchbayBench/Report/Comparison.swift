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
        if earlier.version != report.version { warnings.append("the earlier file is of another version of this table") }
    }

    /// The rows in which something got worse.
    public var worse: [Line] { lines.filter { !$0.losses.isEmpty } }

    /// Quality does not depend on the day: it may vary by what rounding and dither do, and no more.
    private static func losses(_ now: BenchRow, _ then: BenchRow, ratio: Double?, tolerance: Double) -> [String] {
        var found: [String] = []
        if let ratio, ratio > 1 + tolerance { found.append("slower") }
        if then.cost != nil && now.cost == nil { found.append("gone") }
        let dropped = { (now: Double?, then: Double?, allowed: Double) -> Bool in
            guard let now, let then else { return false }
            return now < then - allowed
        }
        if dropped(now.signalToNoise, then.signalToNoise, 0.5) { found.append("SNR") }
        // Beyond this it is the rounding of 16 bits, and with soxr its dither, which is never the same twice.
        let audible = { (rejection: Double?) in rejection.map { min($0, 95) } }
        if dropped(audible(now.rejection), audible(then.rejection), 1) { found.append("rejection") }
        // Smaller is better for these.
        if dropped(then.ripple, now.ripple, 0.02) { found.append("ripple") }
        if dropped(then.delayMeasured, now.delayMeasured, 0.05) { found.append("delay") }
        if let allocations = now.cost?.allocations, let before = then.cost?.allocations, allocations > before + 0.01 {
            found.append("allocations")
        }
        if let bytes = now.bytes, let before = then.bytes, bytes > before + max(256, before / 10) {
            found.append("memory")
        }
        return found
    }
}
