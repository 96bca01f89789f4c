public import NIOCore

/// Writes what a server may send over a bidirectional stream: `media`, `mark` and `clear`, with the exact fields Twilio
/// wants. An additional field costs the message (Twilio's warning 31951, twilio.com/docs/api/errors/31951).
public struct TwilioStreamWriter: Sendable {
    public let streamSid: String
    private let mediaPrefix: [UInt8]
    private let markPrefix: [UInt8]
    private let clearMessage: [UInt8]

    public init(streamSid: String) {
        self.streamSid = streamSid
        var sid = JSONText()
        sid.string(streamSid)
        self.mediaPrefix =
            Array(#"{"event":"media","streamSid":"#.utf8) + sid.bytes + Array(#","media":{"payload":""#.utf8)
        self.markPrefix = Array(#"{"event":"mark","streamSid":"#.utf8) + sid.bytes + Array(#","mark":{"name":"#.utf8)
        self.clearMessage = Array(#"{"event":"clear","streamSid":"#.utf8) + sid.bytes + [UInt8(ascii: "}")]
    }

    /// Appends a `media` message: `payload` is raw audio in the stream's format, without any header.
    ///
    /// Reserves once and allocates only when `buffer` must grow. Twilio plays multiples of 20 ms (160 bytes) best.
    public func media(_ payload: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) {
        let suffix: StaticString = #""}}"#
        let size = mediaPrefix.count + Base64.encodedCount(of: payload.count) + suffix.utf8CodeUnitCount
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { room in
            var writer = RawWriter(room)
            writer.append(mediaPrefix)
            writer.append(base64: payload)
            writer.append(suffix)
            return writer.count
        }
    }

    /// Appends a `mark` message; Twilio sends the name back once everything before it was played.
    ///
    /// Allocates nothing when the name has nothing to escape, as with digits and a colon.
    public func mark(_ name: String, into buffer: inout ByteBuffer) {
        buffer.writeBytes(markPrefix)
        if name.utf8.allSatisfy({ (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        {
            buffer.writeInteger(UInt8(ascii: "\""))
            buffer.writeString(name)
            buffer.writeInteger(UInt8(ascii: "\""))
        } else {
            var escaped = JSONText()
            escaped.string(name)
            buffer.writeBytes(escaped.bytes)
        }
        buffer.writeStaticString("}}")
    }

    /// Appends a `clear` message: Twilio throws away what it has not played and returns all pending marks.
    public func clear(into buffer: inout ByteBuffer) { buffer.writeBytes(clearMessage) }
}
