public import NIOCore
import PatchbayAudio
public import PatchbayCore
import PatchbayWire

/// Twilio's media-stream messages ⇄ a call's audio, marks and keys.
///
/// https://www.twilio.com/docs/voice/media-streams/websocket-messages
public struct TwilioSerializer: CarrierSerializer {
    private var decoder = TwilioMessageDecoder()
    private var writer: TwilioStreamWriter?
    private var payload = ByteBuffer()

    public init() {}

    public mutating func deserialize(_ message: ByteBuffer) throws -> CarrierEvent {
        payload.clear()
        switch try decoder.decode(message, payload: &payload) {
        case .media(let media):
            guard writer != nil else { throw TwilioFault.beforeStart("media") }
            guard media.track == .inbound else { return .ignored }
            return .audio(
                payload,
                CarrierPosition(timestampMilliseconds: Int64(media.timestamp ?? 0), chunk: media.chunk.map(Int64.init)))
        case .start(let start):
            guard writer == nil else { throw TwilioFault.secondStart }
            let format = try Self.format(start.mediaFormat)
            decoder.streamSid = start.streamSid
            writer = TwilioStreamWriter(streamSid: start.streamSid)
            return .started(
                CallStart(callSid: start.callSid, streamSid: start.streamSid, parameters: start.customParameters),
                format)
        case .dtmf(let digit):
            guard writer != nil else { throw TwilioFault.beforeStart("dtmf") }
            return .dtmf(digit)
        case .mark(let name):
            return .mark(PlaybackMark(name: name))
        case .stop:
            return .stopped
        case .connected, .unknown:
            return .ignored
        }
    }

    public mutating func audio(_ payload: ByteBuffer, into batch: inout MessageBatch) {
        // Nothing can be addressed to a stream that has not told its name.
        guard let writer else { return }
        batch.text { buffer in payload.withUnsafeReadableBytes { writer.media($0, into: &buffer) } }
    }

    public mutating func mark(_ mark: PlaybackMark, into batch: inout MessageBatch) {
        guard let writer else { return }
        batch.text { writer.mark(mark.name, into: &$0) }
    }

    public mutating func clear(into batch: inout MessageBatch) {
        guard let writer else { return }
        batch.text { writer.clear(into: &$0) }
    }

    /// Twilio documents µ-law at 8 kHz; anything else is refused in plain words rather than played as noise.
    static func format(_ format: TwilioStart.MediaFormat) throws(PipelineError) -> AudioFormat {
        let encoding: AudioFormat.Encoding
        switch format.encoding {
        case "audio/x-mulaw": encoding = .mulaw
        case "audio/x-alaw": encoding = .alaw
        case "audio/l16", "audio/x-l16": encoding = .pcm16
        default:
            throw PipelineError(
                .unsupportedFormat, "the stream's encoding \"\(format.encoding)\" is unknown", place: "twilio start")
        }
        return AudioFormat(encoding, sampleRate: format.sampleRate, channelCount: format.channels)
    }
}

/// Messages that are well formed and still break the order of the protocol.
enum TwilioFault: Error, CustomStringConvertible {
    case beforeStart(String)
    case secondStart

    var description: String {
        switch self {
        case .beforeStart(let event): "\(event) before start was dropped"
        case .secondStart: "a second start on one stream was dropped"
        }
    }
}

extension PlaybackMark {
    /// `GENERATION:MILLISECONDS`, for instance `3:4800`.
    ///
    /// Written digit by digit: names of up to 15 bytes then need no memory of their own, where interpolation takes some.
    var name: String {
        func digits(_ value: UInt64) -> Int { value < 10 ? 1 : 1 + digits(value / 10) }
        let offset = UInt64(clamping: offsetMilliseconds)
        let head = digits(UInt64(generation)), tail = digits(offset)
        return String(unsafeUninitializedCapacity: head + 1 + tail) { bytes in
            func write(_ value: UInt64, endingAt end: Int) {
                var rest = value
                var index = end
                repeat {
                    index -= 1
                    bytes[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                    rest /= 10
                } while rest > 0
            }
            write(UInt64(generation), endingAt: head)
            bytes[head] = UInt8(ascii: ":")
            write(offset, endingAt: head + 1 + tail)
            return head + 1 + tail
        }
    }

    init?(name: String) {
        let parts = name.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, let generation = UInt32(parts[0]), let offset = Int64(parts[1]) else { return nil }
        self.init(generation: generation, offsetMilliseconds: offset)
    }
}
