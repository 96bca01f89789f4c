public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// A transport that carries calls over messages: a carrier.
public protocol CarrierComponent: TransportComponent {
    /// Makes the serializer of one call.
    func makeSerializer(_ settings: Settings) -> any CarrierSerializer
}

/// `twilio`: Twilio Media Streams, both ways.
public struct TwilioTransport: CarrierComponent {
    public init() {}

    public let format = AudioFormat.telephony
    public let spec = ComponentSpec(
        "twilio", .transport, summary: "Twilio Media Streams: µ-law, 8 kHz, packets of 20 ms."
    ) {
        Field(
            "say", .string,
            "What the carrier's own voice says before the stream begins. The agent is then connected when the stream begins."
        )
        Field("voice", .string, isAdvanced: true, "The carrier's voice for it (twilio.com/docs/voice/twiml/say#voice).")
        Field("language", .string, isAdvanced: true, "The language of it, for instance de-DE.")
    }

    public func problems(in settings: Settings) -> [SettingsProblem] {
        guard settings.string("say") == nil else { return [] }
        return ["voice", "language"].filter { settings.string($0) != nil }.map {
            SettingsProblem(
                field: $0, .notAllowed, "without \"say\" nothing is spoken", remedy: "add \"say\", or leave this out")
        }
    }

    public func makeSerializer(_ settings: Settings) -> any CarrierSerializer { TwilioSerializer() }
}
