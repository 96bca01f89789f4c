public import NIOCore
public import PatchbayAudio

extension WAVFile {
    /// The whole sound in another mono format; stereo is mixed down. For files, not for the media path.
    ///
    /// - Throws: ``PipelineError/Code/unsupportedFormat`` when the rate cannot be resampled.
    public func audio(in target: AudioFormat) throws(PipelineError) -> ByteBuffer {
        var mono = samples()
        if format.channelCount == 2 {
            let stereo = mono
            mono = (0..<stereo.count / 2).map { (index: Int) -> Int16 in
                let sum = Int(stereo[2 * index]) + Int(stereo[2 * index + 1])
                return Int16(sum / 2)
            }
        }
        var source = ByteBuffer()
        mono.withUnsafeBytes { _ = source.writeBytes($0) }
        var converter = try FormatConverter(from: .pcm(format.sampleRate), to: target, engine: .libsamplerate(.best))
        var result = ByteBuffer()
        result.writeImmutableBuffer(converter.convert(source))
        result.writeImmutableBuffer(converter.flush())
        return result
    }
}
