import PatchbayAudio

/// A document to start from, made from the specs of what it names: it has every setting that must be there, refers to
/// secrets by the environment, and lints clean.
public struct Skeleton: Sendable {
    /// The document.
    public let document: JSONValue
    /// WAV files that it refers to, relative to its folder. ``ExampleSound`` is one.
    public let sounds: [String]
    /// Environment variables that have to be set.
    public let environment: [String]
    /// What was done beyond what was asked for, a sentence each.
    public let notes: [String]

    /// The document as text, ended by a line feed.
    public var text: String { document.text() + "\n" }

    /// Makes a document from a path: `twilio/decoder,vad,turns/elevenlabs` names the transport, the stages, and the
    /// agents in the order in which they are tried.
    ///
    /// Stages that only make sense behind the agent are put there; a fourth part, `twilio/vad/echo/gain,mixer`, names
    /// those behind it oneself. What formats and stages need from each other is added; what cannot stand is left out,
    /// with a note.
    ///
    /// - Parameters:
    ///   - name: The document's name: letters, digits, `-` and `_`.
    ///   - number: The number that it answers.
    /// - Throws: What is wrong with the path, with a suggestion.
    public init(
        _ path: String, name: String = "first", number: String = "+15550100009", registry: ComponentRegistry
    ) throws(Diagnostic) {
        let names = try SkeletonPath(path, registry)
        let transport = SkeletonEntry(names.transport, folder: ".")
        var chain = SkeletonChain(registry, transport.component.format(transport.settings))
        chain.add(names.stages, mayMove: names.stagesBehind == nil)
        chain.add(behind: names.stagesBehind ?? [])
        chain.finish()

        let agents = names.agents.map { SkeletonEntry($0, folder: ".") }
        let agent: JSONValue =
            agents.count == 1
            ? agents[0].object
            : ["type": .string(PipelineDocument.agentStageType), "backends": .array(agents.map(\.json))]
        let stages = chain.before.map(\.json) + [agent] + chain.after.map(\.json)
        document = [
            "name": .string(name), "numbers": [.string(number)], "transport": transport.json, "stages": .array(stages),
        ]
        let needs = (chain.before + chain.after).map(\.needs) + agents.map(\.needs) + [transport.needs]
        sounds = needs.flatMap(\.sounds)
        environment = needs.flatMap(\.environment)
        notes = chain.notes
    }
}

/// The names of a path, looked up.
struct SkeletonPath {
    var transport: any TransportComponent
    var stages: [any StageComponent]
    var agents: [any AgentComponent]
    /// `nil` when the path leaves it to us where stages stand.
    var stagesBehind: [any StageComponent]?

    private static let form = "TRANSPORT/STAGES/AGENTS, such as twilio/decoder,vad,turns/elevenlabs"

    init(_ path: String, _ registry: ComponentRegistry) throws(Diagnostic) {
        var parts = path.split(separator: "/", omittingEmptySubsequences: false).map { part in
            part.split(separator: ",").map(String.init)
        }
        // Two parts: a transport and agents.
        if parts.count == 2 { parts.insert([], at: 1) }
        guard (3...4).contains(parts.count), parts[0].count == 1, !parts[2].isEmpty else {
            throw Diagnostic(
                file: "", Diagnostic.Code("bad-path"), "\(quoted(path)) is no path of a pipeline",
                suggestion: .init("write \(Self.form); stages may be left out: twilio//echo"))
        }
        let name = parts[0][0]
        guard let transport = registry.transport(name) else {
            throw Self.unknown(name, "transport", registry.types(.transport))
        }
        self.transport = transport
        stages = try Self.stages(parts[1], registry)
        agents = []
        for name in parts[2] {
            guard let agent = registry.agent(name) else { throw Self.unknown(name, "agent", registry.types(.agent)) }
            agents.append(agent)
        }
        if parts.count == 4 { stagesBehind = try Self.stages(parts[3], registry) }
    }

    private static func stages(
        _ names: [String], _ registry: ComponentRegistry
    ) throws(Diagnostic) -> [any StageComponent] {
        var stages: [any StageComponent] = []
        for name in names {
            guard let stage = registry.stage(name) else {
                if registry.agent(name) != nil {
                    throw Diagnostic(
                        file: "", .unknownType, "\(quoted(name)) is an agent, not a stage",
                        suggestion: .init("agents are the third part: \(form)"))
                }
                throw unknown(name, "stage", registry.types(.stage))
            }
            stages.append(stage)
        }
        return stages
    }

    private static func unknown(_ name: String, _ kind: String, _ known: [String]) -> Diagnostic {
        Diagnostic(
            file: "", .unknownType, "there is no \(kind) \(quoted(name))",
            suggestion: .among(known, for: name, label: "\(kind)s"))
    }
}
