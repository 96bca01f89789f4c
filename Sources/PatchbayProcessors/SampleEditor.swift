import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore

/// Changes the samples of audio frames in a buffer of its own, which it uses again once the last result is let go.
struct SampleEditor {
    private var buffer = ByteBuffer()

    /// The frame with its samples as `body` left them.
    ///
    /// - Parameter rate: The sample rate that the stage was made for, in Hz.
    /// - Throws: When the frame holds anything but linear mono samples at that rate.
    mutating func edit(
        _ audio: AudioFrame, rate: Int, _ body: (UnsafeMutableBufferPointer<Int16>) -> Void
    ) throws(PipelineError) -> AudioFrame {
        try checkLinear(audio.format, rate: rate)
        buffer.clear()
        audio.payload.withUnsafeReadableBytes { _ = buffer.writeBytes($0) }
        buffer.withUnsafeMutableReadableBytes { body($0.bindMemory(to: Int16.self)) }
        var result = audio
        result.payload = buffer
        return result
    }

    /// A frame of so many samples, silent before `body` fills it.
    mutating func make(
        _ count: Int, format: AudioFormat, generation: UInt32, _ body: (UnsafeMutableBufferPointer<Int16>) -> Void
    ) -> AudioFrame {
        buffer.clear()
        buffer.writeRepeatingByte(0, count: count * 2)
        buffer.withUnsafeMutableReadableBytes { body($0.bindMemory(to: Int16.self)) }
        return AudioFrame(buffer, format: format, generation: generation)
    }
}

/// Throws unless a frame is what the stage was made for.
func checkLinear(_ format: AudioFormat, rate: Int) throws(PipelineError) {
    guard format.encoding == .pcm16, format.channelCount == 1, format.sampleRate == rate else {
        throw PipelineError(.unsupportedFormat, "takes \(AudioFormat.pcm(rate)), was given \(format)")
    }
}

/// Throws unless linear mono samples arrive, at one of these rates.
func requireLinear(_ input: AudioFormat, rates: ClosedRange<Int>) throws(FormatMismatch) -> AudioFormat {
    guard input.encoding == .pcm16 else {
        throw FormatMismatch(
            "takes pcm16", remedy: "put a decoder before it",
            wanted: rates.contains(input.sampleRate) ? input.decoded : .pcm(16_000))
    }
    guard input.channelCount == 1 else { throw FormatMismatch("takes mono", remedy: "mix down before it") }
    guard rates.contains(input.sampleRate) else {
        throw FormatMismatch(
            "takes \(rates.lowerBound) to \(rates.upperBound) Hz", remedy: "put a resampler before it",
            wanted: .pcm(16_000))
    }
    return input
}
