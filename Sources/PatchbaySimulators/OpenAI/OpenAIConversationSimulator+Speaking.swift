import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

// The model's answers: what they say, how fast they are sent, and how they are cut off.
extension OpenAIConversationSimulator {
    /// How much of the results of functions is spoken.
    private static let maximumSpokenResult = 300
    private static let exactWords = "Say exactly this and nothing else: "

    mutating func createResponse(
        _ options: OpenAIRealtimeClientEvent.ResponseOptions, at now: MediaTime, into output: inout SimulatorOutput
    ) throws(OpenAIRealtimeFault) {
        if let active = response {
            throw OpenAIRealtimeFault(
                code: "conversation_already_has_active_response",
                message: "Conversation already has an active response in progress: \(active.id).")
        }
        beginResponse(options, at: now, into: &output)
    }

    mutating func beginResponse(
        _ options: OpenAIRealtimeClientEvent.ResponseOptions, at now: MediaTime, into output: inout SimulatorOutput
    ) {
        timers[.idle] = nil
        let id = name("resp")
        response = Response(id: id, options: options)
        record { $0.responses += 1 }
        send(.responseCreated(.init(id: id, status: "in_progress", conversationID: "conv")), into: &output)
        send(
            .rateLimits([.init(name: "tokens", limit: 50_000, remaining: 49_000, resetSeconds: 0.5)]), into: &output)
        timers[.thinking] = now + model.timing.thinking
    }

    /// The model has thought.
    mutating func speak(at now: MediaTime, into output: inout SimulatorOutput) {
        guard let response else { return }
        if let code = model.faults.failResponses {
            let fault = OpenAIRealtimeFault(type: code, code: code, message: "The simulator was told to fail: \(code).")
            finishResponse("failed", fault: fault, at: now, into: &output)
            return
        }
        if unansweredOutputs.isEmpty, callTools(at: now, into: &output) { return }
        guard let (text, isLine) = nextWords(response.options) else {
            finishResponse("completed", at: now, into: &output)
            return
        }
        if session.outputModalities == ["text"] {
            write(text, at: now, into: &output)
        } else if isLine, let known = utterances(session.outputFormat ?? .pcm24k)[text] {
            begin(known, at: now, into: &output)
        } else {
            self.response?.isPreparing = true
            requestSpeech(text, into: &output)
        }
    }

    /// - Returns: What is said next, and whether it is a line of the script.
    private mutating func nextWords(_ options: OpenAIRealtimeClientEvent.ResponseOptions) -> (String, isLine: Bool)? {
        let script = model.script
        if !unansweredOutputs.isEmpty {
            let result = String(unansweredOutputs.joined(separator: ", ").prefix(Self.maximumSpokenResult))
            let hasFailed = unansweredOutputs.contains { $0.hasPrefix(#"{"error""#) }
            unansweredOutputs = []
            let template = hasFailed ? script.toolFailureReply : script.toolReply
            let placeholder = SimulatedAgentScript.resultPlaceholder
            return template.isEmpty
                ? nil : (template.replacing(placeholder, with: result), !template.contains(placeholder))
        }
        if let instructions = options.instructions, let range = instructions.firstRange(of: Self.exactWords) {
            hasGreeted = true
            return (String(instructions[range.upperBound...]), false)
        }
        if userTurns == 0, !hasGreeted {
            hasGreeted = true
            return script.greeting.isEmpty ? nil : (script.greeting, true)
        }
        let lines = script.replies + [script.goodbye].compactMap(\.self)
        guard !lines.isEmpty else { return nil }
        defer { nextReply += 1 }
        return (lines[nextReply % lines.count], true)
    }

    // MARK: Sound

    mutating func begin(_ utterance: SimulatedUtterance, at now: MediaTime, into output: inout SimulatorOutput) {
        guard response != nil else { return }
        let id = beginItem(into: &output)
        response?.isPreparing = false
        response?.itemID = id
        response?.utterance = utterance.text
        response?.rest = utterance.audio
        response?.byteCount = utterance.audio.readableBytes
        if let place = response?.place {
            send(.contentPartAdded(place, .init(type: "audio", transcript: "")), into: &output)
        }
        if let index = items.firstIndex(where: { $0.id == id }) { items[index].audioMilliseconds = 0 }
        sendChunk(at: now, into: &output)
    }

    private mutating func beginItem(into output: inout SimulatorOutput) -> String {
        let id = name("item")
        let item = OpenAIRealtimeItem(.message(.assistant, []), id: id, status: "in_progress")
        send(.outputItemAdded(responseID: response?.id ?? "", outputIndex: 0, item), into: &output)
        return add(item, isDone: false, into: &output)
    }

    /// Sends the next piece of sound with the words in it.
    mutating func sendChunk(at now: MediaTime, into output: inout SimulatorOutput) {
        guard var current = response, var rest = current.rest else { return }
        let format = session.outputFormat ?? .pcm24k
        let size = AudioFormat(simulated: format).byteCount(
            milliseconds: max(20, Int(model.timing.chunk.milliseconds)))
        if let piece = rest.readSlice(length: min(size, rest.readableBytes)), piece.readableBytes > 0 {
            let isFirst = current.sentBytes == 0
            current.sentBytes += piece.readableBytes
            let words = Self.words(current.utterance, current.sentBytes, of: current.byteCount)
            let new = String(words.dropFirst(current.sentText.count))
            current.sentText = words
            if !new.isEmpty { send(.transcriptDelta(current.place, new), into: &output) }
            send(audio: piece, at: current.place, into: &output)
            if isFirst, model.faults.malformedJSON {
                output.messages.text { $0.writeStaticString(#"{"type":"response.output_audio.delta","delta":"#) }
            }
        }
        current.rest = rest
        response = current
        if let index = items.firstIndex(where: { $0.id == current.itemID }) {
            items[index].audioMilliseconds = format.milliseconds(byteCount: current.sentBytes)
        }
        if rest.readableBytes > 0 {
            let pause = Double(model.timing.chunk.nanoseconds) / max(0.1, model.timing.pace)
            timers[.chunk] = now + max(.milliseconds(1), TimeSpan(nanoseconds: Int64(pause)))
        } else {
            finishItem("completed", into: &output)
            finishResponse("completed", at: now, into: &output)
        }
    }

    /// The words that are spoken in so many bytes; transcripts run a little ahead of the sound.
    private static func words(_ text: String, _ sent: Int, of whole: Int) -> String {
        guard sent < whole, whole > 0 else { return text }
        let count = min(text.count, text.count * sent / whole + 8)
        return String(text.prefix(count))
    }

    private mutating func finishItem(_ status: String, into output: inout SimulatorOutput) {
        guard let current = response, !current.itemID.isEmpty else { return }
        send(.audioDone(current.place), into: &output)
        send(.transcriptDone(current.place, current.sentText), into: &output)
        let part = OpenAIRealtimeItem.Part(type: "audio", transcript: current.sentText)
        send(.contentPartDone(current.place, part), into: &output)
        complete(current.itemID, .init(type: "output_audio", transcript: current.sentText), status, into: &output)
    }

    private mutating func complete(
        _ id: String, _ part: OpenAIRealtimeItem.Part, _ status: String, into output: inout SimulatorOutput
    ) {
        guard let index = items.firstIndex(where: { $0.id == id }) else { return }
        items[index].wire.content = .message(.assistant, [part])
        items[index].wire.status = status
        let item = items[index].wire
        send(.itemDone(item, previousItemID: index > 0 ? items[index - 1].id : nil), into: &output)
        send(.outputItemDone(responseID: response?.id ?? "", outputIndex: 0, item), into: &output)
    }

    /// An answer in text.
    private mutating func write(_ text: String, at now: MediaTime, into output: inout SimulatorOutput) {
        let id = beginItem(into: &output)
        response?.itemID = id
        guard let place = response?.place else { return }
        send(.contentPartAdded(place, .init(type: "text", text: "")), into: &output)
        send(.textDelta(place, text), into: &output)
        send(.textDone(place, text), into: &output)
        send(.contentPartDone(place, .init(type: "text", text: text)), into: &output)
        complete(id, .init(type: "output_text", text: text), "completed", into: &output)
        finishResponse("completed", at: now, into: &output)
    }

    // MARK: Ends

    mutating func finishResponse(
        _ status: String, reason: String? = nil, fault: OpenAIRealtimeFault? = nil, at now: MediaTime,
        into output: inout SimulatorOutput
    ) {
        guard let finished = response else { return }
        response = nil
        timers[.thinking] = nil
        timers[.chunk] = nil
        let made = items.filter { $0.id == finished.itemID }.map(\.wire)
        send(
            .responseDone(
                .init(
                    id: finished.id, status: status, reason: reason, fault: fault, output: made, conversationID: "conv",
                    usage: .init(total: 30, input: 10, output: 20))),
            into: &output)
        if status == "completed" {
            let format = AudioFormat(simulated: session.outputFormat ?? .pcm24k)
            awaitCaller(
                after: TimeSpan(nanoseconds: format.nanoseconds(byteCount: finished.sentBytes)), at: now)
        }
    }

    mutating func cancelResponse(_ reason: String, at now: MediaTime, into output: inout SimulatorOutput) {
        guard let cut = response else { return }
        record { $0.cancelledResponses += 1 }
        finishItem("incomplete", into: &output)
        finishResponse("cancelled", reason: reason, at: now, into: &output)
        if model.faults.lateAudio, var rest = cut.rest, let late = rest.readSlice(length: min(1600, rest.readableBytes))
        {
            send(audio: late, at: cut.place, into: &output)
        }
    }

    // MARK: Functions

    /// Calls what the script says for this turn, as far as the session has such a function.
    ///
    /// - Returns: Whether anything was called; the response is over then.
    private mutating func callTools(at now: MediaTime, into output: inout SimulatorOutput) -> Bool {
        let declared = Set((session.tools ?? []).map(\.name))
        let due = model.script.tools.indices.filter { index in
            let tool = model.script.tools[index]
            return tool.afterTurn == userTurns && !calledTools.contains(index) && declared.contains(tool.name)
        }
        guard !due.isEmpty, let responseID = response?.id else { return false }
        for (position, index) in due.enumerated() {
            calledTools.insert(index)
            let tool = model.script.tools[index]
            var call = OpenAIRealtimeItem.FunctionCall(callID: name("call"), name: tool.name)
            let id = name("item")
            let place = OpenAIRealtimeServerEvent.Place(responseID: responseID, itemID: id, outputIndex: position)
            var item = OpenAIRealtimeItem(.functionCall(call), id: id, status: "in_progress")
            send(.outputItemAdded(responseID: responseID, outputIndex: position, item), into: &output)
            add(item, isDone: false, into: &output)
            send(.argumentsDelta(place, callID: call.callID, tool.parameters), into: &output)
            call.arguments = tool.parameters
            send(.argumentsDone(place, call), into: &output)
            item.content = .functionCall(call)
            item.status = "completed"
            if let entry = items.firstIndex(where: { $0.id == id }) { items[entry].wire = item }
            send(.itemDone(item, previousItemID: nil), into: &output)
            send(.outputItemDone(responseID: responseID, outputIndex: position, item), into: &output)
        }
        finishResponse("completed", at: now, into: &output)
        return true
    }
}
