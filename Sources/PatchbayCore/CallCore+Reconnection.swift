/// One conversation that is dialled again, make before break: its former socket serves until the new one is open.
struct AgentRedial {
    /// The socket that is being dialled; `nil` while the next try is waited for.
    var link: Int?
    var tries = 0
    var nextTry: MediaTime?
}

/// Conversations that go on over a new socket.
extension CallCore {
    /// Tries to open the new socket while the former one stands. Without that one there is one try.
    static let redialTries = 3
    static let redialPause = TimeSpan.seconds(1)

    /// Dials the agent again for the conversation that runs; the audio that waits is kept.
    mutating func redialAgent(_ cause: String, at now: MediaTime, into output: inout CallOutput) {
        guard wantsAgent, redial == nil, case .webSocket = endpoint else { return }
        redials.removeAll { now - $0 >= .seconds(60) }
        guard redials.count < limits.agentReconnects else {
            let message = "it wanted to be dialled again \(redials.count + 1) times within a minute: \(cause)"
            return agentFailed(
                PipelineError(.agentFailed, message, place: "agent \(backend)", isRetryable: true), at: now,
                into: &output)
        }
        redials.append(now)
        counters.agentReconnects += 1
        note(.agentReconnecting(backend: backend, cause: cause), at: now)
        redial = AgentRedial()
        redialNow(at: now, into: &output)
    }

    /// Dials, unless that is under way.
    mutating func redialNow(at now: MediaTime, into output: inout CallOutput) {
        if isSocketDown { agent.hold() }
        guard case .webSocket(let resolve) = endpoint, redial?.link == nil else { return }
        lastLink += 1
        redial?.link = lastLink
        redial?.nextTry = nil
        redial?.tries += 1
        // An agent that has not been ready yet has as long as it had to begin with.
        if choice.readySince != nil { agentPatience = limits.agentReady }
        agentDeadline = now + agentPatience
        output.actions.append(.redialAgent(link: lastLink, resolve: resolve))
    }

    mutating func redialIfDue(at now: MediaTime, into output: inout CallOutput) {
        if let next = redial?.nextTry, next <= now { redialNow(at: now, into: &output) }
    }

    /// The new socket is open: what comes from here on is written to it once the agent is ready again.
    mutating func reconnected(link: Int, at now: MediaTime, into output: inout CallOutput) {
        redial = nil
        isSocketDown = false
        self.link = link
        agent.hold()
        agent.opened(at: now, into: &output.agent)
        handleAgentEvents(at: now, into: &output)
    }

    /// The new socket cannot be opened. While the former one stands that is no failure yet.
    mutating func redialFailed(_ error: PipelineError, at now: MediaTime, into output: inout CallOutput) {
        guard !isSocketDown else { return agentFailed(error, at: now, into: &output) }
        agentDeadline = nil
        counters.agentFaults += 1
        note(.fault(peer: "agent", message: "its new socket cannot be opened: \(error)"), at: now)
        guard let tries = redial?.tries, tries < Self.redialTries, error.isRetryable else {
            // It goes on as it is; when the former socket closes, the conversation decides.
            redial = nil
            return
        }
        redial?.link = nil
        redial?.nextTry = now + Self.redialPause
    }
}
