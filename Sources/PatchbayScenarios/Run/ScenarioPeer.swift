import NIOCore
import PatchbayCore

/// The vendor's side of one connection, as a value: follows its script by the clock and by what happens in the call.
struct ScenarioPeer {
    /// What it does to the call.
    enum Act {
        case connected
        case refused(String)
        case message(ByteBuffer, isBinary: Bool = false)
        case closed(code: UInt16, reason: String)
    }

    private enum State { case connecting, open, closed }

    let link: Int
    private let script: AgentScript
    private let backend: String
    private let settings: (voice: String, directory: String)
    private let dialledAt: TimeSpan
    private var state = State.connecting
    private var steps: ArraySlice<AgentStep>
    private var vendor: (any VendorVoice)?
    private var queue: [(time: TimeSpan, message: ByteBuffer)] = []
    private var speaking: AgentStep?
    private var previousEnd = TimeSpan.zero
    private var cursor = 0
    private(set) var problems: [String] = []

    init(
        _ script: AgentScript, backend: String, link: Int, dialledAt: TimeSpan, voice: String, directory: String
    ) {
        self.script = script
        self.backend = backend
        self.link = link
        self.dialledAt = dialledAt
        settings = (voice, directory)
        steps = script.steps[...]
        vendor = VendorVoices.voice(for: backend)
        if let wanted = script.backend, wanted != backend {
            problems.append("\(script.place): \"\(backend)\" dialled here, not \"\(wanted)\"")
        }
    }

    /// Steps that have not begun and that only wait for something to happen.
    func waiting(_ trace: ScenarioTrace) -> [AgentStep] {
        state != .closed && steps.first.map { start(of: $0, trace) == nil } == true ? Array(steps) : []
    }

    /// Whether nothing more comes of it unless something else happens.
    func isIdle(_ trace: ScenarioTrace) -> Bool { due(trace) == nil }

    /// When it has something to do next; `nil` when it only waits, or is done.
    func due(_ trace: ScenarioTrace) -> TimeSpan? {
        switch state {
        case .closed: return nil
        case .connecting: return dialledAt + script.connect
        case .open:
            let next = steps.first.flatMap { mayBegin($0) ? start(of: $0, trace) : nil }
            guard let queued = queue.first?.time else { return next }
            return next.map { min($0, queued) } ?? queued
        }
    }

    /// Does what is due.
    mutating func act(at now: TimeSpan, _ trace: inout ScenarioTrace) -> [Act] {
        var acts: [Act] = []
        while state != .closed, let due = due(trace), due <= now { acts += actOnce(at: now, &trace) }
        return acts
    }

    private mutating func actOnce(at now: TimeSpan, _ trace: inout ScenarioTrace) -> [Act] {
        if state == .connecting {
            if let refusal = script.refusal {
                state = .closed
                return [.refused(refusal)]
            }
            state = .open
            previousEnd = now
            trace.note(.agentConnected, at: now, backend)
            return [.connected]
        }
        if let step = steps.first, mayBegin(step), let time = start(of: step, trace), time <= now,
            queue.first.map({ time <= $0.time }) ?? true
        {
            steps.removeFirst()
            return begin(step, at: now, &trace)
        }
        guard !queue.isEmpty else { return [] }
        let message = queue.removeFirst().message
        if queue.isEmpty { finishSpeaking(at: now, &trace) }
        return [.message(message)]
    }

    /// The call has closed the connection.
    mutating func close(at now: TimeSpan, _ trace: inout ScenarioTrace) {
        guard state != .closed else { return }
        state = .closed
        queue = []
        trace.note(.agentClosed, at: now, "by the call")
    }

    /// What cuts a turn need not wait for its end.
    private func mayBegin(_ step: AgentStep) -> Bool {
        if queue.isEmpty { return true }
        guard step.time != .after(nil, .zero) else { return false }
        switch step.action {
        case .interrupt, .close: return true
        case .accept, .say, .hears, .send, .sendBinary, .silence: return false
        }
    }

    private func start(of step: AgentStep, _ trace: ScenarioTrace) -> TimeSpan? {
        switch step.time {
        case .at(let time): time
        case .after(nil, let plus): previousEnd + plus
        case .after(let event?, let plus):
            trace.time(of: event, after: event.isOfAStep ? 0 : cursor).map { max($0 + plus, previousEnd) }
        }
    }

    private mutating func begin(_ step: AgentStep, at now: TimeSpan, _ trace: inout ScenarioTrace) -> [Act] {
        if !queue.isEmpty {
            queue = []
            finishSpeaking(at: now, &trace)
        }
        if let name = step.name { trace.note(.begin(of: name), at: now) }
        cursor = trace.entries.count
        previousEnd = now
        var acts: [Act] = []
        do throws(PipelineError) {
            acts = try perform(step, at: now)
        } catch {
            problems.append("\(step.place): \(error)")
        }
        if case .close = step.action {
            state = .closed
            trace.note(.agentClosed, at: now, "by the agent")
        }
        if case .say = step.action, !queue.isEmpty {
            speaking = step
        } else if let name = step.name {
            trace.note(.end(of: name), at: previousEnd)
        }
        return acts
    }

    private mutating func perform(_ step: AgentStep, at now: TimeSpan) throws(PipelineError) -> [Act] {
        switch step.action {
        case .send(let message): return [.message(ByteBuffer(string: message))]
        case .sendBinary(let bytes): return [.message(ByteBuffer(bytes: bytes), isBinary: true)]
        case .silence(let duration):
            previousEnd = now + duration
            return []
        case .close(let code, let reason): return [.closed(code: code, reason: reason)]
        case .accept(let conversation):
            return try vendorVoice { vendor throws(PipelineError) in try vendor.accept(conversation) }
        case .hears(let text): return try vendorVoice { $0.hears(text) }
        case .interrupt: return try vendorVoice { $0.interrupt() }
        case .say(let turn):
            let (voice, directory) = settings
            var messages: [ByteBuffer] = []
            _ = try vendorVoice { vendor throws(PipelineError) in
                let audio = try AgentSpeech.audio(
                    turn.speech, in: vendor.outputFormat, voice: voice, directory: directory)
                messages = vendor.say(turn, audio)
                return []
            }
            for (index, message) in messages.enumerated() {
                queue.append((now + TimeSpan(nanoseconds: turn.pace.nanoseconds * Int64(index)), message))
            }
            return []
        }
    }

    private mutating func vendorVoice(
        _ body: (inout any VendorVoice) throws(PipelineError) -> [ByteBuffer]
    ) throws(PipelineError) -> [Act] {
        guard var voice = vendor else {
            throw PipelineError(
                .stageFailed,
                "this step is known for \(VendorVoices.types.joined(separator: ", ")); write \"send\" for \"\(backend)\""
            )
        }
        let messages = try body(&voice)
        vendor = voice
        return messages.map { .message($0) }
    }

    private mutating func finishSpeaking(at now: TimeSpan, _ trace: inout ScenarioTrace) {
        previousEnd = max(previousEnd, now)
        if let name = speaking?.name { trace.note(.end(of: name), at: now) }
        speaking = nil
    }
}
