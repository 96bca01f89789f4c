import Glibc
@testable import PatchbayAudio
import Testing

/// What the filters do to 16-bit tones at full scale on every multiple of 50 Hz.
///
/// 20 ms hold whole periods of all of them, so no window is needed, and rounding to 16 bits repeats with the tone.
@Suite struct PolyphaseResponseTests {
    static let step = 50
    /// As loud as the ripple allows without clipping.
    static let fullScale = 32_600.0

    /// One period of 50 Hz at a rate.
    struct Circle {
        let sines: [Double]
        init(rate: Int) {
            let count = rate / step
            sines = (0..<count).map { sin(2 * .pi * Double($0) / Double(count)) }
        }

        func tone(_ frequency: Int, count: Int) -> [Int16] {
            let turn = frequency / step
            return (0..<count).map { Int16((fullScale * sines[$0 * turn % sines.count]).rounded()) }
        }

        /// The amplitude of a tone in one period of 50 Hz.
        func amplitude(of frequency: Int, in samples: ArraySlice<Int16>) -> Double {
            let turn = frequency / step
            let quarter = sines.count / 4
            var sine = 0.0
            var cosine = 0.0
            var angle = 0
            for sample in samples {
                sine += Double(sample) * sines[angle]
                cosine += Double(sample) * sines[(angle + quarter) % sines.count]
                angle = (angle + turn) % sines.count
            }
            let isReal = frequency == 0 || turn * 2 == sines.count
            return (sine * sine + cosine * cosine).squareRoot() * (isReal ? 1 : 2) / Double(sines.count)
        }
    }

    @Test(arguments: PolyphasePair.all)
    func tonesPassAndImagesAndAliasesDoNot(_ pair: PolyphasePair) throws {
        let resampler = try pair.make()
        let source = Circle(rate: pair.from)
        let target = Circle(rate: pair.to)
        let multiple = pair.from * pair.bank.outputs
        var ripple = 0.0
        var worst = 0.0
        for frequency in stride(from: Self.step, to: pair.from / 2, by: Self.step) {
            resampler.reset()
            // 10 ms until the filter has swung in.
            let output = resampler.process(source.tone(frequency, count: pair.from / 25))
            let settled = output[(pair.to / 100)..<(pair.to / 100 + pair.to / Self.step)]
            if frequency * 1000 <= pair.lowerRate * 425 {
                let gain = target.amplitude(of: frequency, in: settled) / Self.fullScale
                ripple = max(ripple, abs(20 * log10(gain)))
            }
            // The tone itself and its images around multiples of the input rate, each where it folds to.
            for centre in stride(from: 0, through: multiple / 2, by: pair.from) {
                for image in [centre - frequency, centre + frequency] {
                    guard image * 1000 >= pair.lowerRate * 575, image <= multiple / 2 else { continue }
                    let alias = abs(image - (image + pair.to / 2) / pair.to * pair.to)
                    // Where the wanted tone is, nothing else can be measured.
                    guard alias != frequency || frequency * 1000 >= pair.lowerRate * 575 else { continue }
                    worst = max(worst, target.amplitude(of: alias, in: settled) / Self.fullScale)
                }
            }
        }
        let rejection = -20 * log10(worst)
        #expect(ripple < 0.03)
        #expect(rejection >= 80)
    }

    @Test(arguments: PolyphasePair.all)
    func delayIsShortAndLinearPhaseIsSymmetric(_ pair: PolyphasePair) {
        let bank = pair.bank
        #expect(bank.delayNanoseconds > 0)
        #expect(bank.delayNanoseconds < (pair.design == .lowDelay ? 250_000 : 2_100_000))
        let tables = [2, 3, 6].map { pair.design.taps(factor: $0) }
        #expect(tables.allSatisfy { ($0 == $0.reversed()) == (pair.design == .linearPhase) })
    }

    @Test(arguments: PolyphasePair.all, [-32_768, -1, 0, 1, 100, 10_000, 32_767])
    func constantsStayConstant(_ pair: PolyphasePair, value: Int) throws {
        let output = try pair.make().process([Int16](repeating: Int16(value), count: pair.from / 50))
        let settled = output.dropFirst(pair.to / 250)
        let range = settled.map { abs(Int($0) - value) }.max()
        // 0.03 dB, and rounding.
        #expect(range.map { Double($0) <= 0.5 + abs(Double(value)) * 0.0035 } == true, "\(range ?? -1)")
    }
}
