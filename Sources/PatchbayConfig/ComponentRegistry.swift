public import PatchbayAudio
public import PatchbayCore

/// The components that documents may name: an explicit list, made by the host.
public struct ComponentRegistry: Sendable {
    /// A stage that a missing conversion is made of.
    public struct Converter: Sendable {
        /// The type of a registered stage.
        public var type: String
        /// Its settings; all others have their defaults.
        public var values: [String: VariableValue]

        public init(_ type: String, _ values: [String: VariableValue] = [:]) {
            self.type = type
            self.values = values
        }
    }

    /// Finds the stages that turn one format into another, in order; `nil` when there are none.
    public typealias ConverterFinder = @Sendable (_ from: AudioFormat, _ to: AudioFormat) -> [Converter]?

    /// What may stand under `transport`.
    public let transports: [any TransportComponent]
    /// What may stand in `stages`, beside the agents.
    public let stages: [any StageComponent]
    /// What may stand in `backends`, or in `stages` as the one agent.
    public let agents: [any AgentComponent]
    /// Keys at the top of a document that the host adds, ``PipelinePlan/options`` at the other end.
    public let documentFields: [Field]
    let findConverters: ConverterFinder
    /// Throws when words that every caller may hear cannot be turned into sound; relative files start from the folder. Asked
    /// while documents are checked; may take as long as a text takes to be spoken.
    public typealias SpeechCheck = @Sendable (Announcement, _ directory: String) throws(PipelineError) -> Void
    let checkSpeech: SpeechCheck?

    private var transportsByType: [String: any TransportComponent]
    private var stagesByType: [String: any StageComponent]
    private var agentsByType: [String: any AgentComponent]

    /// - Parameters:
    ///   - checkSpeech: Asked whether words of ours can be spoken: the bridge between two agents, what tools let callers hear. Without
    ///     one nobody asks.
    ///   - findConverters: Called where two neighbours do not agree; what it finds is inserted. Without one, every
    ///     disagreement is an error.
    /// - Throws: When two components of a kind share a type, a type is both a stage's and an agent's (they stand in one
    ///   list), or a type is the reserved `agent`.
    public init(
        transports: [any TransportComponent], stages: [any StageComponent], agents: [any AgentComponent],
        documentFields: [Field] = [], checkSpeech: SpeechCheck? = nil,
        findConverters: @escaping ConverterFinder = { _, _ in nil }
    ) throws(PipelineError) {
        self.transports = transports
        self.stages = stages
        self.agents = agents
        self.documentFields = documentFields
        self.checkSpeech = checkSpeech
        self.findConverters = findConverters
        var seen: Set<String> = []
        for type in transports.flatMap(\.spec.types) { try Self.claim("transport \(type)", &seen) }
        for type in stages.flatMap(\.spec.types) + agents.flatMap(\.spec.types) {
            guard !Structure.all.contains(where: { $0.type == type }) else {
                throw PipelineError(
                    .duplicateComponent, "\"\(type)\" is reserved for the structure of documents; rename it")
            }
            try Self.claim("stage or agent \(type)", &seen)
        }
        self.transportsByType = Self.byType(transports) { $0.spec }
        self.stagesByType = Self.byType(stages) { $0.spec }
        self.agentsByType = Self.byType(agents) { $0.spec }
    }

    /// Present and former types; each has been claimed once.
    private static func byType<C>(_ components: [C], _ spec: (C) -> ComponentSpec) -> [String: C] {
        var result: [String: C] = [:]
        for component in components { for type in spec(component).types { result[type] = component } }
        return result
    }

    /// The same with components that one document names in its own way, before those of that name here.
    func naming(
        _ transport: any TransportComponent, _ stages: [String: any StageComponent],
        _ agents: [String: any AgentComponent]
    )
        -> ComponentRegistry
    {
        var registry = self
        registry.transportsByType[transport.spec.type] = transport
        registry.stagesByType.merge(stages) { $1 }
        registry.agentsByType.merge(agents) { $1 }
        return registry
    }

    private static func claim(_ name: String, _ seen: inout Set<String>) throws(PipelineError) {
        guard seen.insert(name).inserted else {
            throw PipelineError(.duplicateComponent, "two components are registered as \(name); rename or remove one")
        }
    }

    /// The transport of that type.
    public func transport(_ type: String) -> (any TransportComponent)? { transportsByType[type] }
    /// The stage of that type.
    public func stage(_ type: String) -> (any StageComponent)? { stagesByType[type] }
    /// The agent of that type.
    public func agent(_ type: String) -> (any AgentComponent)? { agentsByType[type] }

    /// All specs: transports, stages, agents, each in the order of their list.
    public var specs: [ComponentSpec] { transports.map(\.spec) + stages.map(\.spec) + agents.map(\.spec) }

    /// The spec of that type, present or former, whatever its kind; several when a transport shares its name with another.
    public func specs(named type: String) -> [ComponentSpec] { specs.filter { $0.types.contains(type) } }

    func types(_ kind: ComponentKind) -> [String] {
        switch kind {
        case .transport: transports.map(\.spec.type)
        case .stage: stages.map(\.spec.type)
        case .agent: agents.map(\.spec.type)
        }
    }
}

extension PipelineError.Code {
    /// Two components were registered under one name.
    public static let duplicateComponent = Self("duplicate-component")
}
