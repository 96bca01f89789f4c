import NIOCore
import PatchbayCore
import PatchbayWire

/// Answers of the model: asking for them, cutting them, running what they call.
extension OpenAIRealtimeConversation {
    /// Asks for an answer, at once or as soon as the one before is finished: the API makes one at a time.
    mutating func requestResponse(
        instructions: String? = nil, at now: MediaTime, into output: inout AgentOutput
    ) {
        guard !responses.isActive, !responses.isRequested else {
            responses.isWanted = true
            return
        }
        responses.isWanted = false
        calls.hasNewOutputs = false
        responses.isRequested = true
        send(.createResponse(.init(instructions: instructions)), eventID: Request.response, into: &output)
        watch(at: now)
    }

    mutating func responseCreated(_ id: String, into output: inout AgentOutput) {
        responses.created(id)
        if responses.cutsNext {
            // The caller spoke between our request and its answer.
            responses.cutsNext = false
            responses.cut(id)
            send(.cancelResponse(id: id), eventID: Request.cut, into: &output)
        }
    }

    mutating func responseDone(
        _ response: OpenAIRealtimeServerEvent.Response, at now: MediaTime, into output: inout AgentOutput
    ) {
        guard phase == .ready else { return }
        responses.done()
        for item in response.output {
            // What came in its own event already is not run twice.
            guard case .functionCall(let call) = item.content, item.status != "incomplete" else { continue }
            run(call, of: response.id, into: &output)
        }
        if spoken.responseEnded(response.id), !responses.isCut(response.id) { output.emit(.turnEnded) }
        if response.status == "failed" {
            responseFailed(response, at: now, into: &output)
        } else {
            responses.failures = 0
            if response.status == "incomplete" {
                output.emit(.fault("an answer was left incomplete: \(response.reason ?? "no reason given")"))
            }
        }
        guard phase == .ready else { return }
        sendToolOutputs(at: now, into: &output)
        if responses.isWanted, !isAnswerComing { requestResponse(at: now, into: &output) }
    }

    /// Whether the server answers by itself when the caller has finished.
    private var isAnswerComing: Bool {
        !settings.takesTurns && settings.turnDetection?.createsResponse != false && isCallerSpeaking
    }

    private mutating func responseFailed(
        _ response: OpenAIRealtimeServerEvent.Response, at now: MediaTime, into output: inout AgentOutput
    ) {
        responses.failures += 1
        let fault =
            response.fault
            ?? OpenAIRealtimeFault(type: "server_error", message: response.reason ?? "the response failed")
        lastFault = fault
        let words = "an answer failed: \(fault)"
        switch fault.meaning {
        case .unauthorized, .unknownModel, .quotaExceeded, .rateLimited:
            end(into: &output, with: .failed(PipelineError(fault.meaning, words)))
        case .sessionExpired:
            reconnect("the session has reached its longest duration", into: &output)
        case .serverFailed, .invalidRequest, .nothingToDo, .responseActive:
            if responses.failures >= Self.maximumFailedResponses {
                end(into: &output, with: .failed(PipelineError(.serverFailed, words)))
            } else {
                // The vendor advises to try again.
                output.emit(.fault(words))
                responses.isWanted = true
            }
        }
    }

    // MARK: Interruptions

    /// The caller interrupts: what they have not heard is taken from the model's memory, and what still comes is dropped.
    ///
    /// - Parameters:
    ///   - duration: What was heard of the turn that is played; `nil` counts as nothing.
    ///   - cancels: Whether the server has to be told to stop; with its own turn detection it knows.
    mutating func cut(
        _ duration: TimeSpan?, cancels: Bool = true, at now: MediaTime, into output: inout AgentOutput
    ) {
        guard phase == .ready else {
            spoken.reset()
            return
        }
        responses.wasJustCut = true
        responses.isWanted = false
        if let active = responses.activeID {
            if cancels, !responses.isCut(active) {
                send(.cancelResponse(id: active.isEmpty ? nil : active), eventID: Request.cut, into: &output)
            }
            responses.cut(active)
        } else if responses.isRequested, cancels {
            responses.cutsNext = true
        }
        for cut in spoken.cut(heard: duration ?? .zero) {
            switch cut {
            case .truncate(let itemID, let contentIndex, let audioEndMs, let share):
                send(
                    .truncateItem(id: itemID, contentIndex: contentIndex, audioEndMs: audioEndMs),
                    eventID: Request.cut, into: &output)
                let words = history.cut(itemID, to: share)
                if !words.isEmpty {
                    output.emit(.text(TextFrame(words, speaker: .agent, isCorrection: true)))
                }
            case .delete(let itemID):
                send(.deleteItem(id: itemID), eventID: Request.cut, into: &output)
                history.remove(itemID)
            }
        }
        watch(at: now)
    }

    // MARK: Functions

    /// An item begins: the name of a function comes with it, in older protocols only there.
    mutating func note(_ item: OpenAIRealtimeItem, of responseID: String) {
        if case .functionCall(let call) = item.content { calls.note(call) }
    }

    mutating func run(
        _ call: OpenAIRealtimeItem.FunctionCall, of responseID: String, into output: inout AgentOutput
    ) {
        guard phase == .ready, !responses.isCut(responseID), calls.begin(call) else { return }
        output.emit(
            .toolCall(
                ToolCall(
                    id: call.callID, name: call.name, arguments: call.arguments.isEmpty ? "{}" : call.arguments)))
    }

    /// Sends the answers that are there. The model goes on when it has all of them and has finished speaking.
    mutating func sendToolOutputs(at now: MediaTime, into output: inout AgentOutput) {
        guard phase == .ready else { return }
        for answer in calls.takeAnswers() {
            switch answer {
            case .output(let callID, let text):
                let item = OpenAIRealtimeItem(.functionCallOutput(callID: callID, output: text))
                send(.createItem(item, previousItemID: nil), eventID: Request.tool, into: &output)
            case .late(let name, let text):
                // Called in a session that is gone: this one knows nothing of the call.
                let context = "The tool \(name) has answered: \(text)"
                history.append(.system, context)
                send(.createItem(.text(.system, context), previousItemID: nil), into: &output)
            }
            calls.hasNewOutputs = true
        }
        // While the caller speaks the server's own answer is waited for, which knows the outputs.
        guard calls.hasNewOutputs, calls.isEmpty, !responses.isActive, !responses.isRequested, !isAnswerComing else {
            return
        }
        requestResponse(at: now, into: &output)
    }
}
