import NIOCore
public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `file`: a sound file in the caller's place, for runs of a pipeline without any carrier.
///
/// Linear samples by default, so that nothing is lost on the way. ``FileLine`` is the other end.
public struct FileTransport: CarrierComponent {
    private let fixed: AudioFormat?

    public init() { fixed = nil }

    /// Stands in for a carrier whose calls have that format, whatever the settings say.
    public init(inPlaceOf format: AudioFormat) { fixed = format }

    public var format: AudioFormat { fixed ?? .pcm(8000) }

    public let spec = ComponentSpec(
        "file", .transport, summary: "A sound file in the caller's place; see `patchbay run`."
    ) {
        Field("rateHz", .integer(8000...48_000), default: 8000, "Sample rate of the call, in Hz; a multiple of 50.")
        Field("encoding", .choice(["pcm16", "mulaw", "alaw"]), default: "pcm16", "Encoding of the call.")
    }

    public func format(_ settings: Settings) -> AudioFormat {
        if let fixed { return fixed }
        let encoding = settings.string("encoding").flatMap { AudioFormat.Encoding(rawValue: $0) } ?? .pcm16
        return AudioFormat(encoding, sampleRate: settings.integer("rateHz") ?? 8000)
    }

    public func problems(in settings: Settings) -> [SettingsProblem] {
        guard let rate = settings.integer("rateHz"), rate % 50 != 0 else { return [] }
        return [
            SettingsProblem(
                field: "rateHz", .notAllowed, "20 ms of \(rate) Hz are no whole number of samples",
                remedy: "use a multiple of 50, such as 8000, 16000 or 24000")
        ]
    }

    public func makeSerializer(_ settings: Settings) -> any CarrierSerializer {
        FileSerializer(format: format(settings))
    }
}

/// ``FileMessage``s ⇄ a call's audio and marks.
struct FileSerializer: CarrierSerializer {
    let format: AudioFormat

    mutating func deserialize(_ message: ByteBuffer) throws -> CarrierEvent {
        switch try FileMessage(message) {
        case .start(let callSid): .started(CallStart(callSid: callSid, streamSid: "file"), format)
        case .audio(let payload, let milliseconds):
            .audio(payload, CarrierPosition(timestampMilliseconds: milliseconds, chunk: nil))
        case .mark(let mark): .mark(mark)
        case .stop: .stopped
        case .clear: .ignored
        }
    }

    mutating func audio(_ payload: ByteBuffer, into batch: inout MessageBatch) {
        batch.binary { FileMessage.audio(payload, milliseconds: 0).write(into: &$0) }
    }

    mutating func mark(_ mark: PlaybackMark, into batch: inout MessageBatch) {
        batch.binary { FileMessage.mark(mark).write(into: &$0) }
    }

    mutating func clear(into batch: inout MessageBatch) {
        batch.binary { FileMessage.clear.write(into: &$0) }
    }
}

/// What a file line and a call say to each other: one byte for the kind, then numbers (big endian) and bytes.
enum FileMessage: Equatable {
    case start(callSid: String)
    /// Sound, with its place in the file.
    case audio(ByteBuffer, milliseconds: Int64)
    case mark(PlaybackMark)
    case clear
    case stop

    /// A message that no file line writes.
    struct Malformed: Error, CustomStringConvertible {
        let description = "not a message of a file line"
    }

    init(_ message: ByteBuffer) throws(Malformed) {
        var message = message
        switch message.readInteger(as: UInt8.self) {
        case UInt8(ascii: "s"):
            self = .start(callSid: message.readString(length: message.readableBytes) ?? "")
        case UInt8(ascii: "a"):
            guard let milliseconds = message.readInteger(as: Int64.self) else { throw Malformed() }
            self = .audio(message, milliseconds: milliseconds)
        case UInt8(ascii: "m"):
            guard let generation = message.readInteger(as: UInt32.self),
                let offset = message.readInteger(as: Int64.self)
            else { throw Malformed() }
            self = .mark(PlaybackMark(generation: generation, offsetMilliseconds: offset))
        case UInt8(ascii: "c"): self = .clear
        case UInt8(ascii: "e"): self = .stop
        default: throw Malformed()
        }
    }

    func write(into buffer: inout ByteBuffer) {
        switch self {
        case .start(let callSid):
            buffer.writeInteger(UInt8(ascii: "s"))
            buffer.writeString(callSid)
        case .audio(let payload, let milliseconds):
            buffer.writeInteger(UInt8(ascii: "a"))
            buffer.writeInteger(milliseconds)
            buffer.writeImmutableBuffer(payload)
        case .mark(let mark):
            buffer.writeInteger(UInt8(ascii: "m"))
            buffer.writeInteger(mark.generation)
            buffer.writeInteger(mark.offsetMilliseconds)
        case .clear: buffer.writeInteger(UInt8(ascii: "c"))
        case .stop: buffer.writeInteger(UInt8(ascii: "e"))
        }
    }
}
