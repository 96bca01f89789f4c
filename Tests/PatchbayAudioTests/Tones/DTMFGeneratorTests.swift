import Glibc
import Testing

@testable import PatchbayAudio

@Suite struct DTMFGeneratorTests {
    @Test func everyKeyHasItsTwoTonesAtTheirLevels() throws {
        for digit in DTMFKeypad.digits {
            let samples = try DTMFGenerator.samples(of: String(digit), sampleRate: 8000)
            let tones = try #require(DTMFKeypad.frequencies(of: digit))
            #expect(samples.count == 1600)
            for (frequency, level) in [(tones.low, -9.0), (tones.high, -7.0)] {
                let found = amplitude(of: frequency, in: samples[40..<760], sampleRate: 8000)
                #expect(abs(20 * log10(found / DTMFKeypad.amplitude(dBm0: level))) < 0.2, "\(digit)")
            }
            #expect(samples[800...].allSatisfy { $0 == 0 }, "the pause")
        }
    }

    @Test func lengthsAndLevelsCanBeSet() throws {
        var parameters = DTMFGenerator.Parameters()
        parameters.toneMilliseconds = 40
        parameters.pauseMilliseconds = 60
        parameters.lowLevel = -20
        let samples = try DTMFGenerator.samples(of: "5", sampleRate: 16000, parameters: parameters)
        #expect(samples.count == 1600)
        #expect(samples[640...].allSatisfy { $0 == 0 })
        let low = amplitude(of: 770, in: samples[32..<608], sampleRate: 16000)
        #expect(abs(20 * log10(low / DTMFKeypad.amplitude(dBm0: -20))) < 0.5)
    }

    /// A tone that is switched hard has second differences as large as itself.
    @Test func nothingClicks() throws {
        let samples = try DTMFGenerator.samples(of: "D", sampleRate: 8000).map(Int.init)
        func largest(_ range: Range<Int>) -> Int {
            range.map { abs(samples[$0 - 1] - 2 * samples[$0] + samples[$0 + 1]) }.max() ?? 0
        }
        let inside = largest(100..<700)
        #expect(largest(1..<16) < inside && largest(784..<820) < inside)
        #expect(abs(samples[0]) < 200 && abs(samples[799]) < 200)
    }

    @Test func piecesOfAnySizeMakeTheSameSamples() throws {
        let whole = try DTMFGenerator.samples(of: "42", sampleRate: 8000)
        var generator = try DTMFGenerator(sampleRate: 8000)
        #expect(generator.isIdle)
        generator.append("4")
        generator.append("2")
        var pieces: [Int16] = []
        for size in [1, 160, 7, 1000, 3000] {
            var piece = [Int16](repeating: 99, count: size)
            let count = piece.withUnsafeMutableBufferPointer { generator.generate(into: $0) }
            #expect(count == min(size, whole.count - pieces.count))
            pieces += piece[..<count]
        }
        #expect(pieces == whole && generator.isIdle)
    }

    @Test(arguments: Array("ßﬁée 👍１"))
    func whatIsNoKeyHasNoTones(digit: Character) {
        #expect(DTMFKeypad.frequencies(of: digit) == nil)
    }

    @Test func lettersMayBeSmall() {
        for (small, large) in zip("abcd", "ABCD") {
            let found = DTMFKeypad.frequencies(of: small), expected = DTMFKeypad.frequencies(of: large)
            #expect(found?.low == expected?.low && found?.high == 1633)
        }
    }

    @Test func onlyKeysAreTaken() throws {
        var generator = try DTMFGenerator(sampleRate: 8000)
        let taken = "xE +d".filter { generator.append($0) }
        #expect(taken == "d", "letters may be small")
        generator.reset()
        #expect(generator.isIdle)
        #expect(try DTMFGenerator.samples(of: "1-800", sampleRate: 8000).count == 4 * 1600)
    }
}
