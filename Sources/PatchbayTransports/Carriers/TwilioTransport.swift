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
        Field(
            "parameters", .variables, isAdvanced: true, example: #"{ "tenant_id": "${tenantId}" }"#,
            "What the stream carries beside token, from and to, for whoever reads along. At most 20, of 500 characters each."
        )
    }

    /// Names that the stream's own parameters have.
    public static let ownParameters: Set<String> = ["token", "from", "to"]
    /// Parameters of one stream.
    public static let maximumParameters = 20
    /// Characters of a parameter's name and value together (twilio.com/docs/voice/twiml/stream#custom-parameters).
    public static let maximumParameterLength = 500

    public func problems(in settings: Settings) -> [SettingsProblem] {
        speechProblems(in: settings) + CarrierVoice(settings).problems + parameterProblems(in: settings)
    }

    private func parameterProblems(in settings: Settings) -> [SettingsProblem] {
        let names = settings.variables("parameters").keys.sorted()
        var problems = names.filter(Self.ownParameters.contains).map {
            SettingsProblem(
                field: "parameters", .notAllowed, "the stream has a parameter \"\($0)\" of its own",
                remedy: "give yours another name")
        }
        if names.count > Self.maximumParameters {
            problems.append(
                SettingsProblem(
                    field: "parameters", .outOfRange,
                    "there are \(names.count) parameters; at most \(Self.maximumParameters) are carried"))
        }
        return problems
    }

    private func speechProblems(in settings: Settings) -> [SettingsProblem] {
        guard settings.string("say") == nil else { return [] }
        return ["voice", "language"].filter { settings.string($0) != nil }.map {
            SettingsProblem(
                field: $0, .notAllowed, "without \"say\" nothing is spoken", remedy: "add \"say\", or leave this out")
        }
    }

    public func makeSerializer(_ settings: Settings) -> any CarrierSerializer { TwilioSerializer() }
}
