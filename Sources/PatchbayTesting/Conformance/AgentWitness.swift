import NIOCore
import PatchbayAudio
import PatchbayCore
import Synchronization

/// Stands between a call and the conversations of one backend, and writes down what they do.
final class AgentWitness: Sendable {
    struct Notes: Sendable {
        var events: [(time: MediaTime, event: AgentEvent)] = []
        /// Deadlines that did not move when they were reached.
        var lateDeadlines: [MediaTime] = []
        var messages = 0
        /// How much the conversation holds; see ``ConversationSize``.
        var size = 0
        var readies = 0
    }

    private let notes = Mutex(Notes())
    /// Whether the size is taken after every call; costs far more than a step.
    private let measures: Mutex<Bool> = Mutex(false)

    var current: Notes { notes.withLock { $0 } }

    func measure(_ isOn: Bool) { measures.withLock { $0 = isOn } }

    func forgetEvents() { notes.withLock { $0.events.removeAll(keepingCapacity: true) } }

    fileprivate func note(
        _ conversation: any AgentConversation, _ output: AgentOutput, since counts: (events: Int, messages: Int),
        at now: MediaTime
    ) {
        let size = measures.withLock { $0 } ? ConversationSize.of(conversation) : nil
        notes.withLock { notes in
            for event in output.events.dropFirst(counts.events) {
                if case .ready = event { notes.readies += 1 }
                notes.events.append((now, event))
            }
            notes.messages += output.messages.messages.count - counts.messages
            if let size { notes.size = size }
        }
    }

    fileprivate func noteDeadline(_ due: MediaTime) { notes.withLock { $0.lateDeadlines.append(due) } }
}

/// A backend whose conversations are watched, and begin with a history.
struct ExaminedBackend: AgentBackend {
    let inner: any AgentBackend
    let history: [ConversationTurn]
    var isAnswerAwaited = false
    var toolUses: [ToolUse] = []
    let witness: AgentWitness

    var type: String { inner.type }

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
        var request = request
        if !history.isEmpty { (request.history, request.isAnswerAwaited) = (history, isAnswerAwaited) }
        request.toolUses += toolUses
        let session = try inner.open(request)
        return AgentSession(ExaminedConversation(session.conversation, witness), endpoint: session.endpoint)
    }
}

/// Passes everything on, and tells the witness.
struct ExaminedConversation: AgentConversation {
    private var inner: any AgentConversation
    private let witness: AgentWitness

    init(_ inner: any AgentConversation, _ witness: AgentWitness) {
        self.inner = inner
        self.witness = witness
    }

    private mutating func watch(
        _ now: MediaTime, _ output: inout AgentOutput,
        _ step: (inout any AgentConversation, inout AgentOutput) -> Void
    ) {
        let counts = (output.events.count, output.messages.messages.count)
        step(&inner, &output)
        witness.note(inner, output, since: counts, at: now)
    }

    mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
        watch(now, &output) { $0.opened(at: now, into: &$1) }
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
        watch(now, &output) { $0.receive(frame, at: now, into: &$1) }
    }

    mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        watch(now, &output) { $0.received(message, at: now, into: &$1) }
    }

    mutating func received(binary message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        watch(now, &output) { $0.received(binary: message, at: now, into: &$1) }
    }

    mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
        watch(now, &output) { $0.toolAnswered(result, at: now, into: &$1) }
    }

    mutating func contextAdded(_ text: String, at now: MediaTime, into output: inout AgentOutput) {
        watch(now, &output) { $0.contextAdded(text, at: now, into: &$1) }
    }

    mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput) {
        watch(now, &output) { $0.closed(code: code, reason: reason, at: now, into: &$1) }
    }

    var deadline: MediaTime? { inner.deadline }

    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {
        watch(now, &output) { $0.deadlineReached(at: now, into: &$1) }
        if let deadline = inner.deadline, deadline <= now { witness.noteDeadline(deadline) }
    }
}

/// How much a value holds: the elements of its collections, the bytes of its texts and buffers, all the way down.
enum ConversationSize {
    private static let depth = 8

    static func of(_ value: Any) -> Int { size(value, depth) }

    private static func size(_ value: Any, _ depth: Int) -> Int {
        switch value {
        case let buffer as ByteBuffer: return buffer.readableBytes
        case let text as String: return text.utf8.count
        case let bytes as [UInt8]: return bytes.count
        default: break
        }
        guard depth > 0 else { return 0 }
        let mirror = Mirror(reflecting: value)
        var total =
            switch mirror.displayStyle {
            case .collection, .set, .dictionary: mirror.children.count
            default: 0
            }
        for child in mirror.children { total += size(child.value, depth - 1) }
        return total
    }
}
