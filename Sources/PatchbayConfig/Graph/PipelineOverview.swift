/// The pipelines of a folder together: which numbers lead where, by which rules.
public struct PipelineOverview: Sendable {
    /// In the order of their files.
    public let pipelines: [PipelineOutline]

    public init(_ set: PipelineSet) { pipelines = set.documents.map { PipelineOutline($0) } }

    /// As a JSON list of outlines.
    public var json: JSONValue { .array(pipelines.map(\.json)) }

    /// As a list of characters: numbers, pipeline, rules.
    public func text(width: Int = 100, colour: Bool = false) -> String {
        let style = TextStyle(isOn: colour)
        var lines: [String] = []
        for outline in pipelines {
            if !lines.isEmpty { lines.append("") }
            lines.append(style.bold(outline.name) + style.faint("  \(outline.file)"))
            let numbers = outline.numbers.isEmpty ? "no number of its own" : outline.numbers.shortList(12)
            lines += wrapped("  answers  \(numbers)", width: width, hanging: 11)
            for (index, rule) in outline.rules.enumerated() {
                let word = index == 0 ? "when" : ""
                lines += wrapped(
                    "  \(word.padded(to: 7))  \(rule.condition) → \(rule.outcome.words)", width: width, hanging: 11)
            }
            for chain in outline.chains {
                if !chain.conditions.isEmpty {
                    lines += wrapped(
                        "  where    " + chain.conditions.joined(separator: " and "), width: width, hanging: 11)
                }
                lines += wrapped("  runs     \(outline.route(of: chain))", width: width, hanging: 11)
                lines.append("  latency  \(chain.latency.total.inTenths) ms")
            }
        }
        return lines.map(\.trimmedAtEnd).joined(separator: "\n") + "\n"
    }
}

extension PipelineOutline {
    /// The chain on one line: `twilio › decoder › vad › script, echo › encoder › twilio`.
    func route(of chain: Chain) -> String {
        let agents = chain.agents.map(\.type).joined(separator: ", then ")
        let stages = { (list: [Stage]) in list.filter { $0.mark != .leftOut }.map(\.type) }
        return ([carrier] + stages(chain.before) + ["[\(agents)]"] + stages(chain.after) + [carrier])
            .joined(separator: " › ")
    }
}
