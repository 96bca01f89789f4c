extension OpenAIRealtimeServerEvent {
    /// Items of a finished response that are read; more are ignored.
    static let maximumOutput = 256

    /// Decodes any event but an audio delta.
    static func decode(_ object: JSONObject, type: String) throws(WireError) -> OpenAIRealtimeServerEvent {
        switch type {
        case "session.created": .sessionCreated(OpenAIRealtimeSession(try object.requiredObject("session", in: type)))
        case "session.updated": .sessionUpdated(OpenAIRealtimeSession(try object.requiredObject("session", in: type)))
        case "conversation.created":
            .conversationCreated(id: object.object("conversation")?.string("id") ?? "")
        case "conversation.item.added", "conversation.item.created":
            .itemAdded(try item(object, type), previousItemID: object.string("previous_item_id"))
        case "conversation.item.done":
            .itemDone(try item(object, type), previousItemID: object.string("previous_item_id"))
        case "conversation.item.retrieved": .itemRetrieved(try item(object, type))
        case "conversation.item.deleted": .itemDeleted(id: try object.requiredString("item_id", in: type))
        case "conversation.item.truncated":
            .itemTruncated(
                id: try object.requiredString("item_id", in: type), contentIndex: object.integer("content_index") ?? 0,
                audioEndMs: object.integer("audio_end_ms") ?? 0)
        case "conversation.item.input_audio_transcription.delta":
            .inputTranscriptDelta(itemID: object.string("item_id") ?? "", object.string("delta") ?? "")
        case "conversation.item.input_audio_transcription.completed":
            .inputTranscriptDone(
                itemID: object.string("item_id") ?? "", try object.requiredString("transcript", in: type))
        case "conversation.item.input_audio_transcription.failed":
            .inputTranscriptFailed(itemID: object.string("item_id") ?? "", fault(object))
        case "input_audio_buffer.speech_started":
            .speechStarted(itemID: object.string("item_id") ?? "", audioStartMs: object.integer("audio_start_ms") ?? 0)
        case "input_audio_buffer.speech_stopped":
            .speechStopped(itemID: object.string("item_id") ?? "", audioEndMs: object.integer("audio_end_ms") ?? 0)
        case "input_audio_buffer.committed":
            .audioCommitted(
                itemID: object.string("item_id") ?? "", previousItemID: object.string("previous_item_id"))
        case "input_audio_buffer.cleared": .audioCleared
        case "input_audio_buffer.timeout_triggered": .idleTimeout(itemID: object.string("item_id") ?? "")
        case "input_audio_buffer.dtmf_event_received": .keyPressed(object.string("event") ?? "")
        case "rate_limits.updated": .rateLimits(rateLimits(object))
        case "error": .error(fault(object))
        default: try decodeResponse(object, type: type)
        }
    }

    /// The events of a response.
    private static func decodeResponse(
        _ object: JSONObject, type: String
    ) throws(WireError) -> OpenAIRealtimeServerEvent {
        switch type {
        case "response.created": .responseCreated(try response(object, type))
        case "response.done": .responseDone(try response(object, type))
        case "response.output_item.added":
            .outputItemAdded(
                responseID: object.string("response_id") ?? "", outputIndex: object.integer("output_index") ?? 0,
                try item(object, type))
        case "response.output_item.done":
            .outputItemDone(
                responseID: object.string("response_id") ?? "", outputIndex: object.integer("output_index") ?? 0,
                try item(object, type))
        case "response.content_part.added": .contentPartAdded(Place(object), part(object))
        case "response.content_part.done": .contentPartDone(Place(object), part(object))
        case "response.output_audio.done", "response.audio.done": .audioDone(Place(object))
        case "response.output_audio_transcript.delta", "response.audio_transcript.delta":
            .transcriptDelta(Place(object), object.string("delta") ?? "")
        case "response.output_audio_transcript.done", "response.audio_transcript.done":
            .transcriptDone(Place(object), object.string("transcript") ?? "")
        case "response.output_text.delta", "response.text.delta":
            .textDelta(Place(object), object.string("delta") ?? "")
        case "response.output_text.done", "response.text.done":
            .textDone(Place(object), object.string("text") ?? "")
        case "response.function_call_arguments.delta":
            .argumentsDelta(
                Place(object), callID: object.string("call_id") ?? "", object.string("delta") ?? "")
        case "response.function_call_arguments.done":
            .argumentsDone(
                Place(object),
                OpenAIRealtimeItem.FunctionCall(
                    callID: try object.requiredString("call_id", in: type), name: object.string("name") ?? "",
                    arguments: object.string("arguments") ?? ""))
        default: .other(type: String(type.prefix(200)))
        }
    }

    private static func item(_ object: JSONObject, _ type: String) throws(WireError) -> OpenAIRealtimeItem {
        try OpenAIRealtimeItem(object.requiredObject("item", in: type))
    }

    private static func part(_ object: JSONObject) -> OpenAIRealtimeItem.Part {
        let part = object.object("part")
        return OpenAIRealtimeItem.Part(
            type: part?.string("type") ?? "", text: part?.string("text"), transcript: part?.string("transcript"))
    }

    private static func fault(_ object: JSONObject) -> OpenAIRealtimeFault {
        // Some servers put the fields into the event itself.
        OpenAIRealtimeFault(object.object("error") ?? object)
    }

    private static func response(_ event: JSONObject, _ type: String) throws(WireError) -> Response {
        let object = try event.requiredObject("response", in: type)
        let details = object.object("status_details")
        var output: [OpenAIRealtimeItem] = []
        for value in (object["output"]?.elements ?? []).prefix(maximumOutput) {
            if let item = value.object { output.append(try OpenAIRealtimeItem(item)) }
        }
        return Response(
            id: object.string("id") ?? "", status: object.string("status") ?? "", reason: details?.string("reason"),
            fault: details?.object("error").map { OpenAIRealtimeFault($0) }, output: output,
            conversationID: object.string("conversation_id"),
            usage: object.object("usage").map {
                Usage(
                    total: $0.integer("total_tokens") ?? 0, input: $0.integer("input_tokens") ?? 0,
                    output: $0.integer("output_tokens") ?? 0)
            })
    }

    private static func rateLimits(_ object: JSONObject) -> [RateLimit] {
        (object["rate_limits"]?.elements ?? []).prefix(16).compactMap(\.object).map {
            RateLimit(
                name: $0.string("name") ?? "", limit: $0.integer("limit") ?? 0,
                remaining: $0.integer("remaining") ?? 0, resetSeconds: $0.number("reset_seconds") ?? 0)
        }
    }
}

extension OpenAIRealtimeServerEvent.Place {
    init(_ object: JSONObject) {
        self.init(
            responseID: object.string("response_id") ?? "", itemID: object.string("item_id") ?? "",
            outputIndex: object.integer("output_index") ?? 0, contentIndex: object.integer("content_index") ?? 0)
    }
}
