import Foundation

/// Tones to send into one end and to find again at the other.
///
/// "Expected 440 Hz, heard 880 Hz" survives codecs and resamplers, which sample-exact comparison does not.
public struct Tone: Sendable {
    /// In Hz.
    public var frequency: Double
    /// Peak level in dBFS; 0 is full scale.
    public var level: Double

    public init(_ frequency: Double, level: Double = -12) {
        self.frequency = frequency
        self.level = level
    }

    /// Samples of the tone, beginning `offset` samples after its zero crossing.
    public func samples(count: Int, sampleRate: Int, offset: Int = 0) -> [Int16] {
        let amplitude = 32767 * pow(10, level / 20)
        return (0..<count).map { index in
            Int16((amplitude * sin(2 * .pi * frequency * Double(index + offset) / Double(sampleRate))).rounded())
        }
    }

    /// How strong `frequency` is in `samples`, as the peak level in dBFS of a tone that would give the same (Goertzel's
    /// algorithm). Resolution is one over the length of the samples.
    public static func level(of frequency: Double, in samples: [Int16], sampleRate: Int) -> Double {
        let coefficient = 2 * cos(2 * .pi * frequency / Double(sampleRate))
        var (previous, beforePrevious) = (0.0, 0.0)
        for sample in samples {
            let value = Double(sample) + coefficient * previous - beforePrevious
            (beforePrevious, previous) = (previous, value)
        }
        let power = previous * previous + beforePrevious * beforePrevious - coefficient * previous * beforePrevious
        let amplitude = 2 * max(0, power).squareRoot() / Double(max(1, samples.count))
        return max(-120, 20 * log10(max(amplitude, 1e-6) / 32767))
    }

    /// The strongest of `frequencies` in `samples`.
    public static func strongest(of frequencies: [Double], in samples: [Int16], sampleRate: Int) -> Double? {
        frequencies.max {
            level(of: $0, in: samples, sampleRate: sampleRate) < level(of: $1, in: samples, sampleRate: sampleRate)
        }
    }
}
