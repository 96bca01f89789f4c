import PatchbayAudio
import PatchbayCore

extension PipelineOutline {
    /// The pipeline as a flowchart of Mermaid (https://mermaid.js.org/syntax/flowchart.html), which many wikis and code
    /// hosts draw.
    public var mermaid: String {
        var chart = MermaidChart()
        for chain in chains { chart.add(self, chain, isOne: chains.count == 1) }
        chart.add(rules, of: self)
        return chart.text
    }
}

extension PipelineOverview {
    /// All pipelines as one flowchart: numbers, rules, and where they lead.
    public var mermaid: String {
        var chart = MermaidChart()
        chart.add(self)
        return chart.text
    }
}

/// A flowchart, node by node.
private struct MermaidChart {
    /// Nodes and the groups they stand in. A node is taken into every group that mentions it, so edges come after them
    /// all.
    private var lines: [String] = []
    private var edges: [String] = []
    private var count = 0

    var text: String {
        (["flowchart LR"] + lines + edges + [
            "  classDef inserted stroke-dasharray: 4 3", "  classDef leftOut stroke-dasharray: 1 4,opacity: 0.6",
        ]).joined(separator: "\n") + "\n"
    }

    mutating func add(_ outline: PipelineOutline, _ chain: PipelineOutline.Chain, isOne: Bool) {
        let caller = node(outline.carrier, "([", "])")
        if !isOne {
            lines.append("  subgraph \(newName())[\(Self.label(chain.conditions.joined(separator: " and ")))]")
        }
        let agents = chain.agents.enumerated().map { index, agent in
            (chain.agents.count > 1 ? "\(index + 1) " : "") + agent.type
        }
        var ends = [End(caller)]
        var format = outline.carrierFormat
        add(chain.before, &ends, &format)
        let agent = node(agents.joined(separator: "\n"), "{{", "}}")
        lead(ends, to: agent, format)
        ends = [End(agent)]
        format = chain.joint
        add(chain.after, &ends, &format)
        lead(ends, to: caller, format)
        if !isOne { lines.append("  end") }
    }

    mutating func add(_ rules: [PipelineOutline.Rule], of outline: PipelineOutline) {
        guard !rules.isEmpty else { return }
        let call = node("call of \(outline.name)", "([", "])")
        var last = call
        for rule in rules {
            let choice = node(rule.condition, "{", "}")
            edge(last, choice, last == call ? "" : "no")
            edge(choice, node(rule.outcome.words, "[", "]"), "yes")
            last = choice
        }
        edge(last, node("the stages", "[", "]"), "no")
    }

    mutating func add(_ overview: PipelineOverview) {
        var names: [String: String] = [:]
        for outline in overview.pipelines { names[outline.name] = node(outline.name, "[[", "]]") }
        for outline in overview.pipelines {
            guard let pipeline = names[outline.name] else { continue }
            if !outline.numbers.isEmpty {
                edge(node(outline.numbers.shortList(6).replacing(", ", with: "\n"), "([", "])"), pipeline, "")
            }
            for rule in outline.rules {
                switch rule.outcome {
                case .pipeline(let name): edge(pipeline, names[name] ?? node(name, "[[", "]]"), rule.condition)
                case .say(let words): edge(pipeline, node("say \(quoted(words))", "[/", "/]"), rule.condition)
                }
            }
        }
    }

    private mutating func add(_ stages: [PipelineOutline.Stage], _ ends: inout [End], _ format: inout AudioFormat) {
        for stage in stages {
            let words = ([stage.type] + stage.settings + [stage.delay.label]).filter { !$0.isEmpty }
            let next = node(words.joined(separator: "\n"), "[", "]")
            if stage.mark != .written { edges.append("  class \(next) \(stage.mark.rawValue)") }
            lead(ends, to: next, format)
            ends = [End(next)]
            let joins = stage.type == Structure.switch.type
            if joins, !stage.branches.isEmpty { ends = [] }
            for branch in stage.branches {
                guard !branch.stages.isEmpty else {
                    if joins { ends.append(End(next, branch.title)) }
                    continue
                }
                lines.append("  subgraph \(newName())[\(Self.label(branch.title))]")
                var side = [End(next)]
                var sideFormat = stage.takes
                add(branch.stages, &side, &sideFormat)
                lines.append("  end")
                if joins { ends += side }
            }
            format = stage.gives
        }
    }

    /// Where the sound comes from: one node, or the ends of all branches of a switch.
    private struct End {
        var node: String
        /// The branch that has no stages of its own.
        var branch: String?

        init(_ node: String, _ branch: String? = nil) {
            self.node = node
            self.branch = branch
        }
    }

    private mutating func lead(_ ends: [End], to next: String, _ format: AudioFormat) {
        for end in ends {
            edge(end.node, next, end.branch.map { "\($0)\n\(format.short)" } ?? format.short)
        }
    }

    private mutating func newName() -> String {
        count += 1
        return "n\(count)"
    }

    private mutating func node(_ label: String, _ open: String, _ close: String) -> String {
        let name = newName()
        lines.append("  \(name)\(open)\(Self.label(label))\(close)")
        return name
    }

    private mutating func edge(_ from: String, _ to: String, _ label: String) {
        edges.append("  \(from) -->\(label.isEmpty ? "" : "|\(Self.label(label))|") \(to)")
    }

    /// A quoted label; what Mermaid would take for syntax or markup is written as an entity code.
    private static func label(_ text: String) -> String {
        var result = "\""
        for character in text {
            switch character {
            case "\"": result += "#quot;"
            case "#": result += "#35;"
            case "<": result += "#lt;"
            case ">": result += "#gt;"
            case "&": result += "#amp;"
            case "`": result += "#96;"
            case "\n": result += "<br/>"
            default: result.append(character)
            }
        }
        return result + "\""
    }
}
