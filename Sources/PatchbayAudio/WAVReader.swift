extension WAVFile {
    /// Reads a file from its bytes.
    ///
    /// Chunks other than `fmt ` and `data` are skipped, and what follows these two is not looked at. A `data` chunk
    /// whose writer could not seek back to note its size (0xFFFFFFFF, sox's 0x7FFFF000, or 0 where the RIFF size is as
    /// empty) lasts to the end of the file. Bytes after the last whole sample frame are dropped.
    ///
    /// - Throws: `WAVError` for anything that is not a complete WAV file in one of the encodings above.
    public init(bytes: [UInt8]) throws(WAVError) {
        self = try WAVReader(bytes: bytes).read()
    }

    /// Reads a file from disk, blocking the calling thread.
    ///
    /// - Parameter maximumBytes: The largest file to read; 1 GiB (9 hours of 16 kHz mono) if not given.
    /// - Throws: `WAVError`, with the path in it.
    public init(path: String, maximumBytes: Int = 1 << 30) throws(WAVError) {
        do throws(WAVError) {
            self = try WAVReader(bytes: Self.contents(of: path, maximumBytes: maximumBytes)).read()
        } catch {
            throw error.naming(path)
        }
    }

    private static func contents(of path: String, maximumBytes: Int) throws(WAVError) -> [UInt8] {
        do throws(FileFault) {
            return try readBytes(path, maximumBytes: maximumBytes)
        } catch {
            throw WAVError(error)
        }
    }
}

/// One pass over the chunks of a file.
private struct WAVReader {
    let bytes: [UInt8]

    private struct Chunk {
        var identifier: String
        /// Offset of the chunk's first byte behind its header.
        var start: Int
        /// As noted in the header.
        var size: Int
    }

    func read() throws(WAVError) -> WAVFile {
        try checkHeader()
        var format: AudioFormat?
        var data: Range<Int>?
        var offset = 12
        while format == nil || data == nil, offset + 8 <= bytes.count {
            let chunk = Chunk(identifier: text(at: offset), start: offset + 8, size: Int(uint32(at: offset + 4)))
            let end = try end(of: chunk)
            if chunk.identifier == "fmt ", format == nil {
                format = try readFormat(chunk)
            } else if chunk.identifier == "data", data == nil {
                data = chunk.start..<end
            }
            // Chunks begin at even offsets; the pad byte is not counted in the size.
            offset = end + (end & 1)
        }
        guard let format else {
            throw WAVError(
                .missingFormat, at: min(offset, bytes.count),
                "no \"fmt \" chunk: the file does not say how "
                    + "its samples are written; convert it again from its source")
        }
        guard let data else {
            throw WAVError(
                .missingData, at: min(offset, bytes.count),
                "no \"data\" chunk: the file holds no samples; "
                    + "copy it again or convert it from its source")
        }
        let count = data.count / format.bytesPerSampleFrame * format.bytesPerSampleFrame
        return WAVFile(format: format, data: Array(bytes[data.prefix(count)]))
    }

    private func checkHeader() throws(WAVError) {
        let identifier = bytes.count >= 4 ? text(at: 0) : ""
        guard identifier == "RIFF" else {
            let found =
                switch identifier {
                case "RIFX", "RF64", "BW64", "FORM", "fLaC", "OggS": "this is a \(identifier) file"
                default: "the file does not begin with \"RIFF\""
                }
            throw WAVError(.notWAV, at: 0, "\(found); only RIFF WAV is read: sox in -b 16 -e signed-integer out.wav")
        }
        guard bytes.count >= 12 else {
            throw WAVError(.truncated, at: bytes.count, "the file ends inside its 12 byte header; copy it again")
        }
        guard text(at: 8) == "WAVE" else {
            throw WAVError(.notWAV, at: 8, "a RIFF file of another kind; only WAVE is read")
        }
    }

    private func end(of chunk: Chunk) throws(WAVError) -> Int {
        let available = bytes.count - chunk.start
        if chunk.identifier == "data" {
            // Writers that cannot seek leave a placeholder. The smallest in use is sox's, 2 GiB less a little.
            if chunk.size > available, chunk.size >= 0x7FFF_0000 { return bytes.count }
            // Others leave 0 in both places; a 0 inside a RIFF chunk that goes on is a file without samples.
            let riffEnd = Int(uint32(at: 4)) + 8
            if chunk.size == 0, riffEnd <= chunk.start || uint32(at: 4) == .max { return bytes.count }
        }
        guard chunk.size <= available else {
            throw WAVError(
                .truncated, at: bytes.count,
                "the \"\(printable(chunk.identifier))\" chunk at byte "
                    + "\(chunk.start - 8) has \(chunk.size) bytes, the file only \(available) of them; copy it again, or "
                    + "repair it: sox --ignore-length in.wav out.wav")
        }
        return chunk.start + chunk.size
    }

    private func readFormat(_ chunk: Chunk) throws(WAVError) -> AudioFormat {
        let start = chunk.start
        guard chunk.size >= 16 else {
            throw WAVError(
                .invalidFormat, at: start,
                "the \"fmt \" chunk has \(chunk.size) bytes and needs 16; "
                    + "convert the file again from its source")
        }
        var tag = uint16(at: start)
        var tagOffset = start
        let channels = Int(uint16(at: start + 2))
        let rate = Int(uint32(at: start + 4))
        let bits = Int(uint16(at: start + 14))
        if tag == WAVFormat.Tag.extensible {
            guard chunk.size >= 40 else {
                throw WAVError(
                    .invalidFormat, at: start,
                    "an extensible \"fmt \" chunk has 40 bytes, this one "
                        + "\(chunk.size); convert the file again from its source")
            }
            // The format is a GUID: a tag of the old kind followed by fourteen fixed bytes.
            guard Array(bytes[(start + 26)..<(start + 40)]) == extensibleSuffix else {
                throw WAVError(
                    .unsupportedEncoding, at: start + 24,
                    "an extensible format of a private kind; "
                        + conversion)
            }
            tag = uint16(at: start + 24)
            tagOffset = start + 24
        }
        let encoding: AudioFormat.Encoding
        switch (tag, bits) {
        case (WAVFormat.Tag.pcm, 16): encoding = .pcm16
        case (WAVFormat.Tag.mulaw, 8): encoding = .mulaw
        case (WAVFormat.Tag.alaw, 8): encoding = .alaw
        default:
            throw WAVError(
                .unsupportedEncoding, at: tagOffset,
                "samples are \(name(tag: tag, bits: bits)); "
                    + conversion)
        }
        guard WAVFormat.channelCounts.contains(channels) else {
            throw WAVError(
                .unsupportedLayout, at: start + 2,
                "\(channels) channels; 1 or 2 are read: "
                    + "sox in.wav -c 1 out.wav")
        }
        guard WAVFormat.sampleRates.contains(rate) else {
            throw WAVError(
                .unsupportedLayout, at: start + 4,
                "\(rate) Hz; 4000 to 192000 Hz are read: "
                    + "sox in.wav -r 16000 out.wav")
        }
        let format = AudioFormat(encoding, sampleRate: rate, channelCount: channels)
        let blockAlign = Int(uint16(at: start + 12))
        guard blockAlign == format.bytesPerSampleFrame else {
            throw WAVError(
                .invalidFormat, at: start + 12,
                "a sample frame is said to have \(blockAlign) bytes, "
                    + "\(channels) × \(bits) bits are \(format.bytesPerSampleFrame); convert it again from its source")
        }
        return format
    }

    private var conversion: String {
        "16-bit linear, µ-law and A-law are read: sox in.wav -b 16 -e signed-integer out.wav"
    }

    private func name(tag: UInt16, bits: Int) -> String {
        switch tag {
        case WAVFormat.Tag.pcm: "\(bits)-bit linear"
        case WAVFormat.Tag.mulaw: "\(bits)-bit µ-law"
        case WAVFormat.Tag.alaw: "\(bits)-bit A-law"
        case 3: "\(bits)-bit floating point"
        case 2, 0x11: "ADPCM (format tag \(tag))"
        case 0x31: "GSM 6.10"
        case 0x50, 0x55: "MPEG audio (format tag \(tag))"
        default: "of format tag \(tag), \(bits) bits"
        }
    }

    /// The end of every format GUID that stands for a format tag: …-0000-0010-8000-00AA00389B71.
    private var extensibleSuffix: [UInt8] {
        [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71]
    }

    // The three below are called with offsets that were checked against `bytes.count`.

    private func uint16(at offset: Int) -> UInt16 { UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8 }

    private func uint32(at offset: Int) -> UInt32 { UInt32(uint16(at: offset)) | UInt32(uint16(at: offset + 2)) << 16 }

    private func text(at offset: Int) -> String { String(decoding: bytes[offset..<offset + 4], as: Unicode.ASCII.self) }

    private func printable(_ identifier: String) -> String {
        String(identifier.unicodeScalars.map { (" "..."~").contains($0) ? Character($0) : "?" })
    }
}
