import NIOCore
import PatchbayAudio
import PatchbayCore

/// Converts audio from one format to another; what `decoder`, `resampler` and `encoder` are made of.
///
/// Gives out the resampler's tail when an utterance ends and forgets it when a turn is cut. Frames of any other kind pass.
struct ConverterStage: Processor {
    private var converter: FormatConverter

    init(from source: AudioFormat, to target: AudioFormat, engine: StreamResampler.Engine = .automatic)
        throws(PipelineError)
    {
        converter = try FormatConverter(from: source, to: target, engine: engine)
    }

    var delay: TimeSpan { converter.delay }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        switch frame {
        case .audio(let audio):
            guard audio.format.encoding == converter.source.encoding,
                audio.format.sampleRate == converter.source.sampleRate
            else {
                throw PipelineError(.unsupportedFormat, "takes \(converter.source), was given \(audio.format)")
            }
            let converted = converter.convert(audio.payload)
            emit(converted, audio.generation, into: &output)
        case .utteranceEnded(let generation):
            let tail = converter.flush()
            emit(tail, generation, into: &output)
            output.emit(frame)
        case .interruption:
            converter.reset()
            output.emit(frame)
        case .callStarted, .callEnded, .dtmf, .speechStarted, .speechStopped, .failure, .text, .agentTurnStarted,
            .hangup,
            .custom:
            output.emit(frame)
        }
    }

    // Give it finished values only: a call as an argument would run while this copy of `self` holds the converter's
    // buffers, and cost an allocation for each.
    private func emit(_ payload: ByteBuffer, _ generation: UInt32, into output: inout FrameOutput) {
        guard payload.readableBytes > 0 else { return }
        output.emit(.audio(AudioFrame(payload, format: converter.target, generation: generation)))
    }
}
