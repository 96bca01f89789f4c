import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

// The caller's turns: where they end, what was said, and what the script answers.
extension ElevenLabsConversationSimulator {
    /// Without audio for this much longer than a turn's silence, a turn ends too: some clients stop sending while they
    /// are muted.
    private static let audioGap = TimeSpan.milliseconds(400)
    /// How much of the results of tools is spoken.
    private static let maximumSpokenResult = 300

    private var isConversing: Bool {
        switch phase {
        case .preparing, .speaking, .listening, .thinking, .awaitingTools: !isLeaving
        case .awaitingMetadata, .awaitingInitiation, .ended: false
        }
    }

    /// Nothing interrupts a farewell.
    private var isLeaving: Bool {
        if case .preparing(_, isFarewell: true) = phase { return true }
        return speech?.isFarewell == true
    }

    // MARK: Spoken

    mutating func hear(_ audio: ByteBuffer, at now: MediaTime, into output: inout Output) {
        for edge in ear.hear(audio) {
            switch edge {
            case .speechStarted: speechStarted(at: now, into: &output)
            case .speechStopped: speechStopped(at: now, into: &output)
            }
        }
        guard phase != .ended else { return }
        send(.vadScore(ear.isHearingSpeech ? 0.95 : 0.05), as: .vadScore, into: &output)
        timers[.audioGap] = ear.isHearingSpeech ? now + agent.timing.endOfTurnSilence + Self.audioGap : nil
    }

    mutating func audioStopped(at now: MediaTime, into output: inout Output) {
        ear.reset()
        speechStopped(at: now, into: &output)
    }

    private mutating func speechStarted(at now: MediaTime, into output: inout Output) {
        guard isConversing else { return }
        if isInterruptible(at: now) {
            interrupt(at: now, into: &output)
        } else if phase == .thinking {
            // The caller goes on: the turn was not over.
            timers[.thinking] = nil
            phase = .listening
        }
        let id = nextEventId()
        utteranceEventId = id
        if let transcript = nextTranscript {
            let beginning = transcript.split(separator: " ").prefix(2).joined(separator: " ")
            send(.tentativeUserTranscript(beginning, eventId: id), as: .tentativeUserTranscript, into: &output)
        }
    }

    private mutating func speechStopped(at now: MediaTime, into output: inout Output) {
        guard isConversing else { return }
        let id = utteranceEventId ?? nextEventId()
        utteranceEventId = nil
        if let nextTranscript { send(.userTranscript(nextTranscript, eventId: id), as: .userTranscript, into: &output) }
        countUserTurn()
        // What is said while the agent cannot be interrupted, or waits for a tool, is no turn.
        if phase == .listening { think(at: now) }
    }

    private var nextTranscript: String? {
        let transcripts = agent.script.transcripts
        return transcripts.isEmpty ? nil : transcripts[statistics.userTurns % transcripts.count]
    }

    // MARK: Written

    mutating func userWrote(_ text: String, at now: MediaTime, into output: inout Output) {
        guard isConversing else { return }
        if isInterruptible(at: now) { interrupt(at: now, into: &output) }
        send(.userTranscript(text, eventId: nextEventId()), as: .userTranscript, into: &output)
        countUserTurn()
        if phase != .awaitingTools, phase != .speaking { think(at: now) }
    }

    // MARK: The answer

    private mutating func think(at now: MediaTime) {
        phase = .thinking
        timers[.thinking] = now + agent.timing.thinking
    }

    mutating func takeTurn(at now: MediaTime, into output: inout Output) {
        phase = .listening
        userTurns += 1
        let tools = agent.script.tools.filter { $0.afterTurn == userTurns }
        for tool in tools { call(tool, into: &output) }
        if outstandingTools.isEmpty {
            reply(at: now, into: &output)
        } else {
            phase = .awaitingTools
            timers[.tools] = now + agent.timing.toolTimeout
        }
    }

    private mutating func reply(at now: MediaTime, into output: inout Output) {
        let script = agent.script
        if nextReply == script.replies.count, let goodbye = script.goodbye {
            say(goodbye, isLine: true, isFarewell: true, at: now, into: &output)
        } else if !script.replies.isEmpty {
            let reply = script.replies[nextReply % script.replies.count]
            nextReply = nextReply % script.replies.count + 1
            say(reply, isLine: true, at: now, into: &output)
        }
    }

    // MARK: Tools

    private mutating func call(_ tool: SimulatedAgentScript.Tool, into output: inout Output) {
        toolCalls += 1
        let callId = "call_\(toolCalls)"
        let eventId = nextEventId()
        send(
            .agentToolRequest(.init(name: tool.name, id: callId, type: "client", eventId: eventId)),
            as: .agentToolRequest, into: &output)
        send(
            .clientToolCall(
                .init(
                    name: tool.name, id: callId, parameters: tool.parameters, expectsResponse: tool.expectsResponse,
                    eventId: eventId)),
            as: .clientToolCall, into: &output)
        if tool.expectsResponse { outstandingTools[callId] = tool.name }
    }

    /// Results that are late or belong to no call are ignored.
    mutating func toolAnswered(
        _ result: ElevenLabsClientMessage.ToolResult, at now: MediaTime, into output: inout Output
    ) {
        guard phase == .awaitingTools, let name = outstandingTools.removeValue(forKey: result.toolCallId) else {
            return
        }
        toolEnded(name, id: result.toolCallId, result: result.result, isError: result.isError, into: &output)
        if outstandingTools.isEmpty { speakOfTools(at: now, into: &output) }
    }

    mutating func toolsTimedOut(at now: MediaTime, into output: inout Output) {
        guard phase == .awaitingTools else { return }
        for (id, name) in outstandingTools.sorted(by: { $0.key < $1.key }) {
            toolEnded(name, id: id, result: "the tool \(name) took too long", isError: true, into: &output)
        }
        outstandingTools = [:]
        speakOfTools(at: now, into: &output)
    }

    private mutating func toolEnded(
        _ name: String, id: String, result: String, isError: Bool, into output: inout Output
    ) {
        toolResults.append(result)
        hasToolFailed = hasToolFailed || isError
        send(
            .agentToolResponse(
                .init(name: name, id: id, type: "client", isError: isError, isCalled: true, eventId: nextEventId())),
            as: .agentToolResponse, into: &output)
    }

    private mutating func speakOfTools(at now: MediaTime, into output: inout Output) {
        timers[.tools] = nil
        let template = hasToolFailed ? agent.script.toolFailureReply : agent.script.toolReply
        let results = String(toolResults.joined(separator: ", ").prefix(Self.maximumSpokenResult))
        toolResults = []
        hasToolFailed = false
        phase = .listening
        guard !template.isEmpty else { return }
        let isLine = !template.contains(SimulatedAgentScript.resultPlaceholder)
        let text = template.replacing(SimulatedAgentScript.resultPlaceholder, with: results)
        say(text, isLine: isLine, at: now, into: &output)
    }
}
