import NIOCore
import Patchbay
import PatchbayTesting
import PatchbayWire
import Testing

@Suite struct TransportConformanceTests {
    private static var twilio: TransportConformance.Carrier {
        let phone = TwilioPhoneWriter(start: TwilioStart(streamSid: "MZ1", callSid: "CA1", accountSid: "AC1"))
        func message(_ write: (inout TwilioPhoneWriter, inout ByteBuffer) -> Void) -> ByteBuffer {
            var phone = phone
            var buffer = ByteBuffer()
            write(&phone, &buffer)
            return buffer
        }
        return TransportConformance.Carrier(
            start: message { $0.start(into: &$1) }, format: .telephony,
            media: { payload, time in
                message { phone, buffer in
                    payload.withUnsafeReadableBytes { phone.media($0, timestamp: Int(time), into: &buffer) }
                }
            },
            dtmf: { key in message { $0.dtmf(key, into: &$1) } },
            // Twilio sends marks back as they came.
            mark: { $0 },
            stop: message { $0.stop(into: &$1) },
            heard: { message in
                var payload = ByteBuffer()
                _ = try? TwilioCommandDecoder(streamSid: "MZ1").decode(message, payload: &payload)
                return payload
            })
    }

    @Test func twilioConforms() {
        let failures = TransportConformance.check(Self.twilio) { TwilioSerializer() }
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    /// Twilio's serializer with one thing wrong.
    struct Broken: CarrierSerializer {
        enum Fault: CaseIterable, Sendable {
            case missesStart, losesNames, shortensMedia, losesTime, missesKeys, changesMarks, writesNoMarks, missesStop
            case writesNothing, writesTheFirst, writesOthers, neverClears, takesAnything, throwsOthers, isOffended
        }

        let fault: Fault
        private var serializer = TwilioSerializer()
        private var isOffended = false
        private var first: ByteBuffer?

        init(_ fault: Fault) { self.fault = fault }

        mutating func deserialize(_ message: ByteBuffer) throws -> CarrierEvent {
            if isOffended { throw PipelineError(.protocolViolation, "not after that") }
            let event: CarrierEvent
            do { event = try serializer.deserialize(message) } catch {
                switch fault {
                case .takesAnything: return .dtmf("0")
                case .throwsOthers: throw CancellationError()
                case .isOffended: isOffended = true
                default: break
                }
                throw error
            }
            switch (fault, event) {
            case (.missesStart, .started), (.missesKeys, .dtmf), (.missesStop, .stopped): return .ignored
            case (.losesNames, .started(var start, let format)):
                start.callSid = ""
                return .started(start, format)
            case (.shortensMedia, .audio(var payload, let position)) where payload.readableBytes > 1000:
                return .audio(payload.readSlice(length: 1000) ?? payload, position)
            case (.losesTime, .audio(let payload, _)):
                return .audio(payload, CarrierPosition(timestampMilliseconds: 0, chunk: nil))
            case (.changesMarks, .mark(let mark?)):
                return .mark(PlaybackMark(generation: mark.generation & 0xff, offsetMilliseconds: 0))
            default: return event
            }
        }

        mutating func audio(_ payload: ByteBuffer, into batch: inout MessageBatch) {
            switch fault {
            case .writesNothing: break
            case .writesTheFirst:
                first = first ?? payload
                serializer.audio(first ?? payload, into: &batch)
            case .writesOthers: serializer.audio(ByteBuffer(bytes: payload.readableBytesView.map(~)), into: &batch)
            default: serializer.audio(payload, into: &batch)
            }
        }

        mutating func mark(_ mark: PlaybackMark, into batch: inout MessageBatch) {
            if fault != .writesNoMarks { serializer.mark(mark, into: &batch) }
        }

        mutating func clear(into batch: inout MessageBatch) {
            if fault != .neverClears { serializer.clear(into: &batch) }
        }
    }

    @Test(arguments: Broken.Fault.allCases) func everyFaultIsFound(fault: Broken.Fault) {
        let rule: ConformanceFailure.Rule =
            switch fault {
            case .missesStart, .losesNames: .start
            case .shortensMedia, .losesTime: .media
            case .missesKeys: .dtmf
            case .changesMarks, .writesNoMarks: .mark
            case .missesStop: .stop
            case .writesNothing, .writesTheFirst, .writesOthers, .neverClears: .writes
            case .takesAnything, .throwsOthers, .isOffended: .malformed
            }
        let failures = TransportConformance.check(Self.twilio) { Broken(fault) }
        #expect(failures.contains { $0.rule == rule }, "\(failures.map(\.description).joined(separator: "\n"))")
    }
}
