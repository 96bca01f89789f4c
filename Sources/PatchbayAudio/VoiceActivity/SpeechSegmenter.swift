/// A change between silence and speech.
public struct SpeechEdge: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case speechStarted
        case speechStopped
    }

    public var kind: Kind
    /// Where it truly was, in samples from the start of the stream: the beginning of the first window of the speech, or
    /// the end of its last one.
    public var offset: Int
    /// How much of the stream had been heard when it was decided, in samples. Never before ``offset``.
    public var decidedAt: Int

    public init(kind: Kind, offset: Int, decidedAt: Int) {
        self.kind = kind
        self.offset = offset
        self.decidedAt = decidedAt
    }
}

/// Decides from scores where speech starts and stops.
///
/// A window is active from the score `threshold` on; while somebody speaks, from `exitThreshold` on (hysteresis, so that
/// a score near the threshold does not flutter). Speech starts after `minimumSpeech` of activity, where an inactive window
/// takes back as much as an active one has given, so that a click is not speech and a gap inside a syllable does no harm.
/// Speech stops after `minimumSilence` without an active window. Everything is counted in samples: the same stream gives
/// the same edges on every machine.
public struct SpeechSegmenter: Sendable {
    /// What counts as speech.
    public struct Parameters: Hashable, Sendable {
        /// The score from which a window is active, in the engine's unit.
        public var threshold: Double
        /// The score from which a window stays active while somebody speaks; at most `threshold` makes sense.
        public var exitThreshold: Double
        /// Activity that starts speech, in milliseconds, rounded up to whole windows.
        public var minimumSpeech: Int
        /// Inactivity that stops speech, in milliseconds, rounded up to whole windows.
        public var minimumSilence: Int

        /// - Parameter exitThreshold: `threshold` if not given.
        public init(
            threshold: Double, exitThreshold: Double? = nil, minimumSpeech: Int = 100, minimumSilence: Int = 500
        ) {
            self.threshold = threshold
            self.exitThreshold = exitThreshold ?? threshold
            self.minimumSpeech = minimumSpeech
            self.minimumSilence = minimumSilence
        }
    }

    public let parameters: Parameters
    /// Samples heard so far.
    public private(set) var position = 0
    /// Whether the last window belongs to speech.
    public private(set) var isSpeaking = false
    /// The end of the last active window of speech, in samples from the start; `nil` before any speech.
    public private(set) var activeUntil: Int?

    private let minimumSpeech: Int
    private let minimumSilence: Int
    /// Samples of activity that have not been taken back, before speech.
    private var active = 0
    /// Where that activity began.
    private var onset = 0

    /// - Parameter sampleRate: Of the stream, in Hz.
    public init(_ parameters: Parameters, sampleRate: Int) {
        self.parameters = parameters
        minimumSpeech = parameters.minimumSpeech * sampleRate / 1000
        minimumSilence = parameters.minimumSilence * sampleRate / 1000
    }

    /// Takes the next window.
    ///
    /// - Parameters:
    ///   - score: What the engine said of it.
    ///   - sampleCount: How long it is.
    /// - Returns: The change it brought, or `nil`.
    public mutating func add(score: Double, sampleCount: Int) -> SpeechEdge? {
        let start = position
        position += sampleCount
        let isActive = score >= (isSpeaking ? parameters.exitThreshold : parameters.threshold)
        if isSpeaking {
            if isActive {
                activeUntil = position
            } else if let activeUntil, position - activeUntil >= minimumSilence {
                isSpeaking = false
                active = 0
                return SpeechEdge(kind: .speechStopped, offset: activeUntil, decidedAt: position)
            }
        } else if isActive {
            if active == 0 { onset = start }
            active += sampleCount
            if active >= minimumSpeech {
                isSpeaking = true
                activeUntil = position
                return SpeechEdge(kind: .speechStarted, offset: onset, decidedAt: position)
            }
        } else {
            active = max(0, active - sampleCount)
        }
        return nil
    }

    /// Forgets everything, as for another stream.
    public mutating func reset() {
        position = 0
        isSpeaking = false
        activeUntil = nil
        active = 0
    }
}
