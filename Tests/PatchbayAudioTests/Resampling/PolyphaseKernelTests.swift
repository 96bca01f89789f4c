import CPatchbayKernels
@testable import PatchbayAudio
import Testing

/// Both forms of the kernels beside what they mean, written out slowly. The same bits everywhere.
@Suite struct PolyphaseKernelTests {
    /// Both forms where the machine has both.
    static let forms = patchbay_has_avx2() ? [false, true] : [false]

    @Test(arguments: [1, 2, 3, 4, 6, 12])
    func splitAndJoin(lanes: Int) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for count in [0, 1, 5, 8 * lanes - 1, 8 * lanes, 17 * lanes + 1, 40 * lanes] {
            let at = Int.random(in: 0..<40, using: &generator)
            let samples = harshNoise(count, using: &generator)
            let stride = (at + count) / lanes + 1
            var expected = [Float](repeating: 0.5, count: stride * lanes)
            for (index, sample) in samples.enumerated() {
                expected[(at + index) % lanes * stride + (at + index) / lanes] = Float(sample)
            }
            for avx2 in Self.forms {
                var streams = [Float](repeating: 0.5, count: stride * lanes)
                patchbay_resample_split(samples, count, &streams, stride, lanes, at, avx2)
                #expect(streams == expected, "\(count) samples from \(at) on, AVX2 \(avx2), seed \(seed)")

                let planes = expected.map { Int16($0) }
                var joined = [Int16](repeating: 77, count: stride * lanes)
                patchbay_resample_join(planes, stride, lanes, stride, &joined, avx2)
                let wanted = (0..<stride * lanes).map { planes[$0 % lanes * stride + $0 / lanes] }
                #expect(joined == wanted, "\(stride) places, AVX2 \(avx2), seed \(seed)")
            }
        }
    }

    @Test func filterAddsInTheOrderOfTheTapsAndClips() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let taps = (0..<31).map { _ in Float.random(in: -0.4...0.6, using: &generator) }
        let offsets = taps.map { _ in Int32.random(in: 0..<50, using: &generator) }
        let input = harshNoise(400, using: &generator).map { Float($0) }
        for count in [0, 1, 7, 8, 9, 40, 41, 79, 80, 81, 160, 203] {
            let expected = (0..<count).map { index -> Int16 in
                var sum: Float = 0
                for (tap, offset) in zip(taps, offsets) { sum += tap * input[index + Int(offset)] }
                return Int16(max(-32_768, min(32_767, sum.rounded(.toNearestOrEven))))
            }
            for avx2 in Self.forms {
                var output = [Int16](repeating: 77, count: count + 1)
                patchbay_resample_filter(input, offsets, taps, taps.count, &output, count, avx2)
                #expect(output == expected + [77], "\(count) samples, AVX2 \(avx2), seed \(seed)")
            }
        }
        let clipped = [Int16.min, .max]
        #expect(
            clipped.allSatisfy { limit in
                var output: [Int16] = [0]
                patchbay_resample_filter(
                    [Float](repeating: Float(limit), count: 200), [0, 1], [1, 1], 2, &output, 1, false)
                return output == [limit]
            })
    }

    /// The whole resampler beside its definition: taps of the table times samples, in order.
    @Test(arguments: PolyphasePair.all)
    func bothFormsGiveWhatTheTablesSay(_ pair: PolyphasePair) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let bank = pair.bank
        let input = harshNoise(500, using: &generator)
        let blocks = input.count / bank.inputs - max(0, bank.reach.upperBound)
        let expected = (0..<blocks).flatMap { block in
            bank.taps.map { taps -> Int16 in
                var sum: Float = 0
                for tap in taps {
                    let index = (block + tap.place) * bank.inputs + tap.stream
                    sum += tap.gain * (input.indices.contains(index) ? Float(input[index]) : 0)
                }
                return Int16(max(-32_768, min(32_767, sum.rounded(.toNearestOrEven))))
            }
        }
        for usesAVX2 in Self.forms {
            let resampler = PolyphaseResampler(bank, channelCount: 1, usesAVX2: usesAVX2)
            let output = resampler.process(input)
            #expect(output == expected, "AVX2 \(usesAVX2), seed \(seed)")
        }
    }
}

extension PolyphaseResampler {
    func process(_ samples: [Int16]) -> [Int16] {
        [Int16](unsafeUninitializedCapacity: maximumOutput(forFrames: samples.count)) { buffer, count in
            count = samples.withUnsafeBufferPointer { process($0, into: buffer) }
        }
    }
}
