import NIOCore
import PatchbayWire
import Testing

@Suite struct ElevenLabsAlignmentTests {
    private func alignment(_ json: String) throws -> ElevenLabsAlignment? {
        let message = #"{"type":"audio","audio_event":{"audio_base_64":"AAAA","event_id":5,"alignment":\#(json)}}"#
        var audio = ByteBuffer()
        var alignment: ElevenLabsAlignment? = ElevenLabsAlignment(characters: 9, milliseconds: 9)
        let decoded = try ElevenLabsServerMessage.decode(
            ByteBuffer(string: message), audio: &audio, alignment: &alignment)
        #expect(decoded == .audio(eventId: 5, byteCount: 3), "the sound does not depend on it")
        return alignment
    }

    @Test func tellsTheCharactersAndTheirEnd() throws {
        let whole =
            #"{"chars":["H","i","\u00e4"," "],"char_start_times_ms":[0, 60,90,150],"char_durations_ms":[60,30,60,40]}"#
        #expect(try alignment(whole) == ElevenLabsAlignment(characters: 4, milliseconds: 190))
        let turned = #"{"x":{"y":[1]},"char_durations_ms":[60],"char_start_times_ms":[5],"chars":["H"],"z":null}"#
        #expect(try alignment(turned) == ElevenLabsAlignment(characters: 1, milliseconds: 65))
    }

    @Test(arguments: [
        "null", "{}", "[]", "5", #""text""#, #"{"chars":[],"char_start_times_ms":[],"char_durations_ms":[]}"#,
        #"{"chars":["a"]}"#, #"{"chars":"a","char_start_times_ms":[1],"char_durations_ms":[1]}"#,
        #"{"chars":["a"],"char_start_times_ms":["x"],"char_durations_ms":[1]}"#,
        #"{"chars":["a"],"char_start_times_ms":[1.5],"char_durations_ms":[1]}"#,
        #"{"chars":["a"],"char_start_times_ms":[-1],"char_durations_ms":[1]}"#,
        #"{"chars":["a"],"char_start_times_ms":[99999999999999999999],"char_durations_ms":[1]}"#,
        #"{"chars":["a"],"char_start_times_ms":[9223372036854775807],"char_durations_ms":[1]}"#,
        #"{"chars":[[["a"]]],"char_start_times_ms":[{}],"char_durations_ms":[null]}"#,
    ])
    func whatCannotBeUsedIsLeftOut(json: String) throws { #expect(try alignment(json) == nil) }

    @Test(arguments: [#"{"chars":["a""#, #"{"chars":["a",]}"#, #"{"chars" ["a"]}"#, "{"])
    func brokenMessagesAreRefused(json: String) {
        #expect(throws: WireError.self) { try alignment(json) }
    }

    @Test func otherMessagesHaveNone() throws {
        var audio = ByteBuffer()
        var alignment: ElevenLabsAlignment? = ElevenLabsAlignment(characters: 9, milliseconds: 9)
        let ping = ByteBuffer(string: #"{"type":"ping","ping_event":{"event_id":3,"ping_ms":42}}"#)
        _ = try ElevenLabsServerMessage.decode(ping, audio: &audio, alignment: &alignment)
        #expect(alignment == nil)
    }
}
