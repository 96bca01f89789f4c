import Glibc
import Testing

@testable import PatchbayAudio

@Suite(.enabled(if: NoiseSuppressor.missingLibrary == nil, "needs libspeexdsp1"))
struct NoiseSuppressorTests {
    private func run(_ suppressor: NoiseSuppressor, _ samples: [Int16], chunk: Int) -> [Int16] {
        var result: [Int16] = []
        var room = [Int16](repeating: 0, count: suppressor.maximumOutput(forInput: chunk))
        for start in stride(from: 0, to: samples.count, by: chunk) {
            samples[start..<min(start + chunk, samples.count)].withUnsafeBufferPointer { piece in
                let count = room.withUnsafeMutableBufferPointer { suppressor.process(piece, into: $0) }
                result += room[..<count]
            }
        }
        return result
    }

    /// Bursts of a sweep correlate best with what comes out at the delay that is reported.
    @Test(arguments: NoiseSuppressor.sampleRates)
    func theDelayIsTheReportedOne(rate: Int) throws {
        let suppressor = try NoiseSuppressor(sampleRate: rate)
        #expect(suppressor.delayNanoseconds == 10_000_000)
        let sweep = (0..<rate / 2).map { index -> Int16 in
            let time = Double(index) / Double(rate)
            return index % (rate / 8) < rate / 16 ? Int16(9000 * sin(2 * .pi * (300 + 900 * time) * time)) : 0
        }
        let output = run(suppressor, sweep, chunk: rate / 50)
        #expect(output.count == sweep.count)
        func correlation(_ lag: Int) -> Double {
            (0..<sweep.count - lag).reduce(0) { $0 + Double(sweep[$1]) * Double(output[$1 + lag]) }
        }
        let best = stride(from: 0, to: rate / 40, by: 4).max { correlation($0) < correlation($1) }
        #expect(best == rate / 100)
    }

    @Test func noiseGoesDownAndAToneStays() throws {
        var generator = SeededGenerator(seed: 11)
        let noise = noise(level: -45, sampleRate: 8000, milliseconds: 1500, using: &generator)
        let speech = tone(700, amplitude: 6000, sampleRate: 8000, count: noise.count)
        // A tone that goes on and off like syllables: one that stays would be taken for noise.
        let mixed = noise.indices.map { noise[$0] + ($0 > 8000 && $0 / 800 % 2 == 0 ? speech[$0] : 0) }
        func level(_ samples: ArraySlice<Int16>) -> Double { samples.withUnsafeBufferPointer { LevelMeter.rms($0) } }
        let output = run(try NoiseSuppressor(sampleRate: 8000, suppression: 20), mixed, chunk: 160)
        let quiet = 5600..<7900, loud = 9800..<10300
        #expect(level(output[quiet]) < level(mixed[quiet]) - 8, "\(level(output[quiet])) dBFS, seed 11")
        #expect(abs(level(output[loud]) - level(mixed[loud])) < 2)
        let gentle = run(try NoiseSuppressor(sampleRate: 8000, suppression: 3), mixed, chunk: 160)
        #expect(level(gentle[quiet]) > level(output[quiet]) + 4, "the setting arrives")
    }

    @Test func piecesOfAnySizeAreTheSameAndTheTailComesOut() throws {
        var generator = SeededGenerator(seed: 12)
        let samples = noise(level: -30, sampleRate: 8000, milliseconds: 100, using: &generator)
        let whole = run(try NoiseSuppressor(sampleRate: 8000), samples, chunk: 800)
        let suppressor = try NoiseSuppressor(sampleRate: 8000)
        let pieces = run(suppressor, Array(samples[..<733]), chunk: 37)
        #expect(pieces.count == 720 && pieces.elementsEqual(whole[..<720]))
        #expect(suppressor.delayNanoseconds == 10_000_000 + 13 * 125_000)
        var tail = [Int16](repeating: 0, count: 160)
        let count = tail.withUnsafeMutableBufferPointer { suppressor.flush(into: $0) }
        #expect(count == 93, "what was held back: the overlap of 80 samples and 13 that waited")
        let second = tail.withUnsafeMutableBufferPointer { suppressor.flush(into: $0) }
        #expect(second == 0)
    }

    @Test func valuesOutOfRangeAreRefused() {
        #expect(throws: NoiseSuppressorError.self) { try NoiseSuppressor(sampleRate: 44100) }
        #expect(throws: NoiseSuppressorError.self) { try NoiseSuppressor(sampleRate: 8000, suppression: 0) }
    }
}
