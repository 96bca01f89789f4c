public import NIOCore

extension GeminiServerMessage {
    /// Decodes one message in one pass. Sound is read without allocation; sound of megabytes makes `audio` grow once.
    ///
    /// - Parameters:
    ///   - message: One whole message, text or binary, from its reader index on.
    ///   - audio: The bytes of the model's sound are appended here, all parts in order. Keep and clear one buffer
    ///     between messages, and its memory is used again. Unchanged when this throws.
    ///   - maximumAudio: Largest sound of one message in decoded bytes.
    public static func decode(
        _ message: ByteBuffer, audio: inout ByteBuffer, maximumAudio: Int = 16 << 20
    ) throws(WireError) -> GeminiServerMessage {
        let start = audio.writerIndex
        do {
            return try message.withUnsafeReadableBytes {
                (bytes: UnsafeRawBufferPointer) throws(WireError) -> GeminiServerMessage in
                var scanner = try JSONScanner(bytes)
                return try decode(&scanner, audio: &audio, limit: maximumAudio)
            }
        } catch {
            audio.moveWriterIndex(to: start)
            throw error
        }
    }

    private static func decode(
        _ scanner: inout JSONScanner, audio: inout ByteBuffer, limit: Int
    ) throws(WireError) -> GeminiServerMessage {
        var message = GeminiServerMessage()
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard try scanner.peek() == UInt8(ascii: "{") else {
                try scanner.skipValue(depth: 1)
                continue
            }
            if scanner.says(key, "serverContent") {
                message.content = try Content(&scanner, audio: &audio, limit: limit)
            } else {
                let range = try scanner.skipRange(depth: 1)
                try message.read(scanner.value(of: key), scanner.object(in: range))
            }
        }
        try scanner.finish()
        return message
    }

    /// The members that are rare.
    private mutating func read(_ name: String, _ object: JSONObject) throws(WireError) {
        switch name {
        case "setupComplete": setupComplete = SetupComplete(sessionId: object.string("sessionId"))
        case "toolCall":
            for call in object.list("functionCalls") {
                let arguments = call["args"]
                functionCalls.append(
                    FunctionCall(
                        id: call.string("id"), name: try call.requiredString("name", in: "a function call"),
                        arguments: arguments?.object != nil ? arguments?.text ?? "{}" : "{}"))
            }
        case "toolCallCancellation": cancelledCalls = (object["ids"]?.elements ?? []).compactMap(\.string)
        case "goAway":
            goAway = GoAway(timeLeftMs: object.string("timeLeft").flatMap(ProtobufDuration.milliseconds))
        case "sessionResumptionUpdate":
            let handle = object.string("newHandle")
            resumption = Resumption(
                handle: handle?.isEmpty == true ? nil : handle, isResumable: object.bool("resumable") ?? false)
        case "usageMetadata":
            usage = Usage(
                promptTokens: object.integer("promptTokenCount") ?? 0,
                responseTokens: object.integer("responseTokenCount") ?? 0,
                totalTokens: object.integer("totalTokenCount") ?? 0)
        default: break
        }
    }
}

extension GeminiServerMessage.Content {
    fileprivate init(_ scanner: inout JSONScanner, audio: inout ByteBuffer, limit: Int) throws(WireError) {
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            let isObject = try scanner.peek() == UInt8(ascii: "{")
            if scanner.says(key, "modelTurn"), isObject {
                try scanTurn(&scanner, audio: &audio, limit: limit)
            } else if scanner.says(key, "inputTranscription"), isObject {
                inputTranscription = try Self.scanTranscription(&scanner)
            } else if scanner.says(key, "interimInputTranscription"), isObject {
                interimInputTranscription = try Self.scanTranscription(&scanner)
            } else if scanner.says(key, "outputTranscription"), isObject {
                outputTranscription = try Self.scanTranscription(&scanner)
            } else if scanner.says(key, "interrupted") {
                isInterrupted = try scanner.scanFlag(depth: 2)
            } else if scanner.says(key, "generationComplete") {
                isGenerationComplete = try scanner.scanFlag(depth: 2)
            } else if scanner.says(key, "turnComplete") {
                isTurnComplete = try scanner.scanFlag(depth: 2)
            } else {
                try scanner.skipValue(depth: 2)
            }
        }
    }

    private mutating func scanTurn(
        _ scanner: inout JSONScanner, audio: inout ByteBuffer, limit: Int
    ) throws(WireError) {
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard scanner.says(key, "parts"), try scanner.peek() == UInt8(ascii: "[") else {
                try scanner.skipValue(depth: 3)
                continue
            }
            var isFirstPart = true
            try scanner.beginArray()
            while try scanner.nextElement(&isFirstPart) {
                guard try scanner.peek() == UInt8(ascii: "{") else {
                    try scanner.skipValue(depth: 4)
                    continue
                }
                try scanPart(&scanner, audio: &audio, limit: limit)
            }
        }
    }

    /// Whether a part is a thought may stand behind its content.
    private mutating func scanPart(
        _ scanner: inout JSONScanner, audio: inout ByteBuffer, limit: Int
    ) throws(WireError) {
        var blob: GeminiBlob?
        var words: JSONString?
        var isThought = false
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            let opening = try scanner.peek()
            if scanner.says(key, "inlineData"), opening == UInt8(ascii: "{") {
                if let data = blob?.data { _ = try scanner.check(data) }
                blob = try GeminiBlob(&scanner, depth: 5)
            } else if scanner.says(key, "text"), opening == UInt8(ascii: "\"") {
                words = try scanner.scanString()
            } else if scanner.says(key, "thought") {
                isThought = try scanner.scanFlag(depth: 5)
            } else {
                try scanner.skipValue(depth: 5)
            }
        }
        if let words, !isThought { text = (text ?? "") + scanner.value(of: words) }
        guard let blob, let data = blob.data else { return }
        guard !isThought, case .pcm(let rate) = try blob.sound(scanner, defaultRate: GeminiBlob.defaultOutputRate)
        else {
            _ = try scanner.check(data)
            return
        }
        guard audioByteCount == 0 || rate == sampleRate else {
            throw WireError(.invalidValue, "sound at \(sampleRate) and \(rate) Hz in one message", offset: data.start)
        }
        let count = try scanner.appendEitherBase64(data, limit: limit - audioByteCount, to: &audio)
        // An empty part says nothing of a rate.
        if count > 0 { sampleRate = rate }
        audioByteCount += count
    }

    private static func scanTranscription(
        _ scanner: inout JSONScanner
    ) throws(WireError) -> GeminiServerMessage.Transcription {
        var result = GeminiServerMessage.Transcription("")
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            if scanner.says(key, "text"), try scanner.peek() == UInt8(ascii: "\"") {
                result.text = scanner.value(of: try scanner.scanString())
            } else if scanner.says(key, "finished") {
                result.isFinished = try scanner.scanFlag(depth: 3)
            } else {
                try scanner.skipValue(depth: 3)
            }
        }
        return result
    }
}
