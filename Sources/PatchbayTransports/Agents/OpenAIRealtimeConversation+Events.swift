import NIOCore
import PatchbayCore
import PatchbayWire

/// What the server's events mean.
extension OpenAIRealtimeConversation {
    mutating func handle(_ event: OpenAIRealtimeServerEvent, at now: MediaTime, into output: inout AgentOutput) {
        switch event {
        case .sessionCreated:
            guard phase == .connecting else { return }
            phase = .configuring
            send(.sessionUpdate(settings.session(format, tools: tools)), eventID: Request.session, into: &output)
        case .sessionUpdated(let session):
            if phase == .configuring { begin(session, at: now, into: &output) }
        case .error(let fault): failed(fault, at: now, into: &output)
        // Without a session that took our settings nothing else means anything.
        case _ where phase != .ready: break
        case .speechStarted(let itemID, _): callerBegan(itemID, into: &output)
        case .speechStopped: callerEnded()
        case .audioCommitted(let itemID, _): history.begin(itemID, .user)
        case .idleTimeout: responses.expectsAnswer = true
        case .inputTranscriptDelta(let itemID, let delta):
            let text = partials.append(delta, to: itemID)
            output.emit(.text(TextFrame(text, speaker: .caller, isFinal: false)))
        case .inputTranscriptDone(let itemID, let text):
            partials.remove(itemID)
            history.begin(itemID, .user)
            history.set(itemID, text)
            if !text.isEmpty { output.emit(.text(TextFrame(text, speaker: .caller))) }
        case .inputTranscriptFailed(_, let fault):
            output.emit(.fault("the caller's words could not be written down: \(fault)"))
        default: handleResponse(event, at: now, into: &output)
        }
    }

    private mutating func handleResponse(
        _ event: OpenAIRealtimeServerEvent, at now: MediaTime, into output: inout AgentOutput
    ) {
        switch event {
        case .responseCreated(let response): responseCreated(response.id, into: &output)
        case .responseDone(let response): responseDone(response, at: now, into: &output)
        case .transcriptDelta(let place, let delta), .textDelta(let place, let delta):
            guard !responses.isCut(place.responseID) else { return }
            let text = partials.append(delta, to: place.itemID)
            history.begin(place.itemID, .assistant)
            history.set(place.itemID, text)
            output.emit(.text(TextFrame(text, speaker: .agent, isFinal: false)))
        case .transcriptDone(let place, let text), .textDone(let place, let text):
            partials.remove(place.itemID)
            guard !responses.isCut(place.responseID), !text.isEmpty else { return }
            history.begin(place.itemID, .assistant)
            history.set(place.itemID, text)
            output.emit(.text(TextFrame(text, speaker: .agent)))
        case .outputItemAdded(let responseID, _, let item): note(item, of: responseID)
        case .outputItemDone(let responseID, _, let item):
            if case .functionCall(let call) = item.content, item.status != "incomplete" {
                run(call, of: responseID, into: &output)
            }
        case .argumentsDone(let place, var call):
            if call.name.isEmpty { call.name = calls.name(of: call.callID) ?? "" }
            // Without a name the finished item is waited for, which has it.
            if !call.name.isEmpty { run(call, of: place.responseID, into: &output) }
        default: break
        }
    }

    // MARK: The caller, as the server hears them

    private mutating func callerBegan(_ itemID: String, into output: inout AgentOutput) {
        guard !settings.takesTurns else { return }
        isCallerSpeaking = true
        responses.expectsAnswer = false
        history.begin(itemID, .user)
        guard settings.turnDetection?.interruptsResponse != false else { return }
        if isAudible || !spoken.isEmpty {
            output.emit(.interruption(cause: "the agent heard the caller"))
        } else if let active = responses.activeID {
            // The server has cancelled it; what is on its way of it is stale.
            responses.cut(active)
        }
    }

    private mutating func callerEnded() {
        guard !settings.takesTurns else { return }
        isCallerSpeaking = false
        guard settings.turnDetection?.createsResponse != false else { return }
        responses.expectsAnswer = true
        // Its answer covers what we would have asked for.
        responses.isWanted = false
        calls.hasNewOutputs = false
    }

    // MARK: Faults

    private mutating func failed(_ fault: OpenAIRealtimeFault, at now: MediaTime, into output: inout AgentOutput) {
        lastFault = fault
        let meaning = fault.meaning
        switch meaning {
        case .nothingToDo:
            // A turn without audio gets no answer either; a cancelled response ends by its own event.
            return
        case .responseActive:
            responses.isRequested = false
            responses.isWanted = true
        case .sessionExpired where phase == .ready:
            reconnect("the session has reached its longest duration", into: &output)
        case .unauthorized, .unknownModel, .quotaExceeded, .rateLimited:
            end(into: &output, with: .failed(PipelineError(meaning, "\(fault)")))
        case .invalidRequest where phase == .ready && fault.eventID == Request.cut:
            // The item was gone before we could cut it.
            return
        case .invalidRequest, .serverFailed, .sessionExpired:
            guard phase == .ready else {
                end(into: &output, with: .failed(PipelineError(meaning, "\(fault)")))
                return
            }
            if fault.eventID == Request.response { responses.isRequested = false }
            output.emit(.fault("the agent reports: \(fault)"))
        }
    }

    /// What our events are called, so that an error tells what it is about.
    enum Request {
        static let session = "session"
        static let response = "response"
        static let cut = "cut"
        static let tool = "tool"
    }
}
