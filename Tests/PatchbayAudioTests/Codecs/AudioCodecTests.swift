import Testing

@testable import PatchbayAudio

@Suite struct AudioCodecTests {
    private static let g722 = AudioFormat(.g722, sampleRate: 16_000)

    /// Formats, and how far above its own noise each keeps speech, in dB.
    static let qualities: [(AudioFormat, Double)] = [
        (.pcm(16_000), 90), (AudioFormat(.l16, sampleRate: 16_000), 90),
        (AudioFormat(.mulaw, sampleRate: 8000), 35), (AudioFormat(.alaw, sampleRate: 8000), 35),
    ]

    @Test(arguments: qualities)
    func soundIsFoundAgain(format: AudioFormat, quality: Double) throws {
        try findSound(format, quality)
    }

    @Test(.enabled(if: G722Library.isInstalled, "needs libspandsp2"))
    func g722DoesAllThatTheOthersDo() throws {
        try findSound(Self.g722, 20)
        try cutIntoPieces(Self.g722)
        #expect(try AudioCodecs.decoder(for: Self.g722).concealed(160) == [Int16](repeating: 0, count: 160))
        try giveTooLittleRoom(Self.g722)
    }

    private func findSound(_ format: AudioFormat, _ quality: Double) throws {
        let encoder = try AudioCodecs.encoder(for: format)
        let decoder = try AudioCodecs.decoder(for: format)
        let sound = voice(sampleRate: format.sampleRate, milliseconds: 200)
        let payloads = try encoder.payloads(of: sound, piece: 2 * format.sampleFramesPerPacket)
        #expect(payloads.prefix(5).allSatisfy { $0.count == 2 * format.bytesPerPacket })
        let heard = try decoder.samples(payloads)
        let delay = encoder.delayNanoseconds + decoder.delayNanoseconds
        let delayFrames = Int(delay) * format.sampleRate / 1_000_000_000
        #expect(heard.count == sound.count + delayFrames, "the tail is given out, and nothing more")
        #expect(lag(of: heard, behind: sound, within: 0...60) == delayFrames)
        #expect(signalToNoise(sound, heard, delay: delayFrames) > quality)
        #expect(encoder.format == format && decoder.format == format)
    }

    @Test(arguments: qualities.map(\.0))
    func piecesOfAnyLengthGiveTheSameBytes(format: AudioFormat) throws { try cutIntoPieces(format) }

    private func cutIntoPieces(_ format: AudioFormat) throws {
        let sound = voice(sampleRate: format.sampleRate, milliseconds: 60)
        let whole = try AudioCodecs.encoder(for: format).payloads(of: sound).flatMap { $0 }
        let encoder = try AudioCodecs.encoder(for: format)
        for piece in [1, 7, 160] {
            #expect(try encoder.payloads(of: sound, piece: piece).flatMap { $0 } == whole)
            encoder.reset()
        }
        let heard = try AudioCodecs.decoder(for: format).samples(whole)
        let decoder = try AudioCodecs.decoder(for: format)
        let unit = format.byteCount(sampleFrames: 2)
        let parts = stride(from: 0, to: whole.count, by: 3 * unit).map {
            Array(whole[$0..<min($0 + 3 * unit, whole.count)])
        }
        #expect(try decoder.samples(parts) == heard)
        decoder.reset()
        #expect(try decoder.samples(whole) == heard, "after a reset nothing of the former sound is left")
    }

    @Test func l16IsBigEndian() throws {
        let format = AudioFormat(.l16, sampleRate: 8000)
        #expect(
            try AudioCodecs.encoder(for: format).payloads(of: [1, -2, 0x1234]) == [[0, 1, 0xFF, 0xFE, 0x12, 0x34]])
        #expect(try AudioCodecs.decoder(for: format).samples([0x80, 0, 0x7F, 0xFF, 9]) == [.min, .max])
        #expect(try AudioCodecs.encoder(for: .pcm(8000)).payloads(of: [1, -2]) == [[1, 0, 0xFE, 0xFF]])
    }

    @Test func stereoIsTakenInWholeSampleFrames() throws {
        let format = AudioFormat(.alaw, sampleRate: 8000, channelCount: 2)
        let payloads = try AudioCodecs.encoder(for: format).payloads(of: [1000, -1000, 5])
        #expect(payloads == [[G711.encodeAlaw(1000), G711.encodeAlaw(-1000)]])
        #expect(try AudioCodecs.decoder(for: format).samples([0xD5, 0x55, 0xD5]) == [8, -8])
        #expect(try AudioCodecs.decoder(for: format).concealed(3) == [0, 0, 0, 0, 0, 0])
    }

    @Test(.enabled(if: G722Library.isInstalled, "needs libspandsp2"))
    func anOddSampleWaitsForItsNeighbour() throws {
        let encoder = try AudioCodecs.encoder(for: Self.g722)
        #expect(try encoder.payloads(of: [1], isEnding: false).isEmpty)
        #expect(try encoder.payloads(of: [2], isEnding: false).map(\.count) == [1])
        #expect(try encoder.payloads(of: [3, 4, 5], isEnding: false).map(\.count) == [1])
        #expect(try encoder.tail().map(\.count) == [12], "the odd one, and the filters' 22 samples")
        #expect(try encoder.tail().isEmpty)
    }

    @Test func whatIsLostIsSilence() throws {
        for (format, _) in Self.qualities {
            #expect(try AudioCodecs.decoder(for: format).concealed(160) == [Int16](repeating: 0, count: 160))
        }
    }

    static let refused: [(AudioFormat, CodecError.Code)] = [
        (AudioFormat(.pcm16, sampleRate: 0), .unsupportedFormat),
        (AudioFormat(.mulaw, sampleRate: 8000, channelCount: 0), .unsupportedFormat),
        (AudioFormat(.l16, sampleRate: 1_000_000), .unsupportedFormat),
        (AudioFormat(.g722, sampleRate: 8000), .unsupportedFormat),
        (AudioFormat(.g722, sampleRate: 16_000, channelCount: 2), .unsupportedFormat),
        (AudioFormat(.opus, sampleRate: 44_100), .unsupportedFormat),
        (AudioFormat(.opus, sampleRate: 48_000, channelCount: 3), .unsupportedFormat),
    ]

    @Test(arguments: refused)
    func formatsThatDoNotExist(format: AudioFormat, code: CodecError.Code) {
        let first = #expect(throws: CodecError.self) { _ = try AudioCodecs.encoder(for: format) }
        let second = #expect(throws: CodecError.self) { _ = try AudioCodecs.decoder(for: format) }
        #expect(first?.code == code && second?.code == code)
    }

    @Test(arguments: qualities.map(\.0) + [AudioFormat(.opus, sampleRate: 8000)])
    func tooLittleRoomIsAnError(format: AudioFormat) throws { try giveTooLittleRoom(format) }

    private func giveTooLittleRoom(_ format: AudioFormat) throws {
        let encoder = try AudioCodecs.encoder(for: format)
        let decoder = try AudioCodecs.decoder(for: format)
        let sound = [Int16](repeating: 5, count: 320)
        let payload = try #require(try encoder.payloads(of: sound).first)
        let error = #expect(throws: CodecError.self) {
            var small = [Int16](repeating: 0, count: 9)
            try payload.withUnsafeBytes { bytes in
                _ = try small.withUnsafeMutableBufferPointer { try decoder.decode(bytes, into: $0) }
            }
        }
        #expect(error?.code == .insufficientRoom)
        let other = #expect(throws: CodecError.self) {
            var small = [UInt8](repeating: 0, count: 9)
            try sound.withUnsafeBufferPointer { sound in
                _ = try small.withUnsafeMutableBytes { try encoder.encode(sound, into: $0) }
            }
        }
        #expect(other?.code == .insufficientRoom)
    }
}
