/// An audio format as the Agents platform names it: `pcm_16000`, `ulaw_8000`.
///
/// PCM is 16-bit signed little-endian mono, `ulaw` is G.711 µ-law
/// (elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket).
public struct ElevenLabsAudioFormat: Sendable, Hashable, CustomStringConvertible {
    public enum Codec: String, Sendable { case pcm, ulaw }

    public var codec: Codec
    /// Samples per second.
    public var sampleRate: Int

    public init(codec: Codec, sampleRate: Int) {
        self.codec = codec
        self.sampleRate = sampleRate
    }

    /// Parses `<codec>_<rate>`.
    ///
    /// - Throws: ``WireError/Code/unsupported`` for another codec, or a rate outside 8,000 to 48,000 Hz.
    public init(_ name: String) throws(WireError) {
        let parts = name.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 2, let codec = Codec(rawValue: String(parts[0])), let rate = Int(parts[1]),
            (8_000...48_000).contains(rate)
        else {
            throw WireError(
                .unsupported, "audio format \"\(name.prefix(64))\"; known are pcm_8000 to pcm_48000 and ulaw_8000")
        }
        self.init(codec: codec, sampleRate: rate)
    }

    /// What an agent can be set to, both ways (elevenlabs.io/docs/agents-platform, audio formats of an agent).
    public static let documented =
        [8_000, 16_000, 22_050, 24_000, 44_100, 48_000].map { ElevenLabsAudioFormat(codec: .pcm, sampleRate: $0) }
        + [ElevenLabsAudioFormat(codec: .ulaw, sampleRate: 8_000)]

    public var description: String { "\(codec.rawValue)_\(sampleRate)" }
    /// Bytes of one second of audio.
    public var bytesPerSecond: Int { codec == .pcm ? 2 * sampleRate : sampleRate }
}
