import Foundation
import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

@testable import PatchbayProcessors

/// Encodings, kinds of file and rates.
@Suite struct RecorderFormatTests {
    @Test(arguments: [AudioFormat.Encoding.mulaw, .alaw, .pcm16, .l16])
    func everyEncodingIsDecoded(encoding: AudioFormat.Encoding) throws {
        let desk = Desk()
        let tap = try desk.tap(format: AudioFormat(encoding, sampleRate: 8000))
        let payload: ByteBuffer =
            switch encoding {
            case .mulaw: ByteBuffer(repeating: G711.encodeMulaw(4096), count: 160)
            case .alaw: ByteBuffer(repeating: G711.encodeAlaw(4096), count: 160)
            case .l16: ByteBuffer(bytes: Array(repeatElement([0x10, 0x00], count: 160).joined()))
            case .pcm16, .g722, .opus: ByteBuffer(bytes: Array(repeatElement([0x00, 0x10], count: 160).joined()))
            }
        for packet in 0..<10 { tap.callerAudio(payload, at: millis(Int64(packet) * 20)) }
        tap.ended(at: millis(200))
        desk.writer.drain()
        let left = channel(0, of: try desk.wav().samples())
        #expect(left.count == 1600)
        #expect(left.allSatisfy { abs(Int($0) - 4096) < 150 })
    }

    @Test(arguments: [(8000, 48_000), (8000, 40_000), (16_000, 40_000)])
    func anOpusFileKeepsTheTimeAndTheSidesApart(rate: Int, bitrate: Int) throws {
        let desk = Desk()
        let tap = try desk.tap(["path": "call.opus", "bitrate": .number(Double(bitrate))], format: .pcm(rate))
        let caller = Tone(440).samples(count: rate * 2, sampleRate: rate)
        let agent = Tone(1000).samples(count: rate, sampleRate: rate)
        let packet = rate / 50
        for number in 0..<100 {
            tap.callerAudio(
                pcm(Array(caller[(number * packet)..<((number + 1) * packet)])), at: millis(Int64(number) * 20))
            if number >= 50 {
                let start = (number - 50) * packet
                tap.agentAudio(pcm(Array(agent[start..<(start + packet)])), at: millis(Int64(number) * 20))
            }
            if number % 10 == 9 { desk.writer.drain() }
        }
        tap.ended(at: millis(2000))
        desk.writer.drain()
        #expect(desk.report?.failure == nil)
        let file = try OggOpusFile(
            bytes: Array(try Data(contentsOf: URL(fileURLWithPath: "\(desk.folder)/call.opus"))), sampleRate: rate)
        #expect(file.isComplete)
        #expect(file.sampleFrameCount == 2 * rate)
        let left = channel(0, of: file.samples), right = channel(1, of: file.samples)
        #expect(abs(try #require(onset(right)) - rate) < rate / 200)
        let both = (rate * 5 / 4)..<(rate * 7 / 4)
        #expect(abs(Tone.level(of: 440, in: Array(left[both]), sampleRate: rate) + 12) < 2)
        #expect(abs(Tone.level(of: 1000, in: Array(right[both]), sampleRate: rate) + 12) < 2)
        #expect(Tone.level(of: 1000, in: Array(left[both]), sampleRate: rate) < -60)
        #expect(Tone.level(of: 440, in: Array(right[both]), sampleRate: rate) < -60)
    }

    @Test func anotherRateKeepsTheTime() throws {
        let desk = Desk()
        let tap = try desk.tap(["path": "call.wav", "rateHz": 16_000], format: .pcm(8000))
        let tone = Tone(440).samples(count: 8000, sampleRate: 8000)
        for packet in 0..<50 {
            tap.callerAudio(pcm(Array(tone[(packet * 160)..<((packet + 1) * 160)])), at: millis(Int64(packet) * 20))
            if packet % 10 == 9 { desk.writer.drain() }
        }
        tap.ended(at: millis(1000))
        desk.writer.drain()
        let file = try desk.wav()
        #expect(file.format.sampleRate == 16_000)
        #expect(abs(file.sampleFrameCount - 16_000) <= 1)
        let left = channel(0, of: file.samples())
        let reference = Tone(440).samples(count: 16_000, sampleRate: 16_000)
        let worst = (1000..<15_000).map { abs(Int(left[$0]) - Int(reference[$0])) }.max() ?? .max
        #expect(worst < 200, "the tone is in phase with one that was made at 16 kHz")
    }
}
