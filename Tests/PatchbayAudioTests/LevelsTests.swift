import Glibc
import Testing

@testable import PatchbayAudio

@Suite struct LevelsTests {
    private func apply(_ gain: inout GainRamp, _ samples: [Int16]) -> [Int16] {
        var samples = samples
        samples.withUnsafeMutableBufferPointer { gain.apply(to: $0) }
        return samples
    }

    @Test func gainMultipliesAndSaturates() {
        var twice = GainRamp(factor: 2, sampleRate: 8000)
        #expect(apply(&twice, [0, 1, -5, 20000, -20000, .max, .min]) == [0, 2, -10, .max, .min, .max, .min])
        var one = GainRamp(sampleRate: 8000)
        #expect(apply(&one, [.min, -1, 0, 7, .max]) == [.min, -1, 0, 7, .max])
        #expect(abs(GainRamp.factor(decibels: 6) - 1.9953) < 0.001)
        #expect(abs(GainRamp.factor(decibels: -60) - 0.001) < 1e-6)
    }

    @Test func aChangeTakes10MillisecondsAndDoesNotJump() {
        var gain = GainRamp(factor: 1, sampleRate: 8000)
        gain.change(to: 0)
        let samples = apply(&gain, [Int16](repeating: 8000, count: 100))
        #expect(zip(samples, samples.dropFirst()).allSatisfy { abs(Int($0) - Int($1)) <= 101 })
        #expect(samples[78] > 0 && samples[79] == 0 && samples[99] == 0)
        gain.change(to: 1)
        _ = apply(&gain, [Int16](repeating: 8000, count: 40))
        gain.change(to: 0)
        let turned = apply(&gain, [Int16](repeating: 8000, count: 90))
        #expect(turned[0] < 4000 && turned[0] > 3800, "it turns round where it stands")
        #expect(turned[80...].allSatisfy { $0 == 0 })
    }

    @Test func theBackgroundGoesDownUnderAVoiceAndComesBack() {
        var ducker = Ducker(.init(level: -6, depth: 12, attack: 20, release: 100), sampleRate: 8000)
        let background = [Int16](repeating: 10000, count: 8000)
        func mix(_ voice: [Int16]) -> [Int16] {
            var voice = voice
            background.withUnsafeBufferPointer { background in
                voice.withUnsafeMutableBufferPointer { ducker.mix(background, under: $0) }
            }
            return voice
        }
        let before = mix([Int16](repeating: 0, count: 1600))
        #expect(before.allSatisfy { abs(Int($0) - 5012) <= 1 } && !ducker.isDucking)
        let voice = tone(400, amplitude: 9000, sampleRate: 8000, count: 1600)
        let under = zip(mix(voice), voice).map { Int($0) - Int($1) }
        #expect(ducker.isDucking)
        #expect(abs(under[1500] - 1259) <= 5, "-18 dB of 10000")
        #expect(under[200] < 5012 * 2 / 3 && under[39] > 4900, "it begins within 5 ms of the voice")
        let after = mix([Int16](repeating: 0, count: 8000))
        #expect(abs(Int(after[1500]) - 1259) <= 5, "held for 200 ms")
        #expect(abs(Int(after[7999]) - 5012) <= 5)
        #expect(zip(after, after.dropFirst()).allSatisfy { abs(Int($0) - Int($1)) < 10 })
    }

    @Test func aLoopGoesRoundWithoutASeam() {
        // Two and a half periods short of whole ones: end and beginning do not fit.
        let sound = tone(402.5, amplitude: 9000, sampleRate: 8000, count: 2000)
        var loop = SoundLoop(sound, blend: 400)
        #expect(loop.length == 1600)
        var read = [Int16](repeating: 0, count: 5000)
        read.withUnsafeMutableBufferPointer { loop.read(into: $0) }
        func bend(_ index: Int) -> Int { abs(Int(read[index - 1]) - 2 * Int(read[index]) + Int(read[index + 1])) }
        let inside = (500..<1500).map(bend).max() ?? 0
        #expect([1600, 3200, 4800].allSatisfy { bend($0) <= inside * 3 / 2 && bend($0 - 1) <= inside * 3 / 2 })
        #expect(read[0..<1600] == read[1600..<3200])
        #expect(read[400..<1600].elementsEqual(sound[400..<1600]), "only the beginning is blended")
        #expect(loop.position == 5000 % 1600)
        loop.rewind(by: 5000 + 1600)
        #expect(loop.position == 0)
        loop.rewind(by: 1)
        #expect(loop.position == 1599 && loop.rewound().position == 0)
    }

    @Test func anEmptyLoopIsSilent() {
        var loop = SoundLoop([], blend: 10)
        var read: [Int16] = [1, 2, 3]
        read.withUnsafeMutableBufferPointer { loop.read(into: $0) }
        loop.rewind(by: 5)
        #expect(read == [0, 0, 0])
        var short = SoundLoop([1, 2, 3, 4], blend: 100)
        #expect(short.length == 3)
        read.withUnsafeMutableBufferPointer { short.read(into: $0) }
        #expect(short.position == 0)
    }
}
