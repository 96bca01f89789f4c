import Glibc

/// Makes the tones of telephone keys, in pieces of any length.
///
/// Each key is a tone followed by a pause. The defaults are a handset's: the low tone at -9 dBm0 and the high one, which lines
/// weaken more, at -7 dBm0; 100 ms of tone and 100 ms of pause, where ITU-T Q.24 asks for 40 of each. Tones rise and fall
/// over 2 ms along a raised cosine, so that they do not click. Allocates only to remember keys.
public struct DTMFGenerator: Sendable {
    /// How keys sound.
    public struct Parameters: Hashable, Sendable {
        /// Level of the low tone, in dBm0; see ``DTMFKeypad/amplitude(dBm0:)``.
        public var lowLevel = -9.0
        /// Level of the high tone, in dBm0. Both together must stay below 3 dBm0 or they clip.
        public var highLevel = -7.0
        /// Length of the tone, in milliseconds.
        public var toneMilliseconds = 100
        /// Silence after it, in milliseconds.
        public var pauseMilliseconds = 100

        public init() {}
    }

    public let sampleRate: Int
    public let parameters: Parameters
    /// Keys that have not been begun.
    public private(set) var pending: [Character] = []
    /// The first sample to make of the key that is being made; `nil` between keys.
    private var offset: Int?
    private var steps = (low: 0.0, high: 0.0)
    private let toneLength: Int
    private let length: Int
    private let rampLength: Int
    private let amplitudes: (low: Double, high: Double)

    /// - Parameter sampleRate: 8,000 to 48,000 Hz.
    /// - Throws: `DTMFError` for other rates.
    public init(sampleRate: Int, parameters: Parameters = Parameters()) throws(DTMFError) {
        guard DTMFKeypad.sampleRates.contains(sampleRate) else { throw DTMFError(sampleRate: sampleRate) }
        self.sampleRate = sampleRate
        self.parameters = parameters
        toneLength = sampleRate * max(0, parameters.toneMilliseconds) / 1000
        length = toneLength + sampleRate * max(0, parameters.pauseMilliseconds) / 1000
        rampLength = min(sampleRate / 500, toneLength / 2)
        amplitudes = (DTMFKeypad.amplitude(dBm0: parameters.lowLevel), DTMFKeypad.amplitude(dBm0: parameters.highLevel))
    }

    /// Samples of one key with its pause.
    public var samplesPerKey: Int { length }

    /// Whether there is nothing left to make.
    public var isIdle: Bool { offset == nil && pending.isEmpty }

    /// Appends a key to those that are pending.
    ///
    /// - Returns: False, and nothing changes, for a character that is no key.
    @discardableResult
    public mutating func append(_ digit: Character) -> Bool {
        guard DTMFKeypad.frequencies(of: digit) != nil else { return false }
        pending.append(digit)
        return true
    }

    /// Makes the next samples.
    ///
    /// - Returns: How many were written: all of `samples`, or fewer when the last key's pause ends before.
    public mutating func generate(into samples: UnsafeMutableBufferPointer<Int16>) -> Int {
        var written = 0
        while written < samples.count, begin(), let start = offset {
            let count = min(samples.count - written, length - start)
            for index in 0..<count { samples[written + index] = sample(start + index) }
            written += count
            offset = start + count < length ? start + count : nil
        }
        return written
    }

    /// Drops what is pending and what is being made.
    public mutating func reset() {
        pending.removeAll(keepingCapacity: true)
        offset = nil
    }

    /// The samples of some keys, one after the other; characters that are no keys are left out. Allocates the array.
    public static func samples(
        of digits: String, sampleRate: Int, parameters: Parameters = Parameters()
    ) throws(DTMFError) -> [Int16] {
        var generator = try DTMFGenerator(sampleRate: sampleRate, parameters: parameters)
        for digit in digits { generator.append(digit) }
        let count = generator.pending.count * generator.length
        return [Int16](unsafeUninitializedCapacity: count) { samples, written in
            samples.initialize(repeating: 0)
            written = generator.generate(into: UnsafeMutableBufferPointer(rebasing: samples.prefix(count)))
        }
    }

    /// Goes on with a key or to the next one; false when there is none.
    private mutating func begin() -> Bool {
        if offset != nil { return true }
        guard length > 0, let next = pending.first, let tones = DTMFKeypad.frequencies(of: next) else { return false }
        pending.removeFirst()
        let step = 2 * Double.pi / Double(sampleRate)
        steps = (tones.low * step, tones.high * step)
        offset = 0
        return true
    }

    private func sample(_ index: Int) -> Int16 {
        guard index < toneLength else { return 0 }
        let edge = min(index, toneLength - 1 - index)
        let level = edge >= rampLength ? 1 : 0.5 - 0.5 * cos(.pi * (Double(edge) + 0.5) / Double(rampLength))
        let value =
            amplitudes.low * sin(steps.low * Double(index)) + amplitudes.high * sin(steps.high * Double(index))
        return Int16(max(-32768, min(32767, (level * value).rounded())))
    }
}
