public import NIOCore
import PatchbayAudio

/// The agent's side of a call: opening backends in order, and what the current one says.
extension CallCore {
    /// The agent's socket is open.
    public mutating func agentConnected(link: Int, at now: MediaTime, into output: inout CallOutput) {
        guard wantsAgent else { return }
        if link == redial?.link {
            reconnected(link: link, at: now, into: &output)
        } else if link == self.link {
            agentOpened(at: now, into: &output)
        }
    }

    mutating func agentOpened(at now: MediaTime, into output: inout CallOutput) {
        agent.opened(at: now, into: &output.agent)
        if let callStart { agent.receive(.callStarted(callStart), at: now, into: &output.agent) }
        handleAgentEvents(at: now, into: &output)
    }

    /// The agent could not be reached.
    public mutating func agentUnreachable(
        _ error: PipelineError, link: Int, at now: MediaTime, into output: inout CallOutput
    ) {
        guard wantsAgent else { return }
        if link == redial?.link {
            redialFailed(error, at: now, into: &output)
        } else if link == self.link {
            agentFailed(error, at: now, into: &output)
        }
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
        guard link == self.link, wantsAgent else { return }
        isSocketDown = true
        // A socket whose successor is being dialled may go.
        guard redial == nil else { return redialNow(at: now, into: &output) }
        agent.closed(code: code, reason: reason, at: now, into: &output.agent)
        handleAgentEvents(at: now, into: &output)
    }

    /// The agent, or its new socket, is not ready in time.
    mutating func agentIsLate(at now: MediaTime, into output: inout CallOutput) {
        let error = PipelineError(
            .agentTimeout, "not ready within \(agentPatience.milliseconds / 1000) s", place: "agent \(backend)",
            isRetryable: true)
        if redial != nil {
            redialFailed(error, at: now, into: &output)
        } else {
            agentFailed(error, at: now, into: &output)
        }
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
            if let formats = agent.formats, formats == (input, format) {
                agent.resume(at: now, into: &output.agent)
                return
            }
            do {
                try agent.ready(input: input, output: format, at: now, into: &output.agent)
                counters.agentReadyAt = now
                agentMeters?.connecting.record((now - agentOpenedAt).seconds)
                note(.agentReady(backend: backend, input: input, output: format), at: now)
                if choice.readySince == nil { attemptSucceeded(at: now) }
            } catch {
                agentFailed(error, at: now, into: &output)
            }
        case .conversationStarted(let id):
            counters.conversationID = id
            note(.conversationStarted(id: id), at: now)
        case .text(let text):
            receive(text, at: now, into: &output)
        case .spoken(let characters, let span):
            transcript.spoken(characters, in: span)
        case .interruption(let cause):
            let (isOfFormer, isOfAgent) = (isFormerHeard, !isOnlyOursHeard)
            guard let heard = interrupt(cause: cause, at: now, into: &output)?.heard else { return }
            if isOfFormer {
                formerWasCut(heard, at: now, into: &output)
            } else if isOfAgent {
                agent.receive(.heard(heard), at: now, into: &output.agent)
            }
        case .hangup(let reason):
            agent.queue.append(.hangup(reason))
        case .transfer(let number):
            if let number = PhoneNumber(number) {
                transfer(to: number, at: now)
            } else {
                counters.agentFaults += 1
                let message = "it wants the caller transferred to \"\(number.prefix(32))\", which is no number (E.164)"
                note(.fault(peer: "agent", message: message), at: now)
            }
        case .toolCall(let call):
            runTool(call, at: now, into: &output)
        case .toolCallsCancelled(let ids):
            cancelTools(ids, into: &output)
        case .reconnect(let cause):
            redialAgent(cause, at: now, into: &output)
        case .fault(let message):
            counters.agentFaults += 1
            note(.fault(peer: "agent", message: message), at: now)
        case .failed(let error):
            agentFailed(error, at: now, into: &output)
        }
    }

    private mutating func receive(_ text: TextFrame, at now: MediaTime, into output: inout CallOutput) {
        if text.isFinal, !text.isCorrection {
            // Words that come when nothing is left to be said begin another turn.
            endTurnIfSaid()
            switch text.speaker {
            case .agent: transcript.textCame(text.text)
            case .caller:
                conversation.append(.caller, text.text)
                callerSpoke()
                sendToAgent(.userTurnEnded(TurnEnd(.agent)), at: now, into: &output)
            }
        } else if text.isFinal, text.speaker == .caller {
            conversation.correctCaller(text.text)
        } else if text.speaker == .agent, !text.isCorrection {
            transcript.textCame(text.text, isFinal: false)
        }
        var text = text
        text.generation = ledger.generation
        sendToCaller(.text(text), at: now, into: &output)
    }
}
