import Glibc

/// Where in time a known signal lies in a window, with the gain that fits best: a correlation, evaluated in the frequency
/// domain, so that it resolves any fraction of a sample.
struct DelayFit: Sendable {
    /// How much later the signal is than it would be without delay, in seconds. Negative when it comes early.
    var delay: Double
    /// Output amplitude over input amplitude.
    var gain: Double
    /// Signal to noise in dB when delay and gain are made good and nothing else: a phase or frequency response that is not
    /// flat counts as noise.
    var signalToNoise: Double

    /// Delays that are looked for, in seconds. The signal repeats after 0.2 s.
    static let range = -0.02..<0.18

    /// - Parameters:
    ///   - window: Of ``AnalysisWindow`` length.
    ///   - start: The index of the window's first sample in the stream, whose sample 0 belongs to time 0.
    init(of signal: Multitone, in window: ArraySlice<Int16>, startingAt start: Int, sampleRate: Int) {
        let begin = Double(start) / Double(sampleRate)
        // For each tone the product of what came out with the conjugate of what should be there without delay.
        let products = signal.components.map { component -> (angular: Double, real: Double, imaginary: Double) in
            let angular = 2 * Double.pi * component.frequency
            let found = Phasor(of: component.frequency, in: window, sampleRate: sampleRate)
            let expected = Phasor(amplitude: component.amplitude, phase: component.phase + angular * begin)
            return (
                angular, found.real * expected.real + found.imaginary * expected.imaginary,
                found.imaginary * expected.real - found.real * expected.imaginary
            )
        }
        let correlation = { (delay: Double) -> Double in
            products.reduce(0) { $0 + $1.real * cos($1.angular * delay) - $1.imaginary * sin($1.angular * delay) }
        }
        // Twelve steps to the shortest period cannot step over the peak.
        let highest = signal.components.map(\.frequency).max() ?? 1000
        let step = 1 / (12 * highest)
        var best = (delay: 0.0, value: -Double.infinity)
        var candidate = Self.range.lowerBound
        while candidate < Self.range.upperBound {
            let value = correlation(candidate)
            if value > best.value { best = (candidate, value) }
            candidate += step
        }
        // The peak lies within a step of the best candidate: halve the distance until it is beyond measure.
        var width = step
        while width > 1e-9 {
            width /= 2
            for side in [best.delay - width, best.delay + width] {
                let value = correlation(side)
                if value > best.value { best = (side, value) }
            }
        }
        delay = best.delay
        let square = signal.components.reduce(0) { $0 + $1.amplitude * $1.amplitude }
        gain = square > 0 ? best.value / square : 0
        signalToNoise = ToneNoise.ratio(signal: gain * gain * signal.power, total: ToneNoise.power(window))
    }
}
