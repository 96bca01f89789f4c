public import PatchbayCore
import PatchbayAudio

/// A dry run of one call: which pipeline answers, by which rules, and everything that the call would run through.
public struct RouteReport: Sendable {
    /// The called number.
    public let number: String
    /// The rules that were asked, a line each.
    public let steps: [String]
    /// What is said instead of an answer, when a rule decides so.
    public let words: String?
    /// The pipeline; its one chain is what the call runs through, unless words are said instead.
    public let outline: PipelineOutline
    /// The variables of the call, without those that look like secrets.
    public let variables: [String: VariableValue]
    /// Where the caller would be looked up; the defaults hold in this dry run. `nil` when the pipeline looks nothing up.
    public let context: ContextLookup?
    /// What the agents may call, as it is written: no header and no value of the environment.
    public let tools: [ToolSummary]

    /// - Parameters:
    ///   - decision: What ``PipelineSet/decide(_:from:at:)`` says of the call.
    ///   - from: The caller's number.
    /// - Throws: When the call could not be planned: the value of a switch has no case.
    public init(number: String, _ decision: RouteDecision, from: String = "") throws(PipelineError) {
        self.number = number
        steps = decision.steps.map(\.description)
        let route: Route
        let call = CallVariables(from: from, to: number, sid: "CA0")
        switch decision {
        case .pipeline(let taken, _):
            (route, words) = (taken, nil)
            context = try taken.contextLookup(for: call)
            let plan = try taken.plan(for: try taken.withDefaultContext(call))
            outline = PipelineOutline(plan, of: taken.document)
            tools = ToolSummary.all(in: plan)
        case .say(let text, let taken, let steps):
            route = taken
            // The words themselves may hold values of the environment.
            if case .say(let asWritten)? = steps.last?.outcome {
                words = taken.shownWords(asWritten, for: call)
            } else {
                words = text
            }
            // No stage runs, so none has to be planned.
            tools = []
            context = nil
            outline = PipelineOutline(taken.document)
        }
        variables = route.shownVariables
    }

    private var chain: PipelineOutline.Chain? { words == nil ? outline.chains.first : nil }

    /// The report for people, in lines of about `width` columns.
    public func text(width: Int = 100) -> String {
        var lines = ["\(number) → \(outline.name)  (\(outline.file), version \(outline.version))"]
        for step in steps { lines += wrapped("  rule       \(step)", width: width, hanging: 13) }
        if let words {
            lines += wrapped("  said       \(quoted(words)), then the call ends", width: width, hanging: 13)
        }
        if !variables.isEmpty {
            let list = variables.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.json)" }
            lines += wrapped("  variables  " + list.joined(separator: ", "), width: width, hanging: 13)
        }
        if let context { lines += wrapped("  context    \(context.words)", width: width, hanging: 13) }
        guard let chain else { return lines.joined(separator: "\n") + "\n" }
        lines.append("")
        lines += table(chain, width: width).map(\.trimmedAtEnd)
        lines.append("")
        lines += outline.latencyLines(chain.latency, width: width - 2).map { "  " + $0 }
        if chain.latency.agent > .zero || chain.agents.contains(where: \.isOpen) {
            lines += wrapped(
                "  The agent says its format when it connects: that of the worst is counted.", width: width, hanging: 2)
        }
        lines += ToolSummary.lines(tools, width: width)
        return lines.joined(separator: "\n") + "\n"
    }

    /// The report as a JSON object.
    ///
    /// `stages` has the carrier, every stage, the agents as one entry of type `agent`, and the carrier again, each with
    /// `type`, `takes`, `gives`, `delayMs` and `inserted`; `latencyMs` is the sum of both ways, framing included.
    public var json: JSONValue {
        var object: JSONValue = [
            "number": .string(number), "pipeline": .string(outline.name), "file": .string(outline.file),
            "version": .string(outline.version),
        ]
        object.append("rules", .array(steps.map { .string($0) }))
        object.append("say", words.map { .string($0) })
        object.append(
            "variables",
            .object(variables.sorted { $0.key < $1.key }.map { .init($0.key, JSONValue($0.value)) }))
        object.append("context", context?.json)
        guard let chain else { return object }
        let carrier = { (delay: TimeSpan) -> JSONValue in
            let format = JSONValue.string(outline.carrierFormat.description)
            return [
                "type": .string(outline.carrier), "takes": format, "gives": format,
                "delayMs": JSONValue(delay.inMilliseconds), "inserted": false,
            ]
        }
        let agent: JSONValue = [
            "type": .string(PipelineDocument.agentStageType), "takes": .string(chain.joint.description),
            "gives": .string(chain.joint.description), "delayMs": JSONValue(chain.latency.agent.inMilliseconds),
            "inserted": false, "agents": .array(chain.agents.map(\.json)),
        ]
        object.append(
            "stages",
            .array(
                [carrier(chain.latency.framing)] + chain.before.map(\.json) + [agent] + chain.after.map(\.json)
                    + [carrier(.zero)]))
        object.append("latencyMs", JSONValue(chain.latency.total.inMilliseconds))
        object.append("latency", chain.latency.json)
        object.append("latencyBudgetMs", outline.latencyBudgetMs.map { JSONValue($0) })
        if !tools.isEmpty { object.append("tools", .array(tools.map(\.json))) }
        return object
    }

    // MARK: Table

    private struct Row {
        var name: String
        var takes = ""
        var gives = ""
        var delay = ""
        var note = ""
    }

    private func table(_ chain: PipelineOutline.Chain, width: Int) -> [String] {
        let carrier = outline.carrierFormat.description
        var rows = [
            Row(name: "stage", takes: "takes", gives: "gives", delay: "delay"),
            Row(name: outline.carrier, gives: carrier, delay: chain.latency.framing.label, note: "one packet"),
        ]
        rows += chain.before.flatMap { Self.rows($0, indent: "") }
        rows.append(
            Row(
                name: chain.agents.count > 1 ? "agents" : "agent", takes: chain.joint.description,
                gives: chain.joint.description, delay: chain.latency.agent.label))
        for (index, agent) in chain.agents.enumerated() {
            let notes = [agent.formats.words(at: chain.joint), agent.isUnreachable ? "never tried" : ""]
            rows.append(
                Row(
                    name: "  " + (chain.agents.count > 1 ? "\(index + 1) " : "") + agent.type,
                    note: notes.filter { !$0.isEmpty }.joined(separator: ", ")))
        }
        rows += chain.after.flatMap { Self.rows($0, indent: "") }
        rows.append(Row(name: outline.carrier, takes: carrier))
        let widths = [\Row.name, \.takes, \.gives, \.delay].map { column in
            rows.map { $0[keyPath: column].unicodeScalars.count }.max() ?? 0
        }
        return rows.flatMap { row -> [String] in
            let delay = String(repeating: " ", count: widths[3] - row.delay.unicodeScalars.count) + row.delay
            let isAgent = row.takes.isEmpty && row.gives.isEmpty
            if isAgent {
                return wrapped(
                    "  \(row.name.padded(to: widths[0]))  \(row.note)", width: width, hanging: widths[0] + 4)
            }
            return [
                "  \(row.name.padded(to: widths[0]))  \(row.takes.padded(to: widths[1]))  "
                    + "\(row.gives.padded(to: widths[2]))  \(delay)  \(row.note)"
            ]
        }
    }

    private static func rows(_ stage: PipelineOutline.Stage, indent: String) -> [Row] {
        var rows = [
            Row(
                name: indent + stage.type, takes: stage.takes.description, gives: stage.gives.description,
                delay: stage.delay.label, note: stage.notes)
        ]
        for branch in stage.branches {
            rows.append(Row(name: indent + "  " + branch.title + ":", note: branch.stages.isEmpty ? "nothing" : ""))
            rows += branch.stages.flatMap { Self.rows($0, indent: indent + "    ") }
        }
        return rows
    }
}

extension ContextLookup {
    /// `GET https://…/customers?phone=${call.from} within 800 ms; an unknown caller: name "Valued Customer"`
    fileprivate var words: String {
        var words: String
        switch work {
        case .request: words = "GET \(written.withoutCredentials)"
        case .query: words = "SQLite \(written)"
        }
        words += " within \(timeout.milliseconds) ms"
        guard !fallback.isEmpty else { return words }
        let values = fallback.withSecretsWithheld.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.json)" }
        return words + "; an unknown caller: " + values.joined(separator: ", ")
    }

    fileprivate var json: JSONValue {
        let kind: String
        switch work {
        case .request: kind = "url"
        case .query: kind = "sqlite"
        }
        let values = fallback.withSecretsWithheld.sorted { $0.key < $1.key }
        return .object([
            .init(kind, .string(written.withoutCredentials)), .init("timeoutMs", JSONValue(Int(timeout.milliseconds))),
            .init("default", .object(values.map { .init($0.key, JSONValue($0.value)) })),
        ])
    }
}

extension PipelineOutline.Agent {
    /// Whether its format is only known when it connects.
    var isOpen: Bool { formats.inputs.count > 1 || formats.outputs.count > 1 }
}
