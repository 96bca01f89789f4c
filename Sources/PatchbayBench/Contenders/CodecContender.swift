import PatchbayAudio

/// Both ends of a codec.
public protocol CodecPair: AnyObject {
    /// The delay of encoder and decoder together that it claims, in milliseconds; `nil` if it has no word for it.
    var reportedDelay: Double? { get }

    /// Encodes one packet; `payload` has room for it.
    /// - Returns: How many bytes were written.
    func encode(_ samples: UnsafeBufferPointer<Int16>, into payload: UnsafeMutableRawBufferPointer) -> Int
    /// Decodes one packet; `samples` has room for it.
    /// - Returns: How many samples were written.
    func decode(_ payload: UnsafeRawBufferPointer, into samples: UnsafeMutableBufferPointer<Int16>) -> Int
}

/// A codec that takes part.
public struct CodecContender: Sendable {
    /// As the table shows it.
    public let name: String
    /// In Hz.
    public let sampleRate: Int
    public let packetMilliseconds: Double
    /// Throws with what to install when its library is not there.
    public let make: @Sendable () throws -> any CodecPair

    public init(
        _ name: String, sampleRate: Int, packetMilliseconds: Double = 20,
        make: @escaping @Sendable () throws -> any CodecPair
    ) {
        self.name = name
        self.sampleRate = sampleRate
        self.packetMilliseconds = packetMilliseconds
        self.make = make
    }

    /// Samples of one packet.
    var packetLength: Int { Int(Double(sampleRate) * packetMilliseconds / 1000) }

    /// Everyone, in the order of the table.
    public static let all: [CodecContender] = [
        CodecContender("µ-law", sampleRate: 8000) { G711Pair(isMulaw: true) },
        CodecContender("A-law", sampleRate: 8000) { G711Pair(isMulaw: false) },
    ]
}

private final class G711Pair: CodecPair {
    private let isMulaw: Bool

    init(isMulaw: Bool) { self.isMulaw = isMulaw }

    var reportedDelay: Double? { 0 }

    func encode(_ samples: UnsafeBufferPointer<Int16>, into payload: UnsafeMutableRawBufferPointer) -> Int {
        isMulaw ? G711.encodeMulaw(samples, into: payload) : G711.encodeAlaw(samples, into: payload)
    }

    func decode(_ payload: UnsafeRawBufferPointer, into samples: UnsafeMutableBufferPointer<Int16>) -> Int {
        isMulaw ? G711.decodeMulaw(payload, into: samples) : G711.decodeAlaw(payload, into: samples)
    }
}
