extension PipelineReport {
    /// The table with its sums.
    public func table(_ style: BenchReport.Style) -> String {
        var table = TextTable([
            .init("leg", isRight: false), .init("stage", isRight: false), .init("takes", isRight: false),
            .init("gives", isRight: false), .init("µs p50"), .init("p99"), .init("CPU"), .init("delay ms"),
            .init("bytes"), .init("allocs"),
        ])
        for leg in legs {
            for stage in stages where stage.leg == leg.leg {
                let mark = stage.address == "inserted" ? " (inserted)" : ""
                table.rows.append(
                    [leg.leg, stage.type + mark, stage.takes, stage.gives] + cells(stage.cost, stage.delay, stage.bytes)
                )
            }
            table.rows.append([leg.leg, "all stages", "", ""] + cells(leg.cost, leg.delay, nil))
        }
        return style == .text ? table.text : table.markdown
    }

    /// The last lines.
    public var summary: String {
        let delay = legs.reduce(0) { $0 + $1.delay }
        return """
            both legs: \(microseconds(cpu)) µs of CPU for 20 ms, \(fixed(delay, 2)) ms held back
            that is \(fixed(callsPerCore, 0)) calls on a core that does nothing else; sockets and messages cost more than \
            most stages (Benchmarks/Load measures them)
            """
    }

    private func cells(_ cost: Cost, _ delay: Double, _ bytes: Int?) -> [String] {
        [
            microseconds(cost.p50), microseconds(cost.p99), microseconds(cost.cpu), fixed(delay, 2),
            bytes.map { "\($0)" } ?? "", cost.allocations.map { fixed($0, 2) } ?? "",
        ]
    }
}
