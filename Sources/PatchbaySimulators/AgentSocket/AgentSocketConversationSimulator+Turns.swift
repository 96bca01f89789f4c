import PatchbayCore
import PatchbayWire

/// Answers, tools and the goodbye.
extension AgentSocketConversationSimulator {
    /// How much of the results of tools is spoken.
    private static let maximumSpokenResult = 300

    mutating func takeTurn(at now: MediaTime, into output: inout SimulatorOutput) {
        countCallerTurn()
        callerTurns += 1
        guard !has(.neverAnswers) else { return }
        if has(.hangsUpEarly) { return send(.hangUp(reason: "had enough"), into: &output) }
        let transcripts = agent.script.transcripts
        if !transcripts.isEmpty {
            let words = transcripts[(callerTurns - 1) % transcripts.count]
            send(.text(.init(words, speaker: .caller)), into: &output)
        }
        let tools = agent.script.tools.filter { $0.afterTurn == callerTurns }
        if has(.unknownTool), callerTurns == 1 {
            send(.toolCall(id: "call_0", name: "no_such_tool", arguments: "{}"), into: &output)
        }
        if has(.argumentsAsText), callerTurns == 1 {
            output.messages.text {
                $0.writeString(#"{"type":"toolCall","id":"call_t","name":"lookup","arguments":"{\"word\":\"a\"}"}"#)
            }
        }
        for (index, tool) in tools.enumerated() {
            let id = "call_\(callerTurns)_\(index + 1)"
            if tool.expectsResponse { openTools[id] = tool.name }
            send(.toolCall(id: id, name: tool.name, arguments: tool.parameters), into: &output)
        }
        if openTools.isEmpty {
            reply(at: now, into: &output)
        } else {
            timers[.tools] = now + agent.timing.toolTimeout
        }
    }

    private mutating func reply(at now: MediaTime, into output: inout SimulatorOutput) {
        let script = agent.script
        if nextReply == script.replies.count, let goodbye = script.goodbye {
            say(goodbye, isFarewell: true, at: now, into: &output)
        } else if !script.replies.isEmpty {
            let reply = script.replies[nextReply % script.replies.count]
            nextReply = nextReply % script.replies.count + 1
            say(reply, at: now, into: &output)
        }
    }

    /// Results that are late or belong to no call are ignored.
    mutating func toolAnswered(
        _ id: String, _ result: String, isError: Bool, at now: MediaTime, into output: inout SimulatorOutput
    ) {
        guard openTools.removeValue(forKey: id) != nil else { return }
        toolResults.append(result)
        hasToolFailed = hasToolFailed || isError
        if openTools.isEmpty { speakOfTools(at: now, into: &output) }
    }

    mutating func toolsTimedOut(at now: MediaTime, into output: inout SimulatorOutput) {
        guard !openTools.isEmpty else { return }
        send(.toolCancel(ids: openTools.keys.sorted()), into: &output)
        toolResults += openTools.values.sorted().map { "the tool \($0) took too long" }
        openTools = [:]
        hasToolFailed = true
        speakOfTools(at: now, into: &output)
    }

    private mutating func speakOfTools(at now: MediaTime, into output: inout SimulatorOutput) {
        timers[.tools] = nil
        let template = hasToolFailed ? agent.script.toolFailureReply : agent.script.toolReply
        let results = String(toolResults.joined(separator: ", ").prefix(Self.maximumSpokenResult))
        toolResults = []
        hasToolFailed = false
        guard !template.isEmpty else { return }
        let isLine = !template.contains(SimulatedAgentScript.resultPlaceholder)
        say(
            template.replacing(SimulatedAgentScript.resultPlaceholder, with: results), isLine: isLine, at: now,
            into: &output)
    }
}
