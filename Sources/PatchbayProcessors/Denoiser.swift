import NIOCore
public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `denoiser`: steady noise taken out of speech.
public struct Denoiser: StageComponent {
    public init() {}

    public let spec = ComponentSpec(
        "denoiser", .stage,
        summary: "Takes steady noise out of speech at 8 or 16 kHz with SpeexDSP; holds 10 ms back. Needs libspeexdsp1.",
        fields: [
            Field(
                "suppressDb", .integer(NoiseSuppressor.suppressions), default: 15,
                "How much noise is lowered at most, in dB; more of it also takes more of the voice.")
        ])

    public func problems(in settings: Settings) -> [SettingsProblem] {
        guard let error = NoiseSuppressor.missingLibrary else { return [] }
        return [SettingsProblem(Diagnostic.Code(error.code.name), error.message)]
    }

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        guard input.encoding == .pcm16, input.channelCount == 1 else {
            let rate = NoiseSuppressor.sampleRates.contains(input.sampleRate) ? input.sampleRate : 16_000
            throw FormatMismatch("takes pcm16 mono", remedy: "put a decoder before it", wanted: .pcm(rate))
        }
        guard NoiseSuppressor.sampleRates.contains(input.sampleRate) else {
            throw FormatMismatch(
                "takes 8000 or 16000 Hz", remedy: "put a resampler before it", wanted: .pcm(16000))
        }
        return input
    }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        do {
            return DenoiserStage(
                try NoiseSuppressor(
                    sampleRate: input.sampleRate, suppression: settings.integer("suppressDb") ?? 15))
        } catch {
            throw PipelineError(.stageFailed, error.message, cause: error)
        }
    }
}

/// Suppresses noise; what does not fill a frame of 10 ms waits for the next packet.
struct DenoiserStage: Processor {
    private let suppressor: NoiseSuppressor
    private var samples: [Int16] = []
    private var result = ByteBuffer()

    init(_ suppressor: NoiseSuppressor) { self.suppressor = suppressor }

    var delay: TimeSpan { TimeSpan(nanoseconds: suppressor.delayNanoseconds) }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        switch frame {
        case .audio(let audio):
            try checkLinear(audio.format, rate: suppressor.sampleRate)
            result.clear()
            let room = 2 * suppressor.maximumOutput(forInput: audio.payload.readableBytes / 2)
            audio.payload.withUnsafeSamples(copyingInto: &samples) { samples in
                _ = result.writeWithUnsafeMutableBytes(minimumWritableBytes: room) {
                    2 * suppressor.process(samples, into: $0.bindMemory(to: Int16.self))
                }
            }
            guard result.readableBytes > 0 else { return }
            var quiet = audio
            quiet.payload = result
            output.emit(.audio(quiet))
        case .utteranceEnded(let generation):
            result.clear()
            _ = result.writeWithUnsafeMutableBytes(minimumWritableBytes: 4 * suppressor.frameLength) {
                2 * suppressor.flush(into: $0.bindMemory(to: Int16.self))
            }
            if result.readableBytes > 0 {
                output.emit(.audio(AudioFrame(result, format: .pcm(suppressor.sampleRate), generation: generation)))
            }
            output.emit(frame)
        case .interruption:
            _ = suppressor.flush(into: UnsafeMutableBufferPointer(start: nil, count: 0))
            output.emit(frame)
        default:
            output.emit(frame)
        }
    }
}
