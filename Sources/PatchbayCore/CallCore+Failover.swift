import NIOCore

/// Which of a call's agents have been tried, and how the current one fares.
struct AgentChoice {
    /// By their places in the list.
    var tried: Set<Int> = []
    /// The last one has had its second chance.
    var hasRetried = false
    var readySince: MediaTime?
    /// Who is told of in ``AgentHealth`` when the attempt succeeds, fails or ends.
    var attempt: AgentIdentity?
    /// The attempt is the one that finds out whether the agent is well again.
    var isProbe = false
}

/// Failures of agents, who comes next, and agents that somebody chooses while the call runs.
extension CallCore {
    /// The current backend is of no more use: the next one takes over, or the call ends with the failure.
    mutating func agentFailed(_ error: PipelineError, at now: MediaTime, into output: inout CallOutput) {
        guard wantsAgent else { return }
        enterFailure(error, at: now)
        agentDeadline = nil
        output.actions.append(.closeAgent(code: 1000, reason: ""))
        // After a goodbye nobody has to go on.
        guard !agent.queue.endsCall else { return leaveAgent(into: &output) }
        if let since = choice.readySince, now - since >= limits.agentSettled {
            choice.tried = [backendIndex]
            choice.hasRetried = false
        }
        beginTakeover(at: now)
        do {
            try openAgent(
                after: error, within: state == .streaming ? limits.agentTakeover : limits.agentReady, at: now,
                into: &output)
        } catch {
            giveUp(error, at: now, into: &output)
        }
        pump(at: now, into: &output)
    }

    /// The stream begins, and the agent was to be connected only now.
    mutating func connectAnswered(at now: MediaTime, into output: inout CallOutput) {
        do {
            try openAgent(within: limits.agentReady, at: now, into: &output)
        } catch {
            giveUp(error, at: now, into: &output)
        }
    }

    /// Opens the next backend that can be opened.
    ///
    /// - Parameters:
    ///   - failure: Why there has to be another one; `nil` for the first.
    ///   - limit: How long it may take to become ready.
    mutating func openAgent(
        after failure: PipelineError? = nil, within limit: TimeSpan, at now: MediaTime, into output: inout CallOutput
    ) throws(PipelineError) {
        var failure = failure
        while let index = nextBackend(after: failure, at: now) {
            backendIndex = index
            choice.tried.insert(index)
            do {
                let session = try open(backends[index], words: nil)
                begin(
                    session, within: choice.isProbe ? min(limit, limits.agentTakeover) : limit, at: now, into: &output)
                return
            } catch {
                enterFailure(error, at: now)
                failure = error
            }
        }
        throw failure ?? PipelineError(.agentUnreachable, "the pipeline names no agent backend")
    }

    /// The first backend that has not been tried, those that are avoided last; then the one that failed, once more, where
    /// that can help.
    private mutating func nextBackend(after failure: PipelineError?, at now: MediaTime) -> Int? {
        choice.attempt = nil
        choice.isProbe = false
        let untried = backends.indices.filter { !choice.tried.contains($0) }
        for index in untried {
            switch identity(of: index).flatMap({ health?.admit($0, at: now) }) ?? .normal {
            case .avoided: continue
            case .probe: choice.isProbe = true
            case .normal: break
            }
            return attempt(index)
        }
        // Words are worth a try even where little is to be hoped for.
        if let index = untried.first { return attempt(index) }
        guard let failure, failure.isRetryable, !choice.hasRetried else { return nil }
        choice.hasRetried = true
        return attempt(backendIndex)
    }

    private mutating func attempt(_ index: Int) -> Int {
        choice.attempt = identity(of: index)
        return index
    }

    private func identity(of index: Int) -> AgentIdentity? {
        identities.indices.contains(index) ? identities[index] : nil
    }

    /// - Parameter words: What of the agent's turn counts as heard; `nil` for all that has come.
    private func open(_ backend: any AgentBackend, words: String?) throws(PipelineError) -> AgentSession {
        var history: [ConversationTurn] = []
        if case .streaming = state {
            history = conversation.followed(by: words ?? transcript.wordsAhead(withTurn: isTurnOpen || isTurnEnding))
        }
        return try backend.open(
            AgentRequest(
                call: info, joint: agent.joint, tools: tools, history: history, toolUses: conversation.toolUses,
                isAnswerAwaited: !history.isEmpty && takeover?.isAnswerAwaited == true))
    }

    private mutating func begin(
        _ session: AgentSession, within limit: TimeSpan, at now: MediaTime, into output: inout CallOutput
    ) {
        leaveAgent(into: &output)
        endpoint = session.endpoint
        if case .streaming = state {
            if agent.isFormerSpeaking { transcript.audioDropped(exceptNext: agent.formerDuration) }
            agent.replace(session.conversation, keepsWords: true)
            // Otherwise what must not be cut ends with the former one's words.
            if !agent.isFormerSpeaking { interruptibility.allow(true, by: \.byAgent, after: ledger.end) }
        } else {
            isUtteranceOpen = false
            transcript.reset()
            agent.replace(session.conversation)
        }
        choice.readySince = nil
        agentDeadline = now + limit
        agentPatience = limit
        agentOpenedAt = now
        if meters != nil { agentMeters = AgentMeters(backend) }
        note(.agentConnecting(backend: backend), at: now)
        switch session.endpoint {
        case .local: agentOpened(at: now, into: &output)
        case .webSocket(let resolve): output.actions.append(.dialAgent(link: link, resolve: resolve))
        }
    }

    /// What comes of the current agent from here on is of no use.
    private mutating func leaveAgent(into output: inout CallOutput) {
        lastLink += 1
        link = lastLink
        redial = nil
        redials = []
        isSocketDown = false
        forgetTools(into: &output)
    }

    /// The agent is gone: what it has sent is played, and no more is to come.
    private mutating func beginTakeover(at now: MediaTime) {
        guard case .streaming = state else { return }
        if agent.isFormerSpeaking { transcript.audioDropped(exceptNext: agent.formerDuration) }
        let isBroken = isUtteranceOpen && !agent.endsTurn
        if isBroken { transcript.breakOff() } else { transcript.turnCame() }
        isTurnOfFormer = isTurnOfFormer || isTurnOpen || isTurnEnding
        takeover = AgentTakeover(
            failedAt: takeover?.failedAt ?? now,
            isAnswerAwaited: takeover?.isAnswerAwaited == true || isBroken || isAnswerOwed,
            bridges: takeover?.bridges ?? 0)
    }

    /// The caller has said something that nobody has answered, or nobody has said anything.
    private var isAnswerOwed: Bool {
        guard !isTurnOpen, !isTurnEnding else { return false }
        return conversation.endsWithCaller || counters.heard == nil
    }

    /// Nobody is left: what was said is played, then the caller is connected with a person or hears why the call ends.
    mutating func giveUp(_ error: PipelineError, at now: MediaTime, into output: inout CallOutput) {
        leaveAgent(into: &output)
        takeover = nil
        if let transferTo {
            if case .streaming = state, mayBridge(at: now), agent.isSilent { playBridge(at: now, into: &output) }
            transfer(to: transferTo, at: now)
        } else {
            agent.queue.append(.hangup(EndReason(.failure, "\(error)")))
        }
        pump(at: now, into: &output)
    }

    /// Connects the caller with a person once everything that waits has been played: the stream is closed, and what the
    /// carrier is told next holds the number.
    mutating func transfer(to number: PhoneNumber, at now: MediaTime) {
        note(.transferring(to: number.description), at: now)
        agent.queue.append(.hangup(EndReason(.transferred, number.description)))
    }

    /// Connects the caller with a person by somebody's word: what the carrier holds is played, what waits here is not. While
    /// the phone rings, as soon as the stream begins.
    ///
    /// - Returns: False when the call is over.
    public mutating func transferCaller(to number: PhoneNumber, at now: MediaTime, into output: inout CallOutput)
        -> Bool
    {
        switch state {
        case .ringing:
            abandonAttempt(at: now)
            leaveAgent(into: &output)
            agentDeadline = nil
            agent.replace(NoConversation())
            output.actions.append(.closeAgent(code: 1000, reason: ""))
            transfer(to: number, at: now)
        case .streaming:
            note(.transferring(to: number.description), at: now)
            hangUp(EndReason(.transferred, number.description), at: now, into: &output)
        case .draining, .ended: return false
        }
        return true
    }

    private mutating func enterFailure(_ error: PipelineError, at now: MediaTime) {
        counters.agentFailureCodes[error.code, default: 0] += 1
        meters?.agentFailed(backend, error)
        note(.agentFailed(error), at: now)
        let isConnecting = choice.readySince == nil
        if let identity = identity(of: backendIndex) {
            health?.failed(
                identity, error, isConnecting: isConnecting, isProbe: isConnecting && choice.isProbe, at: now)
        }
        choice.attempt = nil
    }

    /// The agent is ready for the first time.
    mutating func attemptSucceeded(at now: MediaTime) {
        choice.readySince = now
        if let attempt = choice.attempt { health?.ready(attempt) }
        choice.attempt = nil
        // Nobody waits for words: the silence is the caller's.
        if takeover?.isAnswerAwaited == false { takeover = nil }
    }

    mutating func abandonAttempt(at now: MediaTime) {
        if let attempt = choice.attempt, choice.isProbe { health?.abandoned(attempt, at: now) }
        choice.attempt = nil
    }

    // MARK: By somebody's word

    /// Gives the call another of its own backends, by its place in the list.
    ///
    /// The new one is told what has been said, and must be ready as soon as after a failure. What is being said is cut at
    /// once, as by an interruption; what must not be cut is played to its end.
    ///
    /// - Returns: False when the call is over.
    /// - Throws: When there is no such backend or it cannot be opened; the call goes on with the one it has.
    public mutating func changeAgent(
        to index: Int, at now: MediaTime, into output: inout CallOutput
    ) throws(PipelineError) -> Bool {
        guard wantsAgent else { return false }
        guard backends.indices.contains(index) else {
            throw PipelineError(
                .agentUnknown, "the call has the agents 0 to \(backends.count - 1); there is no agent \(index)")
        }
        let mayCut = interruptibility.allows(played: ledger.played(at: now))
        let isSpeaking = isUtteranceOpen || !agent.isSilent || ledger.speechEnd > now || paused != nil
        let former = (backend, takeover)
        takeover = AgentTakeover(failedAt: now, isAnswerAwaited: isSpeaking && mayCut || isAnswerOwed)
        let session: AgentSession
        do {
            session = try open(backends[index], words: mayCut ? heardNow(at: now)?.text ?? "" : nil)
        } catch {
            takeover = former.1
            throw error
        }
        if state == .streaming {
            if isSpeaking, mayCut { interrupt(cause: "another agent was chosen", at: now, into: &output) }
            transcript.turnCame()
            isTurnOfFormer = isTurnOpen || isTurnEnding
        } else {
            takeover = nil
        }
        abandonAttempt(at: now)
        output.actions.append(.closeAgent(code: 1000, reason: ""))
        counters.agentChanges += 1
        backendIndex = index
        note(.agentChanged(from: former.0, to: backend), at: now)
        choice = AgentChoice(tried: [index], attempt: identity(of: index))
        begin(session, within: state == .streaming ? limits.agentTakeover : limits.agentReady, at: now, into: &output)
        pump(at: now, into: &output)
        return true
    }

    /// Gives the call a backend that it did not have.
    ///
    /// - Throws: Also when the call has been given ``CallLimits/agentChanges`` already.
    public mutating func changeAgent(
        to backend: any AgentBackend, identity: AgentIdentity? = nil, at now: MediaTime, into output: inout CallOutput
    ) throws(PipelineError) -> Bool {
        guard wantsAgent else { return false }
        guard backends.count - declaredBackends < limits.agentChanges else {
            throw PipelineError(.limitExceeded, "the call has been given \(limits.agentChanges) other agents already")
        }
        while identities.count < backends.count { identities.append(nil) }
        backends.append(backend)
        identities.append(identity)
        do {
            return try changeAgent(to: backends.count - 1, at: now, into: &output)
        } catch {
            backends.removeLast()
            identities.removeLast()
            throw error
        }
    }
}
