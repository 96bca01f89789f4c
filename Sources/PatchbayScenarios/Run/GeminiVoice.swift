import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// The server's side of Gemini's Live API (ai.google.dev/api/live). The service sends its JSON in binary messages; text says
/// the same, and reports can show it.
struct GeminiVoice: VendorVoice {
    /// Rates of the model's voice by the names of formats; all models so far have the first.
    private static let rates = [24_000, 16_000, 48_000, 8_000]

    private var rate = Self.rates[0]
    var outputFormat: AudioFormat { .pcm(rate) }

    mutating func accept(_ conversation: AcceptedConversation) throws(PipelineError) -> [ByteBuffer] {
        if let input = conversation.inputFormat, input != "pcm_16000" {
            throw PipelineError(.unsupportedFormat, "the API hears pcm_16000 only, not \"\(input)\"")
        }
        if let output = conversation.outputFormat {
            guard let rate = Self.rates.first(where: { output == "pcm_\($0)" }) else {
                let known = Self.rates.map { "pcm_\($0)" }.joined(separator: ", ")
                throw PipelineError(.unsupportedFormat, "\"\(output)\" is no format of the API; it has \(known)")
            }
            self.rate = rate
        }
        var message = GeminiServerMessage()
        message.setupComplete = .init(sessionId: conversation.conversation)
        return [written(message)]
    }

    mutating func say(_ turn: SpokenTurn, _ audio: ByteBuffer) -> [ByteBuffer] {
        var messages: [ByteBuffer] = []
        if let words = turn.words { messages.append(content { $0.outputTranscription = .init(words) }) }
        for piece in audio.pieces(of: turn.chunk, in: outputFormat) { messages.append(content(sound: piece) { _ in }) }
        if turn.isComplete {
            messages.append(
                content {
                    $0.isGenerationComplete = true
                    $0.isTurnComplete = true
                })
        }
        return messages
    }

    mutating func hears(_ text: String) -> [ByteBuffer] {
        [content { $0.inputTranscription = .init(text, isFinished: true) }]
    }

    mutating func interrupt() -> [ByteBuffer] {
        [
            content {
                $0.isInterrupted = true
                $0.isTurnComplete = true
            }
        ]
    }

    private func content(
        sound: ByteBuffer = ByteBuffer(), _ change: (inout GeminiServerMessage.Content) -> Void
    ) -> ByteBuffer {
        var content = GeminiServerMessage.Content()
        content.sampleRate = rate
        change(&content)
        return written(GeminiServerMessage(content), sound)
    }

    private func written(_ message: GeminiServerMessage, _ sound: ByteBuffer = ByteBuffer()) -> ByteBuffer {
        var buffer = ByteBuffer()
        sound.withUnsafeReadableBytes { message.write(audio: $0, into: &buffer) }
        return buffer
    }
}
