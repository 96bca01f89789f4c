public import NIOCore

/// What a server sends over a bidirectional stream, as Twilio reads it.
public enum TwilioCommand: Sendable, Equatable {
    /// Audio to play after all that is queued: `byteCount` bytes were appended to the decoder's buffer.
    case media(byteCount: Int)
    case mark(name: String)
    case clear
}

/// Decodes a server's messages as strictly as Twilio does: for a simulated phone.
///
/// An unknown event, a missing or additional field, a wrong `streamSid` and anything that is not JSON are errors,
/// where Twilio drops the message and raises warning 31951 (twilio.com/docs/api/errors/31951). `media` is read without
/// allocation.
public struct TwilioCommandDecoder: Sendable {
    public let streamSid: String
    /// Largest payload of one `media` message in decoded bytes.
    public var maximumPayload: Int
    private let expected: [UInt8]

    public init(streamSid: String, maximumPayload: Int = 1 << 20) {
        self.streamSid = streamSid
        self.maximumPayload = maximumPayload
        self.expected = Array(streamSid.utf8)
    }

    /// Decodes one message; audio is appended to `payload`, which is unchanged when this throws.
    public func decode(_ message: ByteBuffer, payload: inout ByteBuffer) throws(WireError) -> TwilioCommand {
        try message.withUnsafeReadableBytes { (bytes: UnsafeRawBufferPointer) throws(WireError) -> TwilioCommand in
            var scanner = try JSONScanner(bytes)
            return try decode(&scanner, payload: &payload)
        }
    }

    private struct Fields {
        var event: JSONString?
        var streamSid: JSONString?
        var hasMedia = false
        var payload: JSONString?
        var hasMark = false
        var markName: JSONString?
    }

    private func decode(_ scanner: inout JSONScanner, payload: inout ByteBuffer) throws(WireError) -> TwilioCommand {
        var fields = Fields()
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            if scanner.matches(key, "event") {
                fields.event = try string(&scanner, "event")
            } else if scanner.matches(key, "streamSid") {
                fields.streamSid = try string(&scanner, "streamSid")
            } else if scanner.matches(key, "media"), !fields.hasMedia {
                fields.hasMedia = true
                try scanMember(&scanner, "payload", isChecked: false) { fields.payload = $0 }
            } else if scanner.matches(key, "mark"), !fields.hasMark {
                fields.hasMark = true
                try scanMember(&scanner, "name", isChecked: true) { fields.markName = $0 }
            } else {
                throw unexpected(scanner.value(of: key), offset: key.start)
            }
        }
        try scanner.finish()
        guard let event = fields.event else { throw .missing("event", in: "the message") }
        guard let sid = fields.streamSid else { throw .missing("streamSid", in: "the message") }
        try checkStream(scanner, sid)
        if scanner.matches(event, "media") {
            guard let text = fields.payload else { throw .missing("payload", in: "media") }
            guard !fields.hasMark else { throw unexpected("mark", offset: nil) }
            return .media(byteCount: try scanner.appendBase64(text, limit: maximumPayload, to: &payload))
        }
        guard !fields.hasMedia else { throw unexpected("media", offset: nil) }
        if scanner.matches(event, "mark") {
            guard let name = fields.markName else { throw .missing("name", in: "mark") }
            return .mark(name: scanner.value(of: name))
        }
        guard !fields.hasMark else { throw unexpected("mark", offset: nil) }
        guard scanner.matches(event, "clear") else {
            throw WireError(
                .unknownEvent,
                "event is \"\(scanner.value(of: event).prefix(64))\"; a server may send media, mark and clear",
                offset: event.start)
        }
        return .clear
    }

    /// Reads an object that must have this one member, a string, once.
    @inline(__always)
    private func scanMember(
        _ scanner: inout JSONScanner, _ name: StaticString, isChecked: Bool, _ store: (JSONString) -> Void
    ) throws(WireError) {
        var isFirst = true
        var isFound = false
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard !isFound, scanner.matches(key, name) else {
                throw unexpected(scanner.value(of: key), offset: key.start)
            }
            guard try scanner.peek() == UInt8(ascii: "\"") else { throw .wrongType("\(name)", expected: "a string") }
            isFound = true
            store(isChecked ? try scanner.scanString() : try scanner.scanStringUnchecked())
        }
    }

    @inline(__always)
    private func string(_ scanner: inout JSONScanner, _ name: StaticString) throws(WireError) -> JSONString {
        guard try scanner.peek() == UInt8(ascii: "\"") else { throw .wrongType("\(name)", expected: "a string") }
        return try scanner.scanString()
    }

    private func checkStream(_ scanner: JSONScanner, _ sid: JSONString) throws(WireError) {
        guard !scanner.matches(sid, expected) else { return }
        let name = scanner.value(of: sid)
        guard name != streamSid else { return }
        throw WireError(
            .wrongStream, "streamSid is \"\(name.prefix(64))\", this stream is \"\(streamSid)\"", offset: sid.start)
    }

    @inline(never)
    private func unexpected(_ field: String, offset: Int?) -> WireError {
        WireError(.unexpectedField, "\"\(field.prefix(64))\" does not belong in this message", offset: offset)
    }
}
