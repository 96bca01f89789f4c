/// What agents call, and what they are told between the caller's words.
extension CallCore {
    /// The agent calls a tool: it is run beside the media path.
    mutating func runTool(_ call: ToolCall, at now: MediaTime, into output: inout CallOutput) {
        let name = call.name.prefix(64)
        guard pendingTools[call.id] == nil else {
            // The answer to the first call of that id answers this one too.
            counters.agentFaults += 1
            return note(.fault(peer: "agent", message: "a call of the tool \"\(name)\" with an id in use"), at: now)
        }
        guard pendingTools.count < limits.pendingTools else {
            counters.agentFaults += 1
            let limit = "\(limits.pendingTools) at once"
            note(.fault(peer: "agent", message: "a call of the tool \"\(name)\" beyond \(limit)"), at: now)
            // An agent that waits for all of its answers would say nothing more.
            let answer =
                "Not run: there are more than \(limit). Wait for the answers of the others, then call it again."
            return agent.toolAnswered(ToolResult(call, output: answer, isError: true), at: now, into: &output.agent)
        }
        var call = call
        call.backend = backendIndex
        pendingTools[call.id] = now
        waiting.begin(call, at: now)
        conversation.toolCalled(call)
        counters.toolCalls += 1
        note(.toolCalled(call), at: now)
        output.actions.append(.runTool(call, link: link))
    }

    /// A tool has answered, or failed to.
    public mutating func toolAnswered(
        _ result: ToolResult, link: Int, at now: MediaTime, into output: inout CallOutput
    ) {
        // After a reconnection the same conversation goes on under another number; ids tell the calls apart.
        guard wantsAgent, let called = pendingTools.removeValue(forKey: result.id) else { return }
        waiting.end(result.id)
        conversation.toolAnswered(result)
        if result.isError { counters.toolFailures += 1 } else { counters.toolSuccesses += 1 }
        note(.toolAnswered(result, after: now - called), at: now)
        agent.toolAnswered(result, at: now, into: &output.agent)
        handleAgentEvents(at: now, into: &output)
    }

    /// Tells the agent something that it should know and not answer at once.
    ///
    /// - Returns: False when no agent is ready for it.
    @discardableResult
    public mutating func addContext(_ text: String, at now: MediaTime, into output: inout CallOutput) -> Bool {
        guard wantsAgent, agent.isReady else { return false }
        agent.contextAdded(text, at: now, into: &output.agent)
        handleAgentEvents(at: now, into: &output)
        return true
    }

    /// The agent does not want these answers any more.
    mutating func cancelTools(_ ids: [String], into output: inout CallOutput) {
        let known = ids.filter { pendingTools.removeValue(forKey: $0) != nil }
        for id in known { waiting.end(id) }
        conversation.toolsCancelled(known)
        if !known.isEmpty { output.actions.append(.cancelTools(ids: known)) }
    }

    /// The agent that called them is gone.
    mutating func forgetTools(into output: inout CallOutput) {
        cancelTools(Array(pendingTools.keys), into: &output)
    }
}

/// What the caller hears while the agent waits.
extension CallCore {
    /// Plays the sound of a tool that has let the caller wait in silence for long enough.
    mutating func playWaitingSound(at now: MediaTime, into output: inout CallOutput) {
        guard waiting.isDue, case .streaming = state, paused == nil, !isOurVoice else { return }
        // Whatever the agent said itself, or says now, comes first; the silence counts from its end.
        guard !isUtteranceOpen, agent.isSilent, ledger.speechEnd <= now else { return }
        let silentSince = max(ledger.speechEnd, counters.streamStartedAt)
        if let audio = waiting.take(at: now, silentSince: silentSince) {
            startInterlude(audio, at: now, into: &output)
        }
    }
}
