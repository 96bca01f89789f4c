/// A stage that turns incoming frames into outgoing frames.
///
/// A pipeline calls one processor from one event loop, never re-entrantly, so conformers are plain structs. They do no
/// I/O, read no clock and never sleep: time and input arrive as arguments, which makes a pipeline a function of its inputs.
/// A call must take far less than one packet (20 ms); what has to wait belongs in an ``AsyncProcessor``.
///
/// To implement one: handle the cases you care about and emit every other frame unchanged. A frame that you do not emit is
/// gone. The common mistake is to swallow ``Frame/interruption(_:)`` or ``Frame/utteranceEnded(generation:)``: drop what you
/// hold back at the first, give out your tail at the second, and pass both on.
public protocol Processor {
    /// Handles one frame.
    ///
    /// - Parameters:
    ///   - frame: In order of arrival; system frames overtake.
    ///   - now: The call's time; never earlier than at the previous call.
    ///   - output: Where to emit any number of frames.
    /// - Throws: Only for faults that the stage cannot contain. The pipeline then ends the call with that reason.
    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError)

    /// When ``deadlineReached(at:into:)`` wants to be called, or `nil` for no timer. Read after every call; kept on a
    /// grid of 20 ms.
    var deadline: MediaTime? { get }

    /// The deadline has passed. Move or clear it before returning.
    mutating func deadlineReached(at now: MediaTime, into output: inout FrameOutput) throws(PipelineError)

    /// Audio held back inside, in nanoseconds: the algorithmic delay the stage adds.
    var delay: TimeSpan { get }

    /// Whether the stage marks where the caller's speech begins and ends, so that an agent need not find out itself.
    var marksSpeech: Bool { get }

    /// Called once, before the first frame, with the way back for results that come later. Only ``AsyncStage``
    /// and stages that hold other stages need it.
    mutating func attach(_ mailbox: StageMailbox)
}

extension Processor {
    public var deadline: MediaTime? { nil }
    public mutating func deadlineReached(at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {}
    public var delay: TimeSpan { .zero }
    public var marksSpeech: Bool { false }
    public mutating func attach(_ mailbox: StageMailbox) {}
}

/// Where a processor puts its frames. Keeps its storage, so that emitting allocates nothing once a call is warm.
public struct FrameOutput {
    var downstream: [Frame] = []
    var upstream: [Frame] = []

    public init() {
        downstream.reserveCapacity(8)
        upstream.reserveCapacity(4)
    }

    /// Hands a frame to the next stage, towards the agent before the agent and towards the caller's ear after it.
    public mutating func emit(_ frame: Frame) { downstream.append(frame) }

    /// Asks the call for something: ``Frame/interruption(_:)`` cuts the agent's turn, ``Frame/bargeIn(_:)`` does so on trial,
    /// ``Frame/interruptible(_:)`` forbids it, ``Frame/recording(_:)`` pauses recordings. Other frames are ignored.
    public mutating func emitUpstream(_ frame: Frame) { upstream.append(frame) }

    /// Takes what was emitted downstream so far. For harnesses and hosts of single stages.
    public mutating func takeDownstream() -> [Frame] {
        defer { downstream.removeAll(keepingCapacity: true) }
        return downstream
    }

    /// Takes what was emitted upstream so far.
    public mutating func takeUpstream() -> [Frame] {
        defer { upstream.removeAll(keepingCapacity: true) }
        return upstream
    }
}
