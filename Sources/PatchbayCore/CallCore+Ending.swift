/// Time and endings: deadlines, limits, the orderly goodbye.
extension CallCore {
    /// How long after its audio should have been played a final mark is waited for.
    static let markPatience = TimeSpan.seconds(1)

    /// Time has passed. Called every packet duration.
    public mutating func tick(at now: MediaTime, into output: inout CallOutput) {
        switch state {
        case .ended:
            return
        case .draining(let reason, let until):
            if now >= until {
                counters.marksMissed += 1
                finish(reason, at: now, into: &output)
            }
            return
        case .ringing:
            if now - createdAt >= limits.stream {
                finish(
                    EndReason(.noStream, "no stream within \(limits.stream.milliseconds / 1000) s"), at: now,
                    into: &output)
                return
            }
        case .streaming:
            if now - lastCarrierMessage >= limits.idle {
                let silence = limits.idle.milliseconds / 1000
                finish(EndReason(.idle, "nothing heard from the carrier for \(silence) s"), at: now, into: &output)
                return
            }
            if now - counters.streamStartedAt >= limits.maximumDuration {
                let seconds = limits.maximumDuration.milliseconds / 1000
                beginDraining(EndReason(.maximumDuration, "\(seconds) s"), at: now, into: &output)
                return
            }
        }
        runDeadlines(at: now, into: &output)
        if isUtteranceOpen, agent.isRunDry, now - lastAgentAudio >= limits.utterancePause {
            agent.queue.append(.pause)
        }
        bridgeIfDue(at: now, into: &output)
        if let paused, now - paused.since >= limits.bargeIn { resumePlayback(at: now, into: &output) }
        // Nothing waits here and nothing is ahead at the carrier: whatever delay there was is gone.
        if ledger.debt > .zero, agent.isRunDry, ledger.speechEnd <= now { ledger.repay(ledger.debt) }
        playWaitingSound(at: now, into: &output)
        pump(at: now, into: &output)
        noticeSpeaking(at: now, into: &output)
    }

    /// Tells the caller's leg when the agent becomes audible and when it has been played to its end.
    private mutating func noticeSpeaking(at now: MediaTime, into output: inout CallOutput) {
        guard case .streaming = state else { return }
        // An announcement is nobody's turn.
        let isAnnounced = !isAnnouncing && ledger.played(at: now) >= announcementEnd
        let isSpeaking =
            paused != nil
            || isAnnounced && (isUtteranceOpen || ledger.speechEnd > now || !agent.isSilent)
        if !isSpeaking { turnHeard(at: now, into: &output) }
        guard isSpeaking != isAgentSpeaking else { return }
        isAgentSpeaking = isSpeaking
        sendToAgent(isSpeaking ? .agentStartedSpeaking : .agentStoppedSpeaking, at: now, into: &output)
    }

    private mutating func runDeadlines(at now: MediaTime, into output: inout CallOutput) {
        do {
            try toAgent.deadlinesReached(at: now)
            try toCaller.deadlinesReached(at: now)
        } catch {
            finish(EndReason(.failure, error.description), at: now, into: &output)
            return
        }
        collectForAgent(at: now, into: &output)
        collectForCaller(at: now, into: &output)
        if let deadline = agent.deadline, deadline <= now {
            agent.deadlineReached(at: now, into: &output.agent)
            handleAgentEvents(at: now, into: &output)
        }
        redialIfDue(at: now, into: &output)
        if let deadline = agentDeadline, deadline <= now { agentIsLate(at: now, into: &output) }
    }

    /// Results of an asynchronous stage have come.
    public mutating func deliver(
        _ frames: [Frame], behind joint: Joint, at now: MediaTime, into output: inout CallOutput
    ) {
        if case .ended = state { return }
        do {
            for frame in frames {
                if case .interruption(let interruption) = frame {
                    interruptAgent(interruption.cause, at: now, into: &output)
                    continue
                }
                switch joint.leg {
                case .toAgent: try toAgent.send(frame, before: joint.index, at: now)
                case .toCaller: try toCaller.send(frame, before: joint.index, at: now)
                }
            }
        } catch {
            finish(EndReason(.failure, error.description), at: now, into: &output)
            return
        }
        collectForAgent(at: now, into: &output)
        collectForCaller(at: now, into: &output)
    }

    /// Ends the call from outside: what the carrier holds is played, what waits here is not.
    public mutating func hangUp(_ reason: EndReason, at now: MediaTime, into output: inout CallOutput) {
        switch state {
        case .ringing: finish(reason, at: now, into: &output)
        case .streaming: beginDraining(reason, at: now, into: &output)
        case .draining, .ended: break
        }
    }

    /// Ends the call now, without waiting for anything.
    public mutating func cancel(_ reason: EndReason, at now: MediaTime, into output: inout CallOutput) {
        finish(reason, at: now, into: &output)
    }

    /// The last words are on their way: waits for the carrier to confirm that they were played.
    mutating func beginDraining(_ reason: EndReason, at now: MediaTime, into output: inout CallOutput) {
        guard case .streaming = state else { return }
        note(.hangingUp(reason), at: now)
        if paused != nil {
            // What waits for a decision is not said any more.
            counters.heard = heardNow(at: now) ?? counters.heard
            isTurnOpen = false
            isTurnEnding = false
            paused = nil
        }
        padLastPacket(at: now, into: &output)
        let mark = ledger.placeMark()
        carrier.mark(mark, into: &output.carrier)
        finalMark = mark
        output.actions.append(.closeAgent(code: 1000, reason: ""))
        state = .draining(reason, until: now + ledger.unplayed(at: now) + Self.markPatience)
    }

    mutating func finish(_ reason: EndReason, at now: MediaTime, into output: inout CallOutput) {
        if case .ended = state { return }
        closeTurn(at: now, into: &output)
        state = .ended(reason)
        abandonAttempt(at: now)
        counters.endedAt = now
        counters.played = ledger.played(at: now)
        // A stage that fails on the last frame changes nothing: the call is over already.
        try? toAgent.send(.callEnded(reason), at: now)
        try? toCaller.send(.callEnded(reason), at: now)
        agent.receive(.callEnded(reason), at: now, into: &output.agent)
        for tap in taps { tap.ended(at: callerTrack.position(of: now)) }
        note(.ended(reason), at: now)
        output.actions.append(.closeAgent(code: 1000, reason: ""))
        output.actions.append(.closeCarrier(code: reason.kind == .shutdown ? 1001 : 1000, reason: ""))
        output.actions.append(.finished(reason))
    }
}
