import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// The server's side of OpenAI's Realtime API (platform.openai.com/docs/api-reference/realtime-server-events).
struct OpenAIRealtimeVoice: VendorVoice {
    /// The vendor's names, and what they are; µ-law unless a test says otherwise, as on the telephone.
    private static let formats: [String: OpenAIRealtimeAudioFormat] = [
        "audio/pcmu": .pcmu, "audio/pcma": .pcma, "audio/pcm": .pcm24k,
    ]

    private(set) var outputFormat = AudioFormat.telephony
    /// The response that is being made.
    private var response: String?
    private var isCallerSpeaking = false
    private var lastResponse = 0
    private var lastEvent = 0

    mutating func accept(_ conversation: AcceptedConversation) throws(PipelineError) -> [ByteBuffer] {
        var session = OpenAIRealtimeSession()
        session.id = conversation.conversation
        session.inputFormat = try Self.format(conversation.inputFormat)
        let output = try Self.format(conversation.outputFormat)
        session.outputFormat = output
        outputFormat =
            switch output {
            case .pcmu: AudioFormat(.mulaw, sampleRate: 8000)
            case .pcma: AudioFormat(.alaw, sampleRate: 8000)
            case .pcm(let rate): .pcm(rate)
            }
        // What the client asks for in between is granted unseen.
        return [written(.sessionCreated(session)), written(.sessionUpdated(session))]
    }

    private static func format(_ name: String?) throws(PipelineError) -> OpenAIRealtimeAudioFormat {
        guard let name else { return .pcmu }
        guard let format = formats[name] else {
            let known = formats.keys.sorted().joined(separator: ", ")
            throw PipelineError(.unsupportedFormat, "\"\(name)\" is no format of the API; it has \(known)")
        }
        return format
    }

    mutating func say(_ turn: SpokenTurn, _ audio: ByteBuffer) -> [ByteBuffer] {
        var messages: [ByteBuffer] = []
        if response == nil {
            lastResponse += 1
            let id = "resp_\(lastResponse)"
            response = id
            messages.append(written(.responseCreated(.init(id: id, status: "in_progress"))))
        }
        let place = OpenAIRealtimeServerEvent.Place(responseID: response ?? "", itemID: "item_\(lastResponse)")
        if let words = turn.words { messages.append(written(.transcriptDone(place, words))) }
        for piece in audio.pieces(of: turn.chunk, in: outputFormat) {
            messages.append(written(.audioDelta(place, byteCount: 0), audio: piece))
        }
        if turn.isComplete { messages += endResponse("completed") }
        return messages
    }

    mutating func hears(_ text: String) -> [ByteBuffer] {
        lastEvent += 1
        let item = "caller_\(lastEvent)"
        var messages: [ByteBuffer] = []
        if isCallerSpeaking { messages.append(written(.speechStopped(itemID: item, audioEndMs: 0))) }
        isCallerSpeaking = false
        return messages + [written(.inputTranscriptDone(itemID: item, text))]
    }

    mutating func interrupt() -> [ByteBuffer] {
        isCallerSpeaking = true
        return [written(.speechStarted(itemID: "caller_\(lastEvent + 1)", audioStartMs: 0))]
            + endResponse("cancelled", reason: "turn_detected")
    }

    private mutating func endResponse(_ status: String, reason: String? = nil) -> [ByteBuffer] {
        guard let id = response else { return [] }
        response = nil
        return [written(.responseDone(.init(id: id, status: status, reason: reason)))]
    }

    private mutating func written(_ event: OpenAIRealtimeServerEvent, audio: ByteBuffer = ByteBuffer()) -> ByteBuffer {
        lastEvent += 1
        var buffer = ByteBuffer()
        audio.withUnsafeReadableBytes { event.write(eventID: "event_\(lastEvent)", audio: $0, into: &buffer) }
        return buffer
    }
}
