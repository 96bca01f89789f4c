public import PatchbayAudio

/// A codec that takes part.
public struct CodecContender: Sendable {
    /// As the table shows it.
    public let name: String
    public let format: AudioFormat
    /// Makes both ends. Throws with what to install when a library is not there.
    let make: @Sendable () throws -> CodecPair

    /// - Parameter options: For Opus; the others have none.
    public init(_ name: String, _ format: AudioFormat, _ options: OpusOptions = OpusOptions()) {
        self.init(name, format) {
            CodecPair(
                try AudioCodecs.encoder(for: format, options: options), try AudioCodecs.decoder(for: format))
        }
    }

    init(_ name: String, _ format: AudioFormat, make: @escaping @Sendable () throws -> CodecPair) {
        self.name = name
        self.format = format
        self.make = make
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
}

/// Both ends of a codec.
final class CodecPair {
    private let encoder: any AudioEncoder
    private let decoder: any AudioDecoder
    /// Bytes that a packet can take.
    let maximumPayload: Int
    /// The first error of either end.
    private var failure: CodecError?

    init(_ encoder: any AudioEncoder, _ decoder: any AudioDecoder) {
        self.encoder = encoder
        self.decoder = decoder
        maximumPayload = encoder.maximumPayload(forSamples: encoder.format.sampleFramesPerPacket)
    }

    /// Throws if anything failed so far: a codec that does nothing is very fast.
    func check() throws(CodecError) {
        if let failure { throw failure }
    }

    /// What both claim together, in milliseconds.
    var reportedDelay: Double { Double(encoder.delayNanoseconds + decoder.delayNanoseconds) / 1e6 }

    /// Encodes one packet.
    /// - Returns: How many bytes were written; 0 after an error, which ``check()`` throws.
    func encode(_ samples: UnsafeBufferPointer<Int16>, into payload: UnsafeMutableRawBufferPointer) -> Int {
        do throws(CodecError) {
            return try encoder.encode(samples, into: payload).byteCount
        } catch {
            failure = failure ?? error
            return 0
        }
    }

    /// Decodes one packet.
    /// - Returns: How many samples were written; 0 after an error, which ``check()`` throws.
    func decode(_ payload: UnsafeRawBufferPointer, into samples: UnsafeMutableBufferPointer<Int16>) -> Int {
        do throws(CodecError) {
            return try decoder.decode(payload, into: samples)
        } catch {
            failure = failure ?? error
            return 0
        }
    }
}
