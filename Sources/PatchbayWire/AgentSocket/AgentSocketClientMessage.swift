public import NIOCore

/// A message of Patchbay's, version 1 of the protocol. Sound in binary messages is none of these: it has no form.
public enum AgentSocketClientMessage: Sendable, Equatable {
    case start(AgentSocketStart)
    /// The caller can be heard from now on, and hears the agent.
    case callStarted
    /// Sound of the caller; the bytes are where ``decode(_:audio:)`` put them.
    case audio(byteCount: Int)
    /// The pipeline's own VAD heard the caller begin to speak.
    case speechStarted
    /// The pipeline's own VAD heard the caller stop.
    case speechStopped
    /// The pipeline finds that the caller has the floor.
    case turnStarted
    /// The pipeline finds the caller's turn over: answer now.
    case turnEnded
    case text(AgentSocketText)
    /// The pipeline cut the agent's turn.
    case interruption(cause: String, AgentSocketHeard)
    /// How much of a turn was heard.
    case heard(AgentSocketHeard)
    /// The caller pressed these keys.
    case dtmf(String)
    case toolResult(id: String, name: String, output: String, isError: Bool)
    /// Something to know and not to answer at once.
    case context(String)
    /// The call is over; the socket is closed next.
    case end(reason: String, detail: String)
    case ping(id: Int?)
    case pong(id: Int?)
    /// A type that this version does not know, to be ignored.
    case other(type: String)
}

extension AgentSocketClientMessage {
    /// Decodes one text message: for simulated agents. Unknown types and keys are no errors.
    ///
    /// - Parameter audio: The bytes of an `audio` message are appended here. Unchanged when this throws.
    public static func decode(
        _ message: ByteBuffer, audio: inout ByteBuffer
    ) throws(WireError) -> AgentSocketClientMessage {
        try message.withUnsafeReadableBytes {
            (bytes: UnsafeRawBufferPointer) throws(WireError) -> AgentSocketClientMessage in
            if let count = try AgentSocketAudio.read(bytes, into: &audio, limit: AgentSocketLimits.messageBytes) {
                return .audio(byteCount: count)
            }
            return try decode(JSONObject(message: bytes), audio: &audio)
        }
    }

    private static func decode(
        _ message: JSONObject, audio: inout ByteBuffer
    ) throws(WireError) -> AgentSocketClientMessage {
        let type = try message.requiredString("type", in: "the message")
        switch type {
        case "start": return .start(try AgentSocketStart(message))
        case "callStarted": return .callStarted
        case "audio":
            return .audio(
                byteCount: try message.appendBase64(
                    "audio", in: type, limit: AgentSocketLimits.messageBytes, to: &audio))
        case "speechStarted": return .speechStarted
        case "speechStopped": return .speechStopped
        case "turnStarted": return .turnStarted
        case "turnEnded": return .turnEnded
        case "text": return .text(try AgentSocketText(message, default: .caller))
        case "interruption":
            let heard = try message.requiredObject("heard", in: type)
            return .interruption(cause: message.string("cause") ?? "", try AgentSocketHeard(heard, in: "heard"))
        case "heard": return .heard(try AgentSocketHeard(message, in: type))
        case "dtmf": return .dtmf(try AgentSocketServerMessage.digits(message, in: type))
        case "toolResult":
            return .toolResult(
                id: try message.requiredString("id", in: type), name: message.string("name") ?? "",
                output: try message.requiredString("output", in: type),
                isError: try message.optionalBool("isError") ?? false)
        case "context": return .context(try message.requiredString("text", in: type))
        case "end": return .end(reason: message.string("reason") ?? "", detail: message.string("detail") ?? "")
        case "ping": return .ping(id: try message.optionalInteger("id"))
        case "pong": return .pong(id: try message.optionalInteger("id"))
        default: return .other(type: String(type.prefix(64)))
        }
    }

    /// Appends the message; `audio` is the sound of an ``audio(byteCount:)``.
    public func write(audio: UnsafeRawBufferPointer = .init(start: nil, count: 0), into buffer: inout ByteBuffer) {
        if case .audio = self {
            AgentSocketAudio.write(audio, into: &buffer)
        } else {
            buffer.write(.object { write(into: &$0) })
        }
    }

    private func write(into text: inout JSONText) {
        switch self {
        case .start(let start):
            text.member("type", "start")
            start.write(into: &text)
        case .callStarted: text.member("type", "callStarted")
        case .audio: break
        case .speechStarted: text.member("type", "speechStarted")
        case .speechStopped: text.member("type", "speechStopped")
        case .turnStarted: text.member("type", "turnStarted")
        case .turnEnded: text.member("type", "turnEnded")
        case .text(let words):
            text.member("type", "text")
            words.write(into: &text)
        case .interruption(let cause, let heard):
            text.member("type", "interruption")
            text.member("cause", cause)
            text.member("heard") { heard.write(into: &$0) }
        case .heard(let heard):
            text.member("type", "heard")
            heard.write(into: &text)
        case .dtmf(let digits):
            text.member("type", "dtmf")
            text.member("digits", digits)
        case .toolResult(let id, let name, let output, let isError):
            text.member("type", "toolResult")
            text.member("id", id)
            text.member("name", name)
            text.member("output", output)
            text.member("isError", isError)
        case .context(let words):
            text.member("type", "context")
            text.member("text", words)
        case .end(let reason, let detail):
            text.member("type", "end")
            text.member("reason", reason)
            text.member("detail", detail)
        case .ping(let id):
            text.member("type", "ping")
            text.member("id", id)
        case .pong(let id):
            text.member("type", "pong")
            text.member("id", id)
        case .other(let type):
            text.member("type", type)
        }
    }
}
