public import PatchbayAudio
public import PatchbayCore

/// One pipeline file, read, checked and ready to be planned for calls.
public struct PipelineDocument: Sendable {
    /// The type of the stage that holds the agents.
    public static let agentStageType = "agent"
    /// Keys at the top of every document.
    static let keys = [
        "$schema", "name", "description", "numbers", "when", "variables", "transport", "stages", "tools",
        ContextDeclaration.key, "messages", "limits", latencyBudget.name,
    ]
    static let latencyBudget = Field(
        "latencyBudgetMs", .integer(1...10_000), "Longest latency that the chain may declare, in milliseconds.")

    /// Unique among the documents of a set: letters, digits, `-` and `_`.
    public var name: String
    /// What the document says under `description`.
    public var summary: String?
    /// The file it was read from, as the user named it.
    public var file: String
    /// Twelve hexadecimal digits that change with the text.
    public var version: String
    /// The numbers it answers, with the variables of each.
    public var numbers: [Number]
    /// What `${name}` means where the number does not say otherwise.
    public var variables: [String: VariableValue]
    /// What the caller hears when something is in the way.
    public var messages: Messages
    /// How long things may take in its calls.
    public var limits: CallLimits
    /// Longest declared latency of the chain in milliseconds, `nil` for any.
    public var latencyBudgetMs: Int?
    /// What goes before the stages, in order; the first rule that holds decides.
    public var rules: [CallRule] = []
    /// The tools that every agent of it may call, as they are declared.
    public internal(set) var tools: [ToolDeclaration] = []
    /// Where callers are looked up before the agent is chosen; `nil` when they are not.
    public internal(set) var context: ContextDeclaration?
    /// Tools that were written in Swift.
    var functions: [Tool] = []
    /// The document's values for ``ComponentRegistry/documentFields``, texts as written.
    public var options: Settings

    var transport: Choice<any TransportComponent>
    /// The type of the transport that carries its calls.
    public var transportType: String { transport.component.spec.type }
    /// What the document says of that transport, texts as written.
    public var transportSettings: Settings { transport.settings }
    /// The chains that the document's choices leave; one when it has none.
    var variants: [Variant]
    /// The fragments it includes, as diagnostics name them.
    public var fragments: [String] = []
    /// Those of ``variables`` that hold values of the environment, as they are written.
    var environmentTexts: [String: String] = [:]

    /// A number, or several, with what `${name}` means for it.
    public struct Number: Sendable {
        /// What has to be called.
        public var pattern: NumberPattern
        /// Its own variables, which go before the document's.
        public var variables: [String: VariableValue]
        /// Those that hold values of the environment, as they are written.
        var environmentTexts: [String: String] = [:]
    }

    /// A component with the settings that the document gives it.
    struct Choice<C: Sendable>: Sendable {
        var component: C
        var settings: Settings
        /// Of an agent: the tools that it alone has.
        var tools: [ToolDeclaration] = []
    }

    /// A chain, and what must hold for it to run.
    struct Variant: Sendable {
        var conditions: [ValueCondition]
        var chain: Chain
    }

    /// The stages on both sides of the agents, with the formats between them.
    struct Chain: Sendable {
        var before: [PlannedStage] = []
        var agentFormat: AudioFormat
        var backends: [Choice<any AgentComponent>]
        var agentSettings: Settings
        var after: [PlannedStage] = []
        /// Stages of the document that would change nothing, on each side.
        var leftOut: (before: [PlannedStage], after: [PlannedStage]) = ([], [])
    }

    /// The variables of calls to a number as they may be shown: its own before the document's, secrets withheld.
    ///
    /// Values of the environment are shown as they are written, `${env.NAME}`.
    public func shownVariables(of number: Number) -> [String: VariableValue] {
        let texts = environmentTexts.filter { number.variables[$0.key] == nil }
        return variables.merging(number.variables) { $1 }.shown(
            writtenAs: texts.merging(number.environmentTexts) { $1 })
    }

    /// The chain of the variant whose conditions hold.
    private func chain(in scope: ReferenceScope) throws(PipelineError) -> Chain {
        for variant in variants {
            var holds = true
            for condition in variant.conditions where holds {
                holds = condition.holds(for: try condition.on.resolved(in: scope) ?? "")
            }
            if holds { return variant.chain }
        }
        var values: [String] = []
        for condition in variants.first?.conditions ?? [] {
            values.append("\(condition.on.asWritten) is \(quoted(try condition.on.resolved(in: scope) ?? ""))")
        }
        throw PipelineError(
            .missingCase, "no case of a switch holds, and it has no \"otherwise\": " + values.joined(separator: ", "),
            place: file)
    }

    /// Everything that one call needs, with `${…}` substituted. Costs some microseconds.
    ///
    /// - Parameters:
    ///   - call: Who calls whom, and what is known about the caller.
    ///   - variables: The variables of the called number; they go before the document's own.
    /// - Throws: When a text refers to a variable that neither has. Documents that were reached by one of their numbers
    ///   have been checked against that.
    public func plan(
        for call: CallVariables, variables numberVariables: [String: VariableValue] = [:]
    ) throws(PipelineError) -> PipelinePlan {
        let scope = ReferenceScope(call: call, variables: variables.merging(numberVariables) { $1 })
        let chain = try chain(in: scope)
        return PipelinePlan(
            pipeline: name, file: file, version: version,
            transport: .init(component: transport.component, settings: try transport.settings.resolved(in: scope)),
            stagesBefore: try chain.before.resolved(in: scope),
            agentFormat: chain.agentFormat,
            backends: try chain.backends.resolved(in: scope),
            tools: try tools.tools(in: scope) + functions,
            agentSettings: try chain.agentSettings.resolved(in: scope),
            stagesAfter: try chain.after.resolved(in: scope),
            leftOut: chain.leftOut, options: try options.resolved(in: scope),
            variables: scope.variables, messages: messages, limits: limits)
    }
}

/// What one call is made of.
public struct PipelinePlan: Sendable {
    /// The carrier's side.
    public struct Transport: Sendable {
        public var component: any TransportComponent
        public var settings: Settings
    }

    /// One agent that may be tried.
    public struct Backend: Sendable {
        public var component: any AgentComponent
        public var settings: Settings
        /// The tools that it alone may call.
        public var tools: [Tool] = []
    }

    /// The name of the document.
    public var pipeline: String
    /// The file of the document, as the user named it.
    public var file: String
    /// The version of the document, which the call keeps through reloads.
    public var version: String
    /// The carrier's side.
    public var transport: Transport
    /// From the caller to the agent.
    public var stagesBefore: [PlannedStage]
    /// What arrives at the agent's joint, and what has to leave it.
    public var agentFormat: AudioFormat
    /// The agents in the order in which they are tried; never empty.
    public var backends: [Backend]
    /// The tools that every agent may call.
    public var tools: [Tool] = []
    /// What the `agent` stage says besides them: `bridge`, `transferTo`, `connect`.
    public var agentSettings: Settings
    /// From the agent to the caller.
    public var stagesAfter: [PlannedStage]
    /// Stages of the document that would change nothing and are not run, on each side of the agent.
    public var leftOut: (before: [PlannedStage], after: [PlannedStage]) = ([], [])
    /// The values for ``ComponentRegistry/documentFields``.
    public var options: Settings
    /// All variables of the call.
    public var variables: [String: VariableValue]
    /// What the caller hears when something is in the way.
    public var messages: Messages
    /// How long things may take in its calls.
    public var limits: CallLimits
}

/// A stage with its place in the flow of formats.
public struct PlannedStage: Sendable {
    public var component: any StageComponent
    public var settings: Settings
    /// What it takes.
    public var input: AudioFormat
    /// What it gives.
    public var output: AudioFormat
    /// The format of the copy that it hears; `nil` when it stands in the chain itself.
    public var hears: AudioFormat?
    /// Its place in the document, for instance `stages[2]`; `nil` when it was inserted because its neighbours did not agree.
    public var place: String?
    /// What runs beside it or inside it: the side chain of a `tee`, the cases of a `switch` on keys.
    public var branches: [PlannedBranch] = []

    /// Whether it is not in the document.
    public var isInserted: Bool { place == nil }

    /// Makes the stage for one call.
    public func makeProcessor() throws(PipelineError) -> any Processor {
        if component is StructureComponent { return try makeBranches() }
        if let hears {
            return try ListeningStage(
                try component.makeProcessor(taking: hears, giving: hears, settings: settings), hearing: hears, of: input
            )
        }
        return try component.makeProcessor(taking: input, giving: output, settings: settings)
    }
}

extension PlannedStage {
    /// A side chain or a switch, with what it holds.
    init(
        _ spec: ComponentSpec, at input: AudioFormat, giving output: AudioFormat, _ branches: [PlannedBranch],
        _ place: String
    ) {
        self.init(
            component: StructureComponent(spec: spec), settings: Settings(directory: "."), input: input,
            output: output, place: place, branches: branches)
    }

    private func makeBranches() throws(PipelineError) -> any Processor {
        guard component.spec.type == Structure.switch.type else {
            return TeeStage(try branches.first?.stages.makeStages() ?? [])
        }
        var cases: [Character: [Stage]] = [:]
        var otherwise: [Stage] = []
        for branch in branches {
            let stages = try branch.stages.makeStages()
            if let key = branch.label.first, branch.label.count == 1 { cases[key] = stages } else { otherwise = stages }
        }
        return KeySwitchStage(cases: cases, otherwise: otherwise)
    }
}

/// Stands for a `tee` or a `switch` in a planned chain; the stages that it holds are its branches.
struct StructureComponent: StageComponent {
    let spec: ComponentSpec

    func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat { input }

    func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        throw PipelineError(.stageFailed, "a \(spec.type) is made with the stages that it holds")
    }
}

extension PipelineError.Code {
    /// The value of a `switch` has no case.
    public static let missingCase = Self("missing-case")
}

/// Stages beside the main chain.
public struct PlannedBranch: Sendable {
    /// The key of the case; `side` for a side chain, `otherwise` for what runs until a key is pressed.
    public var label: String
    /// The stages in order; may be empty.
    public var stages: [PlannedStage]
    /// Stages of the document that would change nothing and are not run.
    public var leftOut: [PlannedStage]

    public init(label: String, stages: [PlannedStage], leftOut: [PlannedStage] = []) {
        self.label = label
        self.stages = stages
        self.leftOut = leftOut
    }
}

extension [PlannedStage] {
    /// All stages, those of the branches included.
    public var withBranches: [PlannedStage] {
        flatMap { stage in [stage] + stage.branches.flatMap { $0.stages.withBranches } }
    }

    /// Makes the stages of one leg of one call, with their addresses in the document.
    public func makeStages() throws(PipelineError) -> [Stage] {
        var stages: [Stage] = []
        for stage in self {
            stages.append(
                Stage(
                    stage.component.spec.type, address: stage.place ?? "inserted",
                    takes: stage.input, gives: stage.output, processor: try stage.makeProcessor()))
        }
        return stages
    }

    fileprivate func resolved(in scope: ReferenceScope) throws(PipelineError) -> [PlannedStage] {
        var stages = self
        for index in stages.indices {
            stages[index].settings = try stages[index].settings.resolved(in: scope)
            for branch in stages[index].branches.indices {
                stages[index].branches[branch].stages = try stages[index].branches[branch].stages.resolved(in: scope)
            }
        }
        return stages
    }
}

extension [PipelineDocument.Choice<any AgentComponent>] {
    fileprivate func resolved(in scope: ReferenceScope) throws(PipelineError) -> [PipelinePlan.Backend] {
        var backends: [PipelinePlan.Backend] = []
        for choice in self {
            backends.append(
                .init(
                    component: choice.component, settings: try choice.settings.resolved(in: scope),
                    tools: try choice.tools.tools(in: scope)))
        }
        return backends
    }
}
