import Glibc

/// The keypad of a telephone and its tones: one of four low and one of four high frequencies at a time (ITU-T Q.23).
public enum DTMFKeypad {
    /// The four rows' frequencies, in Hz.
    public static let lowFrequencies = [697.0, 770, 852, 941]
    /// The four columns' frequencies, in Hz.
    public static let highFrequencies = [1209.0, 1336, 1477, 1633]
    /// The keys by rows: `123A`, `456B`, `789C`, `*0#D`.
    public static let digits: [Character] = Array("123A456B789C*0#D")
    /// Rates that tones are found and made at, in Hz.
    public static let sampleRates = 8000...48000

    /// The two frequencies of a key, in Hz; `nil` for anything that is no key. Letters may be small.
    public static func frequencies(of digit: Character) -> (low: Double, high: Double)? {
        let key: Character =
            switch digit {
            case "a": "A"
            case "b": "B"
            case "c": "C"
            case "d": "D"
            default: digit
            }
        guard let index = digits.firstIndex(of: key) else { return nil }
        return (lowFrequencies[index / 4], highFrequencies[index % 4])
    }

    /// Amplitude of a sine of so many dBm0 in 16-bit samples.
    ///
    /// A sine that just reaches the end of µ-law's range has 3.17 dBm0 (ITU-T G.711, section 4); that end is 32,636 in the
    /// scale of 16-bit samples, so 0 dBm0 peaks at 22,657, 3.2 dB below full scale.
    public static func amplitude(dBm0 level: Double) -> Double { 32636 * pow(10, (level - 3.17) / 20) }
}

/// Why a tone detector or generator could not be made.
public struct DTMFError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        /// The code in messages and logs, such as `sample-rate-out-of-range`.
        public let name: String

        public static let sampleRateOutOfRange = Code(name: "sample-rate-out-of-range")
    }

    public let code: Code
    /// What is wrong and what is possible.
    public let message: String

    init(sampleRate: Int) {
        code = .sampleRateOutOfRange
        message = "cannot work with tones at \(sampleRate) Hz: rates are 8000 to 48000 Hz; resample first"
    }

    public var description: String { "\(code.name): \(message)" }
}
