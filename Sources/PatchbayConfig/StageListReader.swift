/// The stages as they were read, before anything is known about formats.
struct StageList {
    struct Stage {
        /// `nil` when it is wrong; the walk of formats stops there.
        var choice: PipelineDocument.Choice<any StageComponent>?
        var type: String
        var node: JSONNode
        var index: Int
    }

    var before: [Stage] = []
    var after: [Stage] = []
    /// The stage that holds the agents.
    var agentNode: JSONNode
    var agentIndex: Int
    /// `nil` when one of them is wrong.
    var backends: [PipelineDocument.Choice<any AgentComponent>]?
    var agentSettings: Settings
}

/// Reads `stages`: components in a row, exactly one of which holds the agents.
struct StageListReader {
    /// Settings of the stage that holds the agents.
    static let agentFields = [
        Field(
            "bridge", .string, isAdvanced: true,
            "Words or a WAV file heard while a failed agent is replaced by the next.")
    ]

    private let linter: Linter
    private let registry: ComponentRegistry
    private let override: PipelineDocument.Choice<any AgentComponent>?

    init(_ linter: Linter, _ registry: ComponentRegistry, _ override: PipelineDocument.Choice<any AgentComponent>?) {
        self.linter = linter
        self.registry = registry
        self.override = override
    }

    /// - Returns: `nil` when there is no agent to walk to.
    func read(_ node: JSONNode) -> StageList? {
        let path = DocumentPath.root.key("stages")
        guard case .array(let elements) = node.content else {
            linter.reportWrongType(node, path, "stages", expected: "a list of stages")
            return nil
        }
        guard !elements.isEmpty else {
            linter.report(
                .emptyList, node.headRange, path, "\"stages\" is empty; a pipeline has at least an agent", agentHint)
            return nil
        }
        return read(elements, node, path)
    }

    private var agentHint: Diagnostic.Suggestion {
        .init("add one of the agents: \(registry.types(.agent).sorted().joined(separator: ", "))")
    }

    private func read(_ elements: [JSONNode], _ list: JSONNode, _ path: DocumentPath) -> StageList? {
        var stages: [StageList.Stage] = []
        var result: StageList?
        var hasUnknown = false
        for (index, element) in elements.enumerated() {
            let place = path.index(index)
            guard let entry = linter.component(element, place, "stages[\(index)]") else {
                hasUnknown = true
                stages.append(.init(choice: nil, type: "", node: element, index: index))
                continue
            }
            if entry.type == PipelineDocument.agentStageType || registry.agent(entry.type) != nil {
                if let first = result {
                    linter.report(
                        .duplicateAgent, entry.typeNode.range, place,
                        "a pipeline has one agent stage; the first is at \(linter.line(of: first.agentNode.range))",
                        .init("to try one agent after another, list both in \"backends\" of one \"agent\" stage"))
                    continue
                }
                result = readAgents(entry, index, place)
                result?.before = stages
                stages = []
                continue
            }
            guard let component = registry.stage(entry.type) else {
                hasUnknown = true
                reportUnknown(entry, place)
                stages.append(.init(choice: nil, type: entry.type, node: element, index: index))
                continue
            }
            let settings = linter.settings(of: entry, component, place)
            stages.append(
                .init(
                    choice: settings.map { .init(component: component, settings: $0) }, type: entry.type, node: element,
                    index: index))
        }
        result?.after = stages
        // What is not known might be what somebody's neighbour needs.
        if let result, !hasUnknown {
            checkPlaces(result.before, isBeforeAgent: true, path)
            checkPlaces(result.after, isBeforeAgent: false, path)
        }
        // A mistyped agent has been reported as an unknown stage.
        if result == nil, !hasUnknown {
            linter.report(.missingAgent, list.headRange, path, "there is no agent among the stages", agentHint)
        }
        return result
    }

    /// Asks the stages on one side of the agent about their neighbours.
    private func checkPlaces(_ stages: [StageList.Stage], isBeforeAgent: Bool, _ path: DocumentPath) {
        let components = stages.compactMap { registry.stage($0.type) }
        for (index, stage) in stages.enumerated() {
            guard let choice = stage.choice else { continue }
            let place = StagePlace(
                isBeforeAgent: isBeforeAgent, earlier: Array(components.prefix(index)),
                later: Array(components.dropFirst(index + 1)))
            var members: [JSONMember] = []
            if case .object(let written) = stage.node.content { members = written }
            linter.report(
                choice.component.problems(in: choice.settings, at: place), of: choice.component.spec, stage.node,
                members, path.index(stage.index))
        }
    }

    private func reportUnknown(_ entry: ComponentEntry, _ path: DocumentPath) {
        if registry.transport(entry.type) != nil {
            linter.report(
                .unknownType, entry.typeNode.range, path, "\(quoted(entry.type)) is a transport, not a stage",
                .init("write it under \"transport\""))
            return
        }
        let known = registry.types(.stage) + registry.types(.agent) + [PipelineDocument.agentStageType]
        linter.report(
            .unknownType, entry.typeNode.range, path, "there is no stage \(quoted(entry.type))",
            .closest(of: known, for: entry.type, label: "stages and agents"))
    }

    // MARK: Agents

    private func readAgents(_ entry: ComponentEntry, _ index: Int, _ path: DocumentPath) -> StageList {
        var settings: Settings? = Settings(Self.agentFields, directory: linter.source.directory)
        let backends: [PipelineDocument.Choice<any AgentComponent>]?
        if let agent = registry.agent(entry.type) {
            backends = withOverride { backend(entry, agent, path).map { [$0] } }
        } else {
            settings = linter.settings(
                entry.members, of: entry.node, fields: Self.agentFields, owner: "stage \"agent\"", path,
                ignoring: ["type", "backends"])
            backends = withOverride { readBackends(entry, path) }
        }
        return StageList(
            agentNode: entry.node, agentIndex: index, backends: settings == nil ? nil : backends,
            agentSettings: settings ?? Settings(Self.agentFields, directory: linter.source.directory))
    }

    /// Reads the document's own backends in any case; an override only takes their place, and their credentials.
    private func withOverride(
        _ read: () -> [PipelineDocument.Choice<any AgentComponent>]?
    ) -> [PipelineDocument.Choice<any AgentComponent>]? {
        guard let override else { return read() }
        let checksEnvironment = linter.checksEnvironment
        linter.checksEnvironment = false
        defer { linter.checksEnvironment = checksEnvironment }
        return read() == nil ? nil : [override]
    }

    private func readBackends(_ entry: ComponentEntry, _ path: DocumentPath) -> [PipelineDocument.Choice<
        any AgentComponent
    >]? {
        guard let node = entry.members["backends"] else {
            let isMisspelt = entry.members.contains { closestMatch(to: $0.key, in: ["backends"]) != nil }
            if isMisspelt { return nil }
            linter.report(
                .missingField, entry.node.headRange, path, "stage \"agent\" needs \"backends\"",
                .init(
                    "add \"backends\": [ … ], or write the agent's own type instead of \"agent\"",
                    replacement: "backends"))
            return nil
        }
        let place = path.key("backends")
        guard case .array(let elements) = node.content else {
            linter.reportWrongType(node, place, "backends", expected: "a list of agents")
            return nil
        }
        guard !elements.isEmpty else {
            linter.report(
                .emptyList, node.headRange, place, "\"backends\" is empty; at least one agent is needed", agentHint)
            return nil
        }
        var backends: [PipelineDocument.Choice<any AgentComponent>] = []
        for (index, element) in elements.enumerated() {
            let elementPath = place.index(index)
            guard let entry = linter.component(element, elementPath, "backends[\(index)]") else { continue }
            guard let agent = registry.agent(entry.type) else {
                linter.report(
                    .unknownType, entry.typeNode.range, elementPath, "there is no agent \(quoted(entry.type))",
                    .closest(of: registry.types(.agent), for: entry.type, label: "agents"))
                continue
            }
            if let backend = backend(entry, agent, elementPath) { backends.append(backend) }
        }
        return backends.count == elements.count ? backends : nil
    }

    private func backend(
        _ entry: ComponentEntry, _ agent: any AgentComponent, _ path: DocumentPath
    ) -> PipelineDocument.Choice<any AgentComponent>? {
        linter.settings(of: entry, agent, path).map { .init(component: agent, settings: $0) }
    }
}
