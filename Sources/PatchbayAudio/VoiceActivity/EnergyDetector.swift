/// Scores windows of 10 ms by how far their level is above a noise floor that follows the line, in dB.
///
/// A window at or below `minimumLevel` scores 0, however quiet the floor is.
///
/// The noise floor is the lowest smoothed level of the last `noiseWindow` (the minimum statistics of R. Martin, IEEE
/// Transactions on Speech and Audio Processing 9(5), 2001, without its bias correction). It falls by up to 3 dB a window.
/// It rises only when nothing as quiet has been heard for three quarters of the noise window up to all of it: speech has
/// pauses and so does not lift it, constant noise has none and becomes the floor within that bound even if it was taken
/// for speech at first.
///
/// Costs about one multiplication a sample and one logarithm every 10 ms.
public struct EnergyDetector: VoiceActivityDetector, Sendable {
    public let sampleRate: Int
    public let windowLength: Int
    /// The level, in dBFS as `LevelMeter` defines it, up to which nothing is speech.
    public let minimumLevel: Double
    /// RMS of the last window, in dBFS.
    public private(set) var level = LevelMeter.silence
    /// The noise floor after the last window, in dBFS.
    public var noiseFloor: Double { floor.level }

    private let noiseWindow: Int
    private var floor: NoiseFloor

    /// Rates that are taken, in Hz.
    public static let sampleRates = StreamResampler.sampleRates

    /// - Parameters:
    ///   - sampleRate: In Hz; below 100 the windows are one sample long.
    ///   - noiseWindow: How long the noise floor remembers a quiet moment, in milliseconds; at least 400 are used.
    public init(sampleRate: Int, minimumLevel: Double = -50, noiseWindow: Int = 4000) {
        self.sampleRate = sampleRate
        self.minimumLevel = minimumLevel
        self.noiseWindow = noiseWindow
        windowLength = max(1, sampleRate / (1000 / EnergyDetector.windowMilliseconds))
        floor = NoiseFloor(windows: noiseWindow / EnergyDetector.windowMilliseconds)
    }

    static let windowMilliseconds = 10

    public mutating func score(_ window: UnsafeBufferPointer<Int16>) -> Double {
        let power = Double(LevelMeter.sumOfSquares(window)) / Double(window.count)
        level = LevelMeter.level(power: power)
        floor.hear(power: power)
        return level > minimumLevel ? max(0, level - floor.level) : 0
    }

    public mutating func reset() {
        self = EnergyDetector(sampleRate: sampleRate, minimumLevel: minimumLevel, noiseWindow: noiseWindow)
    }
}

/// The lowest smoothed level of a sliding window, kept as the minima of four quarters of it.
private struct NoiseFloor {
    /// In dBFS.
    private(set) var level = NoiseFloor.highestStart

    /// A call may start in the middle of a word. Its first window is taken for noise only up to this level, in dBFS.
    private static let highestStart = -40.0

    private let windowsPerQuarter: Int
    private var windowsInQuarter = 0
    private var smoothedPower: Double?
    private var lowest = Double.infinity
    private var earlier = (NoiseFloor.highestStart, NoiseFloor.highestStart, NoiseFloor.highestStart)

    init(windows: Int) { windowsPerQuarter = max(10, windows / 4) }

    mutating func hear(power: Double) {
        // Halving the distance each time falls fast enough for a pause between words, and a lost packet of 20 ms pulls
        // the floor down by no more than 6 dB, which leaves noise below the usual threshold.
        let power = smoothedPower.map { ($0 + power) / 2 } ?? power
        smoothedPower = power
        lowest = min(lowest, LevelMeter.level(power: power))
        level = min(lowest, min(earlier.0, min(earlier.1, earlier.2)))
        windowsInQuarter += 1
        if windowsInQuarter == windowsPerQuarter {
            earlier = (earlier.1, earlier.2, lowest)
            lowest = .infinity
            windowsInQuarter = 0
        }
    }
}
