/// An audio format as the Realtime API names it; always mono.
///
/// Source: OpenAI's reference of the session object (platform.openai.com/docs/api-reference/realtime-client-events/session).
public enum OpenAIRealtimeAudioFormat: Sendable, Hashable {
    /// 16-bit signed little-endian samples. OpenAI itself takes 24,000 Hz only; compatible servers name other rates.
    case pcm(rate: Int)
    /// G.711 µ-law, 8,000 Hz.
    case pcmu
    /// G.711 A-law, 8,000 Hz.
    case pcma

    /// The format of a session that asks for none.
    public static let pcm24k = OpenAIRealtimeAudioFormat.pcm(rate: 24_000)

    /// Samples per second.
    public var sampleRate: Int {
        switch self {
        case .pcm(let rate): rate
        case .pcmu, .pcma: 8_000
        }
    }

    /// Bytes of one second.
    public var bytesPerSecond: Int {
        switch self {
        case .pcm(let rate): 2 * rate
        case .pcmu, .pcma: 8_000
        }
    }

    /// Whole milliseconds that so many bytes play, rounded down: what `audio_end_ms` may be at most.
    public func milliseconds(byteCount: Int) -> Int { byteCount * 1000 / max(1, bytesPerSecond) }

    /// The name in the beta protocol, which Azure's preview versions still speak.
    var betaName: String {
        switch self {
        case .pcm: "pcm16"
        case .pcmu: "g711_ulaw"
        case .pcma: "g711_alaw"
        }
    }

    /// Reads `{"type":"audio/pcm","rate":24000}`, or the beta protocol's bare name; `nil` for any other format.
    init?(_ value: JSONValue) {
        let object = value.object
        switch object?.string("type") ?? value.string {
        case "audio/pcm", "pcm16":
            let rate = object?.integer("rate") ?? 24_000
            guard (8_000...48_000).contains(rate) else { return nil }
            self = .pcm(rate: rate)
        case "audio/pcmu", "g711_ulaw": self = .pcmu
        case "audio/pcma", "g711_alaw": self = .pcma
        default: return nil
        }
    }

    func write(into text: inout JSONText) {
        text.object { format in
            switch self {
            case .pcm(let rate):
                format.member("type", "audio/pcm")
                format.member("rate", rate)
            case .pcmu: format.member("type", "audio/pcmu")
            case .pcma: format.member("type", "audio/pcma")
            }
        }
    }
}
