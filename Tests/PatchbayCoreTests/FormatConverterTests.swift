import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

@Suite struct FormatConverterTests {
    private func pcm(_ samples: [Int16]) -> ByteBuffer {
        var payload = ByteBuffer()
        samples.withUnsafeBytes { _ = payload.writeBytes($0) }
        return payload
    }

    private func samples(_ payload: ByteBuffer) -> [Int16] {
        var scratch: [Int16] = []
        return payload.withUnsafeSamples(copyingInto: &scratch) { Array($0) }
    }

    static let formats = [
        AudioFormat.telephony, AudioFormat(.alaw, sampleRate: 8000), AudioFormat(.l16, sampleRate: 24_000),
        AudioFormat(.l16, sampleRate: 16_000), AudioFormat(.g722, sampleRate: 16_000), .pcm(8000),
    ]

    @Test(arguments: formats)
    func aToneSurvivesThereAndBack(format: AudioFormat) throws {
        var there = try FormatConverter(from: .pcm(16_000), to: format)
        var back = try FormatConverter(from: format, to: .pcm(16_000))
        var heard: [Int16] = []
        for packet in 0..<20 {
            let sound = Tone(440).samples(count: 320, sampleRate: 16_000, offset: 320 * packet)
            heard += samples(back.convert(there.convert(pcm(sound))))
        }
        heard += samples(back.convert(there.flush()))
        heard += samples(back.flush())
        // A minimum-phase filter rings for 1.3 ms after an utterance, on the way there and back.
        #expect((6400 - 24...6400 + 24 + 40).contains(heard.count), "tails included, \(heard.count)")
        #expect(abs(Tone.level(of: 440, in: Array(heard[2000..<6000]), sampleRate: 16_000) + 12) < 0.5)
        #expect(format != AudioFormat(.g722, sampleRate: 16_000) || there.delay.nanoseconds == 687_500)
    }

    @Test func opusIsTakenAndItsLossesConcealed() throws {
        let format = AudioFormat(.opus, sampleRate: 16_000)
        let encoder = try AudioCodecs.encoder(for: format)
        var converter = try FormatConverter(from: format, to: .telephony)
        var bytes = 0
        for packet in 0..<10 {
            let sound = Tone(440).samples(count: 320, sampleRate: 16_000, offset: 320 * packet)
            var room = [UInt8](repeating: 0, count: encoder.maximumPayload(forSamples: 320))
            let run = try sound.withUnsafeBufferPointer { sound in
                try room.withUnsafeMutableBytes { try encoder.encode(sound, into: $0) }
            }
            let payload = packet == 5 ? [0x03, 0x00] : Array(room.prefix(run.byteCount))
            bytes += converter.convert(ByteBuffer(bytes: payload)).readableBytes
        }
        bytes += converter.flush().readableBytes
        #expect((1600...1610).contains(bytes), "and the filter's ringing")
        #expect(converter.convert(ByteBuffer()).readableBytes == 0)
    }

    @Test func whatCannotBeConvertedIsSaid() throws {
        let opus = AudioFormat(.opus, sampleRate: 16_000)
        let error = #expect(throws: PipelineError.self) { try FormatConverter(from: .pcm(16_000), to: opus) }
        #expect(error?.code == .unsupportedFormat && error?.message.contains("encoder stage") == true)
        #expect(throws: PipelineError.self) {
            try FormatConverter(from: AudioFormat(.g722, sampleRate: 8000), to: .telephony)
        }
        var same = try FormatConverter(from: opus, to: opus)
        #expect(same.isIdentity && same.convert(ByteBuffer(bytes: [1, 2])) == ByteBuffer(bytes: [1, 2]))
        #expect(same.flush().readableBytes == 0)
    }

    @Test func aResetForgetsTheSoundSoFar() throws {
        var converter = try FormatConverter(from: .pcm(16_000), to: AudioFormat(.g722, sampleRate: 16_000))
        let silence = pcm([Int16](repeating: 0, count: 320))
        let first = converter.convert(silence)
        _ = converter.convert(pcm(Tone(440).samples(count: 319, sampleRate: 16_000)))
        converter.reset()
        #expect(converter.convert(silence) == first)
        #expect(converter.flush().readableBytes == 11)
        #expect(converter.flush().readableBytes == 0)
    }
}
