import Glibc
@testable import PatchbayAudio
import Testing

@Suite struct PolyphaseStreamingTests {
    @Test(arguments: PolyphasePair.all, [1, 2])
    func piecesOfAnySizeGiveTheSameSamples(_ pair: PolyphasePair, channelCount: Int) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let input = harshNoise((pair.from / 20 + 1) * channelCount, using: &generator)
        let resampler = try pair.make(channelCount: channelCount)
        let whole = resampler.process(input) + resampler.flush()
        for largest in [1, 2, 7, 400, 2000] {
            var pieces: [Int16] = []
            var rest = input[...]
            while !rest.isEmpty {
                let piece = rest.prefix(channelCount * Int.random(in: 0...largest, using: &generator))
                pieces += resampler.process(piece)
                rest = rest.dropFirst(piece.count)
            }
            pieces += resampler.flush()
            let isSame = pieces == whole
            #expect(isSame, "pieces of up to \(largest), seed \(seed)")
        }
    }

    @Test(arguments: [
        PolyphasePair(design: .linearPhase, from: 8000, to: 16_000),
        PolyphasePair(design: .linearPhase, from: 24_000, to: 16_000),
        PolyphasePair(design: .lowDelay, from: 16_000, to: 8000),
    ])
    func tenMinutesInRandomPieces(_ pair: PolyphasePair) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let syllables = babble(seconds: 3, sampleRate: pair.from, using: &generator)
        let count = 600 * pair.from
        let input = UnsafeMutableBufferPointer<Int16>.allocate(capacity: count)
        defer { input.deallocate() }
        // 3 seconds and a prime number of samples, so that no two repetitions fall alike upon blocks.
        for start in stride(from: 0, to: count, by: syllables.count) {
            let part = syllables[..<min(syllables.count, count - start)]
            _ = input[start...].initialize(fromContentsOf: part)
        }

        let resampler = try pair.make()
        let capacity = resampler.maximumOutput(forInput: count) + resampler.maximumFlushOutput
        let whole = UnsafeMutableBufferPointer<Int16>.allocate(capacity: capacity)
        let pieces = UnsafeMutableBufferPointer<Int16>.allocate(capacity: capacity)
        defer {
            whole.deallocate()
            pieces.deallocate()
        }
        var total = resampler.process(UnsafeBufferPointer(input), into: whole)
        total += resampler.flush(into: UnsafeMutableBufferPointer(rebasing: whole[total...]))
        var written = 0
        var taken = 0
        while taken < count {
            let size = min(count - taken, Int.random(in: 0...4000, using: &generator))
            let piece = UnsafeBufferPointer(rebasing: UnsafeBufferPointer(input)[taken..<(taken + size)])
            written += resampler.process(piece, into: UnsafeMutableBufferPointer(rebasing: pieces[written...]))
            taken += size
        }
        written += resampler.flush(into: UnsafeMutableBufferPointer(rebasing: pieces[written...]))
        #expect(written == total)
        let isSame = memcmp(try #require(whole.baseAddress), try #require(pieces.baseAddress), total * 2) == 0
        #expect(isSame, "seed \(seed)")
    }

    /// A buzz at the pitch of a voice through a wandering resonance, in syllables with pauses between them.
    private func babble(seconds: Int, sampleRate: Int, using generator: inout SeededGenerator) -> [Int16] {
        var first = 0.0
        var second = 0.0
        var phase = 0.0
        return (0..<(seconds * sampleRate + 37)).map { index in
            let time = Double(index) / Double(sampleRate)
            let loudness = max(0, sin(2 * .pi * 2.3 * time))
            phase += (110 + 30 * sin(time)) / Double(sampleRate)
            var excitation = Double.random(in: -0.05...0.05, using: &generator)
            if phase >= 1 {
                phase -= 1
                excitation += 1
            }
            let angle = 2 * .pi * (600 + 300 * sin(3 * time)) / Double(sampleRate)
            let next = excitation + 1.9 * cos(angle) * first - 0.9025 * second
            (second, first) = (first, next)
            return Int16(clamping: Int(next * loudness * 6000))
        }
    }

    /// A word that is loud to its very last sample: what comes out is what would have if silence followed.
    @Test(arguments: PolyphasePair.all, [0, 1, 2, 3, 5, 29, 640])
    func theLastWordSurvives(_ pair: PolyphasePair, count: Int) throws {
        let word = tone(1000, amplitude: 30_000, sampleRate: pair.from, count: count)
        let resampler = try pair.make()
        let flushed = resampler.process(word) + resampler.flush()
        let endless = resampler.process(word + [Int16](repeating: 0, count: pair.from / 100))
        #expect(flushed == Array(endless.prefix(flushed.count)))
        #expect(flushed.count >= (count * pair.to + pair.from - 1) / pair.from)
        #expect(
            flushed.count <= count * pair.to / pair.from + 1
                + (pair.design == .lowDelay ? 10 * pair.to / pair.lowerRate : 0))
        // What comes after is the filter's own ringing.
        let rest = endless.dropFirst(flushed.count).map { abs(Int($0)) }.max() ?? 0
        #expect(rest < (pair.design == .lowDelay ? 2500 : 20_000))
        #expect(resampler.process([]) == [])
    }

    @Test(arguments: PolyphasePair.all)
    func lowDelayGivesAPacketForAPacket(_ pair: PolyphasePair) throws {
        let resampler = try pair.make()
        let packets = (0..<3).map { _ in resampler.process([Int16](repeating: 1000, count: pair.from / 50)).count }
        #expect((packets == [Int](repeating: pair.to / 50, count: 3)) == (pair.design == .lowDelay))
    }

    @Test(arguments: PolyphasePair.all)
    func channelsDoNotHearEachOther(_ pair: PolyphasePair) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let left = harshNoise(800, using: &generator)
        let right = harshNoise(800, using: &generator)
        let both = try pair.make(channelCount: 2)
        let output = both.process(zip(left, right).flatMap { [$0, $1] }) + both.flush()
        let single = try pair.make()
        let expected = zip(single.process(left) + single.flush(), single.process(right) + single.flush())
        #expect(output == expected.flatMap { [$0, $1] }, "seed \(seed)")
    }

    /// The input that makes one output sample as large as the taps allow.
    @Test(arguments: PolyphasePair.all)
    func theWorstOvershootClips(_ pair: PolyphasePair) throws {
        let bank = pair.bank
        let block = -bank.reach.lowerBound
        for (index, taps) in bank.taps.enumerated() {
            var input = [Int16](repeating: 0, count: (block + bank.reach.upperBound + 1) * bank.inputs)
            for tap in taps { input[(block + tap.place) * bank.inputs + tap.stream] = tap.gain < 0 ? .min : .max }
            let resampler = try pair.make()
            #expect(resampler.process(input)[block * bank.outputs + index] == .max)
            resampler.reset()
            #expect(resampler.process(input.map { ~$0 })[block * bank.outputs + index] == .min)
        }
    }

    @Test(arguments: PolyphasePair.all)
    func whatDoesNotFitIsLost(_ pair: PolyphasePair) throws {
        let input = tone(300, amplitude: 9000, sampleRate: pair.from, count: pair.from / 50)
        let resampler = try pair.make()
        let whole = resampler.process(input)
        let tail = resampler.flush()
        for room in [0, 1, 10] {
            var small = [Int16](repeating: 0, count: room)
            let count = input.withUnsafeBufferPointer { input in
                small.withUnsafeMutableBufferPointer { resampler.process(input, into: $0) }
            }
            #expect(count == room)
            #expect(small == Array(whole.prefix(room)))
            #expect(resampler.flush() == tail)
        }
        let nowhere = UnsafeMutableBufferPointer<Int16>(start: nil, count: 0)
        #expect(input.withUnsafeBufferPointer { resampler.process($0, into: nowhere) } == 0)
        #expect(resampler.flush(into: nowhere) == 0)
    }
}
