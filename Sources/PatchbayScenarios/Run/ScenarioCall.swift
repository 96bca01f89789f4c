import NIOCore
import PatchbayCore
import PatchbayProcessors
import PatchbayTransports
import PatchbayWire

/// A call of a test on a clock of its own: the real chain, serializer and conversations between a caller and agents that
/// follow their scripts. The same test gives the same call, bit for bit.
struct ScenarioCall {
    static let callSid = "CA" + String(repeating: "0", count: 32)
    static let streamSid = "MZ" + String(repeating: "0", count: 32)
    /// A recording's ring is made for calls in real time; this one is far ahead of it.
    private static let ticksBetweenDrains = 50
    private static let tick = TimeSpan.milliseconds(20)
    private static let creation = MediaTime(milliseconds: 1000)

    private let scenario: Scenario
    private let directory: String
    private let start: MediaTime
    private var now = ScenarioCall.creation
    private var call: CallCore
    private var output = CallOutput()
    private var toCall = MessageBatch()
    private let witness = CallWitness()
    private var caller: ScenarioCaller
    private var peers: [ScenarioPeer] = []
    private var tools: ScenarioTools
    private var isOver = false
    private(set) var trace: ScenarioTrace

    init(
        _ plan: CallPlan, tools: CallTools, _ scenario: Scenario, directory: String
    ) throws(PipelineError) {
        self.scenario = scenario
        self.tools = ScenarioTools(tools, scenario.tools)
        self.directory = directory
        trace = ScenarioTrace(soundThreshold: scenario.soundThreshold)
        // The stream begins on the grid of ticks.
        let ring = (scenario.ring.nanoseconds + Self.tick.nanoseconds - 1) / Self.tick.nanoseconds
        start = Self.creation + TimeSpan(nanoseconds: ring * Self.tick.nanoseconds)
        caller = try ScenarioCaller(
            scenario, start: TwilioStart(streamSid: Self.streamSid, callSid: plan.info.callSid, accountSid: "AC0"),
            directory: directory)
        call = try CallCore(plan, at: now, observers: [witness], into: &output)
        settle()
    }

    private var time: TimeSpan { now - start }

    /// Runs the call to its end.
    mutating func run() {
        var nextTick = now + Self.tick
        var ticks = 0
        if start == now { tickCaller() }
        while !isOver {
            let due = peers.compactMap { $0.due(trace) }.min().map { start + $0 } ?? nextTick
            now = max(now, min(due, tools.due ?? nextTick, nextTick))
            answerTools()
            actPeers()
            guard now == nextTick, !isOver else { continue }
            nextTick = nextTick + Self.tick
            if now >= start { tickCaller() }
            guard !isOver else { break }
            call.tick(at: now, into: &output)
            settle()
            if now >= start { afterTick() }
            ticks += 1
            if ticks % Self.ticksBetweenDrains == 0 { RecordingWriter.shared.drain() }
        }
        finish()
    }

    private mutating func tickCaller() {
        let agentsWait = peers.allSatisfy { $0.isIdle(trace) } && tools.due == nil
        caller.tick(at: time, agentsWait: agentsWait, &trace, into: &toCall)
        settle()
        guard caller.isCutOff, !isOver else { return }
        call.carrierClosed(at: now, into: &output)
        settle()
    }

    private mutating func afterTick() {
        trace.playback.append(
            .init(
                time: time, played: Int(call.ledger.played(at: now).milliseconds),
                unplayed: Int(call.ledger.unplayed(at: now).milliseconds)))
        if !isOver { caller.play(&trace) }
    }

    private mutating func answerTools() {
        while !isOver, let answer = tools.take(until: now) {
            call.toolAnswered(answer.result, link: answer.link, at: now, into: &output)
            settle()
        }
    }

    private mutating func actPeers() {
        for index in peers.indices {
            for act in peers[index].act(at: time, &trace) {
                let link = peers[index].link
                switch act {
                case .connected: call.agentConnected(link: link, at: now, into: &output)
                case .refused(let reason):
                    let error = PipelineError(.agentUnreachable, reason, isRetryable: true)
                    call.agentUnreachable(error, link: link, at: now, into: &output)
                case .message(let message, isBinary: false):
                    call.agentReceived(message, link: link, at: now, into: &output)
                case .message(let message, isBinary: true):
                    call.agentReceived(binary: message, link: link, at: now, into: &output)
                case .closed(let code, let reason):
                    call.agentClosed(code: code, reason: reason, link: link, at: now, into: &output)
                }
                settle()
            }
        }
    }

    /// Hands messages to and fro until nobody has anything to say at this instant.
    private mutating func settle() {
        repeat {
            let messages = toCall.messages.indices.map { toCall.message(at: $0) }
            toCall.clear()
            for message in messages { call.carrierReceived(message, at: now, into: &output) }
            let toAgent = output.agent.messages
            for index in toAgent.messages.indices {
                trace.sent.append(.init(time: time, payload: toAgent.message(at: index)))
            }
            if !toAgent.isEmpty { output.agent.messages = MessageBatch() }
            let toCarrier = output.carrier.messages.indices.map { output.carrier.message(at: $0) }
            output.carrier.clear()
            for message in toCarrier { caller.receive(message, at: time, &trace, into: &toCall) }
            for action in output.takeActions() { perform(action) }
            takeSights()
        } while !toCall.isEmpty || !output.carrier.isEmpty || !output.agent.messages.isEmpty || !output.actions.isEmpty
    }

    private mutating func perform(_ action: CallAction) {
        switch action {
        case .dialAgent(let link, _), .redialAgent(let link, _): dial(link)
        case .runTool(let tool, let link):
            if let problem = tools.begin(tool, link: link, at: now, time, &trace) { trace.problems.append(problem) }
        case .cancelTools(let ids): tools.cancel(ids)
        case .closeAgent:
            if let last = peers.indices.last { peers[last].close(at: time, &trace) }
        case .closeCarrier: break
        case .finished(let reason):
            isOver = true
            trace.end = reason
            trace.duration = max(.zero, time)
        }
    }

    private mutating func dial(_ link: Int) {
        let number = peers.count
        guard scenario.connections.indices.contains(number) else {
            trace.problems.append(
                "\"\(call.backend)\" is dialled (connection \(number + 1)), and the test plays no agent there; add one to \"agents\""
            )
            let error = PipelineError(.agentUnreachable, "the test plays no agent here")
            call.agentUnreachable(error, link: link, at: now, into: &output)
            return
        }
        peers.append(
            ScenarioPeer(
                scenario.connections[number], backend: call.backend, link: link, dialledAt: time, voice: scenario.voice,
                directory: directory))
    }

    private mutating func takeSights() {
        for (at, sight) in witness.take() {
            let time = at - start
            switch sight {
            case .text(let text): trace.words.append(.init(time: time, speaker: text.speaker, text: text.text))
            case .event(let event): note(event, at: time)
            }
        }
    }

    private mutating func note(_ event: CallEvent, at time: TimeSpan) {
        switch event {
        case .agentReady(let backend, _, _): trace.note(.agentReady, at: time, backend)
        case .interrupted(let cause, let heard):
            trace.note(.interrupted, at: time, cause)
            trace.heard.append(.init(time: time, speaker: .agent, text: heard.text))
        case .turnHeard(let heard):
            trace.note(.turnHeard, at: time, heard.text)
            trace.heard.append(.init(time: time, speaker: .agent, text: heard.text))
        case .playbackPaused: trace.note(.playbackPaused, at: time)
        case .playbackResumed: trace.note(.playbackResumed, at: time)
        case .toolCalled(let call): trace.note(.toolCalled, at: time, call.name)
        case .toolAnswered(let result, _): trace.note(.toolAnswered, at: time, result.name)
        case .ended(let reason): trace.note(.ended, at: time, "\(reason)")
        case .streamStarted, .agentConnecting, .conversationStarted, .agentAudible, .recording, .utteranceSent,
            .agentFailed, .agentChanged, .bridged, .agentTookOver, .agentReconnecting, .transferring, .stageFailed,
            .fault, .hangingUp:
            break
        }
    }

    private mutating func finish() {
        caller.close(at: time, &trace)
        for peer in peers { trace.problems += peer.problems }
        let end = trace.end.map { "the call had ended: \($0)" } ?? "the call had ended"
        for step in caller.waiting {
            if case .hangUp = step.action { continue }
            trace.problems.append("\(step.place) never came: \(end)")
        }
        for peer in peers {
            for step in peer.waiting(trace) { trace.problems.append("\(step.place) never came: \(end)") }
        }
        for connection in scenario.connections.dropFirst(peers.count) {
            trace.problems.append("\(connection.place) was never dialled: \(end)")
        }
    }
}
