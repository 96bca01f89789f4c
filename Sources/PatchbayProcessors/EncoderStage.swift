import NIOCore
import PatchbayAudio
import PatchbayCore

/// Encodes linear samples: a payload for each frame, or whole packets of Opus as they fill.
///
/// Gives out the encoder's tail when an utterance ends, drops what is held back when a turn is cut. Frames of any other kind
/// pass.
struct EncoderStage: Processor {
    private let encoder: any AudioEncoder
    private let source: AudioFormat
    private var samples: [Int16] = []
    /// The payloads of one run, one behind the other.
    private var result = ByteBuffer()
    private var lengths: [Int] = []

    init(_ source: AudioFormat, to target: AudioFormat, options: OpusOptions) throws(PipelineError) {
        do throws(CodecError) {
            encoder = try AudioCodecs.encoder(for: target, options: options)
        } catch {
            throw PipelineError(.unsupportedFormat, "cannot encode \(target)", cause: error)
        }
        self.source = source
    }

    /// The codec's own delay, and the time in which a packet fills that is longer than what comes in.
    var delay: TimeSpan {
        let filling = max(0, encoder.format.packetMicroseconds - source.packetMicroseconds)
        return TimeSpan(nanoseconds: encoder.delayNanoseconds + Int64(filling) * 1000)
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        switch frame {
        case .audio(let audio):
            try audio.check(source)
            try encode(audio.payload)
            emit(audio, into: &output)
        case .utteranceEnded(let generation):
            try flush()
            emit(AudioFrame(ByteBuffer(), format: encoder.format, generation: generation), into: &output)
            output.emit(frame)
        case .interruption:
            encoder.reset()
            output.emit(frame)
        default:
            output.emit(frame)
        }
    }

    private mutating func encode(_ payload: ByteBuffer) throws(PipelineError) {
        clear()
        var failure: CodecError?
        payload.withUnsafeSamples(copyingInto: &samples) { run in
            var rest = run[...]
            while !rest.isEmpty, failure == nil {
                let room = encoder.maximumPayload(forSamples: rest.count)
                let written = result.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { room in
                    do throws(CodecError) {
                        let step = try encoder.encode(UnsafeBufferPointer(rebasing: rest), into: room)
                        rest = rest.dropFirst(step.sampleCount)
                        return step.byteCount
                    } catch {
                        failure = error
                        return 0
                    }
                }
                if written > 0 { lengths.append(written) }
            }
        }
        try check(failure)
    }

    private mutating func flush() throws(PipelineError) {
        clear()
        var failure: CodecError?
        while true {
            let room = encoder.maximumPayload(forSamples: 0)
            let written = result.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { room in
                do throws(CodecError) {
                    return try encoder.flush(into: room)
                } catch {
                    failure = error
                    return 0
                }
            }
            if written == 0 { break }
            lengths.append(written)
        }
        try check(failure)
    }

    private mutating func clear() {
        result.clear()
        lengths.removeAll(keepingCapacity: true)
    }

    private func check(_ failure: CodecError?) throws(PipelineError) {
        if let failure { throw PipelineError(.stageFailed, "cannot encode \(encoder.format)", cause: failure) }
    }

    /// Emits the payloads with everything else as in `frame`. They share one storage.
    private func emit(_ frame: AudioFrame, into output: inout FrameOutput) {
        var frame = frame
        frame.format = encoder.format
        var offset = 0
        for length in lengths {
            guard let payload = result.getSlice(at: offset, length: length) else { return }
            frame.payload = payload
            output.emit(.audio(frame))
            offset += length
        }
    }
}
