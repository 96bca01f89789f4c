import NIOCore
import PatchbayCore
import PatchbayWire

@testable import PatchbayTransports

/// A conversation with the one who looks at what it says.
struct ElevenLabsBench {
    var conversation: ElevenLabsConversation
    var output = AgentOutput()
    var now = MediaTime(milliseconds: 0)

    init(
        _ initiation: ElevenLabsInitiation = ElevenLabsInitiation(), history: String? = nil, asks: Bool = false,
        unasked: Bool = false
    ) {
        conversation = ElevenLabsConversation(
            initiation, history: history, overridesUnasked: unasked, asksForWords: asks)
    }

    mutating func open() -> [String] {
        conversation.opened(at: now, into: &output)
        return takeMessages()
    }

    mutating func receive(_ message: ElevenLabsServerMessage, audio: [UInt8] = []) -> [AgentEvent] {
        var buffer = ByteBuffer()
        audio.withUnsafeBytes { message.write(audio: $0, into: &buffer) }
        return receive(text: String(buffer: buffer))
    }

    mutating func receive(text: String) -> [AgentEvent] {
        conversation.received(ByteBuffer(string: text), at: now, into: &output)
        return output.takeEvents()
    }

    mutating func close(_ code: UInt16, _ reason: String = "") -> [AgentEvent] {
        conversation.closed(code: code, reason: reason, at: now, into: &output)
        return output.takeEvents()
    }

    mutating func receive(_ frame: Frame) -> [String] {
        conversation.receive(frame, at: now, into: &output)
        return takeMessages()
    }

    /// Time passes in steps of 20 ms.
    mutating func advance(to milliseconds: Int64) -> [AgentEvent] {
        while now.milliseconds < milliseconds {
            now = now + .milliseconds(20)
            if let due = conversation.deadline, due <= now { conversation.deadlineReached(at: now, into: &output) }
        }
        return output.takeEvents()
    }

    mutating func takeMessages() -> [String] {
        defer { output.messages.clear() }
        return output.messages.messages.indices.map { String(buffer: output.messages.message(at: $0)) }
    }

    mutating func begin(_ format: String = "ulaw_8000") {
        _ = open()
        _ = receive(
            .conversationInitiationMetadata(
                .init(conversationId: "conv_1", agentOutputFormat: format, userInputFormat: format)))
    }
}
