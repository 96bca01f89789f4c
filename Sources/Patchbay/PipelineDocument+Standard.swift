extension PipelineDocument {
    /// A pipeline written in Swift, with the standard components at hand where a converter is missing.
    ///
    /// See ``PatchbayConfig/PipelineDocument/init(_:description:numbers:variables:rules:tools:transport:messages:limits:latencyBudgetMs:registry:environment:directory:file:stages:)``.
    public init(
        _ name: String, description: String? = nil, numbers: [NumberClaim] = [],
        variables: [String: VariableValue] = [:], rules: [SettingValue] = [], tools: [Tool] = [],
        transport: some TransportComponent, messages: Messages = Messages(), limits: CallLimits = CallLimits(),
        latencyBudgetMs: Int? = nil,
        environment: [String: String] = [:], directory: String = ".", file: String = #fileID,
        @PipelineBuilder stages: () throws -> [PipelineStage]
    ) throws {
        try self.init(
            name, description: description, numbers: numbers, variables: variables, rules: rules, tools: tools,
            transport: transport, messages: messages, limits: limits, latencyBudgetMs: latencyBudgetMs,
            registry: .standard(),
            environment: environment, directory: directory, file: file, stages: stages)
    }
}

extension ElevenLabsAgent {
    /// An agent that asks for signed URLs with a client of the process that tells refused connections at once.
    public init() { self.init(httpClient: .prompt) }
}
