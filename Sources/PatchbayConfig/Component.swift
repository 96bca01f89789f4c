public import PatchbayAudio
public import PatchbayCore

/// Something that documents can name.
///
/// Its life: it is registered; a document that names it is read and checked against ``spec``; ``problems(in:)`` may
/// object to combinations; only when a call begins is anything made. Nothing before that opens a file or a socket.
public protocol Component: Sendable {
    var spec: ComponentSpec { get }

    /// What the fields alone cannot say about these settings: bounds that depend on each other, files that do not
    /// exist.
    func problems(in settings: Settings) -> [SettingsProblem]
}

extension Component {
    public func problems(in settings: Settings) -> [SettingsProblem] { [] }
}

/// An objection of a component to its settings.
public struct SettingsProblem: Sendable {
    /// The field to point at; empty for the component itself.
    public var field: String
    /// A code of the component's own, or one of the stock codes.
    public var code: Diagnostic.Code
    /// Errors keep the document from being used; warnings do not.
    public var severity: Diagnostic.Severity
    public var message: String
    /// What to do about it.
    public var remedy: String?

    public init(
        field: String = "", _ code: Diagnostic.Code, severity: Diagnostic.Severity = .error, _ message: String,
        remedy: String? = nil
    ) {
        self.field = field
        self.code = code
        self.severity = severity
        self.message = message
        self.remedy = remedy
    }
}

/// A carrier, or what stands in for one.
public protocol TransportComponent: Component {
    /// What it delivers from the caller, and takes for the caller.
    var format: AudioFormat { get }

    /// The same, where it depends on the settings.
    func format(_ settings: Settings) -> AudioFormat
}

extension TransportComponent {
    public func format(_ settings: Settings) -> AudioFormat { format }
}

/// A kind of stage.
public protocol StageComponent: Component {
    /// What it gives when it takes `input`, or why it cannot. Called while documents are checked.
    func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat

    /// The same for a stage that can give several formats: `wanted` is what the chain has to arrive at, towards the caller the
    /// carrier's format; `nil` towards the agent, who takes what comes.
    func output(
        for input: AudioFormat, wanted: AudioFormat?, settings: Settings
    ) throws(FormatMismatch) -> AudioFormat

    /// What is wrong with the place where it stands. Called while documents are checked, once all stages are known.
    func problems(in settings: Settings, at place: StagePlace) -> [SettingsProblem]

    /// Whether its processors mark where the caller's speech begins and ends, as ``Processor/marksSpeech`` says of one.
    var marksSpeech: Bool { get }

    /// Whether it hands every byte of the audio on unchanged and undelayed and only listens. Where the format does not suit it,
    /// such a stage hears a converted copy, and the chain keeps its format.
    func listensOnly(_ settings: Settings) -> Bool

    /// Whether it would hand on every byte of `input` unchanged and do nothing else. Such a stage is left out of calls.
    func isIdentity(for input: AudioFormat, settings: Settings) -> Bool

    /// Audio that it holds back, for the latency that a chain declares. By default it makes the stage and asks it.
    func delay(taking input: AudioFormat, giving output: AudioFormat, settings: Settings) -> TimeSpan

    /// Makes the stage for one call.
    func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor

    /// The same for a stage that can give several formats: `output` is the one that was settled on.
    func makeProcessor(
        taking input: AudioFormat, giving output: AudioFormat, settings: Settings
    ) throws(PipelineError) -> any Processor
}

/// Where a stage stands among the others of its document.
public struct StagePlace: Sendable {
    /// Whether the caller's audio passes it, on its way to the agent; otherwise the agent's does.
    public var isBeforeAgent: Bool
    /// The stages before it on the same side of the agent, in order.
    public var earlier: [any StageComponent]
    /// The stages behind it on the same side.
    public var later: [any StageComponent]

    public init(isBeforeAgent: Bool, earlier: [any StageComponent] = [], later: [any StageComponent] = []) {
        self.isBeforeAgent = isBeforeAgent
        self.earlier = earlier
        self.later = later
    }
}

extension Diagnostic.Code {
    /// A stage stands where it cannot do its work.
    public static let misplacedStage = Self("misplaced-stage")
}

/// A stage that also hears what both sides of the call hear; its processor may just pass everything on.
public protocol TapComponent: StageComponent {
    /// Makes what hears. Called for each call, before its event loop is entered: may open files, must not take long.
    func makeTap(_ settings: Settings) throws(PipelineError) -> MediaTapMaker

    /// What every caller hears first, whatever they do.
    func announcement(_ settings: Settings) -> Announcement?

    /// The folder that its files are written to or below; `nil` when it writes none.
    func folder(_ settings: Settings) -> String?
}

extension TapComponent {
    public func folder(_ settings: Settings) -> String? { nil }
}

/// What callers hear before anything else.
public struct Announcement: Sendable, Equatable {
    /// Words, or a WAV file.
    public var speech: Speech
    /// The voice of espeak-ng that words are spoken with, for instance `en-us` or `de`.
    public var voice: String

    /// The words, or the path of the file.
    public var text: String { speech.text }

    public init(_ speech: Speech, voice: String = "en") {
        self.speech = speech
        self.voice = voice
    }
}

extension TapComponent {
    public func announcement(_ settings: Settings) -> Announcement? { nil }
}

extension StageComponent {
    public func output(
        for input: AudioFormat, wanted: AudioFormat?, settings: Settings
    ) throws(FormatMismatch) -> AudioFormat {
        try output(for: input, settings: settings)
    }

    public func makeProcessor(
        taking input: AudioFormat, giving output: AudioFormat, settings: Settings
    ) throws(PipelineError) -> any Processor {
        try makeProcessor(taking: input, settings: settings)
    }

    public func delay(taking input: AudioFormat, giving output: AudioFormat, settings: Settings) -> TimeSpan {
        (try? makeProcessor(taking: input, giving: output, settings: settings))?.delay ?? .zero
    }

    public func problems(in settings: Settings, at place: StagePlace) -> [SettingsProblem] { [] }

    public var marksSpeech: Bool { false }

    public func listensOnly(_ settings: Settings) -> Bool { false }

    public func isIdentity(for input: AudioFormat, settings: Settings) -> Bool { false }
}

/// A kind of agent.
public protocol AgentComponent: Component {
    /// What it may announce when it connects, for a joint in that format: every format that the settings leave possible.
    ///
    /// Each is checked while documents are checked, so that a call never finds at connect that nothing can be converted.
    func formats(for joint: AudioFormat, settings: Settings) -> AgentFormats

    /// Whether it always answers: nothing listed behind it is ever tried.
    var neverFails: Bool { get }

    /// Makes the backend for one call. Does no I/O.
    func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend
}

/// The formats that an agent may announce.
public struct AgentFormats: Sendable, Equatable {
    /// What it may want to take.
    public var inputs: [AudioFormat]
    /// What it may give.
    public var outputs: [AudioFormat]

    public init(inputs: [AudioFormat], outputs: [AudioFormat]) {
        self.inputs = inputs
        self.outputs = outputs
    }
}

extension AgentComponent {
    public func formats(for joint: AudioFormat, settings: Settings) -> AgentFormats {
        AgentFormats(inputs: [joint], outputs: [joint])
    }

    public var neverFails: Bool { false }
}

/// Why a stage cannot take the audio that arrives.
public struct FormatMismatch: Error, Sendable {
    /// What it takes, as the rest of a sentence about the stage: `takes linear samples`.
    public var message: String
    /// What to do: `put "decoder" before it`.
    public var remedy: String
    /// A format that it would take, from which a converter can be found.
    public var wanted: AudioFormat?

    public init(_ message: String, remedy: String, wanted: AudioFormat? = nil) {
        self.message = message
        self.remedy = remedy
        self.wanted = wanted
    }
}
