public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore
public import PatchbayWire

/// `browser`: callers without a telephone, most often a page in a browser, over the open agent protocol.
///
/// The caller has the place that Patchbay has towards an agent: it opens the socket, says `start`, sends its sound and plays what
/// comes back. See the article "AgentProtocol".
public struct BrowserTransport: CarrierComponent {
    private static let rates = AgentSocketFormat.sampleRates

    public init() {}

    public var format: AudioFormat { .pcm(16_000) }

    public let spec = ComponentSpec(
        "browser", .transport,
        summary: "Callers without a telephone, for instance in a browser, over the open agent protocol."
    ) {
        Field(
            "rateHz", .integer(8000...48_000), default: 16_000,
            "Sample rate of the call in both directions, in Hz: 8000, 16000, 24000 or 48000.")
        Field("encoding", .choice(["pcm16", "mulaw", "alaw"]), default: "pcm16", "Encoding of the call.")
    }

    public func format(_ settings: Settings) -> AudioFormat {
        let encoding = settings.string("encoding").flatMap { AudioFormat.Encoding(rawValue: $0) } ?? .pcm16
        return AudioFormat(encoding, sampleRate: settings.integer("rateHz") ?? 16_000)
    }

    public func problems(in settings: Settings) -> [SettingsProblem] {
        guard let rate = settings.integer("rateHz"), !Self.rates.contains(rate) else { return [] }
        return [
            SettingsProblem(
                field: "rateHz", .notAllowed, "the agent protocol has no sound of \(rate) Hz",
                remedy: "use 8000, 16000, 24000 or 48000")
        ]
    }

    public func makeSerializer(_ settings: Settings) -> any CarrierSerializer {
        BrowserSerializer(format: format(settings))
    }

    /// The call's format in the protocol's words.
    public func socketFormat(_ settings: Settings) -> AgentSocketFormat? {
        let format = format(settings)
        return AgentSocketFormat.Encoding(rawValue: format.encoding.rawValue).map {
            AgentSocketFormat($0, sampleRate: format.sampleRate)
        }
    }
}
