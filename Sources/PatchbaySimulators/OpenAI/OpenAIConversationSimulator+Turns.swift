import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

// The caller's turns: where they begin and end, and what was said.
extension OpenAIConversationSimulator {
    private var detection: OpenAIRealtimeSession.TurnDetection? {
        if case .on(let detection)? = session.turnDetection { detection } else { nil }
    }

    mutating func hear(_ audio: ByteBuffer, at now: MediaTime, into output: inout SimulatorOutput) {
        let format = session.inputFormat ?? .pcm24k
        heardMilliseconds += Double(audio.readableBytes) * 1000 / Double(max(1, format.bytesPerSecond))
        uncommittedBytes += audio.readableBytes
        for edge in ear?.hear(audio) ?? [] {
            switch edge {
            case .speechStarted: speechStarted(at: now, into: &output)
            case .speechStopped: speechStopped(at: now, into: &output)
            }
        }
    }

    private mutating func speechStarted(at now: MediaTime, into output: inout SimulatorOutput) {
        timers[.idle] = nil
        let id = name("item")
        turnItem = id
        let start = max(0, Int(heardMilliseconds) - 80 - (detection?.prefixPaddingMs ?? 300))
        send(.speechStarted(itemID: id, audioStartMs: start), into: &output)
        if detection?.interruptsResponse != false, response != nil {
            cancelResponse("turn_detected", at: now, into: &output)
        }
    }

    private mutating func speechStopped(at now: MediaTime, into output: inout SimulatorOutput) {
        guard let id = turnItem else { return }
        turnItem = nil
        send(.speechStopped(itemID: id, audioEndMs: Int(heardMilliseconds)), into: &output)
        commitTurn(id, at: now, into: &output)
        if detection?.createsResponse != false, response == nil { beginResponse(.init(), at: now, into: &output) }
    }

    mutating func commit(at now: MediaTime, into output: inout SimulatorOutput) throws(OpenAIRealtimeFault) {
        let format = session.inputFormat ?? .pcm24k
        guard format.milliseconds(byteCount: uncommittedBytes) >= 100 else {
            throw OpenAIRealtimeFault(
                code: "input_audio_buffer_commit_empty",
                message: "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio.")
        }
        commitTurn(turnItem ?? name("item"), at: now, into: &output)
        turnItem = nil
    }

    private mutating func commitTurn(_ id: String, at now: MediaTime, into output: inout SimulatorOutput) {
        uncommittedBytes = 0
        userTurns += 1
        let turn = userTurns
        record { $0.userTurns = turn }
        send(.audioCommitted(itemID: id, previousItemID: items.last?.id), into: &output)
        let item = OpenAIRealtimeItem(
            .message(.user, [.init(type: "input_audio")]), id: id, status: "completed")
        add(item, into: &output)
        guard case .on? = session.transcription, !model.script.transcripts.isEmpty else { return }
        untranscribed.append((id, turn))
        if timers[.transcript] == nil { timers[.transcript] = now + model.timing.transcription }
    }

    mutating func transcribe(at now: MediaTime, into output: inout SimulatorOutput) {
        guard !untranscribed.isEmpty else { return }
        let (id, turn) = untranscribed.removeFirst()
        let transcripts = model.script.transcripts
        let transcript = transcripts[(turn - 1) % transcripts.count]
        let words = transcript.split(separator: " ", omittingEmptySubsequences: false)
        for (index, word) in words.enumerated() {
            send(.inputTranscriptDelta(itemID: id, (index == 0 ? "" : " ") + word), into: &output)
        }
        send(.inputTranscriptDone(itemID: id, transcript), into: &output)
        if !untranscribed.isEmpty { timers[.transcript] = now + model.timing.transcription }
    }

    /// The caller has said nothing since the answer was heard: the model speaks up.
    mutating func idleTimedOut(at now: MediaTime, into output: inout SimulatorOutput) {
        guard response == nil, turnItem == nil else { return }
        let id = name("item")
        send(.idleTimeout(itemID: id), into: &output)
        commitTurn(id, at: now, into: &output)
        beginResponse(.init(), at: now, into: &output)
    }

    /// Counts from where the answer will have been played (session.update, `idle_timeout_ms`).
    mutating func awaitCaller(after length: TimeSpan, at now: MediaTime) {
        guard let idle = detection?.idleTimeoutMs, detection?.kind == .server else { return }
        timers[.idle] = now + length + .milliseconds(Int64(idle))
    }
}
