import Glibc
import Testing

@testable import PatchbayBench

@Suite struct SignalTests {
    @Test(arguments: [5.0, 440, 1020, 3400, 4000])
    func aPhasorFindsAToneAndNothingElse(frequency: Double) throws {
        let tone = Multitone.tone(frequency, level: -6)
        let samples = tone.samples(seconds: 0.2, sampleRate: 8000)
        let found = Phasor(of: frequency, in: samples[...], sampleRate: 8000)
        #expect(abs(found.amplitude - tone.components[0].amplitude) < 0.6)
        for other in [10.0, 445, 1025, 3395] where other != frequency {
            #expect(Phasor(of: other, in: samples[...], sampleRate: 8000).amplitude < 1)
        }
    }

    @Test func aPhasorKnowsThePhase() {
        let signal = Multitone([.init(frequency: 300, amplitude: 1000, phase: 0.7)])
        let found = Phasor(of: 300, in: signal.samples(seconds: 0.2, sampleRate: 8000)[...], sampleRate: 8000)
        #expect(abs(atan2(found.imaginary, found.real) - 0.7) < 1e-3)
    }

    @Test(arguments: [1.0, 10, 100, 1000])
    func noiseOfAKnownLevelIsFound(rms: Double) throws {
        let tone = Multitone.tone(1020, level: -6)
        let input = tone.samples(seconds: 0.6, sampleRate: 8000)
        let output = StreamRun(PaperConverter.noisy(rms), input, from: 8000, to: 8000).output
        let window = try #require(AnalysisWindow.last(of: output, sampleRate: 8000))
        // Both roundings add 1/12 each; the draw of 1,600 values varies by 0.3 dB.
        let expected = decibels(power: tone.power / (rms * rms + 2.0 / 12))
        #expect(abs(ToneNoise.ratio(of: 1020, in: window, sampleRate: 8000) - expected) < 0.8, "seed 7")
    }

    @Test func roundingAloneLeavesTheRatioThatTheoryGives() throws {
        let samples = Multitone.tone(1020, level: -6).samples(seconds: 0.2, sampleRate: 16000)
        // 6.02 × 16 + 1.76 − 6
        #expect(abs(ToneNoise.ratio(of: 1020, in: samples[...], sampleRate: 16000) - 92.1) < 1)
    }

    @Test func anOffsetCountsAsNoise() {
        let samples = Multitone.tone(1020, level: -6).samples(seconds: 0.2, sampleRate: 8000).map { $0 + 1000 }
        let expected = decibels(power: Multitone.tone(1020, level: -6).power / 1e6)
        #expect(abs(ToneNoise.ratio(of: 1020, in: samples[...], sampleRate: 8000) - expected) < 0.1)
    }

    @Test func silenceHasNoRatio() {
        #expect(ToneNoise.ratio(of: 1020, in: [Int16](repeating: 0, count: 1600)[...], sampleRate: 8000) == -200)
    }

    @Test func theSpeechBandSignalHasTheLevelItClaims() {
        let signal = Multitone.speechBand
        #expect(Set(signal.components.map(\.frequency)).count == 31)
        #expect(signal.components.allSatisfy { (300...3400).contains($0.frequency) })
        #expect(signal.components.allSatisfy { AnalysisWindow.aligned($0.frequency) == $0.frequency })
        #expect(abs(decibels(power: signal.power / (32768 * 32768)) + 20) < 0.01)
    }
}

@Suite struct DelayTests {
    private func measured(_ converter: PaperConverter, rate: Int = 8000) throws -> (run: StreamRun, fit: DelayFit) {
        let run = StreamRun(
            converter, Multitone.speechBand.samples(seconds: 0.6, sampleRate: rate), from: rate, to: rate)
        let window = try #require(AnalysisWindow.last(of: run.output, sampleRate: rate))
        return (run, DelayFit(of: .speechBand, in: window, startingAt: window.startIndex, sampleRate: rate))
    }

    @Test(arguments: [0, 1, 17, 160, 1000])
    func aDelayLineIsAsLongAsItIs(samples: Int) throws {
        let (run, fit) = try measured(.delayLine(samples))
        #expect(abs(fit.delay - Double(samples) / 8000) < 1e-7)
        #expect(run.heldBack == 0)
        #expect(abs(fit.gain - 1) < 1e-4)
    }

    @Test func halfASampleIsSeen() throws {
        let (_, fit) = try measured(.pairMean())
        #expect(abs(fit.delay - 0.5 / 8000) < 1e-7)
    }

    @Test(arguments: [0, 1, 50, 333])
    func whatIsHeldBackIsSeen(samples: Int) throws {
        let (run, fit) = try measured(.holding(samples))
        #expect(abs(run.heldBack - Double(samples) / 8000) < 1e-9)
        #expect(abs(fit.delay) < 1e-7)
    }

    @Test func noiseAndGainAreToldApart() throws {
        var random = SplitMix(seed: 11)
        let (_, fit) = try measured(
            PaperConverter { input in
                input.map { Int16((Double($0) / 2 + 50 * random.nextNormal()).rounded()) }
            })
        #expect(abs(fit.gain - 0.5) < 0.01, "seed 11")
        let expected = decibels(power: Multitone.speechBand.power / 4 / 2500)
        #expect(abs(fit.signalToNoise - expected) < 0.8, "seed 11")
    }

    @Test func aClaimThatIsWrongIsFlagged() {
        var row = BenchRow(.resampler, "x", "8000→16000")
        (row.delayReported, row.delayMeasured) = (3.0, 3.1)
        #expect(!row.delayDisagrees)
        row.delayMeasured = 3.2
        #expect(row.delayDisagrees)
        row.delayReported = nil
        #expect(!row.delayDisagrees)
    }

    @Test func theLongestClaimAfterSettlingCounts() {
        var packets = 0.0
        let converter = PaperConverter(reportedDelay: 4) { input in
            packets += 1
            return input
        }
        let run = StreamRun(converter, [Int16](repeating: 0, count: 3200), from: 8000, to: 8000)
        #expect(run.reportedDelay == 4)
        #expect(packets == 20)
    }
}

@Suite struct FilterSweepTests {
    private func sweep(_ from: Int, _ to: Int, _ make: () -> PaperConverter) -> FilterSweep {
        FilterSweep(from: from, to: to, tones: 5, seconds: 0.3) {
            StreamRun(make(), $0, from: from, to: to).output
        }
    }

    @Test func straightLinesHaveTheGainsOfTheirFormula() throws {
        let sweep = sweep(8000, 16000, PaperConverter.lines)
        let gain = { (frequency: Double) in decibels((1 + cos(2 * .pi * frequency / 16000)) / 2) }
        #expect(abs(try #require(sweep.gain3400) - gain(3400)) < 0.01)
        #expect(abs(sweep.ripple - (gain(100) - gain(3400))) < 0.01)
        // The image of 3,400 Hz at 4,600 Hz.
        #expect(abs(sweep.rejection + gain(4600)) < 0.02)
    }

    @Test func leavingOutSamplesRejectsNothing() throws {
        let sweep = sweep(16000, 8000, PaperConverter.dropping)
        #expect(abs(sweep.rejection) < 0.01)
        #expect(abs(sweep.ripple) < 0.01)
        #expect(abs(try #require(sweep.gain3400)) < 0.01)
    }

    @Test func aMeanBeforeLeavingOutRejectsWhatItsFormulaSays() {
        let sweep = sweep(16000, 8000) {
            let mean = PaperConverter.pairMean()
            return PaperConverter { input in
                input.withUnsafeBufferPointer { input in
                    var output = [Int16](repeating: 0, count: input.count)
                    _ = output.withUnsafeMutableBufferPointer { mean.process(input, into: $0) }
                    return stride(from: 0, to: output.count, by: 2).map { output[$0] }
                }
            }
        }
        // |cos(πf/16000)| at the first stop-band tone.
        #expect(abs(sweep.rejection + decibels(cos(.pi * 4600 / 16000))) < 0.02)
    }

    @Test func productsLieWhereTheoryPutsThem() {
        #expect(FilterSweep.products(of: 3400, from: 8000, to: 16000) == [4600])
        #expect(FilterSweep.products(of: 1000, from: 8000, to: 24000) == [7000, 9000])
        #expect(FilterSweep.products(of: 5000, from: 16000, to: 8000) == [3000])
        #expect(FilterSweep.products(of: 1000, from: 16000, to: 8000) == [])
        // 16 to 24 kHz: images at 15 and 17 kHz of 48, the first two folded at 24.
        #expect(FilterSweep.products(of: 1000, from: 16000, to: 24000) == [9000, 7000])
        // An image that falls on the tone itself cannot be told from it.
        #expect(!FilterSweep.products(of: 4000, from: 16000, to: 24000).contains(4000))
    }
}
