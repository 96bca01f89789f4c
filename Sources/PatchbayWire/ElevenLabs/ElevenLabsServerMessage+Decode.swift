public import NIOCore

extension ElevenLabsServerMessage {
    /// Decodes one message.
    ///
    /// `audio` and `ping` are read in one pass and without allocation; audio of megabytes makes `audio` grow once.
    /// Unknown types and fields and absent optional fields are no errors, and integers may be written as strings.
    /// - Parameters:
    ///   - message: One whole text message, from its reader index on.
    ///   - audio: The bytes of an `audio` message are appended here. Keep and clear one buffer between messages, and
    ///     its memory is used again. Unchanged when this throws.
    ///   - maximumAudio: Largest audio of one message in decoded bytes.
    public static func decode(
        _ message: ByteBuffer, audio: inout ByteBuffer, maximumAudio: Int = 16 << 20
    ) throws(WireError) -> ElevenLabsServerMessage {
        var alignment: ElevenLabsAlignment?
        return try decode(message, audio: &audio, alignment: &alignment, maximumAudio: maximumAudio)
    }

    /// Decodes one message, and how far the words of its audio are aligned with it.
    ///
    /// - Parameter alignment: Set to what an `audio` message tells, to `nil` by every other.
    public static func decode(
        _ message: ByteBuffer, audio: inout ByteBuffer, alignment: inout ElevenLabsAlignment?,
        maximumAudio: Int = 16 << 20
    ) throws(WireError) -> ElevenLabsServerMessage {
        alignment = nil
        return try message.withUnsafeReadableBytes {
            (bytes: UnsafeRawBufferPointer) throws(WireError) -> ElevenLabsServerMessage in
            var scanner = try JSONScanner(bytes)
            if let hot = try decodeHot(&scanner, audio: &audio, alignment: &alignment, limit: maximumAudio) {
                return hot
            }
            return try decodeRare(JSONObject(message: bytes), audio: &audio, limit: maximumAudio)
        }
    }

    // MARK: The hot messages

    private enum Hot { case audio, ping }

    private struct Fields {
        var type: Hot?
        var eventId: Int?
        var pingMs: Int?
        var audio: JSONString?
        var alignment: ElevenLabsAlignment?
    }

    /// `nil` when the message is another one, or so unusual that the general reader must look at it.
    private static func decodeHot(
        _ scanner: inout JSONScanner, audio: inout ByteBuffer, alignment: inout ElevenLabsAlignment?, limit: Int
    ) throws(WireError) -> ElevenLabsServerMessage? {
        var fields = Fields()
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard key.isPlain else { return nil }
            let opening = try scanner.peek()
            if scanner.matches(key, "type"), opening == UInt8(ascii: "\"") {
                let type = try scanner.scanString()
                if scanner.matches(type, "audio") {
                    fields.type = .audio
                } else if scanner.matches(type, "ping") {
                    fields.type = .ping
                } else {
                    return nil
                }
            } else if scanner.matches(key, "audio_event") || scanner.matches(key, "ping_event"),
                opening == UInt8(ascii: "{")
            {
                guard try scanEvent(&scanner, into: &fields) else { return nil }
            } else {
                try scanner.skipValue(depth: 1)
            }
        }
        try scanner.finish()
        switch fields.type {
        case .audio:
            guard let text = fields.audio else { return nil }
            let count = try scanner.appendBase64(text, limit: limit, to: &audio)
            alignment = fields.alignment
            return .audio(eventId: fields.eventId, byteCount: count)
        case .ping:
            guard fields.audio == nil, let eventId = fields.eventId else { return nil }
            return .ping(eventId: eventId, pingMs: fields.pingMs)
        case nil:
            return nil
        }
    }

    private static func scanEvent(_ scanner: inout JSONScanner, into fields: inout Fields) throws(WireError) -> Bool {
        guard fields.audio == nil, fields.eventId == nil else { return false }
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard key.isPlain else { return false }
            let opening = try scanner.peek()
            if scanner.matches(key, "audio_base_64") {
                guard fields.audio == nil, opening == UInt8(ascii: "\"") else { return false }
                fields.audio = try scanner.scanStringUnchecked()
            } else if scanner.matches(key, "event_id") {
                fields.eventId = try scanner.scanInteger("event_id")
            } else if scanner.matches(key, "alignment"), opening == UInt8(ascii: "{") {
                fields.alignment = try ElevenLabsAlignment(scanning: &scanner)
            } else if scanner.matches(key, "ping_ms") {
                let start = scanner.index
                try scanner.skipValue(depth: 2)
                // An estimate: null, a fraction or anything else than an integer is no reason to miss a ping.
                fields.pingMs = scanner.integer(from: start, to: scanner.index)
            } else {
                try scanner.skipValue(depth: 2)
            }
        }
        return true
    }

    // MARK: The others

    private static func decodeRare(
        _ message: JSONObject, audio: inout ByteBuffer, limit: Int
    ) throws(WireError) -> ElevenLabsServerMessage {
        let type = try message.requiredString("type", in: "the message")
        /// The payload under its documented key, or else the message itself.
        func event(_ key: String) -> JSONObject { message.object(key) ?? message }
        switch type {
        case "conversation_initiation_metadata":
            let event = event("conversation_initiation_metadata_event")
            return .conversationInitiationMetadata(
                ConversationMetadata(
                    conversationId: try event.requiredString("conversation_id", in: type),
                    agentOutputFormat: try event.requiredString("agent_output_audio_format", in: type),
                    userInputFormat: event.string("user_input_audio_format") ?? "pcm_16000"))
        case "ping":
            let event = event("ping_event")
            return .ping(
                eventId: try event.requiredInteger("event_id", in: type),
                pingMs: event.number("ping_ms").flatMap { Int(exactly: $0.rounded()) })
        case "audio":
            let event = event("audio_event")
            let count = try event.appendBase64("audio_base_64", in: type, limit: limit, to: &audio)
            return .audio(eventId: event.integer("event_id"), byteCount: count)
        case "user_transcript":
            let event = event("user_transcription_event")
            return .userTranscript(
                try event.requiredString("user_transcript", in: type), eventId: event.integer("event_id"))
        case "tentative_user_transcript":
            let event = event("tentative_user_transcription_event")
            return .tentativeUserTranscript(
                try event.requiredString("user_transcript", in: type), eventId: event.integer("event_id"))
        case "agent_response":
            let event = event("agent_response_event")
            return .agentResponse(
                try event.requiredString("agent_response", in: type), eventId: event.integer("event_id"))
        case "agent_response_correction":
            let event = event("agent_response_correction_event")
            return .agentResponseCorrection(
                original: event.string("original_agent_response") ?? "",
                corrected: try event.requiredString("corrected_agent_response", in: type),
                eventId: event.integer("event_id"))
        case "interruption":
            return .interruption(eventId: event("interruption_event").integer("event_id"))
        case "client_tool_call":
            let event = event("client_tool_call")
            return .clientToolCall(
                ToolCall(
                    name: try event.requiredString("tool_name", in: type),
                    id: try event.requiredString("tool_call_id", in: type),
                    parameters: parameters(of: event), expectsResponse: event.bool("expects_response") ?? true,
                    eventId: event.integer("event_id")))
        case "agent_tool_request":
            return .agentToolRequest(try toolUse(event(type), type))
        case "agent_tool_response":
            return .agentToolResponse(try toolUse(event(type), type))
        case "agent_tool_response_full_payload":
            let event = event(type)
            return .agentToolResponseFullPayload(
                try toolUse(event, type), result: event.string("full_tool_result"),
                isTruncated: event.bool("truncated") ?? false)
        case "agent_chat_response_part":
            let event = event("text_response_part")
            // Of the bare message the type would be its own.
            let part = message.object("text_response_part")?.string("type") ?? "delta"
            return .agentChatResponsePart(event.string("text") ?? "", part: part, eventId: event.integer("event_id"))
        case "agent_response_complete":
            return .agentResponseComplete(eventId: event("agent_response_complete_event").integer("event_id"))
        case "agent_response_metadata":
            let event = event("agent_response_metadata_event")
            return .agentResponseMetadata(json: event.text("metadata") ?? "{}", eventId: event.integer("event_id"))
        case "vad_score":
            return .vadScore(try event("vad_score_event").requiredNumber("vad_score", in: type))
        default:
            return try decodeOperational(message, type: type)
        }
    }

    /// Messages about the platform rather than the conversation.
    private static func decodeOperational(
        _ message: JSONObject, type: String
    ) throws(WireError) -> ElevenLabsServerMessage {
        func event(_ key: String) -> JSONObject { message.object(key) ?? message }
        switch type {
        case "mcp_tool_call":
            let event = event("mcp_tool_call")
            return .mcpToolCall(
                MCPToolCall(
                    serviceId: event.string("service_id") ?? "", id: try event.requiredString("tool_call_id", in: type),
                    name: event.string("tool_name") ?? "", parameters: parameters(of: event),
                    state: event.string("state") ?? "", approvalTimeout: event.integer("approval_timeout_secs"),
                    errorMessage: event.string("error_message")))
        case "mcp_connection_status":
            let integrations = event("mcp_connection_status")["integrations"]?.elements ?? []
            return .mcpConnectionStatus(
                integrations.compactMap(\.object).map {
                    MCPIntegration(
                        id: $0.string("integration_id") ?? "", type: $0.string("integration_type") ?? "",
                        isConnected: $0.bool("is_connected") ?? false, toolCount: $0.integer("tool_count") ?? 0)
                })
        case "context_usage":
            let event = event("context_usage_event")
            return .contextUsage(
                ContextUsage(
                    model: event.string("model") ?? "", contextTokens: event.integer("context_tokens") ?? 0,
                    contextLimitTokens: event.integer("context_limit_tokens") ?? 0, eventId: event.integer("event_id")))
        case "asr_initiation_metadata":
            return .asrInitiationMetadata
        case "guardrail_triggered":
            return .guardrailTriggered(name: message.object("guardrail_triggered_event")?.string("guardrail_name"))
        case "queue_status":
            return .queueStatus(event("queue_status_event").string("status") ?? "")
        case "client_error":
            return .clientError(fault(message))
        case "error":
            return .error(fault(message))
        case "internal_tentative_agent_response":
            let event = event("tentative_agent_response_internal_event")
            return .internalTentativeAgentResponse(event.string("tentative_agent_response") ?? "")
        case "internal_turn_probability":
            let event = event("turn_probability_internal_event")
            return .internalTurnProbability(try event.requiredNumber("turn_probability", in: type))
        case "agent_typing":
            let event = event("agent_typing_event")
            return .agentTyping(isTyping: event.bool("is_typing") ?? true, durationMs: event.integer("duration_ms"))
        case "dtmf_request":
            let payload = message.members.first { $0.name != "type" && $0.value.object != nil }?.value.text
            return .dtmfRequest(json: payload ?? "{}")
        default:
            return .other(type: type)
        }
    }

    private static func parameters(of event: JSONObject) -> String {
        guard let value = event["parameters"], value.object != nil else { return "{}" }
        return value.text
    }

    private static func toolUse(_ event: JSONObject, _ type: String) throws(WireError) -> ToolUse {
        ToolUse(
            name: try event.requiredString("tool_name", in: type), id: event.string("tool_call_id") ?? "",
            type: event.string("tool_type") ?? "", isError: event.bool("is_error"), isCalled: event.bool("is_called"),
            eventId: event.integer("event_id"))
    }

    /// Both the documented form, nested in `error_event`, and the flat one that has been seen.
    private static func fault(_ message: JSONObject) -> Fault {
        let event = message.object("error_event") ?? message
        return Fault(
            code: event.integer("code"), type: event.string("error_type") ?? event.string("error_name"),
            message: event.string("message") ?? "", reason: event.string("reason"))
    }
}
