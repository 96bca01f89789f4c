public import AsyncHTTPClient

extension ComponentRegistry {
    /// Everything that comes with Patchbay, one line a component.
    public static func standard(httpClient: HTTPClient = .shared) throws -> ComponentRegistry {
        try ComponentRegistry(
            transports: [
                TwilioTransport(),
                FileTransport(),
            ],
            stages: [
                Decoder(),
                Encoder(),
                Resampler(),
                VAD(),
                Recorder(),
                Turns(),
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
