import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// The agent's side of Patchbay's own agent protocol; sound goes as base64, so that reports can show it.
struct WebSocketAgentVoice: VendorVoice {
    private(set) var outputFormat = AudioFormat.pcm(16000)

    mutating func accept(_ conversation: AcceptedConversation) throws(PipelineError) -> [ByteBuffer] {
        do throws(WireError) {
            let input = try conversation.inputFormat.map { name throws(WireError) in try AgentSocketFormat(name) }
            let output = try AgentSocketFormat(conversation.outputFormat ?? "pcm16_16000")
            outputFormat = AudioFormat(
                output.encoding == .pcm16 ? .pcm16 : output.encoding == .mulaw ? .mulaw : .alaw,
                sampleRate: output.sampleRate)
            return [
                written(.ready(.init(input: input, output: output), conversation: conversation.conversation))
            ]
        } catch {
            throw PipelineError(.unsupportedFormat, "\(error)")
        }
    }

    mutating func say(_ turn: SpokenTurn, _ audio: ByteBuffer) -> [ByteBuffer] {
        var messages: [ByteBuffer] = []
        if let words = turn.words { messages.append(written(.text(.init(words, speaker: .agent)))) }
        for piece in audio.pieces(of: turn.chunk, in: outputFormat) {
            var message = ByteBuffer()
            piece.withUnsafeReadableBytes { AgentSocketAudio.write($0, into: &message) }
            messages.append(message)
        }
        if turn.isComplete { messages.append(written(.turnEnded)) }
        return messages
    }

    mutating func hears(_ text: String) -> [ByteBuffer] { [written(.text(.init(text, speaker: .caller)))] }

    mutating func interrupt() -> [ByteBuffer] { [written(.interruption(cause: nil))] }

    private func written(_ message: AgentSocketServerMessage) -> ByteBuffer {
        var buffer = ByteBuffer()
        message.write(into: &buffer)
        return buffer
    }
}
