public import NIOCore

/// What ElevenLabs tells a webhook (elevenlabs.io/docs/agents-platform/workflows/post-call-webhooks), or an older service in its
/// place: `event` for the vendor's `type`, names in camel case, what is about the agent at the root.
public struct ElevenLabsWebhook: Sendable, Equatable {
    public enum Event: Sendable, Equatable {
        /// `post_call_transcription`: the call is over and analysed.
        case report(ElevenLabsReport)
        /// `post_call_audio`: the whole call as MP3.
        case audio(byteCount: Int)
        /// `call_initiation_failure`: a call that was dialled never came about.
        case initiationFailure(ElevenLabsInitiationFailure)
        /// `conversation_started` and `conversation_ended`, of the older shape.
        case conversationStarted, conversationEnded
        /// `tool_call`, of the older shape.
        case toolCall(ElevenLabsToolCall)
        /// Anything else, by its type.
        case unknown(String)
    }

    /// Longest type and longest id that are taken, in bytes.
    public static let maximumNameBytes = 256

    public var event: Event
    public var agentId: String?
    public var conversationId: String?
    /// The other side's own name for the conversation, of the older shape.
    public var sessionId: String?
    /// Seconds since 1970, when the vendor made the message.
    public var time: Int?
    /// What the conversation was begun with, as texts.
    public var variables: [String: String] = [:]

    /// Reads a body.
    ///
    /// - Parameters:
    ///   - audio: The MP3 of a `post_call_audio` is appended here. Unchanged when this throws.
    ///   - maximumAudio: Most bytes of it.
    /// - Throws: When it is no JSON object, has neither `type` nor `event`, or lacks what its type needs.
    public init(
        _ message: ByteBuffer, audio: inout ByteBuffer, maximumAudio: Int = 48 << 20
    ) throws(WireError) {
        self = try message.withUnsafeReadableBytes { (bytes: UnsafeRawBufferPointer) throws(WireError) in
            try Self(JSONObject(message: bytes), audio: &audio, maximumAudio: maximumAudio)
        }
    }

    private init(_ root: JSONObject, audio: inout ByteBuffer, maximumAudio: Int) throws(WireError) {
        let data = root.object("data")
        func text(_ names: String...) -> String? {
            for object in [root, data].compactMap(\.self) {
                for name in names {
                    if let text = object.string(name), !text.isEmpty, text.utf8.count <= Self.maximumNameBytes {
                        return text
                    }
                }
            }
            return nil
        }
        agentId = text("agent_id", "agentId")
        conversationId = text("conversation_id", "conversationId")
        sessionId = text("session_id", "sessionId")
        time = root.integer("event_timestamp")
        let initiation = (data ?? root).object("conversation_initiation_client_data")
        variables = Self.texts(
            initiation?.object("dynamic_variables") ?? data?.object("dynamic_variables")
                ?? root.object("dynamic_variables"))
        guard let type = root.string("type") ?? root.string("event") else {
            throw WireError(.missingField, #"a webhook needs "type" or "event""#)
        }
        guard type.utf8.count <= Self.maximumNameBytes else {
            throw WireError(.invalidValue, "the type has more than \(Self.maximumNameBytes) bytes")
        }
        switch type {
        case "post_call_transcription":
            event = .report(ElevenLabsReport(try root.requiredObject("data", in: type)))
        case "post_call_audio":
            let data = try root.requiredObject("data", in: type)
            event = .audio(
                byteCount: try data.appendBase64("full_audio", in: type, limit: maximumAudio, to: &audio))
        case "call_initiation_failure":
            event = .initiationFailure(ElevenLabsInitiationFailure(try root.requiredObject("data", in: type)))
        case "conversation_started": event = .conversationStarted
        case "conversation_ended": event = .conversationEnded
        case "tool_call":
            event = .toolCall(try ElevenLabsToolCall(try root.requiredObject("data", in: type)))
        default: event = .unknown(type)
        }
    }

    /// The plain values of an object, as texts; at most 100 of 1024 bytes.
    static func texts(_ object: JSONObject?) -> [String: String] {
        var texts: [String: String] = [:]
        for member in (object?.members ?? []).prefix(100) {
            guard !member.value.isNull, member.value.object == nil, member.value.elements == nil else { continue }
            let text = member.value.string ?? member.value.text
            if text.utf8.count <= 1024, member.name.utf8.count <= maximumNameBytes { texts[member.name] = text }
        }
        return texts
    }
}

/// The call of a tool that is run by whoever gets it.
public struct ElevenLabsToolCall: Sendable, Equatable {
    public var name: String
    /// JSON text of an object.
    public var parameters: String
    public var id: String?

    public init(name: String, parameters: String, id: String? = nil) {
        self.name = name
        self.parameters = parameters
        self.id = id
    }

    /// `{"tool_name", "parameters", "tool_call_id"}`, in either spelling.
    init(_ data: JSONObject) throws(WireError) {
        guard let name = data.string("tool_name") ?? data.string("toolName"), !name.isEmpty else {
            throw .missing("tool_name", in: "tool_call")
        }
        self.name = name
        parameters = data.object("parameters") == nil ? "{}" : data.text("parameters") ?? "{}"
        id = data.string("tool_call_id") ?? data.string("toolCallId")
    }

    /// Reads the body of a server tool: the object of its parameters, or the envelope
    /// `{"tool_call_id", "tool_name", "parameters", "conversation_id"}` around it.
    ///
    /// - Returns: `nil` when there is no envelope.
    public static func envelope(_ message: ByteBuffer) -> ElevenLabsToolCall? {
        let call = try? message.withUnsafeReadableBytes {
            (bytes: UnsafeRawBufferPointer) throws(WireError) -> ElevenLabsToolCall? in
            let object = try JSONObject(message: bytes)
            guard object.object("parameters") != nil, object.string("tool_name") != nil else { return nil }
            return try ElevenLabsToolCall(object)
        }
        return call ?? nil
    }
}

/// Why a call that the vendor dialled never came about.
public struct ElevenLabsInitiationFailure: Sendable, Equatable {
    /// `busy`, `no-answer` or `unknown`.
    public var reason: String
    /// The carrier's name of the call, where it had one.
    public var callSid: String?

    init(_ data: JSONObject) {
        reason = String((data.string("failure_reason") ?? "unknown").prefix(64))
        let body = data.object("metadata")?.object("body")
        callSid = body?.string("CallSid") ?? body?.string("call_sid")
    }
}
