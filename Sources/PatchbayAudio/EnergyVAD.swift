/// Finds where speech starts and stops by its energy against a noise floor that follows the line.
///
/// The signal is judged in steps of 10 ms. A step is active when its RMS is above both `minimumLevel` and the noise
/// floor plus `threshold`. Speech starts after `minimumSpeech` of activity, where an inactive step takes back one
/// active step, so that a click is not speech and a gap inside a syllable does no harm. Speech stops after
/// `minimumSilence` without an active step.
///
/// The noise floor is the lowest smoothed level of the last `noiseWindow` (the minimum statistics of R. Martin, IEEE
/// Transactions on Speech and Audio Processing 9(5), 2001, without its bias correction). It falls by up to 3 dB a step.
/// It rises only when nothing as quiet has been heard for three quarters of the window up to all of it: speech has
/// pauses and so does not lift it, constant noise has none and becomes the floor within that bound even if it was taken
/// for speech at first.
///
/// Costs about one multiplication a sample and one logarithm every 10 ms; allocates nothing.
public struct EnergyVAD: Sendable {
    /// A change between silence and speech.
    public enum Edge: Hashable, Sendable {
        case speechStarted
        case speechStopped
    }

    /// What counts as speech.
    public struct Parameters: Hashable, Sendable {
        /// How far above the noise floor speech has to be, in dB; 0 or more.
        public var threshold: Double
        /// The level, in dBFS as `LevelMeter` defines it, below which nothing is speech.
        public var minimumLevel: Double
        /// Activity that starts speech, in milliseconds, rounded up to tens.
        public var minimumSpeech: Int
        /// Inactivity that stops speech, in milliseconds, rounded up to tens.
        public var minimumSilence: Int
        /// How long the noise floor remembers a quiet moment, in milliseconds; at least 400 are used.
        public var noiseWindow: Int

        public init(
            threshold: Double = 9, minimumLevel: Double = -50, minimumSpeech: Int = 100, minimumSilence: Int = 500,
            noiseWindow: Int = 4000
        ) {
            self.threshold = threshold
            self.minimumLevel = minimumLevel
            self.minimumSpeech = minimumSpeech
            self.minimumSilence = minimumSilence
            self.noiseWindow = noiseWindow
        }
    }

    public let parameters: Parameters
    /// Whether the last step judged belongs to speech.
    public private(set) var isSpeaking = false
    /// RMS of the last step judged, in dBFS.
    public private(set) var level = LevelMeter.silence
    /// The noise floor after the last step judged, in dBFS.
    public var noiseFloor: Double { floor.level }

    private var floor: NoiseFloor
    private var active = 0
    private var inactive = 0
    private var rate = 0
    private var stepSum: UInt64 = 0
    private var stepCount = 0

    public init(_ parameters: Parameters = Parameters()) {
        self.parameters = parameters
        floor = NoiseFloor(steps: parameters.noiseWindow / EnergyVAD.stepMilliseconds)
    }

    static let stepMilliseconds = 10

    /// Judges a block of mono samples.
    ///
    /// Blocks may have any length: what does not fill a step of 10 ms waits for the next block, so cutting a signal
    /// differently moves no edge by more than the cut. A block so long that speech both starts and stops inside it
    /// reports only the difference between its ends.
    ///
    /// - Parameter sampleRate: In Hz. Another rate than in the last call drops the incomplete step; with fewer than
    ///   100 Hz nothing is judged.
    /// - Returns: The change this block brought, or `nil`.
    public mutating func process(_ samples: UnsafeBufferPointer<Int16>, sampleRate: Int) -> Edge? {
        let stepLength = sampleRate / (1000 / EnergyVAD.stepMilliseconds)
        guard stepLength > 0 else { return nil }
        if sampleRate != rate {
            rate = sampleRate
            stepSum = 0
            stepCount = 0
        }
        let wasSpeaking = isSpeaking
        var start = 0
        while start < samples.count {
            let end = min(samples.count, start + stepLength - stepCount)
            stepSum &+= LevelMeter.sumOfSquares(UnsafeBufferPointer(rebasing: samples[start..<end]))
            stepCount += end - start
            start = end
            if stepCount == stepLength {
                judge(power: Double(stepSum) / Double(stepLength))
                stepSum = 0
                stepCount = 0
            }
        }
        return isSpeaking == wasSpeaking ? nil : isSpeaking ? .speechStarted : .speechStopped
    }

    /// Forgets everything heard, noise floor included, as for another call.
    public mutating func reset() { self = EnergyVAD(parameters) }

    private mutating func judge(power: Double) {
        level = LevelMeter.level(power: power)
        floor.hear(power: power)
        let isActive = level > max(floor.level + parameters.threshold, parameters.minimumLevel)
        let step = EnergyVAD.stepMilliseconds
        if isSpeaking {
            inactive = isActive ? 0 : inactive + step
            if inactive >= parameters.minimumSilence && !isActive {
                isSpeaking = false
                active = 0
            }
        } else {
            active = isActive ? active + step : max(0, active - step)
            if active >= parameters.minimumSpeech && isActive {
                isSpeaking = true
                inactive = 0
            }
        }
    }
}

/// The lowest smoothed level of a sliding window, kept as the minima of four quarters of it.
private struct NoiseFloor {
    /// In dBFS.
    private(set) var level = NoiseFloor.highestStart

    /// A call may start in the middle of a word. Its first step is taken for noise only up to this level, in dBFS.
    private static let highestStart = -40.0

    private let stepsPerQuarter: Int
    private var stepsInQuarter = 0
    private var smoothedPower: Double?
    private var lowest = Double.infinity
    private var earlier = (NoiseFloor.highestStart, NoiseFloor.highestStart, NoiseFloor.highestStart)

    init(steps: Int) { stepsPerQuarter = max(10, steps / 4) }

    mutating func hear(power: Double) {
        // Halving the distance each step falls fast enough for a pause between words, and a lost packet of 20 ms pulls
        // the floor down by no more than 6 dB, which leaves noise below the usual threshold.
        let power = smoothedPower.map { ($0 + power) / 2 } ?? power
        smoothedPower = power
        lowest = min(lowest, LevelMeter.level(power: power))
        level = min(lowest, min(earlier.0, min(earlier.1, earlier.2)))
        stepsInQuarter += 1
        if stepsInQuarter == stepsPerQuarter {
            earlier = (earlier.1, earlier.2, lowest)
            lowest = .infinity
            stepsInQuarter = 0
        }
    }
}
