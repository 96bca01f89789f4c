import NIOCore
import PatchbayAudio

/// The middle of a call: an agent's conversation, with the converters between the joint where it stands and the formats it
/// announced, caller audio that waits for it, and its own audio that waits to be played.
struct AgentStage {
    /// The format of the joint on both sides.
    let joint: AudioFormat
    private(set) var conversation: any AgentConversation
    /// What the agent takes and gives; `nil` until it has said so.
    private(set) var formats: (input: AudioFormat, output: AudioFormat)?
    var queue: AgentAudioQueue
    /// What the agent before this one has left to be played, in its own format.
    private var former: FormerWords?
    private var isOpened = false
    /// It has been told of the call's start.
    private var isStarted = false
    /// Between two sockets of one conversation: what comes for the agent is kept until it is ready again.
    private(set) var isHolding = false
    private var held: [Held] = []
    private var toAgent: FormatConverter?
    private var fromAgent: FormatConverter?
    /// Caller audio in the joint's format that came before the agent was ready.
    private var backlog = ByteBuffer()
    private let backlogLimit: Int
    private(set) var backlogDroppedBytes = 0
    /// Caller audio that waits for the agent, in bytes of the joint's format.
    var backlogBytes: Int { backlog.readableBytes }
    private var chunk = ByteBuffer()

    /// Frames, answers of tools and context that are kept between two sockets. Beyond it the oldest are dropped and told of,
    /// but no answers: of those there are never more than calls that may run at once.
    static let heldLimit = 64

    private struct FormerWords {
        var queue: AgentAudioQueue
        var converter: FormatConverter
        let format: AudioFormat
    }

    private enum Held {
        case frame(Frame)
        case answer(ToolResult)
        case context(String)

        var isAnswer: Bool { if case .answer = self { true } else { false } }
    }

    init(_ conversation: any AgentConversation, joint: AudioFormat, limits: CallLimits) {
        self.joint = joint
        self.conversation = conversation
        queue = AgentAudioQueue(limit: limits.agentBacklogBytes)
        backlogLimit = joint.byteCount(milliseconds: Int(limits.callerBacklog.milliseconds))
    }

    var isReady: Bool { formats != nil }
    var deadline: MediaTime? { conversation.deadline }
    /// What the converters hold back, both ways.
    var delay: TimeSpan { (toAgent?.delay ?? .zero) + (fromAgent?.delay ?? .zero) }

    /// Takes the next backend.
    ///
    /// - Parameter keepsWords: Whether what the former one has sent is still played. Of two agents that are gone only the
    ///   words of the first are: the second has not been heard.
    mutating func replace(_ next: any AgentConversation, keepsWords: Bool = false) {
        if keepsWords { keepFormerWords(isGone: true) }
        queue.interrupt(isReplaced: true)
        conversation = next
        isOpened = false
        isStarted = false
        formats = nil
        toAgent = nil
        fromAgent = nil
        isHolding = false
        held = []
    }

    /// - Parameter isGone: Whether they are another agent's, and not the same one's in another format.
    private mutating func keepFormerWords(isGone: Bool) {
        guard former == nil, let format = formats?.output, let converter = fromAgent else { return }
        var words = queue
        if isGone { words.keepWords() } else { words.append(.turnEnded) }
        former = FormerWords(queue: words, converter: converter, format: format)
        queue.interrupt(isReplaced: true)
    }

    /// Whether the words of the agent before this one are being played.
    var isFormerSpeaking: Bool { former != nil }

    /// How much of the former agent's words has not been taken.
    var formerDuration: TimeSpan {
        guard let former else { return .zero }
        return TimeSpan(nanoseconds: former.format.nanoseconds(byteCount: former.queue.byteCount))
    }

    /// Nothing waits to be played.
    var isSilent: Bool { former == nil && queue.isEmpty }

    /// Agent audio that waits, in bytes of its encoding.
    var waitingBytes: Int { (former?.queue.byteCount ?? 0) + queue.byteCount }

    /// Whether the last that came from the agent was the end of its turn.
    var endsTurn: Bool { queue.endsTurn }

    /// The conversation's socket is gone, or a new one has just been opened: nothing is sent until ``resume(at:into:)``.
    mutating func hold() { isHolding = true }

    /// The agent is ready again on its new socket: it gets what came meanwhile, audio first.
    mutating func resume(at now: MediaTime, into output: inout AgentOutput) {
        isHolding = false
        sendBacklog(at: now, into: &output)
        let waiting = held
        held = []
        for item in waiting {
            switch item {
            case .frame(let frame): conversation.receive(frame, at: now, into: &output)
            case .answer(let result): conversation.toolAnswered(result, at: now, into: &output)
            case .context(let text): conversation.contextAdded(text, at: now, into: &output)
            }
        }
    }

    private mutating func keep(_ item: Held, into output: inout AgentOutput) {
        if held.count >= Self.heldLimit, let oldest = held.firstIndex(where: { !$0.isAnswer }) {
            held.remove(at: oldest)
            output.emit(.fault("what comes between two sockets is dropped beyond \(Self.heldLimit) items"))
        }
        held.append(item)
    }

    /// How long audio in the announced output format plays.
    func duration(ofOutput payload: ByteBuffer) -> TimeSpan {
        TimeSpan(nanoseconds: formats?.output.nanoseconds(byteCount: payload.readableBytes) ?? 0)
    }

    mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
        isOpened = true
        conversation.opened(at: now, into: &output)
    }

    mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        conversation.received(message, at: now, into: &output)
    }

    mutating func received(binary message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        conversation.received(binary: message, at: now, into: &output)
    }

    mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
        guard !isHolding else { return keep(.answer(result), into: &output) }
        conversation.toolAnswered(result, at: now, into: &output)
    }

    mutating func contextAdded(_ text: String, at now: MediaTime, into output: inout AgentOutput) {
        guard isReady, !isHolding else { return keep(.context(text), into: &output) }
        conversation.contextAdded(text, at: now, into: &output)
    }

    mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput) {
        conversation.closed(code: code, reason: reason, at: now, into: &output)
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {
        conversation.deadlineReached(at: now, into: &output)
    }

    /// The agent has announced its formats: the converters are built and the caller's first words go out at once.
    mutating func ready(
        input: AudioFormat, output format: AudioFormat, at now: MediaTime, into output: inout AgentOutput
    ) throws(PipelineError) {
        let (toNext, fromNext) = (
            try FormatConverter(from: joint, to: input), try FormatConverter(from: format, to: joint)
        )
        // A conversation that goes on in another format: what waits is still in the former one.
        if formats?.output != format { keepFormerWords(isGone: false) }
        (toAgent, fromAgent) = (toNext, fromNext)
        formats = (input, format)
        resume(at: now, into: &output)
    }

    private mutating func sendBacklog(at now: MediaTime, into output: inout AgentOutput) {
        guard backlog.readableBytes > 0 else { return }
        let waited = backlog
        backlog = ByteBuffer()
        receive(.audio(AudioFrame(waited, format: joint)), at: now, into: &output)
    }

    /// Hands a frame of the caller's side to the agent.
    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
        guard case .audio(let audio) = frame else {
            if case .callStarted = frame {
                // An agent whose socket is not open yet is told when it is.
                guard isOpened, !isStarted else { return }
                isStarted = true
            }
            if isHolding, !frame.endsCall {
                keep(.frame(frame), into: &output)
            } else {
                conversation.receive(frame, at: now, into: &output)
            }
            return
        }
        guard let formats, !isHolding else {
            keep(audio.payload)
            return
        }
        guard let converted = toAgent?.convert(audio.payload), converted.readableBytes > 0 else { return }
        conversation.receive(
            .audio(AudioFrame(converted, format: formats.input, generation: audio.generation)), at: now, into: &output)
    }

    /// Takes the next packet of the agent's audio in the joint's format, or `nil` when there is less than one.
    mutating func takePacket(generation: UInt32) -> AudioFrame? {
        if former != nil { return takeFormerPacket(generation: generation) }
        guard let formats else { return nil }
        let available = queue.byteCountBeforePoint
        let packet = formats.output.bytesPerPacket
        guard available >= packet || (available > 0 && queue.hasPoint) else { return nil }
        queue.take(min(packet, available), into: &chunk)
        guard let converted = fromAgent?.convert(chunk) else { return nil }
        return AudioFrame(converted, format: joint, generation: generation)
    }

    private mutating func takeFormerPacket(generation: UInt32) -> AudioFrame? {
        guard let size = former?.format.bytesPerPacket, let available = former?.queue.byteCountBeforePoint,
            available > 0
        else { return nil }
        former?.queue.take(min(size, available), into: &chunk)
        guard let converted = former?.converter.convert(chunk) else { return nil }
        return AudioFrame(converted, format: joint, generation: generation)
    }

    /// Takes the point that is due now: everything before it has been taken.
    mutating func takePoint() -> AgentAudioQueue.Point? {
        if former != nil {
            if let point = former?.queue.takePoint() { return point }
            guard former?.queue.isEmpty == true else { return nil }
            former = nil
        }
        return queue.takePoint()
    }

    /// Less than a packet waits, or nothing.
    var isRunDry: Bool {
        former == nil && queue.byteCount < (formats?.output.bytesPerPacket ?? 1) && !queue.hasPoint
    }

    /// The tail of the agent's resampler, at the end of an utterance.
    mutating func flushTail(generation: UInt32) -> AudioFrame? {
        let tail = former == nil ? fromAgent?.flush() : former?.converter.flush()
        guard let tail, tail.readableBytes > 0 else { return nil }
        return AudioFrame(tail, format: joint, generation: generation)
    }

    /// Forgets what waits and what the converter holds back.
    mutating func interrupt() {
        former = nil
        queue.interrupt()
        fromAgent?.reset()
    }

    private mutating func keep(_ payload: ByteBuffer) {
        let excess = backlog.readableBytes + payload.readableBytes - backlogLimit
        if excess > 0 {
            let dropped = min(excess, backlog.readableBytes)
            backlog.moveReaderIndex(forwardBy: dropped)
            backlogDroppedBytes += dropped
            backlog.discardReadBytes()
        }
        backlog.writeImmutableBuffer(payload)
    }
}

extension Frame {
    fileprivate var endsCall: Bool { if case .callEnded = self { true } else { false } }
}
