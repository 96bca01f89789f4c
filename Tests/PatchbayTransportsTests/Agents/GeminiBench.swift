import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

@testable import PatchbayTransports

/// A conversation with the one who plays the server, on a clock that moves when told.
struct GeminiBench {
    var conversation: GeminiConversation
    var output = AgentOutput()
    var now = MediaTime(milliseconds: 0)

    init(
        model: String = "models/gemini-2.5-flash-native-audio", firstMessage: String? = nil, isVertex: Bool = false,
        tools: [ToolDefinition] = [], history: [ConversationTurn] = [], owesWords: Bool = false,
        _ change: (inout GeminiSetup) -> Void = { _ in }
    ) {
        var setup = GeminiSetup(model: model)
        setup.isResumable = true
        change(&setup)
        conversation = GeminiConversation(
            GeminiOptions(setup: setup, firstMessage: firstMessage, isVertex: isVertex), tools: tools, history: history,
            owesWords: owesWords)
    }

    // MARK: What happens

    mutating func open() -> [GeminiClientMessage] {
        conversation.opened(at: now, into: &output)
        return sent()
    }

    /// Opens the socket and accepts the setup.
    mutating func begin() {
        _ = open()
        _ = server { $0.setupComplete = .init() }
    }

    /// A message of the server, in a binary frame as it sends them.
    mutating func server(sound: Int = 0, _ change: (inout GeminiServerMessage) -> Void) -> [AgentEvent] {
        var message = GeminiServerMessage()
        change(&message)
        var buffer = ByteBuffer()
        [UInt8](repeating: 1, count: sound).withUnsafeBytes { message.write(audio: $0, into: &buffer) }
        conversation.received(binary: buffer, at: now, into: &output)
        return output.takeEvents()
    }

    mutating func content(
        sound: Int = 0, _ change: (inout GeminiServerMessage.Content) -> Void = { _ in }
    ) -> [AgentEvent] {
        server(sound: sound) { message in
            message.content = .init()
            change(&message.content!)
        }
    }

    mutating func speak(_ byteCount: Int = 480) -> [AgentEvent] { content(sound: byteCount) }
    mutating func turnComplete() -> [AgentEvent] { content { $0.isTurnComplete = true } }

    mutating func offerHandle(_ handle: String) {
        _ = server { $0.resumption = .init(handle: handle, isResumable: true) }
    }

    mutating func caller(_ frame: Frame) -> [GeminiClientMessage] {
        conversation.receive(frame, at: now, into: &output)
        return sent()
    }

    mutating func sound(_ byte: UInt8 = 5, milliseconds: Int = 20) -> [GeminiClientMessage] {
        caller(.audio(AudioFrame(ByteBuffer(repeating: byte, count: 32 * milliseconds), format: .pcm(16_000))))
    }

    /// A voice in packets of 20 ms, in real time: syllables of 200 ms.
    mutating func voice(milliseconds: Int, amplitude: Int16 = 8000) -> [AgentEvent] {
        var events: [AgentEvent] = []
        for packet in 0..<milliseconds / 20 {
            let isLoud = packet % 10 < 7
            var sound = ByteBuffer()
            for sample in 0..<320 {
                sound.writeInteger(isLoud && sample / 20 % 2 == 0 ? amplitude : 0, endianness: .little)
            }
            _ = caller(.audio(AudioFrame(sound, format: .pcm(16_000))))
            events += pass(milliseconds: 20)
        }
        return events
    }

    mutating func close(_ code: UInt16, _ reason: String = "") -> [AgentEvent] {
        conversation.closed(code: code, reason: reason, at: now, into: &output)
        return output.takeEvents()
    }

    /// Lets time pass, with every deadline on its way.
    mutating func pass(milliseconds: Int64) -> [AgentEvent] {
        let end = now + .milliseconds(milliseconds)
        while let due = conversation.deadline, due <= end {
            now = max(now, due)
            conversation.deadlineReached(at: now, into: &output)
        }
        now = end
        return output.takeEvents()
    }

    mutating func events() -> [AgentEvent] { output.takeEvents() }

    /// What was sent since the last look; sound by its length.
    mutating func sent() -> [GeminiClientMessage] {
        defer { output.messages.clear() }
        return output.messages.messages.indices.map { index in
            var audio = ByteBuffer()
            let message = output.messages.message(at: index)
            return (try? GeminiClientMessage.decode(message, audio: &audio)) ?? .other([String(buffer: message)])
        }
    }
}
