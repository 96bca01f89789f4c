public import PatchbayAudio

/// One entry of a pipeline that is written in Swift: a component with its settings, or a structure that holds others.
///
/// Components stand in a ``PipelineBuilder`` as they are; ``with(_:_:)-swift.method`` gives them settings.
public struct PipelineStage: Sendable {
    enum Content: Sendable {
        case stage(any StageComponent)
        case agent(any AgentComponent)
        /// Agents in the order in which they are tried.
        case agents([PipelineStage])
        case tee([PipelineStage])
        case choice(SwitchCases)
    }

    var content: Content
    private(set) var values: [String: SettingValue] = [:]

    init(_ content: Content) { self.content = content }

    /// A stage with its settings' defaults.
    public init(_ stage: some StageComponent) { self.init(.stage(stage)) }

    /// An agent with its settings' defaults.
    public init(_ agent: some AgentComponent) { self.init(.agent(agent)) }

    /// Gives a setting its value; the last value that a setting is given holds.
    ///
    /// Checked when the pipeline is made, as documents are.
    public func with(_ field: String, _ value: some SettingConvertible) -> PipelineStage {
        with(field, value.settingValue)
    }

    /// Gives a setting its value, for lists and objects of mixed types.
    public func with(_ field: String, _ value: SettingValue) -> PipelineStage {
        var stage = self
        stage.values[field] = value
        return stage
    }

    /// What documents call it.
    var type: String {
        switch content {
        case .stage(let stage): stage.spec.type
        case .agent(let agent): agent.spec.type
        case .agents: PipelineDocument.agentStageType
        case .tee: Structure.tee.type
        case .choice: Structure.switch.type
        }
    }
}

extension StageComponent {
    /// The stage with a setting, for a ``PipelineBuilder``.
    public func with(_ field: String, _ value: some SettingConvertible) -> PipelineStage {
        PipelineStage(self).with(field, value)
    }

    /// The stage with a setting that is a list or an object of mixed types.
    public func with(_ field: String, _ value: SettingValue) -> PipelineStage { PipelineStage(self).with(field, value) }
}

extension AgentComponent {
    /// The agent with a setting, for a ``PipelineBuilder``.
    public func with(_ field: String, _ value: some SettingConvertible) -> PipelineStage {
        PipelineStage(self).with(field, value)
    }

    /// The agent with a setting that is a list or an object of mixed types.
    public func with(_ field: String, _ value: SettingValue) -> PipelineStage { PipelineStage(self).with(field, value) }
}

/// A transport with its settings, for a pipeline that is written in Swift.
public struct PipelineTransport: TransportComponent {
    let component: any TransportComponent
    private(set) var values: [String: SettingValue] = [:]

    public init(_ component: some TransportComponent) {
        if let configured = component as? PipelineTransport {
            self = configured
        } else {
            self.component = component
        }
    }

    public var spec: ComponentSpec { component.spec }
    public var format: AudioFormat { component.format }
    public func format(_ settings: Settings) -> AudioFormat { component.format(settings) }
    public func problems(in settings: Settings) -> [SettingsProblem] { component.problems(in: settings) }

    /// Gives a setting its value; the last value that a setting is given holds.
    public func with(_ field: String, _ value: some SettingConvertible) -> PipelineTransport {
        var transport = self
        transport.values[field] = value.settingValue
        return transport
    }
}

extension TransportComponent {
    /// The transport with a setting.
    public func with(_ field: String, _ value: some SettingConvertible) -> PipelineTransport {
        PipelineTransport(self).with(field, value)
    }
}

// MARK: - Structures

/// The one agent of a pipeline when several are tried in order: the first that answers, the next when it fails.
///
/// ```swift
/// Agents {
///     ElevenLabsAgent().with("agentId", "agent_1")
///     ScriptAgent().with("say", "Nobody can answer just now.")
/// }
/// ```
public struct Agents: Sendable {
    let stage: PipelineStage

    public init(@PipelineBuilder _ agents: () throws -> [PipelineStage]) rethrows {
        stage = PipelineStage(.agents(try agents()))
    }

    /// Gives a setting of the `agent` stage its value, for instance `bridge`.
    public func with(_ field: String, _ value: some SettingConvertible) -> PipelineStage { stage.with(field, value) }
}

/// A side chain that gets a copy of everything and cannot delay or change the main one.
public struct Tee: Sendable {
    let stage: PipelineStage

    public init(@PipelineBuilder _ stages: () throws -> [PipelineStage]) rethrows {
        stage = PipelineStage(.tee(try stages()))
    }
}

/// One of several chains: chosen by a text with `${…}` when the call begins, or by the caller's last key.
///
/// ```swift
/// Switch(on: "${language}") {
///     Case("de") { ScriptAgent().with("say", "Guten Tag!").with("voice", "de") }
///     Otherwise { ScriptAgent().with("say", "Hello!") }
/// }
/// ```
public struct Switch: Sendable {
    let stage: PipelineStage

    /// - Parameter on: A text with `${…}`, or `key` for the keys of the caller.
    public init(on value: String, @CaseBuilder _ cases: () throws -> SwitchCases) rethrows {
        stage = PipelineStage(.choice(try cases())).with("on", value)
    }
}

/// What a ``Switch`` chooses from.
public struct SwitchCases: Sendable {
    var cases: [Case] = []
    var otherwise: [Otherwise] = []
}

/// The chain of a ``Switch`` for one value, or for one key.
public struct Case: Sendable {
    let key: String
    let stages: [PipelineStage]

    public init(_ key: String, @PipelineBuilder _ stages: () throws -> [PipelineStage]) rethrows {
        self.key = key
        self.stages = try stages()
    }
}

/// The chain of a ``Switch`` for every other value, or until a key is pressed.
public struct Otherwise: Sendable {
    let stages: [PipelineStage]

    public init(@PipelineBuilder _ stages: () throws -> [PipelineStage]) rethrows { self.stages = try stages() }
}

// MARK: - Builders

/// Collects the stages of a pipeline, in the order in which the caller's audio meets them.
///
/// Components and structures stand as they are; `if`, `switch` and `for` decide when the pipeline is made.
@resultBuilder
public enum PipelineBuilder {
    public static func buildExpression(_ stage: some StageComponent) -> [PipelineStage] { [PipelineStage(stage)] }
    public static func buildExpression(_ agent: some AgentComponent) -> [PipelineStage] { [PipelineStage(agent)] }
    public static func buildExpression(_ stage: PipelineStage) -> [PipelineStage] { [stage] }
    public static func buildExpression(_ stages: [PipelineStage]) -> [PipelineStage] { stages }
    public static func buildExpression(_ agents: Agents) -> [PipelineStage] { [agents.stage] }
    public static func buildExpression(_ tee: Tee) -> [PipelineStage] { [tee.stage] }
    public static func buildExpression(_ choice: Switch) -> [PipelineStage] { [choice.stage] }
    public static func buildBlock(_ stages: [PipelineStage]...) -> [PipelineStage] { stages.flatMap { $0 } }
    public static func buildOptional(_ stages: [PipelineStage]?) -> [PipelineStage] { stages ?? [] }
    public static func buildEither(first stages: [PipelineStage]) -> [PipelineStage] { stages }
    public static func buildEither(second stages: [PipelineStage]) -> [PipelineStage] { stages }
    public static func buildArray(_ stages: [[PipelineStage]]) -> [PipelineStage] { stages.flatMap { $0 } }
}

/// Collects the cases of a ``Switch``.
@resultBuilder
public enum CaseBuilder {
    public static func buildExpression(_ branch: Case) -> SwitchCases { SwitchCases(cases: [branch]) }
    public static func buildExpression(_ branch: Otherwise) -> SwitchCases { SwitchCases(otherwise: [branch]) }
    public static func buildBlock(_ parts: SwitchCases...) -> SwitchCases { buildArray(parts) }
    public static func buildOptional(_ part: SwitchCases?) -> SwitchCases { part ?? SwitchCases() }
    public static func buildEither(first part: SwitchCases) -> SwitchCases { part }
    public static func buildEither(second part: SwitchCases) -> SwitchCases { part }
    public static func buildArray(_ parts: [SwitchCases]) -> SwitchCases {
        SwitchCases(cases: parts.flatMap(\.cases), otherwise: parts.flatMap(\.otherwise))
    }
}
