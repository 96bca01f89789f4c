public import NIOCore

extension ElevenLabsClientMessage {
    /// Decodes one message: for a simulated agent.
    ///
    /// As tolerant as the server has to be towards its own SDKs. Audio and pongs are read in one pass and without
    /// allocation.
    /// - Parameters:
    ///   - message: One whole text message, from its reader index on.
    ///   - audio: The bytes of a `user_audio_chunk` are appended here. Unchanged when this throws.
    ///   - maximumAudio: Largest audio of one message in decoded bytes.
    public static func decode(
        _ message: ByteBuffer, audio: inout ByteBuffer, maximumAudio: Int = 16 << 20
    ) throws(WireError) -> ElevenLabsClientMessage {
        try message.withUnsafeReadableBytes {
            (bytes: UnsafeRawBufferPointer) throws(WireError) -> ElevenLabsClientMessage in
            var scanner = try JSONScanner(bytes)
            if let hot = try decodeHot(&scanner, audio: &audio, limit: maximumAudio) { return hot }
            return try decodeRare(JSONObject(message: bytes), audio: &audio, limit: maximumAudio)
        }
    }

    /// `nil` when the message is neither audio nor a pong, or so unusual that the general reader must look at it.
    private static func decodeHot(
        _ scanner: inout JSONScanner, audio: inout ByteBuffer, limit: Int
    ) throws(WireError) -> ElevenLabsClientMessage? {
        var chunk: JSONString?
        var isPong = false
        var eventId: Int?
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard key.isPlain else { return nil }
            let opening = try scanner.peek()
            if scanner.matches(key, "user_audio_chunk") {
                guard chunk == nil, opening == UInt8(ascii: "\"") else { return nil }
                chunk = try scanner.scanStringUnchecked()
            } else if scanner.matches(key, "type"), opening == UInt8(ascii: "\"") {
                let type = try scanner.scanString()
                isPong = scanner.matches(type, "pong")
                guard isPong || scanner.matches(type, "user_audio_chunk") else { return nil }
            } else if scanner.matches(key, "event_id") {
                eventId = try scanner.scanInteger("event_id")
            } else {
                try scanner.skipValue(depth: 1)
            }
        }
        try scanner.finish()
        if let chunk {
            guard !isPong else { return nil }
            return .userAudioChunk(byteCount: try scanner.appendBase64(chunk, limit: limit, to: &audio))
        }
        guard isPong, let eventId else { return nil }
        return .pong(eventId: eventId)
    }

    private static func decodeRare(
        _ message: JSONObject, audio: inout ByteBuffer, limit: Int
    ) throws(WireError) -> ElevenLabsClientMessage {
        guard let type = message.string("type") else {
            let count = try message.appendBase64(
                "user_audio_chunk", in: "a message without \"type\"", limit: limit, to: &audio)
            return .userAudioChunk(byteCount: count)
        }
        switch type {
        case "conversation_initiation_client_data":
            return .initiation(ElevenLabsInitiation(message))
        case "pong":
            return .pong(eventId: try message.requiredInteger("event_id", in: type))
        case "client_tool_result":
            // The Python SDK passes a dictionary on as an object.
            guard let result = message["result"] else { throw .missing("result", in: type) }
            return .clientToolResult(
                ToolResult(
                    toolCallId: try message.requiredString("tool_call_id", in: type),
                    result: result.string ?? result.text, isError: message.bool("is_error") ?? false,
                    errorType: message.string("error_type")))
        case "contextual_update":
            return .contextualUpdate(
                try message.requiredString("text", in: type), contextId: message.string("context_id"))
        case "user_message":
            return .userMessage(message.string("text"))
        case "user_activity":
            return .userActivity
        case "feedback":
            return .feedback(eventId: try message.requiredInteger("event_id", in: type), score: message.string("score"))
        case "mcp_tool_approval_result":
            guard let isApproved = message.bool("is_approved") else { throw .missing("is_approved", in: type) }
            return .mcpToolApprovalResult(
                toolCallId: try message.requiredString("tool_call_id", in: type), isApproved: isApproved)
        case "multimodal_message":
            let text = message.object("text")?.string("text") ?? message.string("text")
            var fileIds = (message["files"]?.elements ?? []).compactMap { $0.object?.string("file_id") }
            if let first = message.object("file")?.string("file_id"), !fileIds.contains(first) {
                fileIds.insert(first, at: 0)
            }
            guard text != nil || !fileIds.isEmpty else { throw .missing("text", in: type) }
            return .multimodalMessage(text: text, fileIds: fileIds)
        default:
            return .other(type: type)
        }
    }
}
