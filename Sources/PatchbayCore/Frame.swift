public import NIOCore
public import PatchbayAudio

/// One item that travels through a pipeline.
///
/// Frames come in three families with written rules (``family``), and each case says what an interruption does to it
/// (``isDroppedByInterruption``). Both are exhaustive switches: a new case has to answer.
public enum Frame: Sendable {
    // System frames overtake whatever waits and survive an interruption.

    /// The carrier's stream has started; the caller can be heard from now on.
    case callStarted(CallStart)
    /// The call is over; nothing follows.
    case callEnded(EndReason)
    /// The agent's turn was cut off. Data frames of an older generation are dead.
    case interruption(Interruption)
    /// The caller pressed a key: `0`–`9`, `*`, `#`, `A`–`D`.
    case dtmf(Character)
    /// The caller began to speak, as a VAD heard it.
    case speechStarted
    /// The caller stopped speaking, as a VAD heard it.
    case speechStopped
    /// The caller fell silent for a moment; ``speechStopped`` follows if it lasts.
    case speechPaused
    /// The caller goes on before ``speechStopped``.
    case speechResumed
    /// The caller's turn began: they speak, and mean it.
    case userTurnStarted
    /// The caller's turn is over; an agent that leaves turn-taking to the pipeline answers now.
    case userTurnEnded(TurnEnd)
    /// The agent can be heard from now on. Comes to the caller's leg, for stages that take turns.
    case agentStartedSpeaking
    /// Everything the agent said has been played, or was cut.
    case agentStoppedSpeaking
    /// What the caller has really heard of a turn of the agent.
    case heard(Heard)
    /// The caller speaks while the agent does; a stage asks the call upstream to act on it.
    case bargeIn(BargeIn)
    /// Whether the agent's turn may be cut from here on. A stage asks the call upstream.
    case interruptible(Bool)
    /// A recording is to pause, or to go on. A stage asks the call upstream.
    case recording(RecordingCommand)
    /// Something failed that the rest of the pipeline should know of.
    case failure(PipelineError)

    // Data frames keep their order and die with an interruption.

    /// A piece of sound, of any length.
    case audio(AudioFrame)
    /// What somebody said, as text.
    case text(TextFrame)

    // Control frames keep their order among the data.

    /// The agent begins to answer.
    case agentTurnStarted(generation: UInt32)
    /// No more sound belongs to this utterance: stages flush their tails, the last packet is padded with silence.
    case utteranceEnded(generation: UInt32)
    /// The agent wants the call to end once everything before this frame has been played. Survives an interruption.
    case hangup(EndReason)

    /// A frame of a plug-in's own.
    case custom(any CustomFrame)

    public enum Family: Sendable { case system, data, control }

    /// Which rules of order the frame follows.
    public var family: Family {
        switch self {
        case .callStarted, .callEnded, .interruption, .dtmf, .speechStarted, .speechStopped, .speechPaused,
            .speechResumed, .userTurnStarted,
            .userTurnEnded, .agentStartedSpeaking, .agentStoppedSpeaking, .heard, .bargeIn, .interruptible, .recording,
            .failure:
            .system
        case .audio, .text: .data
        case .agentTurnStarted, .utteranceEnded, .hangup: .control
        case .custom(let frame): frame.family
        }
    }

    /// Whether an interruption discards this frame where it waits.
    public var isDroppedByInterruption: Bool {
        switch self {
        case .callStarted, .callEnded, .interruption, .dtmf, .speechStarted, .speechStopped, .speechPaused,
            .speechResumed, .userTurnStarted,
            .userTurnEnded, .agentStartedSpeaking, .agentStoppedSpeaking, .heard, .bargeIn, .interruptible, .recording,
            .failure:
            false
        case .audio, .text, .agentTurnStarted, .utteranceEnded: true
        case .hangup: false
        case .custom(let frame): frame.isDroppedByInterruption
        }
    }

    /// The agent's turn that the frame belongs to, or `nil` for frames that belong to none.
    public var generation: UInt32? {
        switch self {
        case .audio(let audio): audio.generation
        case .text(let text): text.generation
        case .agentTurnStarted(let generation), .utteranceEnded(let generation): generation
        case .custom(let frame): frame.generation
        case .callStarted, .callEnded, .interruption, .dtmf, .speechStarted, .speechStopped, .speechPaused,
            .speechResumed, .userTurnStarted,
            .userTurnEnded, .agentStartedSpeaking, .agentStoppedSpeaking, .heard, .bargeIn, .interruptible, .recording,
            .failure, .hangup:
            nil
        }
    }
}

/// A run of samples in one format.
public struct AudioFrame: Sendable {
    /// The readable bytes are whole sample frames in `format`. PCM is little endian.
    public var payload: ByteBuffer
    public var format: AudioFormat
    /// The agent's turn it belongs to; for the caller's audio the turn during which it was heard.
    public var generation: UInt32
    /// Sound that nobody says, such as music under the conversation: it is played, but no turn of anybody's.
    public var isBackground: Bool

    public init(_ payload: ByteBuffer, format: AudioFormat, generation: UInt32 = 0, isBackground: Bool = false) {
        self.payload = payload
        self.format = format
        self.generation = generation
        self.isBackground = isBackground
    }

    /// How long it plays.
    public var duration: TimeSpan { TimeSpan(nanoseconds: format.nanoseconds(byteCount: payload.readableBytes)) }
}

/// Words, with who said them.
public struct TextFrame: Sendable, Equatable {
    public enum Speaker: String, Sendable { case caller, agent }
    public var text: String
    public var speaker: Speaker
    /// False while the recogniser may still change its mind.
    public var isFinal: Bool
    /// The vendor's second thoughts about words it had sent before, for instance cut to what it believes was heard.
    public var isCorrection: Bool
    public var generation: UInt32

    public init(
        _ text: String, speaker: Speaker, isFinal: Bool = true, isCorrection: Bool = false, generation: UInt32 = 0
    ) {
        self.text = text
        self.speaker = speaker
        self.isFinal = isFinal
        self.isCorrection = isCorrection
        self.generation = generation
    }
}

/// What the carrier said when its stream began.
public struct CallStart: Sendable, Equatable {
    public var callSid: String
    public var streamSid: String
    /// What the TwiML's `<Parameter>`s carried.
    public var parameters: [String: String]

    public init(callSid: String, streamSid: String, parameters: [String: String] = [:]) {
        self.callSid = callSid
        self.streamSid = streamSid
        self.parameters = parameters
    }
}

/// Why and up to where a turn of the agent was cut.
public struct Interruption: Sendable, Equatable {
    /// Frames with a smaller generation are stale.
    public var generation: UInt32
    /// Who cut it: the agent's own turn-taking, a stage of ours, or a new backend.
    public var cause: String
    /// What the caller heard of the turn; `nil` in a request, before the call has acted on it.
    public var heard: Heard?

    public init(generation: UInt32, cause: String, heard: Heard? = nil) {
        self.generation = generation
        self.cause = cause
        self.heard = heard
    }
}

/// The end of the caller's turn.
public struct TurnEnd: Sendable, Equatable {
    /// How it was found.
    public enum Cause: String, Sendable {
        /// By silence after speech.
        case silence
        /// By the agent: it transcribed the turn, or began to answer.
        case agent
    }

    public var cause: Cause
    /// When the VAD heard the caller stop; `nil` where nobody listened for that.
    public var speechStoppedAt: MediaTime?

    public init(_ cause: Cause, speechStoppedAt: MediaTime? = nil) {
        self.cause = cause
        self.speechStoppedAt = speechStoppedAt
    }
}

/// What the caller has really heard of one turn of the agent.
public struct Heard: Sendable, Equatable {
    /// The words, cut after the last whole one that was heard. Where the agent does not tell when it says which word, its text
    /// is taken to be spoken evenly.
    public var text: String
    public var duration: TimeSpan
    /// Whether nothing of the turn was cut.
    public var isComplete: Bool

    public init(text: String, duration: TimeSpan, isComplete: Bool) {
        self.text = text
        self.duration = duration
        self.isComplete = isComplete
    }
}

/// What becomes of the agent's turn while the caller speaks over it.
public enum BargeIn: String, Sendable {
    /// The caller has spoken long enough to be listened to: playback stops, and can still be resumed.
    case started
    /// The caller goes on: the turn is cut.
    case confirmed
    /// It was nothing: playback resumes where it stopped.
    case dismissed
}

/// A plug-in's own frame, with the answers every frame owes.
public protocol CustomFrame: Sendable {
    var family: Frame.Family { get }
    var isDroppedByInterruption: Bool { get }
    var generation: UInt32? { get }
}
