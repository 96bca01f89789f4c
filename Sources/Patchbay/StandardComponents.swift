public import AsyncHTTPClient
public import PatchbayAudio
public import PatchbayConfig
public import PatchbayTransports

extension ComponentRegistry {
    /// Everything that comes with Patchbay, one line a component.
    ///
    /// - Parameter recordings: Writes what `recorder` stages record.
    public static func standard(
        httpClient: HTTPClient = .prompt, recordings: RecordingWriter = .shared
    ) throws -> ComponentRegistry {
        try ComponentRegistry(
            transports: [
                TwilioTransport(),
                FileTransport(),
                BrowserTransport(),
            ],
            stages: [
                Decoder(),
                Encoder(),
                Resampler(),
                VAD(),
                Recorder(writer: recordings, checkingAnnouncements: checkSpeech),
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
                GeminiAgent(),
                OpenAIRealtimeAgent(),
                WebSocketAgent(),
            ], checkSpeech: checkSpeech, findConverters: standardConverters)
    }

    private static let checkSpeech: SpeechCheck = { announcement, directory throws(PipelineError) in
        _ = try SpeechLibrary.shared.spoken(announcement.speech, voice: announcement.voice, directory: directory)
    }
}

/// The stock stages that turn one mono format into another: a decoder, a resampler, an encoder, as far as the two differ.
///
/// - Returns: `nil` for several channels, and where packets would have to change their duration.
@Sendable public func standardConverters(
    from source: AudioFormat, to target: AudioFormat
) -> [ComponentRegistry.Converter]? {
    guard source.channelCount == 1, target.channelCount == 1 else { return nil }
    var converters: [ComponentRegistry.Converter] = []
    if source.encoding != .pcm16 { converters.append(.init("decoder")) }
    if source.sampleRate != target.sampleRate {
        converters.append(.init("resampler", ["rateHz": .number(Double(target.sampleRate))]))
    }
    if target.encoding != .pcm16 {
        converters.append(.init("encoder", ["encoding": .string(target.encoding.rawValue)]))
    }
    return converters
}
