import PatchbayAudio
import PatchbayCore

/// Decodes one side's payloads to linear samples, in order.
struct RunDecoder {
    private let decoder: any AudioDecoder
    private var samples: [Int16] = []

    /// - Throws: ``PipelineError/Code/unsupportedFormat`` for what cannot be decoded here, and for stereo.
    init(_ format: AudioFormat) throws(PipelineError) {
        try Self.check(format)
        do throws(CodecError) {
            decoder = try AudioCodecs.decoder(for: format)
        } catch {
            throw PipelineError(.unsupportedFormat, "cannot record \(format)", cause: error)
        }
    }

    /// Refuses what no codec can help with.
    static func check(_ format: AudioFormat) throws(PipelineError) {
        guard format.channelCount == 1, format.sampleRate > 0 else {
            throw PipelineError(.unsupportedFormat, "cannot record \(format): each side of a call is mono")
        }
    }

    /// Gives the samples of a payload. One that cannot be read is a hole.
    mutating func decode(_ payload: UnsafeRawBufferPointer, _ body: (UnsafeBufferPointer<Int16>) -> Void) {
        let room = decoder.sampleCount(of: payload)
        if samples.count < room { samples.append(contentsOf: repeatElement(0, count: room - samples.count)) }
        samples.withUnsafeMutableBufferPointer { samples in
            guard let count = try? decoder.decode(payload, into: samples) else { return }
            body(UnsafeBufferPointer(rebasing: samples.prefix(count)))
        }
    }
}
