import PatchbayCore

/// From the `stages` of a document to its chains: reads the list, takes its choices apart, and walks the formats of each.
struct ChainReader {
    private let linter: Linter
    private let registry: ComponentRegistry
    private let override: PipelineDocument.Choice<any AgentComponent>?
    private let list: JSONNode

    init(
        _ linter: Linter, _ registry: ComponentRegistry, _ override: PipelineDocument.Choice<any AgentComponent>?,
        list: JSONNode
    ) {
        self.linter = linter
        self.registry = registry
        self.override = override
        self.list = list
    }

    /// The chains without choices that the list stands for, or `nil` when it is no list.
    func read() -> [StageVariant]? {
        var reader = StageListReader(linter, registry, override)
        guard let entries = reader.read(list) else { return nil }
        guard let variants = StageVariant.all(of: entries) else {
            linter.report(
                .limitExceeded, list.headRange, DocumentPath.root.key("stages"),
                "the switches leave more than \(StageVariant.limit) different chains",
                .init("split the document, or let switches share one variable"))
            return nil
        }
        return variants
    }

    /// - Returns: `nil` when one of them has an error.
    func walk(
        _ variants: [StageVariant], _ transport: PipelineDocument.Choice<any TransportComponent>, latencyBudget: Int?,
        at budgetNode: JSONNode?
    ) -> [PipelineDocument.Variant]? {
        let flow = FormatFlow(
            registry: registry, transport: transport, directory: linter.source.directory, findings: findings)
        var result: [PipelineDocument.Variant] = []
        for variant in variants {
            guard let chain = flow.walk(variant.entries) else { continue }
            if let latencyBudget, let budgetNode {
                check(chain.latency(over: transport), against: latencyBudget, budgetNode)
            }
            result.append(.init(conditions: variant.conditions, chain: chain))
        }
        return result.count == variants.count ? result : nil
    }

    private var findings: FlowFindings {
        FlowFindings(
            report: { [linter, list] code, entry, message, remedy, severity in
                linter.report(
                    code, (entry?.node ?? list).headRange, entry?.path ?? DocumentPath.root.key("stages"), message,
                    remedy, severity: severity)
            },
            object: { [linter] problem, entry in
                guard case .stage(let choice) = entry.kind, let node = entry.node else { return }
                var members: [JSONMember] = []
                if case .object(let written) = node.content { members = written }
                linter.report([problem], of: choice.component.spec, node, members, entry.path)
            },
            place: { [linter] entry in entry.node.map { linter.line(of: $0.range) } ?? entry.place })
    }

    private func check(_ latency: DeclaredLatency, against budget: Int, _ node: JSONNode) {
        guard latency.total > .milliseconds(Int64(budget)) else { return }
        linter.report(
            .latencyBudget, node.range, DocumentPath.root.key(PipelineDocument.latencyBudget.name),
            "the chain declares \(latency.total.inTenths) ms, more than \(budget): \(latency)",
            .init("raise the budget, or use stages that hold less back; `patchbay route` shows the delay of each"))
    }
}
