import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbayTransports

@Suite struct TwilioSerializerTests {
    private let start =
        #"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"a":"b"}},"streamSid":"MZ1"}"#
    private let media =
        #"{"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"2","timestamp":"25","payload":"f39/"},"streamSid":"MZ1"}"#

    private func texts(_ batch: MessageBatch) -> [String] {
        batch.messages.indices.map { String(buffer: batch.message(at: $0)) }
    }

    @Test func startMediaMarkStop() throws {
        var serializer = TwilioSerializer()
        guard
            case .ignored = try serializer.deserialize(
                ByteBuffer(string: #"{"event":"connected","protocol":"Call","version":"1.0.0"}"#)),
            case .started(let call, let format) = try serializer.deserialize(ByteBuffer(string: start))
        else {
            Issue.record("connected and start")
            return
        }
        #expect(call == CallStart(callSid: "CA1", streamSid: "MZ1", parameters: ["a": "b"]))
        #expect(format == .telephony)
        guard case .audio(let payload, let position) = try serializer.deserialize(ByteBuffer(string: media)) else {
            Issue.record("media")
            return
        }
        #expect(Array(payload.readableBytesView) == [0x7F, 0x7F, 0x7F])
        #expect(position == CarrierPosition(timestampMilliseconds: 25, chunk: 2))
        let mark = #"{"event":"mark","sequenceNumber":"7","streamSid":"MZ1","mark":{"name":"3:4800"}}"#
        guard case .mark(let ours) = try serializer.deserialize(ByteBuffer(string: mark)) else {
            Issue.record("mark")
            return
        }
        #expect(ours == PlaybackMark(generation: 3, offsetMilliseconds: 4800))
        guard case .stopped = try serializer.deserialize(ByteBuffer(string: #"{"event":"stop","stop":{}}"#)) else {
            Issue.record("stop")
            return
        }
    }

    @Test func ourMessagesAreTwiliosToTheLetter() throws {
        var serializer = TwilioSerializer()
        var batch = MessageBatch()
        serializer.audio(ByteBuffer(bytes: [1]), into: &batch)
        #expect(batch.isEmpty, "nothing can be addressed before the start")
        _ = try serializer.deserialize(ByteBuffer(string: start))
        serializer.audio(ByteBuffer(bytes: [0x7F, 0x7F, 0x7F]), into: &batch)
        serializer.mark(PlaybackMark(generation: 3, offsetMilliseconds: 4800), into: &batch)
        serializer.clear(into: &batch)
        #expect(
            texts(batch) == [
                #"{"event":"media","streamSid":"MZ1","media":{"payload":"f39/"}}"#,
                #"{"event":"mark","streamSid":"MZ1","mark":{"name":"3:4800"}}"#,
                #"{"event":"clear","streamSid":"MZ1"}"#,
            ])
    }

    @Test(arguments: [
        #"{"event":"media","media":{"payload":"f39/"}}"#,  // before start
        "", "{", "null", #"{"event":"media","media":{"payload":"f39"}}"#, #"{"event":"start","start":{}}"#,
    ])
    func wrongMessagesAreErrors(text: String) {
        var serializer = TwilioSerializer()
        #expect(throws: (any Error).self) { try serializer.deserialize(ByteBuffer(string: text)) }
    }

    @Test func aSecondStartAndAnotherStreamAreErrors() throws {
        var serializer = TwilioSerializer()
        _ = try serializer.deserialize(ByteBuffer(string: start))
        #expect(throws: (any Error).self) { try serializer.deserialize(ByteBuffer(string: start)) }
        #expect(throws: WireError.self) {
            try serializer.deserialize(ByteBuffer(string: media.replacing("MZ1", with: "MZ2")))
        }
        guard case .audio = try serializer.deserialize(ByteBuffer(string: media)) else {
            Issue.record("the call goes on")
            return
        }
    }

    @Test func unknownEncodingsAreRefusedInWords() {
        var serializer = TwilioSerializer()
        #expect(throws: PipelineError.self) {
            try serializer.deserialize(ByteBuffer(string: start.replacing("audio/x-mulaw", with: "audio/opus")))
        }
    }
}
