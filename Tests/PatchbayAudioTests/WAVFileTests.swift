import Glibc
import PatchbayAudio
import Testing

/// The bytes of a WAV file, chunk by chunk, for files no honest writer writes.
struct RawWAV {
    var chunks: [UInt8] = []
    var riffSize: UInt32?

    static func little(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian, Array.init)
    }

    func chunk(_ identifier: String, _ body: [UInt8], size: UInt32? = nil) -> RawWAV {
        var copy = self
        copy.chunks += Array(identifier.utf8) + RawWAV.little(size ?? UInt32(body.count)) + body
        if body.count % 2 == 1 { copy.chunks.append(0) }
        return copy
    }

    func format(
        tag: UInt16 = 1, channels: UInt16 = 1, rate: UInt32 = 8000, bits: UInt16 = 16, blockAlign: UInt16? = nil,
        extra: [UInt8] = []
    ) -> RawWAV {
        let align = blockAlign ?? channels &* (bits / 8)
        return chunk(
            "fmt ",
            RawWAV.little(tag) + RawWAV.little(channels) + RawWAV.little(rate)
                + RawWAV.little(rate &* UInt32(align)) + RawWAV.little(align) + RawWAV.little(bits) + extra)
    }

    /// The tail of an extensible format chunk.
    static func extensible(tag: UInt16, bits: UInt16) -> [UInt8] {
        little(UInt16(22)) + little(bits) + little(UInt32(4)) + little(tag)
            + [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71]
    }

    var bytes: [UInt8] {
        Array("RIFF".utf8) + RawWAV.little(riffSize ?? UInt32(chunks.count + 4)) + Array("WAVE".utf8) + chunks
    }
}

@Suite struct WAVFileTests {
    static let formats = [AudioFormat.Encoding.pcm16, .mulaw, .alaw].flatMap { encoding in
        [8000, 44_100].flatMap { rate in
            [1, 2].map { AudioFormat(encoding, sampleRate: rate, channelCount: $0) }
        }
    }

    @Test(arguments: formats)
    func whatIsWrittenIsRead(format: AudioFormat) throws {
        var generator = SeededGenerator(seed: 1)
        for frames in [0, 1, 2, 333] {
            let count = frames * format.byteCount(sampleFrames: 1)
            let data = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let file = WAVFile(format: format, data: data)
            let bytes = try file.bytes()
            #expect(bytes.count % 2 == 0)
            #expect(Int(bytes[4]) | Int(bytes[5]) << 8 | Int(bytes[6]) << 16 == bytes.count - 8)
            #expect(try WAVFile(bytes: bytes) == file)
            #expect(file.sampleFrameCount == frames)
            #expect(file.durationNanoseconds == Int64(frames) * 1_000_000_000 / Int64(format.sampleRate))
        }
    }

    @Test func theHeaderOfLinearSamples() throws {
        let bytes = try WAVFile(samples: [1, -2], sampleRate: 16_000, channelCount: 2).bytes()
        #expect(
            bytes == Array("RIFF".utf8) + [40, 0, 0, 0] + Array("WAVEfmt ".utf8)
                + [16, 0, 0, 0, 1, 0, 2, 0, 0x80, 0x3E, 0, 0, 0, 0xFA, 0, 0, 4, 0, 16, 0]
                + Array("data".utf8) + [4, 0, 0, 0, 1, 0, 0xFE, 0xFF])
    }

    @Test func theHeaderOfMulaw() throws {
        let bytes = try WAVFile(format: .telephony, data: [0xFF, 0x7F, 0x00]).bytes()
        #expect(
            bytes == Array("RIFF".utf8) + [54, 0, 0, 0] + Array("WAVEfmt ".utf8)
                + [18, 0, 0, 0, 7, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x40, 0x1F, 0, 0, 1, 0, 8, 0, 0, 0]
                + Array("fact".utf8) + [4, 0, 0, 0, 3, 0, 0, 0]
                + Array("data".utf8) + [3, 0, 0, 0, 0xFF, 0x7F, 0x00, 0x00])
    }

    @Test func samplesAreDecoded() {
        let samples: [Int16] = [0, 1, -1, 258, .max, .min]
        #expect(WAVFile(samples: samples, sampleRate: 8000).samples() == samples)
        let codes: [UInt8] = [0x00, 0x80, 0xFF, 0x2A]
        #expect(WAVFile(format: .telephony, data: codes).samples() == codes.map { G711.decodeMulaw($0) })
        #expect(
            WAVFile(format: AudioFormat(.alaw, sampleRate: 8000), data: codes).samples()
                == codes.map { G711.decodeAlaw($0) })
        #expect(WAVFile(format: .pcm(8000), data: [1, 2, 3]).samples() == [513])
        #expect(WAVFile(format: .pcm(8000), data: []).samples() == [])
    }

    @Test func otherChunksAreSkippedWithTheirPadding() throws {
        let raw = RawWAV().chunk("bext", [9, 9, 9]).format().chunk("LIST", [1, 2, 3, 4, 5]).chunk("fact", [1, 0, 0, 0])
            .chunk("data", [1, 2, 3, 4]).chunk("id3 ", [1, 2, 3])
        #expect(try WAVFile(bytes: raw.bytes) == WAVFile(format: .pcm(8000), data: [1, 2, 3, 4]))
        #expect(try WAVFile(bytes: raw.bytes + [1, 2, 3]).data == [1, 2, 3, 4], "rubbish after the last chunk")
        let reversed = RawWAV().chunk("data", [1, 2]).format()
        #expect(try WAVFile(bytes: reversed.bytes).data == [1, 2])
    }

    @Test(arguments: [(UInt16(1), UInt16(16), AudioFormat.Encoding.pcm16), (7, 8, .mulaw), (6, 8, .alaw)])
    func extensibleFormats(tag: UInt16, bits: UInt16, encoding: AudioFormat.Encoding) throws {
        let raw = RawWAV().format(
            tag: 0xFFFE, channels: 2, rate: 48_000, bits: bits, extra: RawWAV.extensible(tag: tag, bits: bits)
        ).chunk("data", [1, 2, 3, 4])
        let file = try WAVFile(bytes: raw.bytes)
        #expect(file.format == AudioFormat(encoding, sampleRate: 48_000, channelCount: 2))
        #expect(file.data == [1, 2, 3, 4])
    }

    @Test(arguments: [
        (UInt32.max, UInt32?.none), (UInt32.max, .max), (0x7FFF_F000, 0x7FFF_F024), (0, 0), (0, 36), (0, .max),
    ])
    func sizesThatStreamingWritersLeave(dataSize: UInt32, riffSize: UInt32?) throws {
        var raw = RawWAV().format().chunk("data", [1, 2, 3, 4, 5, 6, 7, 8], size: dataSize)
        raw.riffSize = riffSize
        #expect(try WAVFile(bytes: raw.bytes).data == [1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test func anEmptyDataChunkIsNoStream() throws {
        let raw = RawWAV().format().chunk("data", []).chunk("LIST", [1, 2, 3, 4])
        #expect(try WAVFile(bytes: raw.bytes).data == [])
    }

    @Test func anIncompleteSampleFrameIsDropped() throws {
        let raw = RawWAV().format(channels: 2).chunk("data", [1, 2, 3, 4, 5, 6])
        #expect(try WAVFile(bytes: raw.bytes).data == [1, 2, 3, 4])
    }

    static let refused: [(String, [UInt8], WAVError.Code, Int)] = [
        ("empty", [], .notWAV, 0),
        ("text", Array("hello, this is no sound".utf8), .notWAV, 0),
        ("big endian", Array("RIFX".utf8) + [UInt8](repeating: 0, count: 40), .notWAV, 0),
        ("64 bit", Array("RF64".utf8) + [UInt8](repeating: 0xFF, count: 40), .notWAV, 0),
        ("header cut", Array("RIFF\u{1}\u{0}\u{0}\u{0}WA".utf8), .truncated, 10),
        ("a video", Array("RIFF\u{4}\u{0}\u{0}\u{0}AVI ".utf8), .notWAV, 8),
        ("no chunks", RawWAV().bytes, .missingFormat, 12),
        ("no format", RawWAV().chunk("data", [1, 2]).bytes, .missingFormat, 22),
        ("no data", RawWAV().format().bytes, .missingData, 36),
        ("short format", RawWAV().chunk("fmt ", [1, 0, 1, 0]).chunk("data", []).bytes, .invalidFormat, 20),
        ("8 bit", RawWAV().format(bits: 8).chunk("data", []).bytes, .unsupportedEncoding, 20),
        ("24 bit", RawWAV().format(bits: 24).chunk("data", []).bytes, .unsupportedEncoding, 20),
        ("32 bit", RawWAV().format(bits: 32).chunk("data", []).bytes, .unsupportedEncoding, 20),
        ("float", RawWAV().format(tag: 3, bits: 32).chunk("data", []).bytes, .unsupportedEncoding, 20),
        ("ADPCM", RawWAV().format(tag: 0x11, bits: 4).chunk("data", []).bytes, .unsupportedEncoding, 20),
        ("MP3", RawWAV().format(tag: 0x55, bits: 0).chunk("data", []).bytes, .unsupportedEncoding, 20),
        ("wide µ-law", RawWAV().format(tag: 7, bits: 16).chunk("data", []).bytes, .unsupportedEncoding, 20),
        ("surround", RawWAV().format(channels: 6).chunk("data", []).bytes, .unsupportedLayout, 22),
        ("no channel", RawWAV().format(channels: 0).chunk("data", []).bytes, .unsupportedLayout, 22),
        ("rate 0", RawWAV().format(rate: 0).chunk("data", []).bytes, .unsupportedLayout, 24),
        ("rate huge", RawWAV().format(rate: .max).chunk("data", []).bytes, .unsupportedLayout, 24),
        ("block align", RawWAV().format(blockAlign: 4).chunk("data", []).bytes, .invalidFormat, 32),
        ("extensible, cut", RawWAV().format(tag: 0xFFFE).chunk("data", []).bytes, .invalidFormat, 20),
        (
            "extensible, float",
            RawWAV().format(tag: 0xFFFE, bits: 32, extra: RawWAV.extensible(tag: 3, bits: 32))
                .chunk("data", []).bytes, .unsupportedEncoding, 44
        ),
        (
            "extensible, private",
            RawWAV().format(tag: 0xFFFE, extra: [UInt8](repeating: 7, count: 24))
                .chunk("data", []).bytes, .unsupportedEncoding, 44
        ),
        ("data cut", RawWAV().format().chunk("data", [1, 2, 3, 4], size: 400).bytes, .truncated, 48),
        ("list cut", RawWAV().chunk("LIST", [1, 2], size: 400).bytes, .truncated, 22),
    ]

    @Test(arguments: refused.indices)
    func refusals(index: Int) {
        let (name, bytes, code, offset) = WAVFileTests.refused[index]
        let error = #expect(throws: WAVError.self, "\(name)") { _ = try WAVFile(bytes: bytes) }
        #expect(error?.code == code, "\(name)")
        #expect(error?.offset == offset, "\(name)")
    }

    @Test func aRefusalSaysTheWayOut() throws {
        let raw = RawWAV().format(bits: 24).chunk("data", [])
        let error = #expect(throws: WAVError.self) { _ = try WAVFile(bytes: raw.bytes) }
        #expect(
            error?.description == "wav-unsupported-encoding: samples are 24-bit linear; 16-bit linear, µ-law and "
                + "A-law are read: sox in.wav -b 16 -e signed-integer out.wav (byte 20)")
    }

    @Test func everyCutOfAFileIsRefused() throws {
        let bytes = try WAVFile(format: .telephony, data: [1, 2, 3, 4]).bytes()
        for count in bytes.indices {
            #expect(throws: WAVError.self, "cut at byte \(count)") { _ = try WAVFile(bytes: Array(bytes[..<count])) }
        }
    }

    @Test func damagedFilesAreReadOrRefusedButNeverTrap() throws {
        let seed: UInt64 = 20
        var generator = SeededGenerator(seed: seed)
        let sound = try WAVFile(format: .telephony, data: [UInt8](0...99)).bytes()
        let extensible = RawWAV().format(tag: 0xFFFE, extra: RawWAV.extensible(tag: 1, bits: 16))
            .chunk("data", [UInt8](0...99)).bytes
        var read = 0
        for _ in 0..<20_000 {
            var bytes = Bool.random(using: &generator) ? sound : extensible
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let values: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &generator)]
                bytes[Int.random(in: 0..<70, using: &generator)] = values[Int.random(in: 0..<6, using: &generator)]
            }
            bytes.removeLast(Int.random(in: 0...3, using: &generator))
            if let file = try? WAVFile(bytes: bytes) {
                read += 1
                #expect(
                    file.data.count == file.sampleFrameCount * file.format.byteCount(sampleFrames: 1), "seed \(seed)")
                #expect(file.samples().count == file.sampleFrameCount * file.format.channelCount, "seed \(seed)")
            }
        }
        #expect(read > 100 && read < 19_900, "\(read) of 20,000 read: too mild or too wild to test anything")
    }

    @Test func unwritableFormatsAreRefused() {
        let cases: [(WAVFile, WAVError.Code)] = [
            (WAVFile(samples: [1, 2, 3], sampleRate: 8000, channelCount: 3), .unsupportedLayout),
            (WAVFile(samples: [], sampleRate: 8000, channelCount: 0), .unsupportedLayout),
            (WAVFile(samples: [1], sampleRate: 0), .unsupportedLayout),
            (WAVFile(samples: [1, 2, 3], sampleRate: 8000, channelCount: 2), .invalidFormat),
            (WAVFile(format: .pcm(8000), data: [1]), .invalidFormat),
        ]
        for (file, code) in cases {
            let error = #expect(throws: WAVError.self) { _ = try file.bytes() }
            #expect(error?.code == code)
        }
        #expect(WAVFile(samples: [], sampleRate: 0, channelCount: 0).durationNanoseconds == 0)
    }

    @Test func filesOnDisk() throws {
        var template = Array("/tmp/patchbay-wav-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        let path = folder + "/a.wav"
        defer {
            unlink(path)
            rmdir(folder)
        }
        let samples = tone(440, amplitude: 9000, sampleRate: 16_000, count: 100_000)
        try WAVFile(samples: samples, sampleRate: 16_000).write(to: path)
        try WAVFile(samples: Array(samples.prefix(90_000)), sampleRate: 16_000).write(to: path)
        #expect(try WAVFile(path: path).samples() == Array(samples.prefix(90_000)))

        var error = #expect(throws: WAVError.self) { _ = try WAVFile(path: path, maximumBytes: 180_043) }
        #expect(error?.code == .tooLarge)
        #expect(throws: Never.self) { _ = try WAVFile(path: path, maximumBytes: 180_044) }
        error = #expect(throws: WAVError.self) { _ = try WAVFile(path: folder + "/none.wav") }
        #expect(error?.code == .unreadable)
        #expect(error?.path == folder + "/none.wav")
        #expect(error?.description.hasPrefix(folder + "/none.wav: wav-unreadable: ") == true)
        error = #expect(throws: WAVError.self) { _ = try WAVFile(path: folder) }
        #expect(error?.code == .unreadable)
        error = #expect(throws: WAVError.self) { try WAVFile(samples: [], sampleRate: 8000).write(to: folder) }
        #expect(error?.code == .unwritable)
        error = #expect(throws: WAVError.self) { try WAVFile(samples: [1], sampleRate: 8000).write(to: "/dev/full") }
        #expect(error?.code == .unwritable)
    }
}
