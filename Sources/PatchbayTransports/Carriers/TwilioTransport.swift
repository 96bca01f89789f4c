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
        "twilio", .transport, summary: "Twilio Media Streams: µ-law, 8 kHz, packets of 20 ms.")

    public func makeSerializer(_ settings: Settings) -> any CarrierSerializer { TwilioSerializer() }
}
