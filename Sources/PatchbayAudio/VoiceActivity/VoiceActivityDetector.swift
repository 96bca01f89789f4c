/// An engine that says of each window of a mono signal how much it is speech.
///
/// Engines judge; they decide nothing. Where speech starts and stops is decided from the scores by ``SpeechSegmenter``,
/// the same for all engines, and ``SpeechDetector`` cuts a stream into windows for both. An engine belongs to one stream.
public protocol VoiceActivityDetector {
    /// Samples per second of the signal, in Hz.
    var sampleRate: Int { get }
    /// Samples that one score is for; at least 1.
    var windowLength: Int { get }

    /// Judges the next window and remembers what it needs of it.
    ///
    /// Allocates nothing.
    /// - Parameter window: ``windowLength`` samples, the ones behind those of the call before.
    /// - Returns: A score that grows with the evidence for speech, in a unit of the engine's own. Always finite.
    mutating func score(_ window: UnsafeBufferPointer<Int16>) -> Double

    /// Forgets everything heard, as for another stream.
    mutating func reset()
}

/// Finds speech in a stream of mono samples: windows, engine and segmenter in one.
///
/// Costs what the engine costs; allocates nothing after `init`. Cutting the stream differently changes nothing that is
/// found.
public struct SpeechDetector<Engine: VoiceActivityDetector> {
    /// A window that has been judged.
    public struct Window: Hashable, Sendable {
        /// Where it begins, in samples from the start of the stream.
        public var offset: Int
        /// What the engine said of it.
        public var score: Double
        /// The change that it brought, if any.
        public var edge: SpeechEdge?
    }

    /// The engine, with what it remembers.
    public private(set) var engine: Engine
    /// The decision so far.
    public private(set) var segmenter: SpeechSegmenter
    /// What has arrived of the next window.
    private var window: [Int16]
    private var filled = 0

    public init(_ engine: Engine, _ parameters: SpeechSegmenter.Parameters) {
        self.engine = engine
        segmenter = SpeechSegmenter(parameters, sampleRate: engine.sampleRate)
        window = [Int16](repeating: 0, count: engine.windowLength)
    }

    /// Whether the last window judged belongs to speech.
    public var isSpeaking: Bool { segmenter.isSpeaking }

    /// Judges every window that a block completes. What is left of the block waits for the next one.
    ///
    /// - Parameters:
    ///   - samples: Any number, at the engine's rate.
    ///   - body: Called once for each window, in order.
    public mutating func process(_ samples: UnsafeBufferPointer<Int16>, _ body: (Window) -> Void) {
        var rest = samples[...]
        while filled + rest.count >= window.count {
            let score: Double
            if filled == 0 {
                score = engine.score(UnsafeBufferPointer(rebasing: rest.prefix(window.count)))
                rest = rest.dropFirst(window.count)
            } else {
                rest = keep(rest)
                score = window.withUnsafeBufferPointer { engine.score($0) }
                filled = 0
            }
            let offset = segmenter.position
            body(Window(offset: offset, score: score, edge: segmenter.add(score: score, sampleCount: window.count)))
        }
        _ = keep(rest)
    }

    /// Forgets everything heard, as for another stream.
    public mutating func reset() {
        engine.reset()
        segmenter.reset()
        filled = 0
    }

    /// Takes what the window still lacks; gives back what is left.
    private mutating func keep(_ samples: Slice<UnsafeBufferPointer<Int16>>) -> Slice<UnsafeBufferPointer<Int16>> {
        let part = samples.prefix(window.count - filled)
        for (index, sample) in zip(filled..., part) { window[index] = sample }
        filled += part.count
        return samples.dropFirst(part.count)
    }
}

extension SpeechDetector: Sendable where Engine: Sendable {}

/// Why a voice activity detector cannot be made.
public struct VoiceActivityError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        /// The code in messages and logs, such as `model-truncated`.
        public let name: String

        /// The engine does not take this sample rate, or the model has no part for it.
        public static let unsupportedSampleRate = Code(name: "vad-unsupported-sample-rate")
        /// A setting is outside its range.
        public static let invalidSetting = Code(name: "vad-invalid-setting")
        /// A library is missing or would not start.
        public static let unavailable = Code(name: "vad-unavailable")
        /// The operating system could not read the model file.
        public static let modelUnreadable = Code(name: "model-unreadable")
        /// The file is larger than any model that is read here.
        public static let modelTooLarge = Code(name: "model-too-large")
        /// The file is not an ONNX model, or is a damaged one.
        public static let notAModel = Code(name: "not-a-model")
        /// The file ends too early.
        public static let modelTruncated = Code(name: "model-truncated")
        /// An ONNX model, but not of this network: a tensor is missing.
        public static let missingTensor = Code(name: "model-missing-tensor")
        /// A tensor has another shape or type than the network needs.
        public static let wrongShape = Code(name: "model-wrong-shape")
        /// A weight is infinite or not a number.
        public static let invalidWeights = Code(name: "model-invalid-weights")
    }

    public let code: Code
    /// What is wrong, what is possible, and what to do.
    public let message: String
    /// Where in the model file, in bytes from its start, where that is known.
    public let offset: Int?
    /// The model file, where there is one.
    public internal(set) var path: String?

    init(_ code: Code, at offset: Int? = nil, _ message: String) {
        self.code = code
        self.message = message
        self.offset = offset
    }

    func naming(_ path: String) -> VoiceActivityError {
        var copy = self
        copy.path = path
        return copy
    }

    /// In one line: `silero_vad.onnx: model-truncated: … (byte 36)`.
    public var description: String {
        (path.map { "\($0): " } ?? "") + "\(code.name): \(message)" + (offset.map { " (byte \($0))" } ?? "")
    }
}
