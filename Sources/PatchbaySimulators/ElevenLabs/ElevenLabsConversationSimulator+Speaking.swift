import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

// The agent's voice: what it says, how fast it is sent, and how it is cut off.
extension ElevenLabsConversationSimulator {
    /// Base64 of this many bytes makes a message of 2 MiB.
    private static let hugeAudioBytes = (2 << 20) / 4 * 3

    /// Says a text: at once when its sound is known, else when it has been made.
    ///
    /// - Parameter isLine: Whether it may stand in the script; a client's text never names a file.
    mutating func say(
        _ text: String, isLine: Bool, isFarewell: Bool = false, at now: MediaTime, into output: inout Output
    ) {
        let known = isLine ? utterances[text] : nil
        let isFile = text.lowercased().hasSuffix(".wav")
        if isTextOnly {
            let words = known.flatMap { isFile ? $0.text : nil } ?? text
            speak(SimulatedUtterance(text: words, audio: ByteBuffer()), isFarewell: isFarewell, at: now, into: &output)
        } else if let known, isFile || language == agent.language {
            speak(known, isFarewell: isFarewell, at: now, into: &output)
        } else {
            let request = SpeechRequest(
                id: nextSpeechRequest(), text: text, language: language, format: agent.outputFormat.audioFormat)
            phase = .preparing(request: request.id, isFarewell: isFarewell)
            output.speech = request
        }
    }

    mutating func speak(
        _ utterance: SimulatedUtterance, isFarewell: Bool, at now: MediaTime, into output: inout Output
    ) {
        let id = nextEventId()
        sharedEventId = nil
        var audio = utterance.audio
        if isFirstAudio, agent.faults.hugeAudio {
            audio.writeRepeatingByte(
                agent.outputFormat.audioFormat.encoding.silenceByte,
                count: max(0, Self.hugeAudioBytes - audio.readableBytes))
        }
        speech = Speech(
            id: id, text: utterance.text, rest: audio, byteCount: audio.readableBytes, isFarewell: isFarewell)
        phase = .speaking
        countAgentTurn()
        if isTextOnly {
            for (text, part) in [("", "start"), (utterance.text, "delta"), ("", "stop")] {
                send(.agentChatResponsePart(text, part: part, eventId: id), as: .agentChatResponsePart, into: &output)
            }
        }
        send(.agentResponse(utterance.text, eventId: id), as: .agentResponse, into: &output)
        sendChunk(at: now, into: &output)
    }

    /// Sends the next piece of the utterance; after the last one the agent listens, or leaves.
    mutating func sendChunk(at now: MediaTime, into output: inout Output) {
        guard phase == .speaking, let current = speech else { return }
        let format = agent.outputFormat.audioFormat
        let isHuge = isFirstAudio && agent.faults.hugeAudio
        let chunk = format.byteCount(milliseconds: max(20, Int(agent.timing.chunk.milliseconds)))
        let size = isHuge ? current.byteCount : chunk
        if let piece = speech?.rest.readSlice(length: min(size, current.rest.readableBytes)), piece.readableBytes > 0 {
            let alignment = agent.alignsText ? alignment(of: piece, in: current) : nil
            let length = sendAudio(piece, id: current.id, alignment: alignment, into: &output)
            playoutEnd = max(playoutEnd, now) + length
            if isFirstAudio, agent.faults.malformedJSON {
                output.messages.text { $0.writeStaticString(#"{"type":"audio","audio_event":{"audio_base_64":"#) }
            }
            isFirstAudio = false
        }
        if let rest = speech?.rest.readableBytes, rest > 0 {
            let pause = Double(agent.timing.chunk.nanoseconds) / max(0.1, agent.timing.pace)
            timers[.chunk] = now + max(.milliseconds(1), TimeSpan(nanoseconds: Int64(pause)))
        } else {
            finishSpeaking(current, at: now, into: &output)
        }
    }

    /// The characters that end within a piece of an utterance, as JSON text.
    ///
    /// - Parameter piece: What has just been taken from the front of the utterance's rest.
    private func alignment(of piece: ByteBuffer, in speech: Speech) -> String? {
        let characters = Array(speech.text)
        guard speech.byteCount > 0, !characters.isEmpty else { return nil }
        let each = duration(speech.byteCount).seconds * 1000 / Double(characters.count)
        let start = speech.byteCount - speech.rest.readableBytes
        func spoken(by byte: Int) -> Int { characters.count * byte / speech.byteCount }
        let range = spoken(by: start)..<spoken(by: start + piece.readableBytes)
        let offset = duration(start).seconds * 1000
        let begins = range.map { max(0, Int(Double($0) * each - offset)) }
        let ends = range.map { Int(Double($0 + 1) * each - offset) }
        return ElevenLabsAlignmentText.json(
            characters[range].map(String.init), begins: begins, durations: zip(ends, begins).map { $0 - $1 })
    }

    /// - Returns: How long it plays.
    @discardableResult
    private mutating func sendAudio(
        _ audio: ByteBuffer, id: Int, alignment: String? = nil, into output: inout Output
    ) -> TimeSpan {
        countAudio(audio.readableBytes)
        if agent.clientEvents.contains(.audio) {
            output.messages.text { message in
                audio.withUnsafeReadableBytes {
                    ElevenLabsWriter.audio($0, eventId: id, alignment: alignment, into: &message)
                }
            }
        }
        return duration(audio.readableBytes)
    }

    private mutating func finishSpeaking(_ finished: Speech, at now: MediaTime, into output: inout Output) {
        send(.agentResponseComplete(eventId: finished.id), as: .agentResponseComplete, into: &output)
        guard finished.isFarewell else {
            phase = .listening
            return
        }
        toolCalls += 1
        send(
            .agentToolResponse(
                .init(
                    name: "end_call", id: "call_\(toolCalls)", type: "system", isError: false, isCalled: true,
                    eventId: finished.id)),
            as: .agentToolResponse, into: &output)
        end(code: 1000, reason: "", into: &output)
    }

    /// Whether the caller would cut the agent off by speaking now.
    func isInterruptible(at now: MediaTime) -> Bool {
        guard let speech, !speech.isFarewell, agent.clientEvents.contains(.interruption) else { return false }
        return phase == .speaking || now < playoutEnd
    }

    mutating func interrupt(at now: MediaTime, into output: inout Output) {
        guard let cut = speech else { return }
        countInterruption()
        timers[.chunk] = nil
        let id = nextEventId()
        send(.interruption(eventId: id), as: .interruption, into: &output)
        if agent.faults.interruptionSharesId { sharedEventId = id }
        if agent.faults.lateAudio { sendLateAudio(of: cut, into: &output) }
        let unheard = duration(cut.rest.readableBytes) + max(.zero, playoutEnd - now)
        let corrected = Self.words(of: cut.text, unheard: unheard, of: duration(cut.byteCount))
        send(
            .agentResponseCorrection(original: cut.text, corrected: corrected, eventId: cut.id),
            as: .agentResponseCorrection, into: &output)
        playoutEnd = now
        speech = nil
        if phase != .awaitingTools {
            timers[.thinking] = nil
            phase = .listening
        }
    }

    private mutating func sendLateAudio(of cut: Speech, into output: inout Output) {
        let format = agent.outputFormat.audioFormat
        let size = format.byteCount(milliseconds: 100)
        let late =
            cut.rest.readableBytes > 0
            ? cut.rest.getSlice(at: cut.rest.readerIndex, length: min(size, cut.rest.readableBytes))
            : ByteBuffer(repeating: format.encoding.silenceByte, count: size)
        if let late { sendAudio(late, id: cut.id, into: &output) }
    }

    private func duration(_ byteCount: Int) -> TimeSpan {
        TimeSpan(nanoseconds: agent.outputFormat.audioFormat.nanoseconds(byteCount: byteCount))
    }

    /// The beginning of a text in proportion to the time it was heard, in whole words.
    static func words(of text: String, unheard: TimeSpan, of whole: TimeSpan) -> String {
        guard whole > .zero, unheard > .zero else { return text }
        let heard = max(0, 1 - unheard.seconds / whole.seconds)
        let start = text.prefix(Int(Double(text.count) * heard))
        let end = start.lastIndex(of: " ") ?? start.startIndex
        return start[..<end] + "..."
    }
}
