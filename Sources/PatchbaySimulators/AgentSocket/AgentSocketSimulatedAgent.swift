import PatchbayAudio
public import PatchbayCore
public import PatchbayWire

/// An agent of one's own that is simulated: what it says, and what its author got wrong.
public struct AgentSocketSimulatedAgent: Sendable {
    public var inputFormat: AgentSocketFormat
    public var outputFormat: AgentSocketFormat
    public var form: AgentSocketAudioForm
    /// The bearer token that the handshake must carry; `nil` for none.
    public var token: String?
    /// The voice of espeak-ng.
    public var language: String
    public var script: SimulatedAgentScript
    public var timing = Timing()
    public var faults = SimulatorFaults()
    public var mistakes: Set<AgentSocketMistake> = []

    public struct Timing: Sendable {
        /// From the end of the caller's turn to the first word.
        public var thinking = TimeSpan.milliseconds(300)
        /// Sound in one message.
        public var chunk = TimeSpan.milliseconds(100)
        /// Time between two messages.
        public var pace = TimeSpan.milliseconds(50)
        public var toolTimeout = TimeSpan.seconds(20)
        /// Silence that ends the caller's turn where the pipeline does not say so, in milliseconds.
        public var endOfTurnSilence = 500

        public init() {}
    }

    public init(
        inputFormat: AgentSocketFormat = .init(.pcm16, sampleRate: 16000),
        outputFormat: AgentSocketFormat = .init(.pcm16, sampleRate: 16000), form: AgentSocketAudioForm = .binary,
        token: String? = nil, language: String = "en", script: SimulatedAgentScript = SimulatedAgentScript()
    ) {
        self.inputFormat = inputFormat
        self.outputFormat = outputFormat
        self.form = form
        self.token = token
        self.language = language
        self.script = script
    }
}

/// What authors of agents get wrong; the simulator makes each on demand, and `patchbay check-agent` finds each.
public enum AgentSocketMistake: String, Sendable, CaseIterable {
    case neverReady = "never-ready"
    case readyTwice = "ready-twice"
    case formatNotOffered = "format-not-offered"
    case soundBeforeReady = "sound-before-ready"
    case oddBytes = "odd-bytes"
    case brokenJSON = "broken-json"
    case noType = "no-type"
    case noTurnEnd = "no-turn-end"
    case neverAnswers = "never-answers"
    case answersLate = "answers-late"
    case silentSound = "silent-sound"
    case stutters = "stutters"
    case tooMuchSound = "too-much-sound"
    case ignoresInterruptions = "ignores-interruptions"
    case noPong = "no-pong"
    case closesOnUnknown = "closes-on-unknown"
    case closesBadly = "closes-badly"
    case unknownTool = "unknown-tool"
    case argumentsAsText = "arguments-as-text"
    case hangsUpEarly = "hangs-up-early"
}

extension AgentSocketFormat {
    var audioFormat: AudioFormat {
        switch encoding {
        case .mulaw: AudioFormat(.mulaw, sampleRate: sampleRate)
        case .alaw: AudioFormat(.alaw, sampleRate: sampleRate)
        case .pcm16: .pcm(sampleRate)
        }
    }
}
