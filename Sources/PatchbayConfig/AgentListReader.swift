import PatchbayCore

/// The reading of the stage that holds the agents.
extension StageListReader {
    /// Settings of the stage that holds the agents.
    static let agentFields = [
        Field(
            "bridge", .string, isAdvanced: true,
            "Words or a WAV file heard while a failed agent is replaced by the next."),
        Field(
            "voice", .string, default: "en", isAdvanced: true,
            "Voice of espeak-ng for the bridge, for instance en-us or de."),
        Field(
            "transferTo", .string, isAdvanced: true, example: "\"+4930123456\"",
            "A person's number (E.164) that the caller is connected with when every agent has failed."),
        Field(
            "connect", .choice(["early", "answered"]), default: "early", isAdvanced: true,
            "When the agent is connected: while the phone rings, or when the carrier's stream begins."),
    ]

    func readAgents(_ entry: ComponentEntry, _ path: DocumentPath) -> StageEntry.Kind {
        let errorsBefore = linter.errorCount
        let reading = linter.readFields(
            entry.members, of: entry.node, fields: Self.agentFields, owner: "stage \"agent\"", path,
            ignoring: ["type", "backends"])
        checkAgentStage(reading.settings, reading.members, path)
        let settings = linter.errorCount == errorsBefore ? reading.settings : nil
        let backends = withOverride { readBackends(entry, path) }
        return .agent(
            backends: settings == nil ? nil : backends,
            settings: settings ?? Settings(Self.agentFields, directory: linter.source.directory))
    }

    /// Checks what the fields alone cannot say.
    private func checkAgentStage(_ settings: Settings, _ members: [JSONMember], _ path: DocumentPath) {
        if let number = settings.string("transferTo"), !number.contains("${"), PhoneNumber(number) == nil,
            let node = members["transferTo"]
        {
            linter.report(
                .badNumber, node.range, path.key("transferTo"),
                "\(quoted(number)) is no number that can be dialled: \"+\" and 7 to 15 digits (E.164)",
                NumberPattern.suggestion(for: number))
        }
        guard let checkSpeech = registry.checkSpeech, let bridge = settings.bridge,
            !"\(bridge.text)\(bridge.voice)".contains("${"), let node = members["bridge"]
        else { return }
        do throws(PipelineError) {
            try checkSpeech(bridge, settings.directory(of: "bridge"))
        } catch {
            linter.report(
                .notSpeakable, node.range, path.key("bridge"), "stage \"agent\": \(error.message)")
        }
    }

    /// Reads the document's own backends in any case; an override only takes their place, and their credentials.
    func withOverride(
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
                .emptyList, node.headRange, place, "\"backends\" is empty; at least one agent is needed",
                Self.agentHint(registry))
            return nil
        }
        var backends: [PipelineDocument.Choice<any AgentComponent>] = []
        var last: ComponentEntry?
        for (index, element) in elements.enumerated() {
            let elementPath = place.index(index)
            guard let entry = linter.component(element, elementPath, "backends[\(index)]") else { continue }
            guard let agent = registry.agent(entry.type) else {
                linter.report(
                    .unknownType, entry.typeNode.range, elementPath, "there is no agent \(quoted(entry.type))",
                    .closest(of: registry.types(.agent), for: entry.type, label: "agents"))
                continue
            }
            if let last {
                linter.report(
                    .unreachableAgent, entry.typeNode.range, elementPath,
                    "\(quoted(entry.type)) is never tried: \(quoted(last.type)) before it never fails",
                    .init("put it first, or leave it out"), severity: .warning)
            } else if agent.neverFails {
                last = entry
            }
            if let backend = backend(entry, agent, elementPath) { backends.append(backend) }
        }
        return backends.count == elements.count ? backends : nil
    }

    func backend(
        _ entry: ComponentEntry, _ agent: any AgentComponent, _ path: DocumentPath
    ) -> PipelineDocument.Choice<any AgentComponent>? {
        let settings = linter.settings(of: entry, agent, path, ignoring: [ToolDeclaration.agentKey])
        let errorsBefore = linter.errorCount
        var tools = ToolReader(linter, registry, names: linter.toolNames)
        let own = entry.members[ToolDeclaration.agentKey].map { tools.read($0, path.key(ToolDeclaration.agentKey)) }
        guard let settings, linter.keepsSoundParts || linter.errorCount == errorsBefore else { return nil }
        return .init(component: agent, settings: settings, tools: own ?? [])
    }
}

extension Settings {
    /// What is heard while a failed agent is replaced, in the settings of the `agent` stage.
    public var bridge: Announcement? {
        speech("bridge").map { Announcement($0, voice: string("voice") ?? "en") }
    }
}

extension Diagnostic.Code {
    /// A text could not be turned into sound.
    public static let notSpeakable = Self("not-speakable")
}
