public import NIOCore

/// A message of a caller without a telephone: the part of the agent protocol, version 1, that Patchbay understands when it is
/// itself in the agent's place.
public enum CallerSocketMessage: Sendable, Equatable {
    /// The caller wants to speak; what is not said of the sound is left to the server. `call` is the server's own name of the call.
    case start(AgentSocketAudioOffer, call: String)
    /// Sound of the caller; the bytes are where ``decode(_:audio:)`` put them.
    case audio(byteCount: Int)
    /// The caller pressed these keys.
    case dtmf(String)
    /// Everything before the mark of that name has been played.
    case mark(String)
    case end
    case ping(id: Int?)
    /// A type that means nothing here.
    case other(type: String)

    /// Decodes one text message. Unknown types and keys are no errors.
    ///
    /// - Parameter audio: The bytes of an `audio` message are appended here. Unchanged when this throws.
    /// - Throws: ``WireError`` for what is no JSON object, for missing and wrong fields, and beyond ``AgentSocketLimits``.
    public static func decode(_ message: ByteBuffer, audio: inout ByteBuffer) throws(WireError) -> CallerSocketMessage {
        try message.withUnsafeReadableBytes {
            (bytes: UnsafeRawBufferPointer) throws(WireError) -> CallerSocketMessage in
            if let count = try AgentSocketAudio.read(bytes, into: &audio, limit: AgentSocketLimits.messageBytes) {
                return .audio(byteCount: count)
            }
            let message = try JSONObject(message: bytes)
            let type = try message.requiredString("type", in: "the message")
            switch type {
            case "start":
                if let value = message["audio"], !value.isNull, value.object == nil {
                    throw .wrongType("audio", expected: "an object in start", offset: value.range.lowerBound)
                }
                return .start(
                    AgentSocketAudioOffer(message.object("audio")),
                    call: try message.object("call")?.optionalString("id", limit: AgentSocketLimits.nameBytes) ?? "")
            case "audio":
                return .audio(
                    byteCount: try message.appendBase64(
                        "audio", in: type, limit: AgentSocketLimits.messageBytes, to: &audio))
            case "dtmf": return .dtmf(try AgentSocketServerMessage.digits(message, in: type))
            case "mark":
                return .mark(try message.requiredString("name", in: type, limit: AgentSocketLimits.nameBytes))
            case "end": return .end
            case "ping": return .ping(id: try message.optionalInteger("id"))
            default: return .other(type: String(type.prefix(64)))
            }
        }
    }

    /// Appends a `start` with the form of the sound and the name of the call.
    public static func writeStart(_ form: AgentSocketAudioForm, call: String, into buffer: inout ByteBuffer) {
        buffer.write(
            .object { text in
                text.member("type", "start")
                text.member("call") { $0.member("id", call) }
                text.member("audio") { $0.member("form", form.rawValue) }
            })
    }

    /// Appends `{"type":"mark","name":"…"}`. The name must need no escapes.
    public static func writeMark(_ name: String, into buffer: inout ByteBuffer) {
        buffer.writeStaticString(#"{"type":"mark","name":""#)
        buffer.writeString(name)
        buffer.writeStaticString(#""}"#)
    }

    /// Appends the message that has the caller forget what was not played yet.
    public static func writeInterruption(into buffer: inout ByteBuffer) {
        buffer.writeStaticString(#"{"type":"interruption"}"#)
    }
}
