public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `gain`: louder or softer.
public struct Gain: StageComponent {
    public init() {}

    public let spec = ComponentSpec(
        "gain", .stage, summary: "Makes linear audio louder or softer; what becomes too loud is cut off.",
        fields: [
            Field("gainDb", .number(-60...40), isRequired: true, example: "6", "How much louder, in dB.")
        ])

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        try requireLinear(input, rates: StreamResampler.sampleRates)
    }

    public func isIdentity(for input: AudioFormat, settings: Settings) -> Bool { settings.number("gainDb") == 0 }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        GainStage(factor: GainRamp.factor(decibels: settings.number("gainDb") ?? 0), rate: input.sampleRate)
    }
}

/// Multiplies every sample.
struct GainStage: Processor {
    private var gain: GainRamp
    private var editor = SampleEditor()
    private let rate: Int

    init(factor: Float, rate: Int) {
        gain = GainRamp(factor: factor, sampleRate: rate)
        self.rate = rate
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        guard case .audio(let audio) = frame else { return output.emit(frame) }
        let louder = try editor.edit(audio, rate: rate) { gain.apply(to: $0) }
        output.emit(.audio(louder))
    }
}
