public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `encoder`: linear samples to G.711.
public struct Encoder: StageComponent {
    public init() {}

    public let spec = ComponentSpec(
        "encoder", .stage, summary: "Encodes linear 16-bit samples for the carrier.",
        fields: [
            Field("encoding", .choice(["mulaw", "alaw"]), default: "mulaw", "G.711 variant to write.")
        ])

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        guard input.encoding == .pcm16 else {
            throw FormatMismatch(
                "takes pcm16",
                remedy: "remove this encoder, or put a decoder before it")
        }
        return encoded(input, settings)
    }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        try ConverterStage(from: input, to: encoded(input, settings))
    }

    private func encoded(_ input: AudioFormat, _ settings: Settings) -> AudioFormat {
        var output = input
        output.encoding = settings.string("encoding") == "alaw" ? .alaw : .mulaw
        return output
    }
}
