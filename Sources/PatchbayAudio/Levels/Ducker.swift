import Glibc

/// Mixes a background under a voice, and lowers the background while the voice speaks.
///
/// The voice counts as speaking when 5 ms of it are louder than -45 dBFS, and for 200 ms after, so that the background does
/// not swell between words. The gain moves along an exponential in each direction. Allocates nothing.
public struct Ducker: Sendable {
    /// How far and how fast the background is lowered.
    public struct Parameters: Hashable, Sendable {
        /// Level of the background as long as nobody speaks, in dB relative to its own.
        public var level: Double
        /// How much lower it is under a voice, in dB, 0 or more.
        public var depth: Double
        /// Time constant of going down, in milliseconds.
        public var attack: Int
        /// Time constant of coming back, in milliseconds.
        public var release: Int

        public init(level: Double = -20, depth: Double = 12, attack: Int = 30, release: Int = 400) {
            self.level = level
            self.depth = depth
            self.attack = attack
            self.release = release
        }
    }

    public let parameters: Parameters
    private let open: Float
    private let ducked: Float
    private let attackStep: Float
    private let releaseStep: Float
    private let stepLength: Int
    private var gain: Float
    private var sum: UInt64 = 0
    private var count = 0
    private var hold = 0

    private static let threshold = -45.0
    private static let holdSteps = 40

    public init(_ parameters: Parameters, sampleRate: Int) {
        self.parameters = parameters
        open = GainRamp.factor(decibels: parameters.level)
        ducked = GainRamp.factor(decibels: parameters.level - parameters.depth)
        func step(_ milliseconds: Int) -> Float {
            1 - Float(exp(-1 / (Double(max(1, milliseconds)) * Double(sampleRate) / 1000)))
        }
        attackStep = step(parameters.attack)
        releaseStep = step(parameters.release)
        stepLength = max(1, sampleRate / 200)
        gain = open
    }

    /// Whether the background is lowered, or going down.
    public var isDucking: Bool { hold > 0 }

    /// The factor of the background now.
    public var factor: Float { gain }

    /// Adds the background to a block of the voice; the sum saturates.
    ///
    /// - Parameters:
    ///   - voice: The voice, silence included; takes the result.
    ///   - background: As many samples, or more.
    public mutating func mix(_ background: UnsafeBufferPointer<Int16>, under voice: UnsafeMutableBufferPointer<Int16>) {
        for index in 0..<min(voice.count, background.count) {
            let sample = Int32(voice[index])
            sum &+= UInt64(UInt32(bitPattern: sample &* sample))
            count += 1
            if count == stepLength { judge() }
            gain += hold > 0 ? (ducked - gain) * attackStep : (open - gain) * releaseStep
            voice[index] = saturated(Float(sample) + Float(background[index]) * gain)
        }
    }

    private mutating func judge() {
        let level = LevelMeter.level(power: Double(sum) / Double(count))
        hold = level > Self.threshold ? Self.holdSteps : max(0, hold - 1)
        sum = 0
        count = 0
    }
}
