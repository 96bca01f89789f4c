/// Finds where speech starts and stops by its energy alone: ``EnergyDetector`` with its segmenter, for whoever wants edges
/// from blocks of samples and nothing to set up.
///
/// Costs about one multiplication a sample and one logarithm every 10 ms; allocates nothing after the first block.
public struct EnergyVAD: Sendable {
    /// A change between silence and speech.
    public typealias Edge = SpeechEdge.Kind

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
    /// For the rate of the last block.
    private var detector: SpeechDetector<EnergyDetector>?

    public init(_ parameters: Parameters = Parameters()) { self.parameters = parameters }

    /// Whether the last 10 ms judged belong to speech.
    public var isSpeaking: Bool { detector?.isSpeaking ?? false }
    /// RMS of the last 10 ms judged, in dBFS.
    public var level: Double { detector?.engine.level ?? LevelMeter.silence }
    /// The noise floor after the last 10 ms judged, in dBFS.
    public var noiseFloor: Double { detector?.engine.noiseFloor ?? LevelMeter.silence }

    /// Judges a block of mono samples.
    ///
    /// Blocks may have any length: what does not fill 10 ms waits for the next block, so cutting a signal differently
    /// moves no edge by more than the cut. A block so long that speech both starts and stops inside it reports only the
    /// difference between its ends.
    ///
    /// - Parameter sampleRate: In Hz. Another rate than in the last call begins anew; with fewer than 100 Hz nothing is
    ///   judged.
    /// - Returns: The change this block brought, or `nil`.
    public mutating func process(_ samples: UnsafeBufferPointer<Int16>, sampleRate: Int) -> Edge? {
        guard sampleRate >= 100 else { return nil }
        if detector?.engine.sampleRate != sampleRate {
            detector = SpeechDetector(
                EnergyDetector(
                    sampleRate: sampleRate, minimumLevel: parameters.minimumLevel, noiseWindow: parameters.noiseWindow),
                .init(
                    threshold: parameters.threshold, minimumSpeech: parameters.minimumSpeech,
                    minimumSilence: parameters.minimumSilence))
        }
        let wasSpeaking = isSpeaking
        detector?.process(samples) { _ in }
        return isSpeaking == wasSpeaking ? nil : isSpeaking ? .speechStarted : .speechStopped
    }

    /// Forgets everything heard, noise floor included, as for another call.
    public mutating func reset() { detector?.reset() }
}
