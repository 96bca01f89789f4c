public import NIOCore
import PatchbayAudio

/// The agent's side of a call: opening backends in order, and what the current one says.
extension CallCore {
    /// The agent's socket is open.
    public mutating func agentConnected(link: Int, at now: MediaTime, into output: inout CallOutput) {
        guard wantsAgent else { return }
        if link == nextLink {
            nextLink = nil
            self.link = link
        }
        guard link == self.link else { return }
        agentOpened(at: now, into: &output)
    }

    private mutating func agentOpened(at now: MediaTime, into output: inout CallOutput) {
        agent.opened(at: now, into: &output.agent)
        if let callStart { agent.receive(.callStarted(callStart), at: now, into: &output.agent) }
        handleAgentEvents(at: now, into: &output)
    }

    /// The agent could not be reached.
    public mutating func agentUnreachable(
        _ error: PipelineError, link: Int, at now: MediaTime, into output: inout CallOutput
    ) {
        guard wantsAgent, link == self.link || link == nextLink else { return }
        agentFailed(error, at: now, into: &output)
    }

    /// A message of the agent has come.
    public mutating func agentReceived(
        _ message: ByteBuffer, link: Int, at now: MediaTime, into output: inout CallOutput
    ) {
        guard link == self.link, wantsAgent else { return }
        agent.received(message, at: now, into: &output.agent)
        handleAgentEvents(at: now, into: &output)
    }

    /// A binary message of the agent has come.
    public mutating func agentReceived(
        binary message: ByteBuffer, link: Int, at now: MediaTime, into output: inout CallOutput
    ) {
        guard link == self.link, wantsAgent else { return }
        agent.received(binary: message, at: now, into: &output.agent)
        handleAgentEvents(at: now, into: &output)
    }

    /// The agent's socket is gone.
    public mutating func agentClosed(
        code: UInt16, reason: String, link: Int, at now: MediaTime, into output: inout CallOutput
    ) {
        // A socket whose successor is being dialled may go.
        guard link == self.link, nextLink == nil, wantsAgent else { return }
        agent.closed(code: code, reason: reason, at: now, into: &output.agent)
        handleAgentEvents(at: now, into: &output)
    }

    /// Opens the current backend, or the first after it that can be opened.
    mutating func openAgent(at now: MediaTime, into output: inout CallOutput) throws(PipelineError) {
        while true {
            guard backendIndex < backends.count else {
                throw PipelineError(.agentUnreachable, "the pipeline names no agent backend")
            }
            let session: AgentSession
            do {
                session = try backends[backendIndex].open(
                    AgentRequest(call: info, joint: agent.joint, tools: tools))
            } catch {
                note(.agentFailed(error), at: now)
                guard backendIndex + 1 < backends.count else { throw error }
                backendIndex += 1
                continue
            }
            changeLink()
            forgetTools(into: &output)
            endpoint = session.endpoint
            agent.replace(session.conversation)
            // In mid-call somebody is waiting on the line.
            agentDeadline =
                now + (state == .streaming && counters.agentFailures > 0 ? limits.agentTakeover : limits.agentReady)
            note(.agentConnecting(backend: backend), at: now)
            switch session.endpoint {
            case .local: agentOpened(at: now, into: &output)
            case .webSocket(let resolve):
                output.actions.append(.dialAgent(link: link, resolve: resolve))
            }
            return
        }
    }

    private mutating func changeLink() {
        lastLink += 1
        link = lastLink
        nextLink = nil
    }

    /// Dials the agent again for the conversation that runs; the audio that waits is kept.
    private mutating func reconnect(_ cause: String, at now: MediaTime, into output: inout CallOutput) {
        guard wantsAgent, nextLink == nil, case .webSocket(let resolve) = endpoint else { return }
        note(.agentReconnecting(backend: backend, cause: cause), at: now)
        lastLink += 1
        nextLink = lastLink
        agentDeadline = now + limits.agentReady
        output.actions.append(.redialAgent(link: lastLink, resolve: resolve))
    }

    /// The current backend is of no more use: the next one takes over, or the call ends with the failure.
    mutating func agentFailed(_ error: PipelineError, at now: MediaTime, into output: inout CallOutput) {
        guard wantsAgent else { return }
        counters.agentFailures += 1
        note(.agentFailed(error), at: now)
        agentDeadline = nil
        output.actions.append(.closeAgent(code: 1000, reason: ""))
        var failure = error
        if isAnotherTryPossible(after: error) {
            endUtterance(at: now, into: &output)
            forgetWords(at: now)
            do {
                try openAgent(at: now, into: &output)
                return
            } catch {
                failure = error
            }
        }
        // Nobody is left: what was said is played, then the call ends.
        changeLink()
        forgetTools(into: &output)
        agent.queue.append(.hangup(EndReason(.failure, "\(failure)")))
        pump(at: now, into: &output)
    }

    /// Moves on to the next backend; the last one gets a second chance where that can help.
    private mutating func isAnotherTryPossible(after error: PipelineError) -> Bool {
        if backendIndex + 1 < backends.count {
            backendIndex += 1
            return true
        }
        guard error.isRetryable, !hasRetried else { return false }
        hasRetried = true
        return true
    }

    /// Does what the agent's events ask for, in order, and sends what has become due.
    mutating func handleAgentEvents(at now: MediaTime, into output: inout CallOutput) {
        guard !output.agent.events.isEmpty else { return }
        while !output.agent.events.isEmpty {
            // Opening the next backend handles events inside this loop; that inner step finds the scratch empty.
            var events = eventScratch
            eventScratch = []
            swap(&events, &output.agent.events)
            let link = link
            for event in events {
                // Once the backend has been replaced, the rest of what it said is of no use.
                if case .ended = state { break }
                guard link == self.link else { break }
                handle(event, at: now, into: &output)
            }
            events.removeAll(keepingCapacity: true)
            eventScratch = events
        }
        pump(at: now, into: &output)
    }

    private mutating func handle(_ event: AgentEvent, at now: MediaTime, into output: inout CallOutput) {
        switch event {
        case .audio(let payload):
            let dropped = agent.queue.droppedBytes
            agent.queue.append(payload)
            if dropped == 0, agent.queue.droppedBytes > 0 {
                note(
                    .fault(peer: "agent", message: "audio beyond \(limits.agentBacklogBytes) waiting bytes is dropped"),
                    at: now)
            }
            transcript.audioCame(agent.duration(ofOutput: payload))
            isUtteranceOpen = true
            lastAgentAudio = now
        case .turnEnded:
            agent.queue.append(.turnEnded)
            transcript.turnCame()
        case .interruptible(let isAllowed):
            agent.queue.append(.interruptible(isAllowed))
        case .dtmf(let keys):
            for key in keys { sendToCaller(.dtmf(key), at: now, into: &output) }
        case .ready(let input, let format):
            agentDeadline = nil
            // After a reconnection the converters go on where they are.
            if let formats = agent.formats, formats == (input, format) { return }
            do {
                try agent.ready(input: input, output: format, at: now, into: &output.agent)
                counters.agentReadyAt = now
                note(.agentReady(backend: backend, input: input, output: format), at: now)
            } catch {
                agentFailed(error, at: now, into: &output)
            }
        case .conversationStarted(let id):
            counters.conversationID = id
            note(.conversationStarted(id: id), at: now)
        case .text(let text):
            receive(text, at: now, into: &output)
        case .interruption(let cause):
            if let heard = interrupt(cause: cause, at: now, into: &output)?.heard {
                agent.receive(.heard(heard), at: now, into: &output.agent)
            }
        case .hangup(let reason):
            agent.queue.append(.hangup(reason))
        case .transfer(let number):
            note(.transferring(to: number), at: now)
            agent.queue.append(.hangup(EndReason(.transferred, number)))
        case .toolCall(let call):
            runTool(call, at: now, into: &output)
        case .toolCallsCancelled(let ids):
            cancelTools(ids, into: &output)
        case .reconnect(let cause):
            reconnect(cause, at: now, into: &output)
        case .fault(let message):
            counters.agentFaults += 1
            note(.fault(peer: "agent", message: message), at: now)
        case .failed(let error):
            agentFailed(error, at: now, into: &output)
        }
    }

    private mutating func receive(_ text: TextFrame, at now: MediaTime, into output: inout CallOutput) {
        if text.isFinal, !text.isCorrection {
            // Not every vendor says when a turn is over. Words that come when nothing is left to be said begin another.
            if isTurnOpen, !isUtteranceOpen, agent.queue.isEmpty {
                isTurnOpen = false
                isTurnEnding = true
            }
            switch text.speaker {
            case .agent: transcript.textCame(text.text)
            case .caller: sendToAgent(.userTurnEnded(TurnEnd(.agent)), at: now, into: &output)
            }
        } else if text.speaker == .agent, !text.isCorrection {
            transcript.textCame(text.text, isFinal: false)
        }
        var text = text
        text.generation = ledger.generation
        sendToCaller(.text(text), at: now, into: &output)
    }
}
