public import NIOCore
public import PatchbayAudio
public import PatchbayCore
import PatchbayWire

/// The open agent protocol ⇄ a call's audio, marks and keys, seen from the agent's side.
///
/// A call is given whole messages and not their kind. A binary one is therefore marked by ``binaryMark`` in front, which no
/// text begins with.
public struct BrowserSerializer: CarrierSerializer {
    /// The byte in front of the sound of a binary message.
    public static let binaryMark: UInt8 = 0

    private let format: AudioFormat
    private var form = AgentSocketAudioForm.binary
    private var isStarted = false
    private var payload = ByteBuffer()
    /// Bytes of sound received so far; the caller's sound has no other clock.
    private var received = 0

    public init(format: AudioFormat) {
        self.format = format
    }

    public mutating func deserialize(_ message: ByteBuffer) throws -> CarrierEvent {
        if message.getInteger(at: message.readerIndex, as: UInt8.self) == Self.binaryMark {
            var sound = message
            sound.moveReaderIndex(forwardBy: 1)
            return try audio(sound)
        }
        payload.clear()
        switch try CallerSocketMessage.decode(message, audio: &payload) {
        case .audio: return try audio(payload)
        case .start(let offer, let call):
            guard !isStarted else { throw BrowserFault.secondStart }
            isStarted = true
            form = offer.form
            return .started(CallStart(callSid: call, streamSid: call), format)
        case .dtmf(let digits):
            guard isStarted else { throw BrowserFault.beforeStart("dtmf") }
            guard let digit = digits.first, digits.count == 1 else { throw BrowserFault.keys(digits.count) }
            return .dtmf(digit)
        case .mark(let name): return .mark(PlaybackMark(name: name))
        case .end: return .stopped
        case .ping, .other: return .ignored
        }
    }

    private mutating func audio(_ sound: ByteBuffer) throws -> CarrierEvent {
        guard isStarted else { throw BrowserFault.beforeStart("sound") }
        guard format.encoding != .pcm16 || sound.readableBytes % 2 == 0 else {
            throw BrowserFault.halfSample(sound.readableBytes)
        }
        let position = CarrierPosition(
            timestampMilliseconds: Int64(received) * 1000 / Int64(format.bytesPerSecond), chunk: nil)
        received += sound.readableBytes
        return .audio(sound, position)
    }

    public mutating func audio(_ payload: ByteBuffer, into batch: inout MessageBatch) {
        guard isStarted else { return }
        switch form {
        case .binary: batch.binary { $0.writeImmutableBuffer(payload) }
        case .base64:
            batch.text { buffer in payload.withUnsafeReadableBytes { AgentSocketAudio.write($0, into: &buffer) } }
        }
    }

    public mutating func mark(_ mark: PlaybackMark, into batch: inout MessageBatch) {
        guard isStarted else { return }
        batch.text { CallerSocketMessage.writeMark(mark.name, into: &$0) }
    }

    public mutating func clear(into batch: inout MessageBatch) {
        guard isStarted else { return }
        batch.text { CallerSocketMessage.writeInterruption(into: &$0) }
    }
}

/// Messages that are well formed and still cannot be used.
enum BrowserFault: Error, CustomStringConvertible {
    case beforeStart(String)
    case secondStart
    case keys(Int)
    case halfSample(Int)

    var description: String {
        switch self {
        case .beforeStart(let type): "\(type) before start was dropped"
        case .secondStart: "a second start on one socket was dropped"
        case .keys(let count): "\(count) keys in one dtmf; send one at a time"
        case .halfSample(let count): "\(count) bytes are no whole number of 16-bit samples"
        }
    }
}
