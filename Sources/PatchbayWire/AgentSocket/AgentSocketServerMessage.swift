public import NIOCore

/// A message of the agent, version 1 of the protocol. Sound in binary messages is none of these: it has no form.
public enum AgentSocketServerMessage: Sendable, Equatable {
    /// The agent is listening, in these formats.
    case ready(AgentSocketAudioChoice, conversation: String?)
    /// Sound of the agent; the bytes are where ``decode(_:audio:)`` put them.
    case audio(byteCount: Int)
    /// Nothing more comes of this turn of the agent.
    case turnEnded
    case text(AgentSocketText)
    /// The agent cuts its own turn.
    case interruption(cause: String?)
    /// Whether what follows may be cut.
    case interruptible(Bool)
    /// Keys to press towards the caller's side.
    case dtmf(String)
    /// The arguments are the JSON text of an object.
    case toolCall(id: String, name: String, arguments: String)
    case toolCancel(ids: [String])
    case hangUp(reason: String?)
    /// A telephone number, or a SIP address.
    case transfer(to: String)
    /// The agent wants to be dialled again for the same conversation.
    case reconnect(cause: String?)
    /// The agent cannot go on.
    case error(Fault)
    case ping(id: Int?)
    case pong(id: Int?)
    /// A type that this version does not know, to be ignored.
    case other(type: String)

    /// Why an agent cannot go on.
    public struct Fault: Sendable, Equatable {
        /// One of ``knownCodes``, or the agent's own word.
        public var code: String
        public var message: String
        /// Whether another try may help.
        public var isRetryable: Bool

        public static let knownCodes = ["unauthorized", "unknownAgent", "quota", "settingRefused", "failed"]

        public init(code: String, message: String, isRetryable: Bool = false) {
            self.code = code
            self.message = message
            self.isRetryable = isRetryable
        }
    }
}

extension AgentSocketServerMessage {
    /// Every type that an agent may send.
    public static let types = [
        "ready", "audio", "turnEnded", "text", "interruption", "interruptible", "dtmf", "toolCall", "toolCancel",
        "hangUp", "transfer", "reconnect", "error", "ping", "pong",
    ]

    /// Decodes one text message. Unknown types and keys are no errors.
    ///
    /// - Parameter audio: The bytes of an `audio` message are appended here. Unchanged when this throws.
    /// - Throws: ``WireError`` for what is no JSON object, for missing and wrong fields, and beyond ``AgentSocketLimits``.
    public static func decode(
        _ message: ByteBuffer, audio: inout ByteBuffer
    ) throws(WireError) -> AgentSocketServerMessage {
        try message.withUnsafeReadableBytes {
            (bytes: UnsafeRawBufferPointer) throws(WireError) -> AgentSocketServerMessage in
            if let count = try AgentSocketAudio.read(bytes, into: &audio, limit: AgentSocketLimits.messageBytes) {
                return .audio(byteCount: count)
            }
            return try decode(JSONObject(message: bytes), audio: &audio)
        }
    }

    private static func decode(
        _ message: JSONObject, audio: inout ByteBuffer
    ) throws(WireError) -> AgentSocketServerMessage {
        let type = try message.requiredString("type", in: "the message")
        switch type {
        case "ready":
            if let value = message["audio"], !value.isNull, value.object == nil {
                throw .wrongType("audio", expected: "an object in ready", offset: value.range.lowerBound)
            }
            return .ready(
                try AgentSocketAudioChoice(message.object("audio")),
                conversation: try message.optionalString("conversation", limit: AgentSocketLimits.nameBytes))
        case "audio":
            return .audio(
                byteCount: try message.appendBase64(
                    "audio", in: type, limit: AgentSocketLimits.messageBytes, to: &audio))
        case "turnEnded": return .turnEnded
        case "text": return .text(try AgentSocketText(message, default: .agent))
        case "interruption":
            return .interruption(cause: try message.optionalString("cause", limit: AgentSocketLimits.textBytes))
        case "interruptible":
            guard let isAllowed = try message.optionalBool("allowed") else { throw .missing("allowed", in: type) }
            return .interruptible(isAllowed)
        case "dtmf": return .dtmf(try digits(message, in: type))
        case "toolCall": return try toolCall(message)
        case "toolCancel": return .toolCancel(ids: try ids(message, in: type))
        case "hangUp":
            return .hangUp(reason: try message.optionalString("reason", limit: AgentSocketLimits.textBytes))
        case "transfer": return .transfer(to: try address(message, in: type))
        case "reconnect":
            return .reconnect(cause: try message.optionalString("cause", limit: AgentSocketLimits.textBytes))
        case "error":
            return .error(
                Fault(
                    code: try message.optionalString("code", limit: AgentSocketLimits.nameBytes) ?? "failed",
                    message: try message.optionalString("message", limit: AgentSocketLimits.textBytes) ?? "",
                    isRetryable: try message.optionalBool("retryable") ?? false))
        case "ping": return .ping(id: try message.optionalInteger("id"))
        case "pong": return .pong(id: try message.optionalInteger("id"))
        default: return .other(type: String(type.prefix(64)))
        }
    }

    static func digits(_ message: JSONObject, in type: String) throws(WireError) -> String {
        let digits = try message.requiredString("digits", in: type, limit: AgentSocketLimits.keys)
        guard !digits.isEmpty, digits.utf8.allSatisfy({ "0123456789*#ABCD".utf8.contains($0) }) else {
            throw WireError(.invalidValue, "\"digits\" holds keys of a telephone: 0 to 9, *, # and A to D")
        }
        return digits
    }

    private static func toolCall(_ message: JSONObject) throws(WireError) -> AgentSocketServerMessage {
        let id = try message.requiredString("id", in: "toolCall", limit: AgentSocketLimits.nameBytes)
        let name = try message.requiredString("name", in: "toolCall", limit: AgentSocketLimits.nameBytes)
        var arguments = "{}"
        if let value = message["arguments"], !value.isNull {
            guard value.object != nil else {
                throw .wrongType("arguments", expected: "an object, not its text", offset: value.range.lowerBound)
            }
            guard value.range.count <= AgentSocketLimits.argumentBytes else {
                throw WireError(.tooLarge, "\"arguments\" has more than \(AgentSocketLimits.argumentBytes) bytes")
            }
            arguments = value.text
        }
        return .toolCall(id: id, name: name, arguments: arguments)
    }

    private static func ids(_ message: JSONObject, in type: String) throws(WireError) -> [String] {
        guard let elements = message["ids"]?.elements else { throw .missing("ids", in: type) }
        guard elements.count <= AgentSocketLimits.cancelledTools else {
            throw WireError(.tooLarge, "\"ids\" has more than \(AgentSocketLimits.cancelledTools) elements")
        }
        var ids: [String] = []
        for element in elements {
            guard let id = element.string, id.utf8.count <= AgentSocketLimits.nameBytes else {
                throw .wrongType("ids", expected: "a list of short strings", offset: element.range.lowerBound)
            }
            ids.append(id)
        }
        return ids
    }

    private static func address(_ message: JSONObject, in type: String) throws(WireError) -> String {
        let address = try message.requiredString("to", in: type, limit: AgentSocketLimits.addressBytes)
        guard !address.isEmpty, address.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw WireError(.invalidValue, "\"to\" is a number such as +15550100001, or a SIP address, without blanks")
        }
        return address
    }
}

extension AgentSocketServerMessage {
    /// Appends the message as an agent sends it; `audio` is the sound of an ``audio(byteCount:)``.
    public func write(audio: UnsafeRawBufferPointer = .init(start: nil, count: 0), into buffer: inout ByteBuffer) {
        if case .audio = self {
            AgentSocketAudio.write(audio, into: &buffer)
        } else {
            buffer.write(.object { write(into: &$0) })
        }
    }

    private func write(into text: inout JSONText) {
        switch self {
        case .ready(let choice, let conversation):
            text.member("type", "ready")
            if choice != AgentSocketAudioChoice() { text.member("audio") { choice.write(into: &$0) } }
            text.member("conversation", conversation)
        case .audio: break
        case .turnEnded: text.member("type", "turnEnded")
        case .text(let words):
            text.member("type", "text")
            words.write(into: &text)
        case .interruption(let cause):
            text.member("type", "interruption")
            text.member("cause", cause)
        case .interruptible(let isAllowed):
            text.member("type", "interruptible")
            text.member("allowed", isAllowed)
        case .dtmf(let digits):
            text.member("type", "dtmf")
            text.member("digits", digits)
        case .toolCall(let id, let name, let arguments):
            text.member("type", "toolCall")
            text.member("id", id)
            text.member("name", name)
            text.member("arguments", raw: arguments)
        case .toolCancel(let ids):
            text.member("type", "toolCancel")
            text.member("ids", ids)
        case .hangUp(let reason):
            text.member("type", "hangUp")
            text.member("reason", reason)
        case .transfer(let address):
            text.member("type", "transfer")
            text.member("to", address)
        case .reconnect(let cause):
            text.member("type", "reconnect")
            text.member("cause", cause)
        case .error(let fault):
            text.member("type", "error")
            text.member("code", fault.code)
            text.member("message", fault.message)
            text.member("retryable", fault.isRetryable)
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
