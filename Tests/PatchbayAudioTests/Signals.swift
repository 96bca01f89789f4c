import Glibc
@testable import PatchbayAudio

/// SplitMix64: small, seeded and the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// A sine of `amplitude` at `frequency` Hz.
func tone(_ frequency: Double, amplitude: Double, sampleRate: Int, count: Int) -> [Int16] {
    (0..<count).map { Int16((amplitude * sin(2 * .pi * frequency * Double($0) / Double(sampleRate))).rounded()) }
}

/// A sine whose RMS is `level` dBFS.
func tone(_ frequency: Double, level: Double, sampleRate: Int, milliseconds: Int) -> [Int16] {
    tone(
        frequency, amplitude: min(32767, 32768 * 2.0.squareRoot() * pow(10, level / 20)), sampleRate: sampleRate,
        count: sampleRate * milliseconds / 1000)
}

/// Uniform white noise whose RMS is `level` dBFS.
func noise(level: Double, sampleRate: Int, milliseconds: Int, using generator: inout SeededGenerator) -> [Int16] {
    let bound = 32768 * 3.0.squareRoot() * pow(10, level / 20)
    return (0..<sampleRate * milliseconds / 1000).map { _ in
        Int16(Double.random(in: -bound...bound, using: &generator).rounded())
    }
}

func silence(sampleRate: Int, milliseconds: Int) -> [Int16] {
    [Int16](repeating: 0, count: sampleRate * milliseconds / 1000)
}

/// Amplitude of the part of `samples` at `frequency` Hz, through a Hann window.
func amplitude(of frequency: Double, in samples: ArraySlice<Int16>, sampleRate: Int) -> Double {
    var real = 0.0
    var imaginary = 0.0
    var weights = 0.0
    for (index, sample) in samples.enumerated() {
        let weight = 0.5 - 0.5 * cos(2 * .pi * Double(index) / Double(samples.count))
        let angle = 2 * .pi * frequency * Double(index) / Double(sampleRate)
        real += weight * Double(sample) * cos(angle)
        imaginary += weight * Double(sample) * sin(angle)
        weights += weight
    }
    return 2 * (real * real + imaginary * imaginary).squareRoot() / weights
}

extension StreamResampler {
    /// Converts one piece, into a buffer of exactly the promised capacity.
    func process(_ samples: some Collection<Int16>) -> [Int16] {
        let capacity = maximumOutput(forInput: samples.count)
        let input = Array(samples)
        return [Int16](unsafeUninitializedCapacity: capacity) { buffer, count in
            let room = UnsafeMutableBufferPointer(rebasing: buffer[..<capacity])
            count = input.withUnsafeBufferPointer { process($0, into: room) }
        }
    }

    func flush() -> [Int16] {
        let capacity = maximumFlushOutput
        return [Int16](unsafeUninitializedCapacity: capacity) { buffer, count in
            count = flush(into: UnsafeMutableBufferPointer(rebasing: buffer[..<capacity]))
        }
    }
}
