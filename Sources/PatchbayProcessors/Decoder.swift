public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `decoder`: G.711 to linear samples.
public struct Decoder: StageComponent {
    public init() {}

    public let spec = ComponentSpec(
        "decoder", .stage, summary: "Decodes the carrier's µ-law or A-law into linear 16-bit samples.", fields: [])

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        guard input.encoding != .pcm16 else {
            throw FormatMismatch(
                "takes mulaw or alaw", remedy: "remove this decoder")
        }
        var output = input
        output.encoding = .pcm16
        return output
    }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        var output = input
        output.encoding = .pcm16
        return try ConverterStage(from: input, to: output)
    }
}
