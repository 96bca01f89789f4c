extension BenchReport {
    public enum Style: Sendable { case text, markdown }

    /// The tables, one for each family and path.
    public func tables(_ style: Style, comparison: Comparison? = nil) -> String {
        let lines = comparison?.lines ?? rows.map { Comparison.Line(row: $0, before: nil, ratio: nil, losses: []) }
        var parts: [String] = []
        for family in BenchRow.Family.allCases {
            var paths: [String] = []
            for line in lines where line.row.family == family && !paths.contains(line.row.path) {
                paths.append(line.row.path)
            }
            // Resamplers compete on one path; the others are read beside one another.
            let groups = family == .resampler ? paths.map { [$0] } : paths.isEmpty ? [] : [paths]
            for group in groups {
                let chosen = lines.filter { $0.row.family == family && group.contains($0.row.path) }
                let title = family == .resampler ? "\(family.plural) \(group.joined())" : family.plural
                let table = Self.table(chosen, family, isCompared: comparison != nil).compact
                parts.append(
                    style == .text ? "\(title)\n\(table.text.indented)" : "### \(title)\n\n\(table.markdown)")
            }
        }
        return parts.joined(separator: "\n\n")
    }

    private static func table(_ lines: [Comparison.Line], _ family: BenchRow.Family, isCompared: Bool) -> TextTable {
        var columns: [TextTable.Column] = [.init("name", isRight: false)]
        if family != .resampler { columns.append(.init("", isRight: false)) }
        columns += ["µs p50", "p99", "CPU", "× real time"].map { .init($0) }
        if isCompared { columns += [.init("was"), .init("ratio"), .init("worse", isRight: false)] }
        columns += (family == .vad ? ["onset ms"] : ["delay ms", "claimed"]).map { .init($0) }
        columns += ["SNR dB", "reject dB", "ripple dB", "3.4 kHz dB", "bytes", "allocs"].map { .init($0) }
        columns.append(.init("", isRight: false))
        var table = TextTable(columns)
        for line in lines {
            let row = line.row
            let number = { (value: Double?, digits: Int) in value.map { fixed($0, digits) } ?? "" }
            var cells = [row.name]
            if family != .resampler { cells.append(row.path) }
            cells += [
                row.cost.map { microseconds($0.p50) } ?? "", row.cost.map { microseconds($0.p99) } ?? "",
                row.cost.map { microseconds($0.cpu) } ?? "", row.cost.map { fixed($0.timesRealTime, 0) } ?? "",
            ]
            if isCompared {
                cells += [
                    line.before?.cost.map { microseconds($0.p50) } ?? "", line.ratio.map { fixed($0, 2) } ?? "",
                    line.losses.joined(separator: ", "),
                ]
            }
            cells.append(number(row.delayMeasured, 2))
            if family != .vad { cells.append(number(row.delayReported, 2) + (row.delayDisagrees ? "!" : "")) }
            cells += [
                number(row.signalToNoise, 1), number(row.rejection, 1), number(row.ripple, 2), number(row.gain3400, 2),
                row.bytes.map { "\($0)" } ?? "", number(row.cost?.allocations, 2), row.note ?? "",
            ]
            table.rows.append(cells)
        }
        return table
    }

    /// The last lines: what to take away from the table.
    public var summary: String {
        var lines: [String] = []
        let paths = rows.filter { $0.family == .resampler }.reduce(into: [String]()) {
            if !$0.contains($1.path) { $0.append($1.path) }
        }
        for path in paths {
            let clean = rows.filter {
                $0.family == .resampler && $0.path == path && $0.isClean && ($0.delayMeasured ?? .infinity) <= 20
            }
            guard let best = clean.min(by: { ($0.cost?.cpu ?? .infinity) < ($1.cost?.cpu ?? .infinity) }) else {
                continue
            }
            lines.append(
                "\(path): cheapest clean one with a delay of one packet at most is \(best.name), "
                    + "\(microseconds(best.cost?.cpu ?? 0)) µs CPU, \(fixed(best.delayMeasured ?? 0, 2)) ms")
        }
        let wrong = rows.filter(\.delayDisagrees).map { "\($0.name) \($0.path)" }
        if !wrong.isEmpty {
            lines.append(
                "! another delay than claimed, by more than \(fixed(BenchRow.delayTolerance, 2)) ms: "
                    + wrong.joined(separator: ", "))
        }
        let absent = rows.filter { $0.cost == nil }.compactMap(\.note).reduce(into: [String]()) {
            if !$0.contains($1) { $0.append($1) }
        }
        lines += absent.map { "left out: \($0)" }
        lines.append(
            "\(rows.count) rows on \(machine.processor), \(machine.cores) cores, \(machine.system), \(machine.build) build; "
                + (rows.contains { $0.cost?.allocations != nil } ? "allocations counted" : "allocations not counted"))
        return lines.joined(separator: "\n")
    }
}

extension String {
    fileprivate var indented: String {
        split(separator: "\n", omittingEmptySubsequences: false).map { "  \($0)" }.joined(separator: "\n")
    }
}
