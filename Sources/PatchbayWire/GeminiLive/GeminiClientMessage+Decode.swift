public import NIOCore

extension GeminiClientMessage {
    /// Decodes one message: for a simulated server.
    ///
    /// As tolerant as the server has to be towards its own SDKs: names in both spellings, base64 in both alphabets.
    /// - Parameters:
    ///   - message: One whole message, text or binary, from its reader index on.
    ///   - audio: The bytes of the caller's sound are appended here. Unchanged when this throws.
    ///   - maximumAudio: Largest sound of one message in decoded bytes.
    public static func decode(
        _ message: ByteBuffer, audio: inout ByteBuffer, maximumAudio: Int = 16 << 20
    ) throws(WireError) -> GeminiClientMessage {
        let start = audio.writerIndex
        do {
            return try message.withUnsafeReadableBytes {
                (bytes: UnsafeRawBufferPointer) throws(WireError) -> GeminiClientMessage in
                try decode(bytes, audio: &audio, limit: maximumAudio)
            }
        } catch {
            audio.moveWriterIndex(to: start)
            throw error
        }
    }

    private static func decode(
        _ bytes: UnsafeRawBufferPointer, audio: inout ByteBuffer, limit: Int
    ) throws(WireError) -> GeminiClientMessage {
        var scanner = try JSONScanner(bytes)
        var result: GeminiClientMessage?
        var others: [String] = []
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            let isObject = try scanner.peek() == UInt8(ascii: "{")
            let decoded: GeminiClientMessage
            if isObject, scanner.says(key, "realtimeInput") || scanner.says(key, "realtime_input") {
                decoded = try scanRealtimeInput(&scanner, audio: &audio, limit: limit)
            } else if isObject, scanner.says(key, "setup") {
                let range = try scanner.skipRange(depth: 1)
                decoded = .setup(try GeminiSetup(scanner.object(in: range)))
            } else if isObject, scanner.says(key, "clientContent") || scanner.says(key, "client_content") {
                let range = try scanner.skipRange(depth: 1)
                decoded = content(try scanner.object(in: range))
            } else if isObject, scanner.says(key, "toolResponse") || scanner.says(key, "tool_response") {
                let range = try scanner.skipRange(depth: 1)
                decoded = try toolResponses(scanner.object(in: range))
            } else {
                let range = try scanner.skipRange(depth: 1)
                // Null is the same as absent.
                if scanner.base[range.lowerBound] != UInt8(ascii: "n") { others.append(scanner.value(of: key)) }
                continue
            }
            guard result == nil else {
                throw WireError(.unexpectedField, "a message has exactly one member", offset: key.start)
            }
            result = decoded
        }
        try scanner.finish()
        return result ?? .other(others)
    }

    private static func scanRealtimeInput(
        _ scanner: inout JSONScanner, audio: inout ByteBuffer, limit: Int
    ) throws(WireError) -> GeminiClientMessage {
        let start = scanner.index
        var result: GeminiClientMessage?
        var others: [String] = []
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            let opening = try scanner.peek()
            let decoded: GeminiClientMessage
            if scanner.says(key, "audio"), opening == UInt8(ascii: "{") {
                decoded = try scanBlob(&scanner, depth: 2, audio: &audio, limit: limit)
            } else if scanner.says(key, "mediaChunks") || scanner.says(key, "media_chunks"),
                opening == UInt8(ascii: "[")
            {
                decoded = try scanChunks(&scanner, audio: &audio, limit: limit)
            } else if scanner.says(key, "audioStreamEnd") || scanner.says(key, "audio_stream_end") {
                guard try scanner.scanFlag(depth: 2) else { continue }
                decoded = .audioStreamEnd
            } else if scanner.says(key, "activityStart") || scanner.says(key, "activity_start"),
                opening == UInt8(ascii: "{")
            {
                try scanner.skipValue(depth: 2)
                decoded = .activityStart
            } else if scanner.says(key, "activityEnd") || scanner.says(key, "activity_end"),
                opening == UInt8(ascii: "{")
            {
                try scanner.skipValue(depth: 2)
                decoded = .activityEnd
            } else if scanner.says(key, "text"), opening == UInt8(ascii: "\"") {
                decoded = .text(scanner.value(of: try scanner.scanString()))
            } else if scanner.says(key, "video"), opening == UInt8(ascii: "{") {
                try scanner.skipValue(depth: 2)
                decoded = .video
            } else {
                let range = try scanner.skipRange(depth: 2)
                if scanner.base[range.lowerBound] != UInt8(ascii: "n") {
                    others.append("realtimeInput." + scanner.value(of: key))
                }
                continue
            }
            guard result == nil else {
                throw WireError(.unexpectedField, "realtimeInput has exactly one member", offset: start)
            }
            result = decoded
        }
        return result ?? .other(others.isEmpty ? ["realtimeInput"] : others)
    }

    private static func scanChunks(
        _ scanner: inout JSONScanner, audio: inout ByteBuffer, limit: Int
    ) throws(WireError) -> GeminiClientMessage {
        var total = 0
        var rate: Int?
        var isVideo = false
        var isFirst = true
        try scanner.beginArray()
        while try scanner.nextElement(&isFirst) {
            guard try scanner.peek() == UInt8(ascii: "{") else { throw scanner.unexpected("an object") }
            switch try scanBlob(&scanner, depth: 3, audio: &audio, limit: limit - total) {
            case .audio(let count, let sampleRate):
                total += count
                rate = sampleRate
            default: isVideo = true
            }
        }
        if rate == nil, isVideo { return .video }
        return .audio(byteCount: total, sampleRate: rate ?? GeminiBlob.defaultInputRate)
    }

    private static func scanBlob(
        _ scanner: inout JSONScanner, depth: Int, audio: inout ByteBuffer, limit: Int
    ) throws(WireError) -> GeminiClientMessage {
        let start = scanner.index
        let blob = try GeminiBlob(&scanner, depth: depth)
        guard let data = blob.data else { throw WireError(.missingField, "a blob has no \"data\"", offset: start) }
        switch try blob.sound(scanner, defaultRate: GeminiBlob.defaultInputRate) {
        case .pcm(let rate):
            let count = try scanner.appendEitherBase64(data, limit: limit, to: &audio)
            return .audio(byteCount: count, sampleRate: rate)
        case .none:
            _ = try scanner.check(data)
            return .video
        }
    }

    private static func content(_ content: JSONObject) -> GeminiClientMessage {
        let turns = content.list("turns").map { turn in
            let words = turn.list("parts").compactMap { $0.text(of: "text") }.joined()
            return Turn(turn.text(of: "role").flatMap(Turn.Role.init) ?? .user, words)
        }
        return .content(turns, isComplete: content.flag("turnComplete") ?? false)
    }

    private static func toolResponses(_ response: JSONObject) throws(WireError) -> GeminiClientMessage {
        var responses: [FunctionResponse] = []
        for item in response.list("functionResponses") {
            let value = item.field("response")
            guard value == nil || value?.object != nil else {
                throw .wrongType("response", expected: "an object")
            }
            responses.append(
                FunctionResponse(
                    id: item.text(of: "id"), name: item.text(of: "name") ?? "", response: value?.text ?? "{}"))
        }
        return .toolResponses(responses)
    }
}
