public import NIOCore

/// Writes what Twilio sends, in Twilio's form: for a simulated phone.
///
/// Counts `sequenceNumber` (from 1 at `start`) and `chunk` (from 1 on each track) as Twilio does.
public struct TwilioPhoneWriter: Sendable {
    public let start: TwilioStart
    /// Number of the next message; 1 before `start` is written.
    public private(set) var sequenceNumber = 1
    private var inboundChunk = 1
    private var outboundChunk = 1
    private let mediaSuffix: [UInt8]

    public init(start: TwilioStart) {
        self.start = start
        var sid = JSONText()
        sid.string(start.streamSid)
        self.mediaSuffix = Array(#""},"streamSid":"#.utf8) + sid.bytes + [UInt8(ascii: "}")]
    }

    public func connected(into buffer: inout ByteBuffer) {
        buffer.writeString(#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#)
    }

    public mutating func start(into buffer: inout ByteBuffer) {
        let start = start
        buffer.write(
            .object { text in
                text.member("event", "start")
                text.member("sequenceNumber", nextNumber())
                text.member("start") { inner in
                    inner.member("accountSid", start.accountSid)
                    inner.member("streamSid", start.streamSid)
                    inner.member("callSid", start.callSid)
                    inner.member("tracks", start.tracks)
                    inner.member("mediaFormat") { format in
                        format.member("encoding", start.mediaFormat.encoding)
                        format.member("sampleRate", start.mediaFormat.sampleRate)
                        format.member("channels", start.mediaFormat.channels)
                    }
                    inner.member("customParameters") { parameters in
                        for (name, value) in start.customParameters.sorted(by: { $0.key < $1.key }) {
                            parameters.member(name, value)
                        }
                    }
                }
                text.member("streamSid", start.streamSid)
            })
    }

    /// Appends a `media` message.
    ///
    /// - Parameters:
    ///   - payload: Raw audio, from Twilio normally 160 bytes of µ-law.
    ///   - timestamp: Milliseconds since the stream began.
    public mutating func media(
        _ payload: UnsafeRawBufferPointer, track: TwilioMedia.Track = .inbound, timestamp: Int,
        into buffer: inout ByteBuffer
    ) {
        let number = sequenceNumber
        let chunk = track == .inbound ? inboundChunk : outboundChunk
        let size = 128 + 3 * RawWriter.integerWidth + Base64.encodedCount(of: payload.count) + mediaSuffix.count
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { room in
            var writer = RawWriter(room)
            writer.append(#"{"event":"media","sequenceNumber":""#)
            writer.append(number)
            writer.append(#"","media":{"track":""#)
            writer.append(track == .inbound ? "inbound" : "outbound")
            writer.append(#"","chunk":""#)
            writer.append(chunk)
            writer.append(#"","timestamp":""#)
            writer.append(timestamp)
            writer.append(#"","payload":""#)
            writer.append(base64: payload)
            writer.append(mediaSuffix)
            return writer.count
        }
        sequenceNumber += 1
        if track == .inbound { inboundChunk += 1 } else { outboundChunk += 1 }
    }

    public mutating func dtmf(_ digit: Character, into buffer: inout ByteBuffer) {
        let start = start
        buffer.write(
            .object { text in
                text.member("event", "dtmf")
                text.member("streamSid", start.streamSid)
                text.member("sequenceNumber", nextNumber())
                text.member("dtmf") { inner in
                    inner.member("track", "inbound_track")
                    inner.member("digit", String(digit))
                }
            })
    }

    public mutating func mark(_ name: String, into buffer: inout ByteBuffer) {
        let start = start
        buffer.write(
            .object { text in
                text.member("event", "mark")
                text.member("sequenceNumber", nextNumber())
                text.member("streamSid", start.streamSid)
                text.member("mark") { $0.member("name", name) }
            })
    }

    public mutating func stop(into buffer: inout ByteBuffer) {
        let start = start
        buffer.write(
            .object { text in
                text.member("event", "stop")
                text.member("sequenceNumber", nextNumber())
                text.member("stop") { inner in
                    inner.member("accountSid", start.accountSid)
                    inner.member("callSid", start.callSid)
                }
                text.member("streamSid", start.streamSid)
            })
    }

    private mutating func nextNumber() -> String {
        defer { sequenceNumber += 1 }
        return String(sequenceNumber)
    }
}
