public import PatchbayAudio

/// A voice activity detector that takes part, with the segmenter that all of them share.
public struct DetectorContender: Sendable {
    /// As the table shows it.
    public let name: String
    /// In Hz.
    public let sampleRate: Int
    /// Throws with what to install when its library or model is not there.
    let make: @Sendable () throws -> any SpeechListener

    /// - Parameter parameters: What of the engine's scores counts as speech.
    public init<Engine: VoiceActivityDetector & SendableMetatype>(
        _ name: String, sampleRate: Int, parameters: SpeechSegmenter.Parameters,
        engine: @escaping @Sendable () throws -> Engine
    ) {
        self.name = name
        self.sampleRate = sampleRate
        make = { Listener(try engine(), parameters) }
    }

    /// Everyone, in the order of the table, with the thresholds of the `vad` stage.
    ///
    /// - Parameter sileroModel: The model file of the neural one.
    public static func all(sileroModel: String = SileroModel.defaultPath) -> [DetectorContender] {
        [8000, 16000].flatMap { rate in
            [
                DetectorContender("energy", sampleRate: rate, parameters: .energy) { EnergyDetector(sampleRate: rate) },
                DetectorContender("webrtc", sampleRate: rate, parameters: .webrtc) {
                    try WebRTCDetector(sampleRate: rate)
                },
                DetectorContender("silero", sampleRate: rate, parameters: .silero) {
                    try SileroDetector(SileroModel.shared(path: sileroModel), sampleRate: rate)
                },
            ]
        }
    }
}

/// Something that hears where speech begins and ends, whatever its engine.
protocol SpeechListener: AnyObject {
    /// Judges a block.
    /// - Returns: The last change in it, or `nil`.
    func process(_ samples: UnsafeBufferPointer<Int16>) -> SpeechEdge.Kind?
}

private final class Listener<Engine: VoiceActivityDetector>: SpeechListener {
    private var detector: SpeechDetector<Engine>

    init(_ engine: Engine, _ parameters: SpeechSegmenter.Parameters) {
        detector = SpeechDetector(engine, parameters)
    }

    func process(_ samples: UnsafeBufferPointer<Int16>) -> SpeechEdge.Kind? {
        var edge: SpeechEdge.Kind?
        detector.process(samples) { edge = $0.edge?.kind ?? edge }
        return edge
    }
}
