import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

// The model's voice: what it says, how fast it is sent, and how it is cut off.
extension GeminiConversationSimulator {
    /// Says a text: at once when its sound is known, else when it has been made.
    mutating func say(_ text: String, at now: MediaTime, into output: inout Output) {
        guard !text.isEmpty else {
            phase = .listening
            return
        }
        if let known = loaded?.utterances[text] {
            speak(known, at: now, into: &output)
        } else {
            let request = SpeechRequest(
                id: nextSpeechRequest(), text: text, language: model.language, format: Self.outputFormat)
            phase = .preparing(request: request.id)
            output.speech = request
        }
    }

    mutating func speak(_ utterance: SimulatedUtterance, at now: MediaTime, into output: inout Output) {
        speech = Speech(utterance)
        phase = .speaking
        statistics.agentTurns += 1
        playoutEnd = now
        withdrawHandle(into: &output)
        sendChunk(at: now, into: &output)
    }

    /// Sends the next piece of the utterance; after the last one the generation is complete.
    mutating func sendChunk(at now: MediaTime, into output: inout Output) {
        guard phase == .speaking, var speech else { return }
        let size = Self.outputFormat.byteCount(milliseconds: max(20, Int(model.timing.chunk.milliseconds)))
        let piece = speech.rest.readSlice(length: min(size, speech.rest.readableBytes)) ?? ByteBuffer()
        let words = setup.transcribesOutput ? speech.takeWords() : nil
        let isLast = speech.rest.readableBytes == 0
        self.speech = speech
        send(piece, words, isLast: isLast, into: &output)
        playoutEnd =
            max(playoutEnd, now) + TimeSpan(nanoseconds: Self.outputFormat.nanoseconds(byteCount: piece.readableBytes))
        if isLast {
            phase = .playing
            timers[.playout] = playoutEnd
        } else {
            let pause = Double(model.timing.chunk.nanoseconds) / max(0.1, model.timing.pace)
            timers[.chunk] = now + max(.milliseconds(1), TimeSpan(nanoseconds: Int64(pause)))
        }
    }

    private mutating func send(_ piece: ByteBuffer, _ words: String?, isLast: Bool, into output: inout Output) {
        statistics.agentAudioBytes += piece.readableBytes
        if model.faults.bundlesMembers {
            var content = GeminiServerMessage.Content()
            content.sampleRate = Self.outputFormat.sampleRate
            content.outputTranscription = words.map { .init($0) }
            content.isGenerationComplete = isLast
            let message = GeminiServerMessage(content)
            output.messages.binary { buffer in
                piece.withUnsafeReadableBytes { message.write(audio: $0, into: &buffer) }
            }
        } else {
            if piece.readableBytes > 0 {
                output.messages.binary { buffer in
                    piece.withUnsafeReadableBytes {
                        GeminiWriter.modelAudio($0, sampleRate: Self.outputFormat.sampleRate, into: &buffer)
                    }
                }
            }
            if let words { sendContent(into: &output) { $0.outputTranscription = .init(words) } }
            if isLast { sendContent(into: &output) { $0.isGenerationComplete = true } }
        }
        if isFirstAudio, model.faults.malformedJSON {
            output.messages.binary { $0.writeStaticString(#"{"serverContent":{"modelTurn":{"parts":["#) }
        }
        isFirstAudio = false
    }

    /// Everything should have been played.
    mutating func endTurn(at now: MediaTime, into output: inout Output) {
        guard phase == .playing else { return }
        phase = .listening
        speech = nil
        finishTurn(at: now, into: &output)
    }

    private mutating func finishTurn(at now: MediaTime, into output: inout Output) {
        let tokens = statistics.agentAudioBytes / 1920
        send(into: &output) { message in
            message.content = .init()
            message.content?.isTurnComplete = true
            message.usage = .init(promptTokens: 0, responseTokens: tokens, totalTokens: tokens)
        }
        timers[.update] = now + model.timing.resumptionUpdate
    }

    /// The caller speaks, or the client writes: what is being said or played ends.
    mutating func interrupt(at now: MediaTime, into output: inout Output) {
        switch phase {
        case .speaking, .playing:
            statistics.interruptions += 1
            timers[.chunk] = nil
            timers[.playout] = nil
            speech = nil
            phase = .listening
            sendContent(into: &output) { $0.isInterrupted = true }
            finishTurn(at: now, into: &output)
        case .thinking, .preparing:
            timers[.thinking] = nil
            phase = .listening
        case .awaitingTools: cancelTools(at: now, into: &output)
        case .awaitingSetup, .listening, .ended: break
        }
    }
}
