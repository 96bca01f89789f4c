public import AsyncHTTPClient

extension ComponentRegistry {
    /// Everything that comes with Patchbay, one line a component.
    public static func standard(httpClient: HTTPClient = .shared) throws -> ComponentRegistry {
        try ComponentRegistry(
            transports: [
                TwilioTransport()
            ],
            stages: [
                Decoder(),
                Encoder(),
                Resampler(),
                VAD(),
                DTMF(),
                Gain(),
                Mute(),
                Mixer(),
                Denoiser(),
            ],
            agents: [
                EchoAgent(),
                ScriptAgent(),
                ElevenLabsAgent(httpClient: httpClient),
            ])
    }
}
