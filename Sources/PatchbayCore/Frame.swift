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
        case .callStarted, .callEnded, .interruption, .dtmf, .speechStarted, .speechStopped, .failure: .system
        case .audio, .text: .data
        case .agentTurnStarted, .utteranceEnded, .hangup: .control
        case .custom(let frame): frame.family
        }
    }

    /// Whether an interruption discards this frame where it waits.
    public var isDroppedByInterruption: Bool {
        switch self {
        case .callStarted, .callEnded, .interruption, .dtmf, .speechStarted, .speechStopped, .failure: false
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
        case .callStarted, .callEnded, .interruption, .dtmf, .speechStarted, .speechStopped, .failure, .hangup: nil
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
    /// Nothing but a background sound: not the agent's speech, belongs to no utterance.
    public var isBackground = false

    public init(_ payload: ByteBuffer, format: AudioFormat, generation: UInt32 = 0) {
        self.payload = payload
        self.format = format
        self.generation = generation
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
    public var generation: UInt32

    public init(_ text: String, speaker: Speaker, isFinal: Bool = true, generation: UInt32 = 0) {
        self.text = text
        self.speaker = speaker
        self.isFinal = isFinal
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

    public init(generation: UInt32, cause: String) {
        self.generation = generation
        self.cause = cause
    }
}

/// A plug-in's own frame, with the answers every frame owes.
public protocol CustomFrame: Sendable {
    var family: Frame.Family { get }
    var isDroppedByInterruption: Bool { get }
    var generation: UInt32? { get }
}
