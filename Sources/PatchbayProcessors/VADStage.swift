import NIOCore
import PatchbayAudio
import PatchbayCore

/// Puts the speech edges where they were decided; passes everything else on, through the gate if there is one.
struct VADStage<Engine: VoiceActivityDetector>: Processor {
    private var detector: SpeechDetector<Engine>
    private var gate: SpeechGate?
    private var samples: [Int16] = []
    private var gated = ByteBuffer()

    init(_ engine: Engine, _ parameters: SpeechSegmenter.Parameters, _ gate: SpeechGate?) {
        detector = SpeechDetector(engine, parameters)
        self.gate = gate
    }

    var delay: TimeSpan {
        let samples = Int64(gate?.preRoll ?? 0)
        return TimeSpan(nanoseconds: samples * 1_000_000_000 / Int64(detector.engine.sampleRate))
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        switch frame {
        case .audio(let audio):
            guard audio.format.encoding == .pcm16, audio.format.sampleRate == detector.engine.sampleRate else {
                throw PipelineError(
                    .unsupportedFormat,
                    "takes \(AudioFormat.pcm(detector.engine.sampleRate)), was given \(audio.format)")
            }
            judge(audio.payload, into: &output)
            guard gate != nil else {
                output.emit(frame)
                return
            }
            passGate(audio.payload.readableBytes / 2)
            output.emit(.audio(AudioFrame(gated, format: audio.format, generation: audio.generation)))
        case .utteranceEnded(let generation):
            if let gate {
                // Whatever waits inside belongs to the utterance.
                hush(gate.preRoll)
                passGate(gate.preRoll)
                let format = AudioFormat.pcm(detector.engine.sampleRate)
                output.emit(.audio(AudioFrame(gated, format: format, generation: generation)))
                forget(into: &output)
            }
            output.emit(frame)
        case .interruption:
            if gate != nil { forget(into: &output) }
            output.emit(frame)
        case .callStarted, .callEnded, .dtmf, .speechStarted, .speechStopped, .failure, .text, .agentTurnStarted,
            .hangup, .custom:
            output.emit(frame)
        }
    }

    private mutating func judge(_ payload: ByteBuffer, into output: inout FrameOutput) {
        payload.withUnsafeSamples(copyingInto: &samples) { samples in
            detector.process(samples) { window in
                switch window.edge?.kind {
                case .speechStarted: output.emit(.speechStarted)
                case .speechStopped: output.emit(.speechStopped)
                case nil: break
                }
            }
        }
    }

    /// Sends the first `count` of the samples through the gate, into `gated`.
    private mutating func passGate(_ count: Int) {
        if let heard = detector.segmenter.activeUntil { gate?.speechHeard(until: heard) }
        gated.clear()
        samples.withUnsafeMutableBufferPointer { samples in
            let part = UnsafeMutableBufferPointer(rebasing: samples.prefix(count))
            gate?.process(part)
            gated.writeBytes(UnsafeRawBufferPointer(part))
        }
    }

    private mutating func hush(_ count: Int) {
        samples.removeAll(keepingCapacity: true)
        samples.append(contentsOf: repeatElement(0, count: count))
    }

    /// Begins anew, as for another stream.
    private mutating func forget(into output: inout FrameOutput) {
        if detector.isSpeaking { output.emit(.speechStopped) }
        detector.reset()
        gate?.reset()
    }
}
