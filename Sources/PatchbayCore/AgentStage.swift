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
    private var toAgent: FormatConverter?
    private var fromAgent: FormatConverter?
    /// Caller audio in the joint's format that came before the agent was ready.
    private var backlog = ByteBuffer()
    private let backlogLimit: Int
    private(set) var backlogDroppedBytes = 0
    private var chunk = ByteBuffer()

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

    /// Takes the next backend. What the former one left to be played is dropped: it is in the former's format.
    mutating func replace(_ next: any AgentConversation) {
        queue.interrupt(isReplaced: true)
        conversation = next
        formats = nil
        toAgent = nil
        fromAgent = nil
    }

    /// How long audio in the announced output format plays.
    func duration(ofOutput payload: ByteBuffer) -> TimeSpan {
        TimeSpan(nanoseconds: formats?.output.nanoseconds(byteCount: payload.readableBytes) ?? 0)
    }

    mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
        conversation.opened(at: now, into: &output)
    }

    mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        conversation.received(message, at: now, into: &output)
    }

    mutating func received(binary message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        conversation.received(binary: message, at: now, into: &output)
    }

    mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
        conversation.toolAnswered(result, at: now, into: &output)
    }

    mutating func contextAdded(_ text: String, at now: MediaTime, into output: inout AgentOutput) {
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
        toAgent = try FormatConverter(from: joint, to: input)
        fromAgent = try FormatConverter(from: format, to: joint)
        formats = (input, format)
        if backlog.readableBytes > 0 {
            let waited = backlog
            backlog = ByteBuffer()
            receive(.audio(AudioFrame(waited, format: joint)), at: now, into: &output)
        }
    }

    /// Hands a frame of the caller's side to the agent.
    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
        guard case .audio(let audio) = frame else {
            conversation.receive(frame, at: now, into: &output)
            return
        }
        guard let formats else {
            keep(audio.payload)
            return
        }
        guard let converted = toAgent?.convert(audio.payload), converted.readableBytes > 0 else { return }
        conversation.receive(
            .audio(AudioFrame(converted, format: formats.input, generation: audio.generation)), at: now, into: &output)
    }

    /// Takes the next packet of the agent's audio in the joint's format, or `nil` when there is less than one.
    mutating func takePacket(generation: UInt32) -> AudioFrame? {
        guard let formats else { return nil }
        let available = queue.byteCountBeforePoint
        let packet = formats.output.bytesPerPacket
        guard available >= packet || (available > 0 && queue.hasPoint) else { return nil }
        queue.take(min(packet, available), into: &chunk)
        guard let converted = fromAgent?.convert(chunk) else { return nil }
        return AudioFrame(converted, format: joint, generation: generation)
    }

    /// Less than a packet waits, or nothing.
    var isRunDry: Bool { queue.byteCount < (formats?.output.bytesPerPacket ?? 1) && !queue.hasPoint }

    /// The tail of the agent's resampler, at the end of an utterance.
    mutating func flushTail(generation: UInt32) -> AudioFrame? {
        guard let tail = fromAgent?.flush(), tail.readableBytes > 0 else { return nil }
        return AudioFrame(tail, format: joint, generation: generation)
    }

    /// Forgets what waits and what the converter holds back.
    mutating func interrupt() {
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
