public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `resampler`: another sample rate.
public struct Resampler: StageComponent {
    public init() {}

    public let spec = ComponentSpec(
        "resampler", .stage, summary: "Changes the sample rate of linear audio, band-limited, with its tail flushed.",
        fields: [
            Field("rateHz", .integer(8000...48000), isRequired: true, example: "16000", "Sample rate to give, in Hz."),
            Field(
                "quality", .choice(["best", "medium", "fastest", "linear"]), default: "medium",
                "Filter of libsamplerate: better ones hold more audio back."),
        ])

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        guard input.encoding == .pcm16 else {
            throw FormatMismatch("takes pcm16", remedy: "put a decoder before it")
        }
        return resampled(input, settings)
    }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        let quality: StreamResampler.Quality =
            switch settings.string("quality") {
            case "best": .best
            case "fastest": .fastest
            case "linear": .linear
            default: .medium
            }
        return try ConverterStage(from: input, to: resampled(input, settings), quality: quality)
    }

    private func resampled(_ input: AudioFormat, _ settings: Settings) -> AudioFormat {
        var output = input
        output.sampleRate = settings.integer("rateHz") ?? input.sampleRate
        return output
    }
}
