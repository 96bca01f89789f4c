public import NIOCore

extension GeminiServerMessage {
    /// Appends the message: for simulated servers and tests.
    ///
    /// - Parameter audio: The sound of the turn; the content's `audioByteCount` is not looked at. ``GeminiWriter``
    ///   writes sound without the detour through a message.
    public func write(
        audio: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), into buffer: inout ByteBuffer
    ) {
        buffer.write(
            .object { text in
                if let setupComplete {
                    text.member("setupComplete") { $0.member("sessionId", setupComplete.sessionId) }
                }
                if let content { text.member("serverContent") { content.write(audio, into: &$0) } }
                if !functionCalls.isEmpty { writeCalls(into: &text) }
                if !cancelledCalls.isEmpty {
                    text.member("toolCallCancellation") { $0.member("ids", cancelledCalls) }
                }
                if let goAway {
                    text.member("goAway") {
                        $0.member("timeLeft", goAway.timeLeftMs.map(ProtobufDuration.text))
                    }
                }
                if let resumption {
                    text.member("sessionResumptionUpdate") { update in
                        update.member("newHandle", resumption.handle)
                        if resumption.isResumable { update.member("resumable", true) }
                    }
                }
                if let usage {
                    text.member("usageMetadata") { counts in
                        counts.member("promptTokenCount", usage.promptTokens)
                        counts.member("responseTokenCount", usage.responseTokens)
                        counts.member("totalTokenCount", usage.totalTokens)
                    }
                }
            })
    }

    private func writeCalls(into text: inout JSONText) {
        text.member("toolCall") { call in
            call.key("functionCalls")
            call.array { list in
                for function in functionCalls {
                    list.object { object in
                        object.member("id", function.id)
                        object.member("name", function.name)
                        object.member("args", raw: function.arguments)
                    }
                }
            }
        }
    }
}

extension GeminiServerMessage.Content {
    fileprivate func write(_ audio: UnsafeRawBufferPointer, into text: inout JSONText) {
        if isInterrupted { text.member("interrupted", true) }
        if audio.count > 0 || self.text != nil {
            text.member("modelTurn") { turn in
                turn.key("parts")
                turn.array { parts in
                    if let words = self.text { parts.object { $0.member("text", words) } }
                    if audio.count > 0 { parts.object { writeBlob(audio, into: &$0) } }
                }
            }
        }
        if let inputTranscription {
            text.member("inputTranscription") { inputTranscription.write(into: &$0) }
        }
        if let interimInputTranscription {
            text.member("interimInputTranscription") { interimInputTranscription.write(into: &$0) }
        }
        if let outputTranscription {
            text.member("outputTranscription") { outputTranscription.write(into: &$0) }
        }
        if isGenerationComplete { text.member("generationComplete", true) }
        if isTurnComplete { text.member("turnComplete", true) }
    }

    private func writeBlob(_ audio: UnsafeRawBufferPointer, into part: inout JSONText) {
        part.member("inlineData") { blob in
            var data = ByteBuffer()
            data.writeBase64(audio)
            blob.member("mimeType", "audio/pcm;rate=\(sampleRate)")
            blob.member("data", String(buffer: data))
        }
    }
}

extension GeminiServerMessage.Transcription {
    fileprivate func write(into object: inout JSONText) {
        object.member("text", text)
        if isFinished { object.member("finished", true) }
    }
}
