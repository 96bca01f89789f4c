public import NIOCore

/// Decodes what Twilio sends over a media stream.
///
/// Tolerant as the protocol asks: keys in any order, counters as strings or numbers, unknown fields and events, absent
/// fields that a call can do without. Strict about JSON itself. `media` is read in one pass and without allocation, the
/// other events, a handful in a call, by a general reader.
public struct TwilioMessageDecoder: Sendable {
    /// Largest payload of one `media` message in decoded bytes.
    public var maximumPayload: Int

    /// The stream that this socket carries, from `start`. A message that names another is refused with
    /// ``WireError/Code/wrongStream``; one that names none is accepted, because a socket carries exactly one stream.
    public var streamSid: String? {
        didSet { expected = streamSid.map { Array($0.utf8) } }
    }
    private var expected: [UInt8]?

    /// - Parameter maximumPayload: Largest payload in decoded bytes; 64 KiB is eight seconds of µ-law.
    public init(maximumPayload: Int = 65_536) { self.maximumPayload = maximumPayload }

    /// Decodes one message.
    ///
    /// - Parameters:
    ///   - message: One whole text message, from its reader index on.
    ///   - payload: Audio of a `media` message is appended here: raw bytes in the format that `start` announced. Keep
    ///     and clear one buffer between messages, and its memory is used again. Unchanged when this throws.
    public func decode(_ message: ByteBuffer, payload: inout ByteBuffer) throws(WireError) -> TwilioMessage {
        try message.withUnsafeReadableBytes { (bytes: UnsafeRawBufferPointer) throws(WireError) -> TwilioMessage in
            var scanner = try JSONScanner(bytes)
            if let media = try decodeMedia(&scanner, payload: &payload) { return .media(media) }
            return try decodeRare(JSONObject(message: bytes), payload: &payload)
        }
    }

    // MARK: The hot message

    /// The fields of a `media` message, as places in it.
    private struct Fields {
        var isMedia = false
        var track: JSONString?
        var payload: JSONString?
        var streamSid: JSONString?
        var chunk: Int?
        var timestamp: Int?
        var sequenceNumber: Int?
    }

    /// `nil` when the message is not `media`, or so unusual that the general reader must look at it.
    private func decodeMedia(
        _ scanner: inout JSONScanner, payload: inout ByteBuffer
    ) throws(WireError) -> TwilioMedia? {
        var fields = Fields()
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard key.isPlain else { return nil }
            let isText = try scanner.peek() == UInt8(ascii: "\"")
            if scanner.matches(key, "event"), isText {
                let event = try scanner.scanString()
                guard scanner.matches(event, "media") else { return nil }
                fields.isMedia = true
            } else if scanner.matches(key, "media") {
                guard try scanMediaObject(&scanner, into: &fields) else { return nil }
            } else if scanner.matches(key, "sequenceNumber") {
                fields.sequenceNumber = try scanner.scanInteger("sequenceNumber")
            } else if scanner.matches(key, "streamSid"), isText {
                let sid = try scanner.scanString()
                guard sid.isPlain else { return nil }
                fields.streamSid = sid
            } else {
                try scanner.skipValue(depth: 1)
            }
        }
        try scanner.finish()
        guard fields.isMedia else { return nil }
        guard let text = fields.payload else { throw .missing("payload", in: "media") }
        if let sid = fields.streamSid { try checkStream(scanner, sid) }
        let track = try track(scanner, fields.track)
        let count = try scanner.appendBase64(text, limit: maximumPayload, to: &payload)
        return TwilioMedia(
            track: track, chunk: fields.chunk, timestamp: fields.timestamp, sequenceNumber: fields.sequenceNumber,
            byteCount: count)
    }

    private func scanMediaObject(_ scanner: inout JSONScanner, into fields: inout Fields) throws(WireError) -> Bool {
        guard try scanner.peek() == UInt8(ascii: "{") else { return false }
        // Of a key given twice the last wins: a first payload that nobody decodes must still be a proper string.
        fields.chunk = nil
        fields.timestamp = nil
        fields.track = nil
        if let old = fields.payload { _ = try scanner.check(old) }
        fields.payload = nil
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard key.isPlain else { return false }
            if scanner.matches(key, "payload") {
                guard try scanner.peek() == UInt8(ascii: "\"") else { return false }
                if let old = fields.payload { _ = try scanner.check(old) }
                fields.payload = try scanner.scanStringUnchecked()
            } else if scanner.matches(key, "chunk") {
                fields.chunk = try scanner.scanInteger("chunk")
            } else if scanner.matches(key, "timestamp") {
                fields.timestamp = try scanner.scanInteger("timestamp")
            } else if scanner.matches(key, "track") {
                guard try scanner.peek() == UInt8(ascii: "\"") else { return false }
                let track = try scanner.scanString()
                guard track.isPlain else { return false }
                fields.track = track
            } else {
                try scanner.skipValue(depth: 2)
            }
        }
        return true
    }

    private func track(_ scanner: JSONScanner, _ name: JSONString?) throws(WireError) -> TwilioMedia.Track {
        guard let name else { return .inbound }
        if scanner.matches(name, "inbound") { return .inbound }
        if scanner.matches(name, "outbound") { return .outbound }
        throw WireError(
            .invalidValue, "track is \"\(scanner.value(of: name))\"; it must be inbound or outbound", offset: name.start
        )
    }

    private func checkStream(_ scanner: JSONScanner, _ sid: JSONString) throws(WireError) {
        guard let expected, !scanner.matches(sid, expected) else { return }
        throw wrongStream(scanner.value(of: sid), offset: sid.start)
    }

    // MARK: The others

    private func decodeRare(_ message: JSONObject, payload: inout ByteBuffer) throws(WireError) -> TwilioMessage {
        let event = try message.requiredString("event", in: "the message")
        if event != "start", let sid = message.string("streamSid"), let streamSid, sid != streamSid {
            throw wrongStream(sid, offset: nil)
        }
        switch event {
        case "connected":
            return .connected(protocol: message.string("protocol") ?? "", version: message.string("version") ?? "")
        case "start":
            return .start(try decodeStart(message))
        case "media":
            return .media(try decodeRareMedia(message, payload: &payload))
        case "dtmf":
            let digit = try message.requiredObject("dtmf", in: "dtmf").requiredString("digit", in: "dtmf")
            guard digit.utf8.count == 1, let key = digit.first, "0123456789*#ABCDabcd".contains(key) else {
                throw WireError(.invalidValue, "digit is \"\(digit.prefix(16))\"; it must be one of 0-9, *, #, A-D")
            }
            return .dtmf(digit: Character(key.uppercased()))
        case "mark":
            return .mark(name: try message.requiredObject("mark", in: "mark").requiredString("name", in: "mark"))
        case "stop":
            let stop = message.object("stop")
            return .stop(
                TwilioStop(accountSid: stop?.string("accountSid") ?? "", callSid: stop?.string("callSid") ?? ""))
        default:
            return .unknown(event: event)
        }
    }

    private func decodeStart(_ message: JSONObject) throws(WireError) -> TwilioStart {
        let start = try message.requiredObject("start", in: "start")
        let outer = message.string("streamSid")
        guard let sid = start.string("streamSid") ?? outer else { throw .missing("streamSid", in: "start") }
        if let outer, outer != sid { throw wrongStream(outer, offset: nil) }
        // Documented as always µ-law, 8,000 Hz, mono; what is absent is that.
        var format = TwilioStart.MediaFormat()
        if let described = start.object("mediaFormat") {
            format.encoding = described.string("encoding") ?? format.encoding
            format.sampleRate = described.integer("sampleRate") ?? format.sampleRate
            format.channels = described.integer("channels") ?? format.channels
        }
        var parameters: [String: String] = [:]
        for member in start.object("customParameters")?.members ?? [] {
            parameters[member.name] = member.value.string ?? member.value.text
        }
        return TwilioStart(
            streamSid: sid, callSid: try start.requiredString("callSid", in: "start"),
            accountSid: start.string("accountSid") ?? "",
            tracks: start["tracks"]?.elements?.compactMap(\.string) ?? ["inbound"], mediaFormat: format,
            customParameters: parameters, sequenceNumber: message.integer("sequenceNumber"))
    }

    /// A `media` message with escapes in its keys or identifiers: legal, and never seen from Twilio.
    private func decodeRareMedia(_ message: JSONObject, payload: inout ByteBuffer) throws(WireError) -> TwilioMedia {
        let media = try message.requiredObject("media", in: "the message")
        let name = media.string("track") ?? "inbound"
        guard let track = TwilioMedia.Track(rawValue: name) else {
            throw WireError(.invalidValue, "track is \"\(name.prefix(32))\"; it must be inbound or outbound")
        }
        let count = try media.appendBase64("payload", in: "media", limit: maximumPayload, to: &payload)
        return TwilioMedia(
            track: track, chunk: media.integer("chunk"), timestamp: media.integer("timestamp"),
            sequenceNumber: message.integer("sequenceNumber"), byteCount: count)
    }

    @inline(never)
    private func wrongStream(_ found: String, offset: Int?) -> WireError {
        WireError(
            .wrongStream, "streamSid is \"\(found.prefix(64))\", this stream is \"\(streamSid ?? "")\"", offset: offset)
    }
}
