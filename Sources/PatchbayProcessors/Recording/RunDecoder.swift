import PatchbayAudio
import PatchbayCore

/// Decodes one side's payloads to linear samples, in order.
struct RunDecoder {
    private let encoding: AudioFormat.Encoding
    private var samples: [Int16] = []

    /// - Throws: ``PipelineError/Code/unsupportedFormat`` for encodings that are not decoded here, and for stereo.
    init(_ format: AudioFormat) throws(PipelineError) {
        try Self.check(format)
        encoding = format.encoding
    }

    static func check(_ format: AudioFormat) throws(PipelineError) {
        guard format.channelCount == 1, format.sampleRate > 0 else {
            throw PipelineError(.unsupportedFormat, "cannot record \(format): each side of a call is mono")
        }
        switch format.encoding {
        case .pcm16, .l16, .mulaw, .alaw: break
        case .g722, .opus:
            throw PipelineError(.unsupportedFormat, "cannot record \(format.encoding.rawValue) from a carrier")
        }
    }

    /// Gives the samples of a payload; a half sample at its end is ignored.
    mutating func decode(_ payload: UnsafeRawBufferPointer, _ body: (UnsafeBufferPointer<Int16>) -> Void) {
        let count = encoding == .pcm16 || encoding == .l16 ? payload.count / 2 : payload.count
        if samples.count < count { samples.append(contentsOf: repeatElement(0, count: count - samples.count)) }
        samples.withUnsafeMutableBufferPointer { samples in
            switch encoding {
            case .mulaw: G711.decodeMulaw(payload, into: samples)
            case .alaw: G711.decodeAlaw(payload, into: samples)
            case .pcm16, .l16:
                for index in 0..<count {
                    let sample = payload.loadUnaligned(fromByteOffset: 2 * index, as: Int16.self)
                    samples[index] = encoding == .l16 ? Int16(bigEndian: sample) : Int16(littleEndian: sample)
                }
            case .g722, .opus: break
            }
            body(UnsafeBufferPointer(rebasing: samples.prefix(count)))
        }
    }
}
