import NIOCore
import PatchbayCore

/// A vendor's conversation with ``SimulatorFaults`` laid over it: what its owner sees in its place.
struct FaultyConversation<Conversation: SimulatedConversation>: Sendable {
    /// Messages that wait for a slow start; more are counted and not read.
    static var maximumWaiting: Int { 10_000 }

    private enum Timer: Int, CaseIterable { case start, stall, close }
    private enum State { case starting, running, stalled, ended }
    private typealias Message = (kind: MessageBatch.Message.Kind, bytes: ByteBuffer)

    private(set) var conversation: Conversation
    private let faults: SimulatorFaults
    private var state = State.starting
    private var timers = SimulatorTimers<Timer>()
    /// What came before the start.
    private var waiting: [Message] = []
    /// What goes out later, in order, and how it ends after that.
    private var delayed: [(due: MediaTime, message: Message)] = []
    private var delayedClose: SimulatedClose?
    private var random: SeededNumbers
    private var messagesReceived = 0
    private var bytesReceived = 0

    /// - Parameter number: Which conversation of the account this is, from 0; chooses the jitter's seed.
    init(_ conversation: Conversation, faults: SimulatorFaults, number: Int = 0) {
        self.conversation = conversation
        self.faults = faults
        random = SeededNumbers(seed: (faults.jitter?.seed ?? 0) &+ UInt64(clamping: number))
    }

    var statistics: Conversation.Statistics {
        var statistics = conversation.statistics
        statistics.messagesReceived = messagesReceived
        statistics.bytesReceived = bytesReceived
        return statistics
    }

    var deadline: MediaTime? {
        let own = [timers.next?.due, delayed.first?.due].compactMap(\.self).min()
        guard state == .running, let inner = conversation.deadline else { return own }
        return own.map { min($0, inner) } ?? inner
    }

    mutating func open(at now: MediaTime, into output: inout SimulatorOutput) {
        if let closing = faults.closeWith { timers[.close] = now + closing.after }
        guard !faults.neverStarts else {
            state = .stalled
            return
        }
        if let stall = faults.stallAfter { timers[.stall] = now + stall }
        if faults.slowStart > .zero {
            timers[.start] = now + faults.slowStart
        } else {
            start(at: now, into: &output)
        }
    }

    mutating func receive(
        _ kind: MessageBatch.Message.Kind, _ bytes: ByteBuffer, at now: MediaTime, into output: inout SimulatorOutput
    ) {
        guard state != .ended else { return }
        messagesReceived += 1
        bytesReceived += bytes.readableBytes
        switch state {
        case .starting: if waiting.count < Self.maximumWaiting { waiting.append((kind, bytes)) }
        case .running: deliver((kind, bytes), at: now, into: &output)
        case .stalled, .ended: break
        }
    }

    mutating func speechReady(
        _ request: SpeechRequest, _ audio: Result<ByteBuffer, PipelineError>, at now: MediaTime,
        into output: inout SimulatorOutput
    ) {
        guard state == .running else { return }
        perform(at: now, into: &output) { $0.speechReady(request, audio, at: now, into: &$1) }
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout SimulatorOutput) {
        while let due = deadline, due <= now {
            if state == .running, conversation.deadline == due {
                perform(at: due, into: &output) { $0.deadlineReached(at: due, into: &$1) }
            } else if let next = timers.next, next.due == due {
                timers[next.timer] = nil
                fire(next.timer, at: due, into: &output)
            } else {
                sendDelayed(at: due, into: &output)
            }
        }
    }

    mutating func closed(code: UInt16, reason: String) {
        conversation.closed(code: code, reason: reason)
        end()
    }

    // MARK: Inside

    private mutating func fire(_ timer: Timer, at now: MediaTime, into output: inout SimulatorOutput) {
        switch timer {
        case .start: start(at: now, into: &output)
        case .stall:
            state = .stalled
            waiting = []
            delayed = []
            timers[.start] = nil
        case .close:
            guard let closing = faults.closeWith else { return }
            conversation.closed(code: closing.code, reason: closing.reason)
            end()
            output.close = SimulatedClose(code: closing.code, reason: closing.reason)
        }
    }

    private mutating func start(at now: MediaTime, into output: inout SimulatorOutput) {
        state = .running
        perform(at: now, into: &output) { $0.open(at: now, into: &$1) }
        let early = waiting
        waiting = []
        for message in early where state == .running { deliver(message, at: now, into: &output) }
    }

    private mutating func deliver(_ message: Message, at now: MediaTime, into output: inout SimulatorOutput) {
        perform(at: now, into: &output) { conversation, output in
            switch message.kind {
            case .text: conversation.receive(message.bytes, at: now, into: &output)
            case .binary: conversation.receive(binary: message.bytes, at: now, into: &output)
            }
        }
    }

    private mutating func perform(
        at now: MediaTime, into output: inout SimulatorOutput,
        _ body: (inout Conversation, inout SimulatorOutput) -> Void
    ) {
        guard let jitter = faults.jitter else {
            body(&conversation, &output)
            if output.close != nil { end() }
            return
        }
        var prompt = SimulatorOutput()
        body(&conversation, &prompt)
        for index in prompt.messages.messages.indices {
            let delay = Int64.random(in: 0...max(0, jitter.maximum.nanoseconds), using: &random)
            let due = max(now + TimeSpan(nanoseconds: delay), delayed.last?.due ?? now)
            delayed.append((due, (prompt.messages.messages[index].kind, prompt.messages.message(at: index))))
        }
        if let speech = prompt.speech { output.speech = speech }
        if let close = prompt.close {
            let rest = delayed
            end()
            (delayed, delayedClose) = (rest, close)
        }
        sendDelayed(at: now, into: &output)
    }

    private mutating func sendDelayed(at now: MediaTime, into output: inout SimulatorOutput) {
        let count = delayed.prefix { $0.due <= now }.count
        for (_, message) in delayed.prefix(count) {
            switch message.kind {
            case .text: output.messages.text { $0.writeImmutableBuffer(message.bytes) }
            case .binary: output.messages.binary { $0.writeImmutableBuffer(message.bytes) }
            }
        }
        delayed.removeFirst(count)
        if delayed.isEmpty, let close = delayedClose {
            output.close = close
            delayedClose = nil
        }
    }

    private mutating func end() {
        state = .ended
        timers.clear()
        waiting = []
        delayed = []
        delayedClose = nil
    }
}
