import Glibc
@testable import PatchbayAudio
import Testing

@Suite struct ResamplerTests {
    static let pairs = [
        (8000, 16_000), (16_000, 8000), (8000, 24_000), (24_000, 8000), (8000, 48_000), (48_000, 8000),
        (44_100, 16_000), (8000, 22_050), (16_000, 24_000), (24_000, 16_000), (11_025, 8000), (16_000, 16_000),
        (4000, 192_000), (192_000, 4000),
    ]

    static let engines: [StreamResampler.Engine] =
        [.polyphase(.linearPhase), .polyphase(.lowDelay)]
        + StreamResampler.Quality.allCases.map { .libsamplerate($0) }

    struct Variant: CustomTestStringConvertible, Sendable {
        var engine: StreamResampler.Engine
        var from: Int
        var to: Int
        var testDescription: String { "\(engine) \(from) to \(to)" }
        func make(channelCount: Int = 1) throws -> StreamResampler {
            try StreamResampler(from: from, to: to, channelCount: channelCount, engine: engine)
        }
        var isPolyphase: Bool {
            if case .polyphase = engine { from != to } else { false }
        }
        /// Of linear phase, so that an impulse comes out symmetric.
        var isSymmetric: Bool {
            from != to
                && [.polyphase(.linearPhase), .libsamplerate(.best), .libsamplerate(.medium), .libsamplerate(.fastest)]
                    .contains(engine)
        }
        /// What `engine` cannot do is tested elsewhere.
        var isPossible: Bool {
            !isPolyphase || PolyphaseDesign.supports(from: from, to: to)
        }
    }

    static let variants = engines.flatMap { engine in
        pairs.map { Variant(engine: engine, from: $0.0, to: $0.1) }
    }.filter(\.isPossible)

    @Test(arguments: variants)
    func outputLengthIsWithinOneSample(_ variant: Variant) throws {
        let resampler = try variant.make()
        for count in [1, 2, 7, 160, 1000, 4411] {
            let input = tone(300, amplitude: 9000, sampleRate: variant.from, count: count)
            let output = resampler.process(input) + resampler.flush()
            let exact = Double(count) * Double(variant.to) / Double(variant.from)
            // What the minimum-phase filter still sounds is given out too.
            let longer =
                variant.isPolyphase && variant.engine == .polyphase(.lowDelay)
                ? 10 * variant.to / min(variant.from, variant.to) : 0
            #expect(
                (exact - 1...exact + 1 + Double(longer)).contains(Double(output.count)),
                "\(count) samples in, \(output.count) out, \(exact) exact")
        }
    }

    @Test(arguments: variants, [1, 2])
    func cuttingTheInputChangesNothing(_ variant: Variant, channelCount: Int) throws {
        let seed = UInt64(variant.from * 31 + variant.to + channelCount)
        var generator = SeededGenerator(seed: seed)
        let count = min(2000, variant.from / 4) * channelCount
        let input = (0..<count).map { _ in Int16.random(in: -20_000...20_000, using: &generator) }
        let resampler = try variant.make(channelCount: channelCount)
        let whole = resampler.process(input) + resampler.flush()
        for largest in [1, 3, 500] {
            var pieces: [Int16] = []
            var rest = input[...]
            while !rest.isEmpty {
                let piece = rest.prefix(channelCount * Int.random(in: 1...largest, using: &generator))
                pieces += resampler.process(piece)
                rest = rest.dropFirst(piece.count)
            }
            pieces += resampler.flush()
            let isSame = pieces == whole
            #expect(isSame, "pieces of up to \(largest), seed \(seed)")
        }
    }

    @Test func automaticTakesItsOwnFiltersWhereItHasThem() throws {
        #expect(try StreamResampler(from: 8000, to: 48_000).engine == .polyphase(.lowDelay))
        #expect(try StreamResampler(from: 44_100, to: 16_000).engine == .libsamplerate(.medium))
        #expect(
            try StreamResampler(from: 44_100, to: 44_100, engine: .polyphase(.lowDelay)).process([1, 2]) == [1, 2])
        for design in PolyphaseDesign.allCases {
            let error = #expect(throws: ResamplerError.self) {
                _ = try StreamResampler(from: 44_100, to: 16_000, engine: .polyphase(design))
            }
            #expect(error?.code == .unsupportedRatePair)
            #expect(error?.message.contains("8000, 16000, 24000, 48000 Hz; use libsamplerate") == true)
        }
    }

    /// Feeds one sample at a time and notes when each output sample comes out.
    private func trace(_ variant: Variant, _ input: [Int16]) throws -> (output: [Int16], arrival: [Int]) {
        let resampler = try variant.make()
        var output: [Int16] = []
        var arrival: [Int] = []
        for (index, sample) in input.enumerated() {
            let piece = resampler.process([sample])
            output += piece
            arrival += repeatElement(index, count: piece.count)
        }
        return (output, arrival)
    }

    @Test(arguments: variants.filter(\.isSymmetric))
    func delayMeasuredWithAnImpulse(_ variant: Variant) throws {
        // An instant that has a sample in both streams, so that the response peaks exactly there.
        let common = greatestCommonDivisor(variant.from, variant.to)
        let instant = (common / 20 + 1)
        let (from, to) = (variant.from / common, variant.to / common)
        let count = instant * from + variant.from / 20 + 200 * from
        var input = [Int16](repeating: 0, count: count)
        input[instant * from] = 30_000
        let (output, arrival) = try trace(variant, input)
        let peak = try #require(output.indices.max { abs(Int(output[$0])) < abs(Int(output[$1])) })
        #expect(peak == instant * to)
        let measured = Double(arrival[peak] - instant * from) / Double(variant.from) * 1e9
        let reported = Double(try variant.make().delayNanoseconds)
        // libsamplerate adds up positions in floating point. One that falls a hair short of the instant comes out one
        // input sample sooner. Our own gives out a block's samples together, which the last of them awaits.
        let sooner = 1e9 / Double(variant.isPolyphase ? common : variant.from)
        #expect((reported - sooner - 1...reported + 1).contains(measured), "measured \(measured), reported \(reported)")
    }

    @Test(arguments: variants)
    func delayMeasuredWithALowTone(_ variant: Variant) throws {
        let frequency = 100.0
        let input = tone(frequency, amplitude: 20_000, sampleRate: variant.from, count: variant.from * 3 / 20)
        let (output, arrival) = try trace(variant, input)
        // How long a player has to wait before it starts, so that it never runs dry …
        let wait =
            output.indices.map {
                Double(arrival[$0]) / Double(variant.from) - Double($0) / Double(variant.to)
            }.max() ?? .infinity
        // … and how late the tone then is in what it plays: its phase over five whole periods.
        let period = Double(variant.to) / frequency
        let span = Int(4 * period)..<Int(9 * period)
        var sine = 0.0
        var cosine = 0.0
        for index in span {
            let angle = 2 * .pi * frequency * Double(index) / Double(variant.to)
            sine += Double(output[index]) * sin(angle)
            cosine += Double(output[index]) * cos(angle)
        }
        let lag = atan2(-cosine, sine) / (2 * .pi * frequency)
        let measured = (wait + lag) * 1e9
        let reported = Double(try variant.make().delayNanoseconds)
        // A minimum-phase filter delays even 100 Hz by a little more than the lowest of tones.
        let tolerance =
            switch variant.engine {
            case .polyphase(.lowDelay): 2000 as Double
            case .polyphase(.linearPhase): 100.0
            case .automatic, .libsamplerate: 100_000.0
            }
        #expect(abs(measured - reported) < tolerance, "measured \(measured), reported \(reported)")
    }

    @Test(arguments: variants)
    func flushAndResetMakeItNew(_ variant: Variant) throws {
        let first = tone(440, amplitude: 15_000, sampleRate: variant.from, count: variant.from / 25)
        let resampler = try variant.make()
        let fresh = resampler.process(first) + resampler.flush()
        #expect(resampler.flush() == [], "nothing is held back after a flush")
        #expect(resampler.process(first) + resampler.flush() == fresh)
        _ = resampler.process([Int16](repeating: 12_345, count: 333))
        resampler.reset()
        #expect(resampler.process(first) + resampler.flush() == fresh)
    }

    @Test(
        arguments: [StreamResampler.Engine.libsamplerate(.best), .libsamplerate(.medium)],
        [(8000, 16_000), (16_000, 8000), (8000, 24_000), (44_100, 16_000)])
    func aToneKeepsItsLevelAndGainsNoImage(engine: StreamResampler.Engine, rates: (Int, Int)) throws {
        let resampler = try StreamResampler(from: rates.0, to: rates.1, engine: engine)
        let input = tone(3000, amplitude: 20_000, sampleRate: rates.0, count: rates.0 / 2)
        let output = resampler.process(input) + resampler.flush()
        let middle = output[(output.count / 4)..<(output.count * 3 / 4)]
        let level = amplitude(of: 3000, in: middle, sampleRate: rates.1)
        #expect(abs(20 * log10(level / 20_000)) < 0.1, "\(level)")
        for image in [Double(rates.0) - 3000, 500, 1000] where image < Double(rates.1) / 2 {
            let unwanted = amplitude(of: image, in: middle, sampleRate: rates.1)
            #expect(20 * log10(unwanted / 20_000) < -90, "\(unwanted) at \(image) Hz")
        }
    }

    @Test(arguments: engines)
    func channelsStayApart(engine: StreamResampler.Engine) throws {
        let left = tone(440, amplitude: 10_000, sampleRate: 8000, count: 2000)
        let right = tone(1000, amplitude: 5000, sampleRate: 8000, count: 2000)
        let stereo = zip(left, right).flatMap { [$0, $1] }
        let both = try StreamResampler(from: 8000, to: 24_000, channelCount: 2, engine: engine)
        let output = both.process(stereo) + both.flush()
        let single = try StreamResampler(from: 8000, to: 24_000, engine: engine)
        let expectedLeft = single.process(left) + single.flush()
        let expectedRight = single.process(right) + single.flush()
        let pairs = zip(expectedLeft, expectedRight).flatMap { [$0, $1] }
        #expect(output.count == pairs.count)
        // libsamplerate sums one and two channels in another order, which may round differently.
        #expect(zip(output, pairs).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
    }

    @Test func linesAndSteps() throws {
        let input: [Int16] = [0, 300, -300, .max]
        let lines = try StreamResampler(from: 8000, to: 24_000, engine: .libsamplerate(.linear))
        #expect(
            lines.process(input) + lines.flush()
                == [0, 100, 200, 300, 100, -100, -300, 10_722, 21_745, .max, .max, .max])
        let fewer = try StreamResampler(from: 12_000, to: 8000, engine: .libsamplerate(.linear))
        #expect(fewer.process([0, 100, 200, 300, 400, 500]) + fewer.flush() == [0, 150, 300, 450])
        let steps = try StreamResampler(from: 8000, to: 12_000, engine: .libsamplerate(.zeroOrderHold))
        #expect(steps.process(input) + steps.flush() == [0, 0, 300, -300, -300, .max])
    }

    @Test(arguments: engines)
    func overshootClipsInsteadOfWrapping(engine: StreamResampler.Engine) throws {
        let square = (0..<4000).map { $0 / 20 % 2 == 0 ? Int16.max : Int16.min }
        let resampler = try StreamResampler(from: 8000, to: 16_000, engine: engine)
        let output = resampler.process(square) + resampler.flush()
        for index in stride(from: 400, to: 7600, by: 40) {
            // The middle of each half wave, away from its edges.
            let expected = index / 40 % 2 == 0
            #expect(output[(index + 10)..<(index + 30)].allSatisfy { ($0 > 20_000) == expected })
        }
    }

    @Test func aSmallDestinationLosesTheRest() throws {
        let resampler = try StreamResampler(from: 8000, to: 16_000, engine: .libsamplerate(.fastest))
        let input = tone(300, amplitude: 9000, sampleRate: 8000, count: 320)
        var small = [Int16](repeating: 0, count: 10)
        let count = input.withUnsafeBufferPointer { input in
            small.withUnsafeMutableBufferPointer { resampler.process(input, into: $0) }
        }
        #expect(count == 10)
        #expect(small.withUnsafeMutableBufferPointer { resampler.flush(into: $0) } == 10)
        #expect(resampler.process([]) == [])
    }

    @Test(arguments: engines)
    func anIncompleteSampleFrameIsIgnored(engine: StreamResampler.Engine) throws {
        let whole = try StreamResampler(from: 8000, to: 16_000, channelCount: 2, engine: engine)
        let odd = try StreamResampler(from: 8000, to: 16_000, channelCount: 2, engine: engine)
        let input = [Int16](repeating: 1000, count: 400)
        #expect(odd.process(input + [7]) == whole.process(input))
        #expect(odd.process([7]) == [])
    }

    @Test(arguments: [
        (3999, 8000, 1, ResamplerError.Code.sampleRateOutOfRange), (8000, 192_001, 1, .sampleRateOutOfRange),
        (0, 0, 1, .sampleRateOutOfRange), (-8000, 8000, 1, .sampleRateOutOfRange),
        (8000, .max, 1, .sampleRateOutOfRange), (8000, 16_000, 0, .unsupportedChannelCount),
        (8000, 16_000, 3, .unsupportedChannelCount), (8000, 8000, -1, .unsupportedChannelCount),
    ])
    func refusals(from: Int, to: Int, channelCount: Int, code: ResamplerError.Code) {
        for engine in Self.engines {
            let error = #expect(throws: ResamplerError.self) {
                _ = try StreamResampler(from: from, to: to, channelCount: channelCount, engine: engine)
            }
            #expect(error?.code == code)
        }
    }
}
