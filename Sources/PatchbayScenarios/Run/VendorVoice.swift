import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// What a vendor's server writes for the shorthands of a test: `accept`, `say`, `hears`, `interrupt`.
protocol VendorVoice {
    mutating func accept(_ conversation: AcceptedConversation) throws(PipelineError) -> [ByteBuffer]
    /// The format of the vendor's voice.
    var outputFormat: AudioFormat { get }
    /// Pieces of one turn, in order; the first goes out at once.
    mutating func say(_ turn: SpokenTurn, _ audio: ByteBuffer) -> [ByteBuffer]
    mutating func hears(_ text: String) -> [ByteBuffer]
    mutating func interrupt() -> [ByteBuffer]
}

enum VendorVoices {
    /// The vendors whose shorthands are known.
    static let types = ["elevenlabs", "gemini-live", "openai-realtime", "websocket"]

    static func voice(for backend: String) -> (any VendorVoice)? {
        switch backend {
        case "elevenlabs": ElevenLabsVoice()
        case "gemini-live": GeminiVoice()
        case "openai-realtime": OpenAIRealtimeVoice()
        case "websocket": WebSocketAgentVoice()
        default: nil
        }
    }
}

extension ByteBuffer {
    /// Sound in pieces of so long, a packet at least; the last one may be shorter.
    func pieces(of duration: TimeSpan, in format: AudioFormat) -> [ByteBuffer] {
        let size = max(format.bytesPerPacket, format.byteCount(milliseconds: Int(duration.milliseconds)))
        var rest = self
        var pieces: [ByteBuffer] = []
        while let piece = rest.readSlice(length: min(size, rest.readableBytes)), piece.readableBytes > 0 {
            pieces.append(piece)
        }
        return pieces
    }
}

/// The server's side of ElevenLabs' conversation protocol.
///
/// https://elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket
struct ElevenLabsVoice: VendorVoice {
    private(set) var outputFormat = AudioFormat.pcm(16000)
    private var eventId = 0

    mutating func accept(_ conversation: AcceptedConversation) throws(PipelineError) -> [ByteBuffer] {
        let output = conversation.outputFormat ?? "pcm_16000"
        do {
            let format = try ElevenLabsAudioFormat(output)
            outputFormat = AudioFormat(format.codec == .ulaw ? .mulaw : .pcm16, sampleRate: format.sampleRate)
        } catch {
            throw PipelineError(.unsupportedFormat, "\(error)")
        }
        return [
            written(
                .conversationInitiationMetadata(
                    .init(
                        conversationId: conversation.conversation, agentOutputFormat: output,
                        userInputFormat: conversation.inputFormat ?? "pcm_16000")))
        ]
    }

    mutating func say(_ turn: SpokenTurn, _ audio: ByteBuffer) -> [ByteBuffer] {
        eventId += 1
        var messages: [ByteBuffer] = []
        if let words = turn.words { messages.append(written(.agentResponse(words, eventId: eventId))) }
        for piece in audio.pieces(of: turn.chunk, in: outputFormat) {
            var message = ByteBuffer()
            piece.withUnsafeReadableBytes { ElevenLabsWriter.audio($0, eventId: eventId, into: &message) }
            messages.append(message)
        }
        if turn.isComplete { messages.append(written(.agentResponseComplete(eventId: eventId))) }
        return messages
    }

    mutating func hears(_ text: String) -> [ByteBuffer] {
        eventId += 1
        return [written(.userTranscript(text, eventId: eventId))]
    }

    mutating func interrupt() -> [ByteBuffer] {
        eventId += 1
        return [written(.interruption(eventId: eventId))]
    }

    private func written(_ message: ElevenLabsServerMessage) -> ByteBuffer {
        var buffer = ByteBuffer()
        message.write(into: &buffer)
        return buffer
    }
}
