import NIOCore
import PatchbayAudio
import PatchbayCore

/// Puts the speech edges where they were decided; passes everything else on, through the gate if there is one.
struct VADStage<Engine: VoiceActivityDetector>: Processor {
    private var detector: SpeechDetector<Engine>
    private var gate: SpeechGate?
    private var samples: [Int16] = []
    private var gated = ByteBuffer()
    private var voice: VoicePauses

    init(_ engine: Engine, _ parameters: SpeechSegmenter.Parameters, _ gate: SpeechGate?) {
        detector = SpeechDetector(engine, parameters)
        let window = Double(engine.windowLength) * 1000 / Double(engine.sampleRate)
        voice = VoicePauses(threshold: parameters.exitThreshold, windowMilliseconds: window)
        self.gate = gate
    }

    var marksSpeech: Bool { true }

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
        default:
            output.emit(frame)
        }
    }

    private mutating func judge(_ payload: ByteBuffer, into output: inout FrameOutput) {
        var voice = voice
        payload.withUnsafeSamples(copyingInto: &samples) { samples in
            detector.process(samples) { window in
                switch window.edge?.kind {
                case .speechStarted: output.emit(.speechStarted)
                case .speechStopped: output.emit(.speechStopped)
                case nil: break
                }
                if let change = voice.hear(window.score, window.edge?.kind) { output.emit(change) }
            }
        }
        self.voice = voice
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
        voice.reset()
        gate?.reset()
    }
}

/// Finds the moments of silence within speech: long before the VAD calls it over, somebody who takes turns wants to know that
/// a "mhm" was all.
struct VoicePauses {
    /// Silence that is a pause and no stop consonant.
    static let milliseconds = 80.0

    private let threshold: Double
    private let windowMilliseconds: Double
    private var isSpeaking = false
    private var isPaused = false
    private var quiet = 0.0

    init(threshold: Double, windowMilliseconds: Double) {
        self.threshold = threshold
        self.windowMilliseconds = windowMilliseconds
    }

    /// Takes a window's score, and the edge it brought.
    mutating func hear(_ score: Double, _ edge: SpeechEdge.Kind?) -> Frame? {
        if let edge {
            reset()
            isSpeaking = edge == .speechStarted
            return nil
        }
        guard isSpeaking else { return nil }
        if score >= threshold {
            quiet = 0
            guard isPaused else { return nil }
            isPaused = false
            return .speechResumed
        }
        quiet += windowMilliseconds
        guard !isPaused, quiet >= Self.milliseconds else { return nil }
        isPaused = true
        return .speechPaused
    }

    mutating func reset() {
        isSpeaking = false
        isPaused = false
        quiet = 0
    }
}
