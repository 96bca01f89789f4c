import PatchbayAudio

/// What a change of rate does to tones: how level the pass band is, and how far down everything lies that was not there.
///
/// Bands are those of the lower of the two rates: the pass band ends at 0.425 of it, the stop band begins at 0.575, so that
/// a tone at the one has its first mirror image at the other.
struct FilterSweep: Sendable {
    static let passBandEnd = 0.425
    static let stopBandBegin = 0.575

    /// The highest gain of the pass band less the lowest, in dB.
    var ripple: Double
    /// Gain at 3,400 Hz in dB; `nil` where that is outside the lower rate's pass band.
    var gain3400: Double?
    /// The level of the tone over the strongest image or alias it leaves, in dB; the worst of all tones. The tone as it goes in,
    /// so it is the attenuation of the stop band.
    var rejection: Double

    /// - Parameters:
    ///   - tones: How many in each band.
    ///   - convert: Gives the output for an input, from a converter in its first state.
    init(
        from inputRate: Int, to outputRate: Int, tones: Int = 24, seconds: Double = 0.6,
        convert: ([Int16]) throws -> [Int16]
    ) rethrows {
        let lower = Double(min(inputRate, outputRate))
        let passBand = Self.spread(from: 100, to: lower * Self.passBandEnd, tones)
        let stopBand =
            inputRate > outputRate
            ? Self.spread(from: lower * Self.stopBandBegin, to: Double(inputRate) * 0.49, tones) : []
        var gains: [Double] = []
        gain3400 = nil
        var worst = -200.0
        let extra = lower * Self.passBandEnd >= 3400 ? [3400.0] : []
        for frequency in Set(passBand + stopBand + extra).sorted() {
            let signal = Multitone.tone(frequency, level: -6)
            let amplitude = signal.components[0].amplitude
            let output = try convert(signal.samples(seconds: seconds, sampleRate: inputRate))
            guard let window = AnalysisWindow.last(of: output, sampleRate: outputRate) else { continue }
            let level = { (frequency: Double) in
                decibels(Phasor(of: frequency, in: window, sampleRate: outputRate).amplitude / amplitude)
            }
            if frequency <= lower * Self.passBandEnd + AnalysisWindow.resolution {
                let gain = level(frequency)
                gains.append(gain)
                if frequency == 3400 { gain3400 = gain }
            }
            for product in Self.products(of: frequency, from: inputRate, to: outputRate) {
                worst = max(worst, level(product))
            }
        }
        ripple = (gains.max() ?? 0) - (gains.min() ?? 0)
        rejection = -worst
    }

    /// Where the images and aliases of a tone come out, in Hz.
    ///
    /// Raising the rate by a whole factor `up` leaves images around every multiple of the input rate below it; all are then
    /// folded into the output's band. The tone itself is not among them unless the output's band has no room for it.
    static func products(of frequency: Double, from inputRate: Int, to outputRate: Int) -> Set<Double> {
        let (input, output) = (Double(inputRate), Double(outputRate))
        let up = outputRate / greatestCommonDivisor(inputRate, outputRate)
        var found: Set<Double> = []
        for multiple in 0...up / 2 {
            for image in [Double(multiple) * input - frequency, Double(multiple) * input + frequency] {
                // Images repeat beyond half of the intermediate rate.
                guard abs(image) <= Double(up) * input / 2 else { continue }
                if multiple == 0 && frequency < output / 2 { continue }
                found.insert(folded(abs(image), output))
            }
        }
        if frequency < output / 2 { found.remove(frequency) }
        // A product at 0 Hz is told apart from a converter's offset by nothing, and heard by nobody.
        found.remove(0)
        return found
    }

    private static func folded(_ frequency: Double, _ rate: Double) -> Double {
        let rest = frequency.truncatingRemainder(dividingBy: rate)
        return min(rest, rate - rest)
    }

    /// Multiples of 5 Hz, both ends among them, rounded away from the middle band: the end of a pass band down, the begin of a
    /// stop band up.
    private static func spread(from begin: Double, to end: Double, _ count: Int) -> [Double] {
        let unit = AnalysisWindow.resolution
        let (first, last) = ((begin / unit).rounded(.up), (end / unit).rounded(.down))
        guard last > first, count > 1 else { return [first * unit] }
        return (0..<count).map { (first + ((last - first) * Double($0) / Double(count - 1)).rounded()) * unit }
    }
}
