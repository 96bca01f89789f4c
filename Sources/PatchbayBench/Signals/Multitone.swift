import Glibc

/// A sum of sines that is known at every instant, so that a delay of any fraction of a sample can be told.
struct Multitone: Sendable {
    struct Component: Hashable, Sendable {
        /// In Hz, a multiple of 5.
        var frequency: Double
        /// Peak, in 16-bit steps.
        var amplitude: Double
        /// At time 0, in radians.
        var phase: Double
    }

    let components: [Component]

    init(_ components: [Component]) { self.components = components }

    /// One sine; `level` is its peak in dBFS.
    static func tone(_ frequency: Double, level: Double) -> Multitone {
        Multitone([Component(frequency: frequency, amplitude: 32767 * pow(10, level / 20), phase: 0)])
    }

    /// The frequency of the tone that noise is measured with. Not 1,000 Hz: that divides the usual rates, and quantisation
    /// would meet the same few samples again and again (ITU-T O.132 takes 1,020 Hz for that reason).
    static let referenceFrequency = 1020.0

    /// Thirty-one tones of equal level from 300 to 3,400 Hz, -20 dBFS together (RMS), the level of loud speech. The distances
    /// between them differ and the phases are drawn from a fixed seed, so the crest factor is that of noise, about 11 dB.
    static let speechBand: Multitone = {
        var random = SplitMix(seed: 0x5EED)
        let amplitude = 32768 * pow(10, -20.0 / 20) * (2.0 / 31).squareRoot()
        return Multitone(
            (0..<31).map { index in
                let position = 300 + 100 * Double(index) + Double(random.next() % 9) * 5
                return Component(
                    frequency: min(3400, AnalysisWindow.aligned(position)), amplitude: amplitude,
                    phase: 2 * .pi * random.nextUnit())
            })
    }()

    /// The mean of its square, in squared 16-bit steps.
    var power: Double { components.reduce(0) { $0 + $1.amplitude * $1.amplitude / 2 } }

    /// Its samples from time 0 on, rounded to 16 bits.
    func samples(seconds: Double, sampleRate: Int) -> [Int16] {
        let count = Int((seconds * Double(sampleRate)).rounded())
        var sum = [Double](repeating: 0, count: count)
        for component in components {
            let step = 2 * Double.pi * component.frequency / Double(sampleRate)
            for index in 0..<count { sum[index] += component.amplitude * cos(component.phase + step * Double(index)) }
        }
        return sum.map { Int16(max(-32768, min(32767, $0.rounded()))) }
    }
}

/// Sebastiano Vigna's SplitMix64: small, and the same numbers everywhere.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// From 0 up to 1.
    mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// About normally distributed with variance 1: the sum of twelve, less their mean.
    mutating func nextNormal() -> Double { (0..<12).reduce(-6.0) { sum, _ in sum + nextUnit() } }
}
