public import AsyncHTTPClient

extension ComponentRegistry {
    /// Everything that comes with Patchbay, one line a component.
    ///
    /// - Parameter recordings: Writes what `recorder` stages record.
    public static func standard(
        httpClient: HTTPClient = .shared, recordings: RecordingWriter = .shared
    ) throws -> ComponentRegistry {
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
                Recorder(writer: recordings) { announcement, directory throws(PipelineError) in
                    _ = try SpeechLibrary.shared.spoken(
                        announcement.text, voice: announcement.voice, directory: directory)
                },
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
