import Glibc

/// A key heard in the audio. Positions count samples from the first one that the detector was given.
public enum DTMFEvent: Hashable, Sendable {
    /// A key was pressed. Reported 30 to 40 ms after its tones began, which is what it takes to tell them from speech.
    case began(Character, at: Int)
    /// The key was released; reported up to 45 ms after.
    case ended(Character, from: Int, to: Int)
}

/// Finds the tones of telephone keys in a stream of samples, and takes no speech for one.
///
/// Every 5 ms it looks at the last 30 ms through a smooth window: Goertzel's algorithm gives eight lines of each block of 5 ms,
/// and six blocks make a window. A window counts for a key when one low and one high line carry almost all of its energy,
/// their levels differ by no more than a line's frequency response explains, and their true frequencies, read from how their
/// phases turn from window to window, are the nominal ones. Four windows in a row are a key when two of them hold hardly
/// anything else; six without it end it.
///
/// The limits follow ITU-T Q.24 (table A-1, the columns of AT&T and NTT):
///
/// | | accepted | refused |
/// | --- | --- | --- |
/// | frequency | within ±1.5 % | beyond ±3.5 % |
/// | level of a tone | 0 to -25 dBm0 | below -55 dBm0 |
/// | high tone against low | +4 to -8 dB | beyond +6 and -11 dB |
/// | duration | 40 ms and more | under 23 ms |
/// | pause between two keys | 30 ms and more | |
/// | interruption inside one | up to 10 ms | |
///
/// Any rate from 8 to 48 kHz, blocks of any length; cutting a signal differently changes nothing. Allocates nothing after
/// `init`. Takes some 0.5 µs for 20 ms at 8 kHz.
public struct DTMFDetector: Sendable {
    /// Samples per second that it takes, in Hz.
    public let sampleRate: Int
    /// The key whose tones are heard now.
    public private(set) var digit: Character?
    /// Samples heard so far.
    public private(set) var position = 0
    /// Where the tones that are heard, or suspected, began.
    public private(set) var toneStart = 0

    private var bank: GoertzelBank
    private let window: WindowFactors
    private let minimumPower: Float
    private var blocks: [GoertzelBank.Block]
    private var blockCount = 0
    private var previous = GoertzelBank.Block()
    private var candidate = -1
    private var run = 0
    private var clearWindows = 0
    private var misses = 0
    private var current = -1

    /// - Parameters:
    ///   - sampleRate: 8,000 to 48,000 Hz.
    ///   - minimumLevel: Level of the weaker tone below which nothing is heard, in dBm0.
    /// - Throws: `DTMFError` for other rates.
    public init(sampleRate: Int, minimumLevel: Double = -40) throws(DTMFError) {
        guard DTMFKeypad.sampleRates.contains(sampleRate) else { throw DTMFError(sampleRate: sampleRate) }
        self.sampleRate = sampleRate
        bank = GoertzelBank(DTMFKeypad.lowFrequencies + DTMFKeypad.highFrequencies, sampleRate: sampleRate)
        window = WindowFactors(turn: bank.turn)
        let amplitude = DTMFKeypad.amplitude(dBm0: minimumLevel)
        minimumPower = Float(amplitude * amplitude / 2)
        blocks = [GoertzelBank.Block](repeating: GoertzelBank.Block(), count: Self.history)
    }

    /// Whether tones are heard, or have been for 10 ms too short to be sure; for silencing them early.
    public var isToneSuspected: Bool { current >= 0 || run >= 2 }

    /// Listens to a block and reports what began or ended in it, in order.
    public mutating func process(_ samples: UnsafeBufferPointer<Int16>, _ report: (DTMFEvent) -> Void) {
        var rest = samples[...]
        while !rest.isEmpty {
            let (taken, block) = bank.take(rest)
            rest = rest.dropFirst(taken)
            position += taken
            if let block { judge(block, report) }
        }
    }

    /// Forgets everything heard, as for another call.
    public mutating func reset() {
        bank.reset()
        for index in blocks.indices { blocks[index] = GoertzelBank.Block() }
        (blockCount, position, toneStart, candidate, run, misses, current) = (0, 0, 0, -1, 0, 0, -1)
        previous = GoertzelBank.Block()
        digit = nil
    }

    // MARK: - Judging windows

    /// Blocks that are kept, a power of two: a window, and what it takes to find where a tone began and ended.
    private static let history = 16
    private static let windowBlocks = 6
    private static let windowsForKey = 4
    /// How many of these hold hardly anything but the tones; two, because the beats of a voice's harmonics favour one now and then.
    private static let clearWindowsForKey = 2
    private static let windowsForEnd = 6
    /// Between what must be accepted (1.5 %) and what must be refused (3.5 %).
    private static let frequencyTolerance: Float = 0.025
    /// A tone must last longer than what must be refused (23 ms), with what its edges are found to.
    private static let leastMilliseconds = 27
    /// High tone against low, as ratios of power: +5 and -10 dB, more than must be accepted.
    private static let highestTwist: Float = 3.16
    private static let lowestTwist: Float = 0.1
    /// How much stronger a line must be than the others of its group: 8 dB.
    private static let prominence: Float = 6.3
    /// The two tones' least share in the energy of a window whose edges they need not fill, and of one that they fill.
    private static let leastShare: Float = 0.68
    private static let leastFullShare: Float = 0.87
    /// Telephones are a few tenths of a per cent off at most. Where the tones' ratio is further off, the key has to be all but
    /// free of noise: the fourth and fifth harmonics of a voice at 240 Hz, a ratio of 1.25, are 2.7 % from `*`.
    private static let usualSpread: Float = 0.015
    private static let leastShareOffRatio: Float = 0.92

    /// The block heard `age` blocks ago; 0 is the newest.
    private func block(_ age: Int) -> GoertzelBank.Block { blocks[(blockCount - 1 - age) & (Self.history - 1)] }

    private mutating func judge(_ block: GoertzelBank.Block, _ report: (DTMFEvent) -> Void) {
        blocks[blockCount & (Self.history - 1)] = block
        blockCount += 1
        let match = match()
        if match == current, current >= 0 {
            misses = 0
            run = 0
            candidate = -1
            return
        }
        misses += 1
        if match < 0 || match != candidate {
            candidate = match
            run = 0
            clearWindows = 0
        }
        guard match >= 0 else {
            if current >= 0, misses >= Self.windowsForEnd { end(report) }
            return
        }
        if isClear { clearWindows += 1 }
        run += 1
        if run == 2, current < 0 { toneStart = start(of: match) }
        if run >= Self.windowsForKey, clearWindows >= Self.clearWindowsForKey, isLongEnough(match) {
            if current >= 0 { end(report) }
            toneStart = start(of: match)
            current = match
            digit = DTMFKeypad.digits[match]
            misses = 0
            run = 0
            candidate = -1
            report(.began(DTMFKeypad.digits[match], at: toneStart))
        } else if current >= 0, misses >= Self.windowsForEnd {
            end(report)
        }
    }

    /// Whether hardly anything but the tones was in the last window that matched.
    private var isClear = false

    /// The key that the newest window holds, or -1.
    private mutating func match() -> Int {
        var line = GoertzelBank.Block()
        for index in 0..<Self.windowBlocks {
            let part = block(Self.windowBlocks - 1 - index)
            let factor = window.factors[index]
            line.real += part.real * factor.real - part.imaginary * factor.imaginary
            line.imaginary += part.real * factor.imaginary + part.imaginary * factor.real
            line.energy += part.energy * WindowFactors.weights[index]
        }
        defer { previous = line }
        let length = Float(bank.blockLength) * WindowFactors.sum
        // As the power of a sine that stands in the middle of its line.
        let powers = (line.real * line.real + line.imaginary * line.imaginary) * (2 / (length * length))
        let row = strongest(powers, 0), column = strongest(powers, 4)
        guard row >= 0, column >= 0 else { return -1 }
        let low = deviation(row, line), high = deviation(column, line)
        let lowError = low / Float(DTMFKeypad.lowFrequencies[row]),
            highError = high / Float(DTMFKeypad.highFrequencies[column - 4])
        guard abs(lowError) <= Self.frequencyTolerance, abs(highError) <= Self.frequencyTolerance else { return -1 }
        let lowPower = powers[row] / window.response(low), highPower = powers[column] / window.response(high)
        guard highPower <= lowPower * Self.highestTwist, highPower >= lowPower * Self.lowestTwist else { return -1 }
        let share = (lowPower + highPower) * length / max(line.energy, 1)
        isClear =
            share >= (abs(lowError - highError) > Self.usualSpread ? Self.leastShareOffRatio : Self.leastFullShare)
        return share >= Self.leastShare ? row * 4 + column - 4 : -1
    }

    /// The line of a group that stands out from its neighbours, or -1.
    private func strongest(_ powers: SIMD8<Float>, _ group: Int) -> Int {
        var best = group
        for index in group + 1..<group + 4 where powers[index] > powers[best] { best = index }
        guard powers[best] >= minimumPower else { return -1 }
        for index in group..<group + 4 where index != best && powers[index] * Self.prominence > powers[best] {
            return -1
        }
        return best
    }

    /// How far the tone at a line is from the line's frequency, in Hz, by how much further its phase has turned in one block.
    private func deviation(_ index: Int, _ line: GoertzelBank.Block) -> Float {
        let real = line.real[index] * previous.real[index] + line.imaginary[index] * previous.imaginary[index]
        let imaginary = line.imaginary[index] * previous.real[index] - line.real[index] * previous.imaginary[index]
        // Both windows count phases from their own first sample, so the nominal turn is taken out again.
        let (c, s) = (bank.turn.real[index], bank.turn.imaginary[index])
        let angle = atan2f(real * s + imaginary * c, real * c - imaginary * s)
        return angle * Float(sampleRate) / (2 * .pi * Float(bank.blockLength))
    }

    // MARK: - Edges

    private func isLongEnough(_ key: Int) -> Bool {
        (end(of: key) - start(of: key)) * 1000 >= Self.leastMilliseconds * sampleRate
    }

    private mutating func end(_ report: (DTMFEvent) -> Void) {
        report(.ended(DTMFKeypad.digits[current], from: toneStart, to: max(toneStart, end(of: current))))
        current = -1
        digit = nil
    }

    /// The amplitude that both tones of a key have in a block.
    private func amplitude(_ key: Int, _ age: Int) -> Float {
        let block = block(age)
        let (row, column) = (key / 4, key % 4 + 4)
        return
            (block.real[row] * block.real[row] + block.imaginary[row] * block.imaginary[row]
            + block.real[column] * block.real[column] + block.imaginary[column] * block.imaginary[column]).squareRoot()
    }

    /// The first sample of the tones in the newest window: where their amplitude falls, going back. In the block that they
    /// begin in, it tells how much of the block they fill.
    private func start(of key: Int) -> Int {
        let full = max(amplitude(key, 1), amplitude(key, 2))
        let end = blockCount * bank.blockLength
        for age in 2..<Self.history - 1 {
            let part = amplitude(key, age) / full
            // The two tones disturb each other in so short a block, so a full one may seem to hold two thirds.
            guard part < 0.6 else { continue }
            let filled = part < 0.2 ? 0 : part
            return max(0, end - age * bank.blockLength - Int(filled * Float(bank.blockLength)))
        }
        return max(0, end - (Self.history - 1) * bank.blockLength)
    }

    /// The sample after the last one of tones that have ended.
    private func end(of key: Int) -> Int {
        var full: Float = 1
        for age in 0..<Self.history { full = max(full, amplitude(key, age)) }
        let end = blockCount * bank.blockLength
        for age in 0..<Self.history {
            let part = amplitude(key, age) / full
            guard part >= 0.3 else { continue }
            return end - (age + 1) * bank.blockLength + Int(min(1, part) * Float(bank.blockLength))
        }
        return end - Self.history * bank.blockLength
    }
}

/// A window of six blocks, and what it does to tones beside a line.
private struct WindowFactors: Sendable {
    static let weights: [Float] = [0.25, 0.75, 1, 1, 0.75, 0.25]
    static let sum: Float = 4

    /// What the lines of each block are multiplied with, so that their phases count from the window's first sample.
    let factors: [GoertzelBank.Factors]

    init(turn: GoertzelBank.Factors) {
        var factors: [GoertzelBank.Factors] = []
        var angle = GoertzelBank.Factors([Double](repeating: 0, count: 8))
        for weight in Self.weights {
            var factor = angle
            factor.real *= weight
            factor.imaginary *= weight
            factors.append(factor)
            let real = angle.real * turn.real - angle.imaginary * turn.imaginary
            angle.imaginary = angle.real * turn.imaginary + angle.imaginary * turn.real
            angle.real = real
        }
        self.factors = factors
    }

    /// How much of the power of a tone is left that stands so many Hz beside the line.
    func response(_ hertz: Float) -> Float {
        let half = Float.pi * hertz * 0.005
        let block = abs(half) < 1e-3 ? 1 : sinf(half) / half
        let blocks = (cosf(half) + 0.75 * cosf(3 * half) + 0.25 * cosf(5 * half)) / 2
        return block * block * blocks * blocks
    }
}
