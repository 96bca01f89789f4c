import NIOCore
import Patchbay

/// `intercom`: the door's speaker, over plain TCP. A message is one letter and what belongs to it.
struct IntercomTransport: CarrierComponent {
    let format = AudioFormat.pcm(16000)
    let spec = ComponentSpec("intercom", .transport, summary: "The speaker at the door: linear, 16 kHz.")

    func makeSerializer(_ settings: Settings) -> any CarrierSerializer { IntercomSerializer() }
}

struct IntercomSerializer: CarrierSerializer {
    struct Malformed: Error {}

    func deserialize(_ message: ByteBuffer) throws -> CarrierEvent {
        var message = message
        switch message.readInteger(as: UInt8.self).map(UnicodeScalar.init) {
        case "s": return .started(CallStart(callSid: String(buffer: message), streamSid: "door"), .pcm(16000))
        case "a":
            guard let milliseconds = message.readInteger(as: Int64.self) else { throw Malformed() }
            return .audio(message, CarrierPosition(timestampMilliseconds: milliseconds, chunk: nil))
        case "m":
            guard let generation: UInt32 = message.readInteger(), let offset: Int64 = message.readInteger() else {
                throw Malformed()
            }
            return .mark(PlaybackMark(generation: generation, offsetMilliseconds: offset))
        case "e": return .stopped
        default: throw Malformed()
        }
    }

    func audio(_ payload: ByteBuffer, into batch: inout MessageBatch) {
        batch.binary {
            $0.writeStaticString("a")
            $0.writeImmutableBuffer(payload)
        }
    }

    func mark(_ mark: PlaybackMark, into batch: inout MessageBatch) {
        batch.binary {
            $0.writeStaticString("m")
            $0.writeInteger(mark.generation)
            $0.writeInteger(mark.offsetMilliseconds)
        }
    }

    func clear(into batch: inout MessageBatch) { batch.binary { $0.writeStaticString("c") } }
}

/// Cuts TCP's bytes into messages, each behind its length in two bytes.
struct IntercomFraming: NIOSingleStepByteToMessageDecoder, MessageToByteEncoder {
    func decode(buffer: inout ByteBuffer) throws -> ByteBuffer? { buffer.readLengthPrefixedSlice(as: UInt16.self) }

    func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> ByteBuffer? { try decode(buffer: &buffer) }

    func encode(data: ByteBuffer, out: inout ByteBuffer) throws {
        try out.writeLengthPrefixed(as: UInt16.self) { $0.writeImmutableBuffer(data) }
    }
}

/// What stands in a door's channel on the server: framing, then the call.
func addIntercom(to channel: any Channel, _ switchboard: Switchboard) throws {
    try channel.pipeline.syncOperations.addHandlers(
        ByteToMessageHandler(IntercomFraming()), MessageToByteHandler(IntercomFraming()),
        CarrierHandler(logger: switchboard.logger) { first in
            let name = String(buffer: first.getSlice(at: 1, length: first.readableBytes - 1) ?? first)
            return try await switchboard.takeCall("door-\(name)", from: name, to: "+15550100009")
        })
}
