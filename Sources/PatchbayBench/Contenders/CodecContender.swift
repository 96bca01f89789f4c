public import PatchbayAudio

/// A codec that takes part.
public struct CodecContender: Sendable {
    /// As the table shows it.
    public let name: String
    public let format: AudioFormat
    public let options: OpusOptions

    /// - Parameter options: For Opus; the others have none.
    public init(_ name: String, _ format: AudioFormat, _ options: OpusOptions = OpusOptions()) {
        self.name = name
        self.format = format
        self.options = options
    }

    /// Everyone, in the order of the table.
    public static let all: [CodecContender] = [
        CodecContender("µ-law", .telephony),
        CodecContender("A-law", AudioFormat(.alaw, sampleRate: 8000)),
        CodecContender("L16", AudioFormat(.l16, sampleRate: 16000)),
        CodecContender("G.722", AudioFormat(.g722, sampleRate: 16000)),
        CodecContender("Opus complexity 0", AudioFormat(.opus, sampleRate: 16000), OpusOptions(complexity: 0)),
        CodecContender("Opus complexity 5", AudioFormat(.opus, sampleRate: 16000), OpusOptions(complexity: 5)),
        CodecContender("Opus complexity 10", AudioFormat(.opus, sampleRate: 16000), OpusOptions(complexity: 10)),
        CodecContender(
            "Opus complexity 5", AudioFormat(.opus, sampleRate: 16000, packetMilliseconds: 10),
            OpusOptions(complexity: 5)),
        CodecContender("Opus complexity 5", AudioFormat(.opus, sampleRate: 48000), OpusOptions(complexity: 5)),
        CodecContender(
            "Opus low delay", AudioFormat(.opus, sampleRate: 48000),
            OpusOptions(application: .lowDelay, complexity: 5)),
    ]

    /// What tells two of a name apart: `16000 Hz`, with the packet where it is not the usual 20 ms.
    var path: String {
        let packet = format.packetMilliseconds == 20 ? "" : " \(fixed(format.packetMilliseconds, 0)) ms"
        return "\(format.sampleRate) Hz\(packet)"
    }

    /// Both ends. Throws with what to install when a library is not there.
    func make() throws -> CodecPair { try CodecPair(self) }
}

/// Both ends of a codec.
final class CodecPair {
    private let encoder: any AudioEncoder
    private let decoder: any AudioDecoder
    /// Bytes that a packet can take.
    let maximumPayload: Int

    fileprivate init(_ contender: CodecContender) throws {
        encoder = try AudioCodecs.encoder(for: contender.format, options: contender.options)
        decoder = try AudioCodecs.decoder(for: contender.format)
        maximumPayload = encoder.maximumPayload(forSamples: contender.format.sampleFramesPerPacket)
    }

    /// What both claim together, in milliseconds.
    var reportedDelay: Double { Double(encoder.delayNanoseconds + decoder.delayNanoseconds) / 1e6 }

    /// Encodes one packet.
    /// - Returns: How many bytes were written.
    func encode(_ samples: UnsafeBufferPointer<Int16>, into payload: UnsafeMutableRawBufferPointer) -> Int {
        (try? encoder.encode(samples, into: payload))?.byteCount ?? 0
    }

    /// Decodes one packet.
    /// - Returns: How many samples were written.
    func decode(_ payload: UnsafeRawBufferPointer, into samples: UnsafeMutableBufferPointer<Int16>) -> Int {
        (try? decoder.decode(payload, into: samples)) ?? 0
    }
}
