public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `decoder`: what a carrier or an agent sends to linear samples.
public struct Decoder: StageComponent {
    public init() {}

    public let spec = ComponentSpec(
        "decoder", .stage, summary: "Decodes µ-law, A-law, L16, G.722 or Opus into linear 16-bit samples.",
        fields: [
            Field(
                "encoding", .choice(AudioFormat.codedEncodings), isAdvanced: true, example: #""mulaw""#,
                "Encoding that must arrive here; without it any is taken.")
        ])

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        let encoding = settings.string("encoding")
        // There is nothing left to do where linear samples arrive.
        if input.encoding == .pcm16, encoding == nil { return input }
        guard encoding == nil || encoding == input.encoding.rawValue else {
            throw FormatMismatch(
                "takes \(encoding ?? "")",
                remedy: input.encoding == .pcm16
                    ? "remove this decoder, or its \"encoding\""
                    : "write \"encoding\": \"\(input.encoding.rawValue)\", or leave it out")
        }
        return input.decoded
    }

    public func isIdentity(for input: AudioFormat, settings: Settings) -> Bool { input.encoding == .pcm16 }

    public func problems(in settings: Settings) -> [SettingsProblem] { settings.problemsOfG722() }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        try DecoderStage(input, to: input.decoded)
    }
}

extension AudioFormat {
    /// What the setting `encoding` may be.
    static let codedEncodings = Encoding.allCases.filter { $0 != .pcm16 }.map(\.rawValue)

    /// Linear samples of the same rate and channels.
    var decoded: AudioFormat {
        var decoded = self
        decoded.encoding = .pcm16
        return decoded
    }
}

extension Settings {
    /// G.722 needs a library that is looked for at run time; its absence should not wait for a call to be noticed.
    func problemsOfG722() -> [SettingsProblem] {
        guard string("encoding") == AudioFormat.Encoding.g722.rawValue else { return [] }
        do throws(CodecError) {
            _ = try AudioCodecs.decoder(for: AudioFormat(.g722, sampleRate: 16_000))
            return []
        } catch {
            return [SettingsProblem(field: "encoding", Diagnostic.Code("missing-library"), error.message)]
        }
    }
}
