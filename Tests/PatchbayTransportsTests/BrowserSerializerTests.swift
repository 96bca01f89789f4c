import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTransports
import Testing

@Suite struct BrowserSerializerTests {
    private func started(_ form: String = "binary") throws -> BrowserSerializer {
        var serializer = BrowserSerializer(format: .pcm(16_000))
        let event = try serializer.deserialize(
            ByteBuffer(string: #"{"type":"start","call":{"id":"WS1"},"audio":{"form":"\#(form)"}}"#))
        guard case .started(let start, let format) = event else {
            Issue.record("not started: \(event)")
            return serializer
        }
        #expect(start.callSid == "WS1" && format == .pcm(16_000))
        return serializer
    }

    private func binary(_ bytes: [UInt8]) -> ByteBuffer { ByteBuffer(bytes: [BrowserSerializer.binaryMark] + bytes) }

    private func texts(_ batch: MessageBatch) -> [String] {
        batch.messages.indices.map { String(buffer: batch.message(at: $0)) }
    }

    @Test func soundIsPlacedByWhatCameBefore() throws {
        var serializer = try started()
        for packet in 0..<3 {
            guard
                case .audio(let sound, let position) = try serializer.deserialize(
                    binary(Array(repeating: 1, count: 640)))
            else {
                Issue.record("no sound")
                return
            }
            #expect(sound.readableBytes == 640 && position.timestampMilliseconds == Int64(packet * 20))
        }
        guard
            case .audio(let sound, let position) = try serializer.deserialize(
                ByteBuffer(string: #"{"type":"audio","audio":"AQIDBA=="}"#))
        else {
            Issue.record("no sound")
            return
        }
        #expect(Array(sound.readableBytesView) == [1, 2, 3, 4] && position.timestampMilliseconds == 60)
    }

    @Test func soundGoesOutInTheFormThatWasAskedFor() throws {
        var batch = MessageBatch()
        var serializer = try started("base64")
        serializer.audio(ByteBuffer(bytes: [1, 2, 3, 4]), into: &batch)
        #expect(texts(batch) == [#"{"type":"audio","audio":"AQIDBA=="}"#])
        batch.clear()
        serializer = try started()
        serializer.audio(ByteBuffer(bytes: [1, 2, 3, 4]), into: &batch)
        #expect(batch.messages.map(\.kind) == [.binary])
        #expect(Array(batch.message(at: 0).readableBytesView) == [1, 2, 3, 4])
    }

    @Test func aMarkComesBackAsItWent() throws {
        var batch = MessageBatch()
        var serializer = try started()
        let mark = PlaybackMark(generation: 3, offsetMilliseconds: 4800)
        serializer.mark(mark, into: &batch)
        #expect(texts(batch) == [#"{"type":"mark","name":"3:4800"}"#])
        guard case .mark(mark) = try serializer.deserialize(batch.message(at: 0)) else {
            Issue.record("not the same mark")
            return
        }
        batch.clear()
        serializer.clear(into: &batch)
        #expect(texts(batch) == [#"{"type":"interruption"}"#])
    }

    @Test func nothingGoesOutBeforeStart() {
        var batch = MessageBatch()
        var serializer = BrowserSerializer(format: .pcm(16_000))
        serializer.audio(ByteBuffer(bytes: [1, 2]), into: &batch)
        serializer.mark(PlaybackMark(generation: 0, offsetMilliseconds: 0), into: &batch)
        serializer.clear(into: &batch)
        #expect(batch.isEmpty)
    }

    @Test(arguments: [
        #"{"type":"dtmf","digits":"12"}"#, #"{"type":"dtmf","digits":"x"}"#, #"{"type":"start"}"#, #"{"type":"mark"}"#,
        #"{"type":"audio","audio":"*"}"#, "[]", "",
    ])
    func whatCannotBeUsedIsAFault(_ text: String) throws {
        var serializer = try started()
        #expect(throws: (any Error).self) { try serializer.deserialize(ByteBuffer(string: text)) }
    }

    @Test func halfASampleAndSoundBeforeStartAreFaults() throws {
        var serializer = try started()
        #expect(throws: (any Error).self) { try serializer.deserialize(binary([1, 2, 3])) }
        var silent = BrowserSerializer(format: .pcm(16_000))
        #expect(throws: (any Error).self) { try silent.deserialize(binary([1, 2])) }
    }

    @Test func keysAndTheEnd() throws {
        var serializer = try started()
        guard case .dtmf("5") = try serializer.deserialize(ByteBuffer(string: #"{"type":"dtmf","digits":"5"}"#)) else {
            Issue.record("no key")
            return
        }
        guard case .stopped = try serializer.deserialize(ByteBuffer(string: #"{"type":"end"}"#)) else {
            Issue.record("no end")
            return
        }
    }
}
