import Glibc

/// Measures how loud 16-bit samples are, over any number of blocks.
///
/// Levels are in dBFS, decibels relative to full scale, where 0 dBFS is the RMS of a full-scale square wave, 32768. A
/// full-scale sine therefore has an RMS of -3.01 dBFS and a peak of 0. (AES17 puts 0 dBFS at the sine's RMS instead;
/// subtract 3.01 from its figures.) Silence, which has no logarithm, is `LevelMeter.silence`, and nothing is lower.
public struct LevelMeter: Sendable {
    /// The level of silence and the lowest level reported, in dBFS: below one unit of a 16-bit sample (-90.3 dBFS).
    public static let silence = -120.0

    private var sumOfSquares: UInt64 = 0
    private var count = 0
    private var largest: Int32 = 0

    public init() {}

    /// Adds a block; with several channels, all their samples count as one signal. Allocates nothing.
    public mutating func add(_ samples: UnsafeBufferPointer<Int16>) {
        sumOfSquares &+= LevelMeter.sumOfSquares(samples)
        count += samples.count
        for sample in samples { largest = max(largest, abs(Int32(sample))) }
    }

    /// RMS of everything added since the last reset, in dBFS from -120 to 0.
    public var rms: Double { LevelMeter.level(power: count == 0 ? 0 : Double(sumOfSquares) / Double(count)) }

    /// The largest magnitude added since the last reset, in dBFS from -120 to 0.
    public var peak: Double { LevelMeter.level(power: Double(largest) * Double(largest)) }

    /// Forgets everything added.
    public mutating func reset() { self = LevelMeter() }

    /// RMS of one block, in dBFS from -120 to 0; an empty block is silent.
    public static func rms(_ samples: UnsafeBufferPointer<Int16>) -> Double {
        samples.isEmpty ? silence : level(power: Double(sumOfSquares(samples)) / Double(samples.count))
    }

    /// The sum of the squared samples; exact up to 2^34 samples.
    static func sumOfSquares(_ samples: UnsafeBufferPointer<Int16>) -> UInt64 {
        var sum: UInt64 = 0
        for sample in samples {
            let value = Int32(sample)
            sum &+= UInt64(UInt32(bitPattern: value &* value))
        }
        return sum
    }

    /// The level of a mean square, in dBFS from -120 up.
    static func level(power: Double) -> Double {
        guard power > 0 else { return silence }
        return max(silence, 10 * log10(power / (32768.0 * 32768.0)))
    }
}
