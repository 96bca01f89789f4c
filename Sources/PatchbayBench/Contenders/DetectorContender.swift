import PatchbayAudio

/// Something that hears where speech begins and ends.
public protocol SpeechDetector: AnyObject {
    /// Judges a block.
    /// - Returns: True where speech started, false where it stopped, `nil` where nothing changed.
    func process(_ samples: UnsafeBufferPointer<Int16>) -> Bool?
}

/// A voice activity detector that takes part.
public struct DetectorContender: Sendable {
    /// As the table shows it.
    public let name: String
    /// In Hz.
    public let sampleRate: Int
    /// Throws with what to install when its library or model is not there.
    public let make: @Sendable () throws -> any SpeechDetector

    public init(_ name: String, sampleRate: Int, make: @escaping @Sendable () throws -> any SpeechDetector) {
        self.name = name
        self.sampleRate = sampleRate
        self.make = make
    }

    /// Everyone, in the order of the table.
    public static let all: [DetectorContender] = [8000, 16000].flatMap { rate in
        [
            DetectorContender("energy", sampleRate: rate) { EnergyDetector(sampleRate: rate) }
        ]
    }
}

private final class EnergyDetector: SpeechDetector {
    private var vad = EnergyVAD()
    private let sampleRate: Int

    init(sampleRate: Int) { self.sampleRate = sampleRate }

    func process(_ samples: UnsafeBufferPointer<Int16>) -> Bool? {
        vad.process(samples, sampleRate: sampleRate).map { $0 == .speechStarted }
    }
}
