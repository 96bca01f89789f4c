import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbayTransports

/// A Realtime conversation with the one who looks at what it says, on a clock that is a number.
struct OpenAIBench {
    var conversation: OpenAIRealtimeConversation
    var output = AgentOutput()
    var now = MediaTime(milliseconds: 0)
    private var decoder = OpenAIRealtimeServerDecoder()

    init(
        _ settings: OpenAIRealtimeSettings = OpenAIRealtimeSettings(), joint: AudioFormat = .telephony,
        tools: [ToolDefinition] = [], history: [ConversationTurn] = [], isAnswerAwaited: Bool = false
    ) {
        let call = CallInfo(id: "1", callSid: "CA1", from: "+1", to: "+2", pipeline: "p")
        conversation = OpenAIRealtimeConversation(
            settings,
            AgentRequest(
                call: call, joint: joint, tools: tools, history: history, isAnswerAwaited: isAnswerAwaited))
    }

    /// Settings whose agent waits for the caller.
    static var quiet: OpenAIRealtimeSettings {
        var settings = OpenAIRealtimeSettings()
        settings.firstMessage = ""
        return settings
    }

    /// Opens the socket; the server creates the session and takes the settings.
    ///
    /// - Returns: What was sent after the session was updated.
    @discardableResult
    mutating func begin(_ change: (inout OpenAIRealtimeSession) -> Void = { _ in }) -> [OpenAIRealtimeClientEvent] {
        conversation.opened(at: now, into: &output)
        var session = OpenAIRealtimeSession()
        session.id = "sess_1"
        _ = receive(.sessionCreated(session))
        for case .sessionUpdate(let update) in takeEvents() { session.apply(update) }
        change(&session)
        _ = receive(.sessionUpdated(session))
        return takeEvents()
    }

    mutating func receive(_ event: OpenAIRealtimeServerEvent, audio: [UInt8] = []) -> [AgentEvent] {
        var buffer = ByteBuffer()
        audio.withUnsafeBytes { event.write(eventID: "e", audio: $0, into: &buffer) }
        return receive(text: String(buffer: buffer))
    }

    mutating func receive(text: String) -> [AgentEvent] {
        conversation.received(ByteBuffer(string: text), at: now, into: &output)
        return output.takeEvents()
    }

    mutating func receive(_ frame: Frame) -> [AgentEvent] {
        conversation.receive(frame, at: now, into: &output)
        return output.takeEvents()
    }

    /// A response that begins, with so much sound in one item.
    @discardableResult
    mutating func speak(_ number: Int, bytes: Int, isDone: Bool = false) -> [AgentEvent] {
        let place = Self.place(number)
        var events = receive(.responseCreated(.init(id: place.responseID, status: "in_progress")))
        events += receive(.audioDelta(place, byteCount: bytes), audio: [UInt8](repeating: 0x55, count: bytes))
        if isDone { events += receive(.responseDone(.init(id: place.responseID, status: "completed"))) }
        return events
    }

    static func place(_ number: Int) -> OpenAIRealtimeServerEvent.Place {
        .init(responseID: "resp_\(number)", itemID: "item_\(number)")
    }

    mutating func interrupt(after milliseconds: Int64) -> [AgentEvent] {
        let heard = Heard(text: "", duration: .milliseconds(milliseconds), isComplete: false)
        return receive(.interruption(Interruption(generation: 1, cause: "the caller spoke", heard: heard)))
    }

    mutating func close(_ code: UInt16, _ reason: String = "") -> [AgentEvent] {
        conversation.closed(code: code, reason: reason, at: now, into: &output)
        return output.takeEvents()
    }

    mutating func answer(_ call: ToolCall, _ text: String, isError: Bool = false) -> [OpenAIRealtimeClientEvent] {
        conversation.toolAnswered(ToolResult(call, output: text, isError: isError), at: now, into: &output)
        return takeEvents()
    }

    mutating func passDeadline() -> [AgentEvent] {
        now = conversation.deadline ?? now
        conversation.deadlineReached(at: now, into: &output)
        return output.takeEvents()
    }

    mutating func takeTexts() -> [String] {
        defer { output.messages.clear() }
        return output.messages.messages.indices.map { String(buffer: output.messages.message(at: $0)) }
    }

    /// What was sent, as the server reads it; audio as its count of bytes.
    mutating func takeEvents() -> [OpenAIRealtimeClientEvent] {
        takeTexts().compactMap { text in
            var audio = ByteBuffer()
            do {
                return try OpenAIRealtimeClientEvent.decode(ByteBuffer(string: text), audio: &audio).event
            } catch {
                Issue.record("the server would refuse \(text): \(error)")
                return nil
            }
        }
    }
}
