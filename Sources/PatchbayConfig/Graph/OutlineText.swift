import PatchbayAudio
import PatchbayCore

extension PipelineOutline {
    /// The pipeline as a drawing of characters, top to bottom, in lines of about `width` columns.
    ///
    /// - Parameter colour: Whether to use ANSI escape sequences.
    public func text(width: Int = 100, colour: Bool = false) -> String {
        let style = TextStyle(isOn: colour)
        var lines = [style.bold(name) + style.faint("  \(file)  version \(version)")]
        if let summary { lines += wrapped(summary, width: width) }
        if !numbers.isEmpty { lines += wrapped("answers " + numbers.shortList(12), width: width, hanging: 8) }
        if !rules.isEmpty {
            lines += ["", "when"]
            for (index, rule) in rules.enumerated() {
                lines += wrapped("  \(index + 1)  \(rule.condition) → \(rule.outcome.words)", width: width, hanging: 5)
                if let alternative = rule.alternative {
                    lines += wrapped("     \(alternative)", width: width, hanging: 5).map(style.faint)
                }
            }
        }
        for chain in chains {
            lines.append("")
            if !chain.conditions.isEmpty {
                lines += wrapped("where " + chain.conditions.joined(separator: " and "), width: width, hanging: 6)
                    .map(style.bold)
                lines.append("")
            }
            lines += OutlineText(self, chain, style).lines(width: width)
            lines += [""] + latencyLines(chain.latency, width: width)
        }
        return lines.map(\.trimmedAtEnd).joined(separator: "\n") + "\n"
    }

    /// The sum, its parts, and the budget.
    func latencyLines(_ latency: DeclaredLatency, width: Int) -> [String] {
        var words = "latency \(latency.total.inTenths) ms, both ways: \(latency)"
        if let latencyBudgetMs { words += "; the budget is \(latencyBudgetMs)" }
        return wrapped(words, width: width, hanging: 2)
    }
}

extension CallRule.Outcome {
    /// `pipeline after-hours`, `say "We are closed."`.
    var words: String {
        switch self {
        case .pipeline(let name): "pipeline \(name)"
        case .say(let text): "say \(quoted(text))"
        }
    }
}

extension [String] {
    /// The first few, and how many there are besides.
    func shortList(_ limit: Int) -> String {
        let shown = prefix(limit).joined(separator: ", ")
        return count > limit ? "\(shown) and \(count - limit) more" : shown
    }
}

/// ANSI escape sequences, or none.
struct TextStyle {
    var isOn: Bool

    func bold(_ text: String) -> String { wrap(text, 1) }
    func faint(_ text: String) -> String { wrap(text, 2) }
    func green(_ text: String) -> String { wrap(text, 32) }
    func cyan(_ text: String) -> String { wrap(text, 36) }

    private func wrap(_ text: String, _ code: Int) -> String {
        isOn && !text.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}

/// One chain as lines: what stands in it at the left, what is true of it at the right.
private struct OutlineText {
    private struct Row {
        var bar: String
        var name: String
        var delay = TimeSpan.zero
        var note = ""
        var isJoint = false
        var isFaint = false
        var isInserted = false

        /// Columns of the bar and the name.
        var place: Int { bar.unicodeScalars.count + 1 + name.unicodeScalars.count }
    }

    private let style: TextStyle
    private var rows: [Row] = []

    init(_ outline: PipelineOutline, _ chain: PipelineOutline.Chain, _ style: TextStyle) {
        self.style = style
        rows.append(Row(bar: "┌", name: outline.carrier, delay: chain.latency.framing, note: "one packet"))
        joint(outline.carrierFormat)
        add(chain.before, from: outline.carrierFormat)
        rows.append(Row(bar: "┝", name: chain.agents.count > 1 ? "agents" : "agent"))
        for (index, agent) in chain.agents.enumerated() {
            var notes = [agent.formats.words(at: chain.joint)] + agent.settings
            if agent.isUnreachable { notes.append("never tried") }
            let number = chain.agents.count > 1 ? "\(index + 1) " : ""
            rows.append(
                Row(
                    bar: "│", name: "  \(number)\(agent.type)", delay: agent.delay,
                    note: notes.joined(separator: ", "), isFaint: agent.isUnreachable))
        }
        joint(chain.joint)
        add(chain.after, from: chain.joint)
        rows.append(Row(bar: "└", name: outline.carrier))
    }

    func lines(width: Int) -> [String] {
        let names = rows.filter { !$0.isJoint }.map(\.place).max() ?? 0
        let delays = rows.map(\.delay.label.unicodeScalars.count).max() ?? 0
        let column = 2 + names + 2 + delays + 2
        return rows.flatMap { row -> [String] in
            if row.isJoint { return ["  \(row.bar) " + style.cyan(row.name)] }
            let name = row.name.padded(to: names - row.bar.unicodeScalars.count - 1)
            let delay = row.delay.label
            let space = String(repeating: " ", count: delays - delay.unicodeScalars.count)
            let text = row.isFaint ? style.faint(name) : row.isInserted ? style.green(name) : style.bold(name)
            let notes = wrapped(row.note, width: max(30, width - column))
            let first = "  \(row.bar) \(text)  \(space)\(delay)  \(style.faint(notes[0]))"
            return [first] + notes.dropFirst().map { "  │".padded(to: column) + style.faint($0) }
        }
    }

    private mutating func joint(_ format: AudioFormat, bar: String = "│") {
        rows.append(Row(bar: bar, name: "\(format)", isJoint: true))
    }

    private mutating func add(_ stages: [PipelineOutline.Stage], from format: AudioFormat, bar: String = "") {
        var format = format
        for stage in stages {
            rows.append(
                Row(
                    bar: bar + Self.bar(of: stage), name: stage.type, delay: stage.delay, note: stage.notes,
                    isFaint: stage.mark == .leftOut, isInserted: stage.mark == .inserted))
            for branch in stage.branches {
                rows.append(Row(bar: bar + "│ ├", name: branch.title + (branch.stages.isEmpty ? ": nothing" : "")))
                add(branch.stages, from: stage.takes, bar: bar + "│ │ ")
            }
            guard stage.gives != format else { continue }
            format = stage.gives
            joint(format, bar: bar + "│")
        }
    }

    private static func bar(of stage: PipelineOutline.Stage) -> String {
        switch stage.mark {
        case .written: "├"
        case .inserted: "┼"
        case .leftOut: "│"
        }
    }
}

extension PipelineOutline.Branch {
    /// `side chain`, `key 1`, `otherwise`.
    var title: String {
        switch label {
        case "side": "side chain"
        case "otherwise": "otherwise"
        default: "key \(label)"
        }
    }
}

extension PipelineOutline.Stage {
    /// What is to be said beside its name.
    var notes: String {
        if mark == .leftOut { return "left out: it changes nothing" }
        var notes = (mark == .inserted ? ["inserted"] : []) + settings
        if let hears { notes.append("hears \(hears.short)") }
        return notes.joined(separator: ", ")
    }
}
