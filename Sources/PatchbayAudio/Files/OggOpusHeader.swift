/// The two headers of an Ogg Opus stream (RFC 7845, section 5).
struct OggOpusHeader {
    /// Sample frames of 48 kHz to drop at the start: the encoder's look-ahead.
    var preSkip: Int
    var channelCount: Int
    /// In Hz, of the sound before it was encoded; 0 when unknown. Has no bearing on decoding.
    var inputSampleRate: Int
    /// In 1/256 dB, to apply when decoding.
    var gain: Int16 = 0

    init(preSkip: Int, channelCount: Int, inputSampleRate: Int) {
        self.preSkip = preSkip
        self.channelCount = channelCount
        self.inputSampleRate = inputSampleRate
    }

    /// Reads an `OpusHead` packet.
    init(_ packet: UnsafeRawBufferPointer, at offset: Int) throws(OggOpusError) {
        guard packet.starts(with: OggOpusHeader.magic) else {
            throw OggOpusError(
                .notOggOpus, at: offset, "an Ogg file, but not of Opus: ffmpeg -i in.ogg -c:a libopus out.opus")
        }
        guard packet.count >= 19 else {
            throw OggOpusError(
                .invalidHeader, at: offset, "OpusHead has \(packet.count) bytes and needs 19; convert the file again")
        }
        guard packet[8] & 0xF0 == 0 else {
            throw OggOpusError(.invalidHeader, at: offset, "OpusHead is of version \(packet[8]); 0 to 15 are read")
        }
        guard packet[18] == 0, (1...2).contains(packet[9]) else {
            throw OggOpusError(
                .unsupportedLayout, at: offset,
                "\(packet[9]) channels in mapping family \(packet[18]); 1 or 2 in family 0 are read: "
                    + "ffmpeg -i in.opus -ac 2 out.opus")
        }
        channelCount = Int(packet[9])
        preSkip = Int(packet[10]) | Int(packet[11]) << 8
        inputSampleRate = (0..<4).reduce(0) { $0 | Int(packet[12 + $1]) << (8 * $1) }
        gain = Int16(truncatingIfNeeded: Int(packet[16]) | Int(packet[17]) << 8)
    }

    private static let magic = Array("OpusHead".utf8)

    var bytes: [UInt8] {
        OggOpusHeader.magic + [1, UInt8(truncatingIfNeeded: channelCount)]
            + littleEndian(UInt16(truncatingIfNeeded: preSkip)) + littleEndian(UInt32(truncatingIfNeeded: inputSampleRate))
            + littleEndian(UInt16(bitPattern: gain)) + [0]
    }
}

/// The `OpusTags` packet: who wrote the stream, and `NAME=value` comments (RFC 7845, section 5.2).
struct OggOpusTags {
    var vendor: String
    var comments: [String]

    init(vendor: String, comments: [String]) {
        self.vendor = vendor
        self.comments = comments
    }

    /// Reads an `OpusTags` packet. What follows the comments is padding.
    init(_ packet: UnsafeRawBufferPointer, at offset: Int) throws(OggOpusError) {
        guard packet.starts(with: OggOpusTags.magic) else {
            throw OggOpusError(.invalidHeader, at: offset, "the second packet is not OpusTags; convert the file again")
        }
        var position = 8
        func take(_ count: Int) throws(OggOpusError) -> UnsafeRawBufferPointer {
            guard count <= packet.count - position else {
                throw OggOpusError(.invalidHeader, at: offset, "OpusTags says it is longer than it is; convert it again")
            }
            defer { position += count }
            return UnsafeRawBufferPointer(rebasing: packet[position..<position + count])
        }
        func takeLength() throws(OggOpusError) -> Int {
            let field = try take(4)
            return (0..<4).reduce(0) { $0 | Int(field[$1]) << (8 * $1) }
        }
        vendor = String(decoding: try take(takeLength()), as: UTF8.self)
        comments = []
        // Each comment takes four bytes or more, so the packet's own length bounds the loop.
        for _ in 0..<(try takeLength()) { comments.append(String(decoding: try take(takeLength()), as: UTF8.self)) }
    }

    private static let magic = Array("OpusTags".utf8)

    var bytes: [UInt8] {
        func text(_ text: String) -> [UInt8] { littleEndian(UInt32(truncatingIfNeeded: text.utf8.count)) + text.utf8 }
        return OggOpusTags.magic + text(vendor) + littleEndian(UInt32(truncatingIfNeeded: comments.count))
            + comments.flatMap(text)
    }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian, Array.init)
}
