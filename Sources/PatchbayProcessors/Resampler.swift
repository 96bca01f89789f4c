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
                "engine", .choice(["automatic", "polyphase", "libsamplerate"]), default: "automatic",
                "Whose filters: polyphase for 8000, 16000, 24000 and 48000 Hz, libsamplerate for any rates; automatic "
                    + "takes the one that has the quality and the rates."),
            Field(
                "quality",
                .choice(PolyphaseDesign.allCases.map(\.rawValue) + StreamResampler.Quality.allCases.map(\.rawValue)),
                example: "\"linear-phase\"",
                "Which filter: low-delay (the default) or linear-phase of polyphase; best, medium (the default), "
                    + "fastest, linear or zero-order-hold of libsamplerate."),
        ])

    /// A quality that the engine does not have.
    public func problems(in settings: Settings) -> [SettingsProblem] {
        guard Self.engine(settings) == nil, let quality = settings.string("quality") else { return [] }
        let isPolyphase = settings.string("engine") == "polyphase"
        let has =
            isPolyphase ? PolyphaseDesign.allCases.map(\.rawValue) : StreamResampler.Quality.allCases.map(\.rawValue)
        let engine = isPolyphase ? "polyphase" : "libsamplerate"
        return [
            SettingsProblem(
                field: "quality", .notAllowed,
                "\(engine) has no quality \"\(quality)\"; it has \(has.joined(separator: ", "))",
                remedy: "leave out \"engine\", or write \"engine\": \"\(isPolyphase ? "libsamplerate" : "polyphase")\"")
        ]
    }

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        guard input.encoding == .pcm16 else {
            throw FormatMismatch("takes pcm16", remedy: "put a decoder before it", wanted: input.decoded)
        }
        guard input.channelCount == 1 else { throw FormatMismatch("takes mono", remedy: "mix down before it") }
        let output = resampled(input, settings)
        if case .polyphase? = Self.engine(settings), input.sampleRate != output.sampleRate,
            !PolyphaseDesign.supports(from: input.sampleRate, to: output.sampleRate)
        {
            let rates = PolyphaseDesign.sampleRates.map(String.init).joined(separator: ", ")
            throw FormatMismatch(
                "takes and gives \(rates) Hz with the engine polyphase, not \(input.sampleRate) to "
                    + "\(output.sampleRate) Hz",
                remedy: "write \"engine\": \"libsamplerate\"")
        }
        return output
    }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        try ConverterStage(
            from: input, to: resampled(input, settings), engine: Self.engine(settings) ?? .automatic)
    }

    /// The engine that `engine` and `quality` name together; `nil` where they contradict each other.
    private static func engine(_ settings: Settings) -> StreamResampler.Engine? {
        let quality = settings.string("quality")
        let design = quality.flatMap(PolyphaseDesign.init(rawValue:))
        let libraryQuality = quality.flatMap(StreamResampler.Quality.init(rawValue:))
        switch settings.string("engine") {
        case "polyphase": return quality == nil ? .polyphase(.standard) : design.map { .polyphase($0) }
        case "libsamplerate":
            return quality == nil ? .libsamplerate(.medium) : libraryQuality.map { .libsamplerate($0) }
        default: return design.map { .polyphase($0) } ?? libraryQuality.map { .libsamplerate($0) } ?? .automatic
        }
    }

    private func resampled(_ input: AudioFormat, _ settings: Settings) -> AudioFormat {
        var output = input
        output.sampleRate = settings.integer("rateHz") ?? input.sampleRate
        return output
    }
}
