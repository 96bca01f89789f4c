public import NIOCore

extension OpenAIRealtimeClientEvent {
    /// Decodes one event: for a simulated server.
    ///
    /// Audio is read in one pass and without allocation.
    /// - Parameters:
    ///   - message: One whole text message, from its reader index on.
    ///   - audio: The bytes of an `input_audio_buffer.append` are appended here. Unchanged when this throws.
    ///   - maximumAudio: Largest audio of one event in decoded bytes; the API's own limit is 15 MiB.
    /// - Returns: The event and its `event_id`.
    /// - Throws: The fault that the API would report. The session goes on after it.
    public static func decode(
        _ message: ByteBuffer, audio: inout ByteBuffer, maximumAudio: Int = 15 << 20
    ) throws(OpenAIRealtimeFault) -> (event: OpenAIRealtimeClientEvent, eventID: String?) {
        try message.withUnsafeReadableBytes {
            (bytes: UnsafeRawBufferPointer) throws(OpenAIRealtimeFault)
                -> (event: OpenAIRealtimeClientEvent, eventID: String?) in
            let object: JSONObject
            do throws(WireError) {
                var scanner = try JSONScanner(bytes)
                if let count = try decodeAudio(&scanner, audio: &audio, limit: maximumAudio) {
                    return (.appendAudio(byteCount: count), nil)
                }
                object = try JSONObject(message: bytes)
            } catch {
                throw OpenAIRealtimeFault(code: "invalid_json", message: error.message)
            }
            let eventID = object.string("event_id")
            do throws(OpenAIRealtimeFault) {
                return (try decode(object, audio: &audio, limit: maximumAudio), eventID)
            } catch {
                var fault = error
                fault.eventID = eventID
                throw fault
            }
        }
    }

    /// `nil` when the event is another one, or so unusual that the general reader must look at it.
    private static func decodeAudio(
        _ scanner: inout JSONScanner, audio: inout ByteBuffer, limit: Int
    ) throws(WireError) -> Int? {
        var payload: JSONString?
        var isAppend = false
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard key.isPlain else { return nil }
            let opening = try scanner.peek()
            if scanner.matches(key, "type"), opening == UInt8(ascii: "\"") {
                guard try scanner.matches(scanner.scanString(), "input_audio_buffer.append") else { return nil }
                isAppend = true
            } else if scanner.matches(key, "audio") {
                guard payload == nil, opening == UInt8(ascii: "\"") else { return nil }
                payload = try scanner.scanStringUnchecked()
            } else if scanner.matches(key, "event_id") {
                // Rare: the general reader knows what to do with it.
                return nil
            } else {
                try scanner.skipValue(depth: 1)
            }
        }
        try scanner.finish()
        guard isAppend, let payload else { return nil }
        return try scanner.appendBase64(payload, limit: limit, to: &audio)
    }

    private static func decode(
        _ object: JSONObject, audio: inout ByteBuffer, limit: Int
    ) throws(OpenAIRealtimeFault) -> OpenAIRealtimeClientEvent {
        guard let type = object.string("type") else {
            throw OpenAIRealtimeFault(code: "invalid_event", message: "The 'type' field is missing.")
        }
        switch type {
        case "session.update":
            guard let session = object.object("session") else { throw .missing("session") }
            try OpenAIRealtimeSession.check(session)
            return .sessionUpdate(OpenAIRealtimeSession(session))
        case "input_audio_buffer.append":
            do {
                let count = try object.appendBase64("audio", in: type, limit: limit, to: &audio)
                return .appendAudio(byteCount: count)
            } catch {
                throw OpenAIRealtimeFault(code: "invalid_value", message: error.message, param: "audio")
            }
        case "input_audio_buffer.commit": return .commitAudio
        case "input_audio_buffer.clear": return .clearAudio
        case "conversation.item.create":
            guard let item = object.object("item") else { throw .missing("item") }
            return .createItem(try decodeItem(item), previousItemID: object.string("previous_item_id"))
        case "conversation.item.truncate":
            return .truncateItem(
                id: try string("item_id", object), contentIndex: try integer("content_index", object),
                audioEndMs: try integer("audio_end_ms", object))
        case "conversation.item.delete": return .deleteItem(id: try string("item_id", object))
        case "conversation.item.retrieve": return .retrieveItem(id: try string("item_id", object))
        case "response.create":
            let options = object.object("response")
            return .createResponse(
                ResponseOptions(
                    instructions: options?.string("instructions"),
                    conversation: options?.object("conversation")?.string("id") ?? options?.string("conversation"),
                    outputModalities: options?["output_modalities"]?.elements?.compactMap(\.string)))
        case "response.cancel": return .cancelResponse(id: object.string("response_id"))
        case "output_audio_buffer.clear": return .clearOutputAudio
        default:
            return .other(type: String(type.prefix(200)))
        }
    }

    private static func decodeItem(_ object: JSONObject) throws(OpenAIRealtimeFault) -> OpenAIRealtimeItem {
        let item: OpenAIRealtimeItem
        do {
            item = try OpenAIRealtimeItem(object)
        } catch {
            throw OpenAIRealtimeFault(
                code: "missing_required_parameter", message: error.message, param: "item")
        }
        switch item.content {
        case .other(let type):
            throw OpenAIRealtimeFault(
                code: "invalid_value", message: "Invalid value: '\(type.prefix(100))'.", param: "item.type")
        case .message(let role, let parts):
            guard let name = object.string("role") else { throw .missing("item.role") }
            guard OpenAIRealtimeItem.Role(rawValue: name) == role else {
                throw OpenAIRealtimeFault(
                    code: "invalid_value", message: "Invalid value: '\(name.prefix(100))'.", param: "item.role")
            }
            let allowed = role == .assistant ? ["output_text"] : ["input_text", "input_audio", "input_image"]
            for (index, part) in parts.enumerated() where !allowed.contains(part.type) {
                throw OpenAIRealtimeFault(
                    code: "invalid_value", message: "Invalid value: '\(part.type.prefix(100))'.",
                    param: "item.content[\(index)].type")
            }
        case .functionCall, .functionCallOutput: break
        }
        return item
    }

    private static func string(_ name: String, _ object: JSONObject) throws(OpenAIRealtimeFault) -> String {
        guard let value = object.string(name) else { throw .missing(name) }
        return value
    }

    private static func integer(_ name: String, _ object: JSONObject) throws(OpenAIRealtimeFault) -> Int {
        guard let value = object[name], !value.isNull else { throw .missing(name) }
        guard value.isNumber, let integer = value.integer, integer >= 0 else {
            throw OpenAIRealtimeFault(
                code: "invalid_type", message: "Invalid type for '\(name)': expected a whole number from 0 up.",
                param: name)
        }
        return integer
    }
}

extension OpenAIRealtimeFault {
    static func missing(_ param: String) -> OpenAIRealtimeFault {
        OpenAIRealtimeFault(
            code: "missing_required_parameter", message: "Missing required parameter: '\(param)'.", param: param)
    }
}
