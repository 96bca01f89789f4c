import NIOCore
import Testing

@testable import PatchbayWire

private let audio: [UInt8] = Array(0..<160)

@Suite struct TwilioWriterTests {
    @Test func serverMessagesAreExact() {
        let writer = TwilioStreamWriter(streamSid: "MZ1")
        #expect(
            text { out in
                [0x7F, 0x7F].withUnsafeBytes { writer.media(UnsafeRawBufferPointer(rebasing: $0[..<1]), into: &out) }
            }
                == #"{"event":"media","streamSid":"MZ1","media":{"payload":"fw=="}}"#)
        #expect(
            text { writer.media(UnsafeRawBufferPointer(start: nil, count: 0), into: &$0) }
                == #"{"event":"media","streamSid":"MZ1","media":{"payload":""}}"#)
        #expect(
            text { writer.mark("g1:\"4800\"\n", into: &$0) }
                == #"{"event":"mark","streamSid":"MZ1","mark":{"name":"g1:\"4800\"\n"}}"#)
        #expect(text { writer.clear(into: &$0) } == #"{"event":"clear","streamSid":"MZ1"}"#)
    }

    @Test func aStrangeStreamSidCannotBreakOut() throws {
        let sid = "MZ\",\"event\":\"x\\"
        let writer = TwilioStreamWriter(streamSid: sid)
        var payload = ByteBuffer()
        let decoder = TwilioCommandDecoder(streamSid: sid)
        for message in [
            text { out in audio.withUnsafeBytes { writer.media($0, into: &out) } }, text { writer.clear(into: &$0) },
            text { writer.mark("m", into: &$0) },
        ] {
            _ = try decoder.decode(buffer(message), payload: &payload)
        }
        #expect(Array(payload.readableBytesView) == audio)
    }

    @Test func thePhoneWritesWhatTwilioWrites() {
        var phone = TwilioPhoneWriter(
            start: TwilioStart(
                streamSid: "MZ1", callSid: "CA1", accountSid: "AC1", customParameters: ["token": "a\"b", "from": "+1"]))
        #expect(text { phone.connected(into: &$0) } == #"{"event":"connected","protocol":"Call","version":"1.0.0"}"#)
        #expect(
            text { phone.start(into: &$0) }
                == #"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"from":"+1","token":"a\"b"}},"streamSid":"MZ1"}"#
        )
        let bytes: [UInt8] = [1, 2, 3]
        #expect(
            text { out in bytes.withUnsafeBytes { phone.media($0, timestamp: 0, into: &out) } }
                == #"{"event":"media","sequenceNumber":"2","media":{"track":"inbound","chunk":"1","timestamp":"0","payload":"AQID"},"streamSid":"MZ1"}"#
        )
        #expect(
            text { out in bytes.withUnsafeBytes { phone.media($0, track: .outbound, timestamp: 1020, into: &out) } }
                == #"{"event":"media","sequenceNumber":"3","media":{"track":"outbound","chunk":"1","timestamp":"1020","payload":"AQID"},"streamSid":"MZ1"}"#
        )
        #expect(
            text { phone.dtmf("#", into: &$0) }
                == ##"{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"4","dtmf":{"track":"inbound_track","digit":"#"}}"##
        )
        #expect(
            text { phone.mark("m", into: &$0) }
                == #"{"event":"mark","sequenceNumber":"5","streamSid":"MZ1","mark":{"name":"m"}}"#)
        #expect(
            text { phone.stop(into: &$0) }
                == #"{"event":"stop","sequenceNumber":"6","stop":{"accountSid":"AC1","callSid":"CA1"},"streamSid":"MZ1"}"#
        )
    }

    @Test func whatThePhoneWritesReadsBack() throws {
        let start = TwilioStart(
            streamSid: "MZ1", callSid: "CA1", accountSid: "AC1", tracks: ["inbound", "outbound"],
            customParameters: ["a": "1", "b": "é\u{1}"])
        var phone = TwilioPhoneWriter(start: start)
        var decoder = TwilioMessageDecoder()
        var payload = ByteBuffer()
        var out = ByteBuffer()
        phone.start(into: &out)
        #expect(try decoder.decode(out, payload: &payload) == .start(start))
        decoder.streamSid = "MZ1"
        for chunk in 1...30 {
            out.clear()
            payload.clear()
            audio.withUnsafeBytes { phone.media($0, timestamp: chunk * 20, into: &out) }
            #expect(
                try decoder.decode(out, payload: &payload)
                    == .media(
                        TwilioMedia(chunk: chunk, timestamp: chunk * 20, sequenceNumber: chunk + 1, byteCount: 160)))
            #expect(Array(payload.readableBytesView) == audio)
        }
    }

    @Test func integersOfEveryWidth() {
        for value in [0, 1, 9, 10, 99, 100, 12_345, -1, -90, Int.max, Int.min] {
            #expect(
                text { ElevenLabsWriter.pong(eventId: value, into: &$0) } == #"{"type":"pong","event_id":\#(value)}"#)
        }
    }

    // MARK: Commands, as strict as Twilio

    @Test func commands() throws {
        let decoder = TwilioCommandDecoder(streamSid: "MZ1")
        var payload = ByteBuffer()
        #expect(
            try decoder.decode(
                buffer(#"{"event":"media","streamSid":"MZ1","media":{"payload":"AQID"}}"#), payload: &payload)
                == .media(byteCount: 3))
        #expect(
            try decoder.decode(
                buffer(#"{ "media" : {"payload":"\/w=="}, "streamSid":"\u004dZ1", "event":"media" }"#),
                payload: &payload)
                == .media(byteCount: 1))
        #expect(Array(payload.readableBytesView) == [1, 2, 3, 0xFF])
        #expect(
            try decoder.decode(buffer(#"{"event":"mark","streamSid":"MZ1","mark":{"name":"a\"b"}}"#), payload: &payload)
                == .mark(name: "a\"b"))
        #expect(try decoder.decode(buffer(#"{"event":"clear","streamSid":"MZ1"}"#), payload: &payload) == .clear)
    }

    @Test(
        arguments: [
            (#"{"event":"media","stream_sid":"MZ1","media":{"payload":"AQID"}}"#, .unexpectedField),
            (#"{"event":"media","streamSid":"MZ1","media":{"payload":"AQID"},"sequenceNumber":"1"}"#, .unexpectedField),
            (#"{"event":"media","streamSid":"MZ1","media":{"payload":"AQID","track":"outbound"}}"#, .unexpectedField),
            (#"{"event":"media","streamSid":"MZ1","media":{"payload":"AQID","payload":"AQID"}}"#, .unexpectedField),
            (
                #"{"event":"media","streamSid":"MZ1","media":{"payload":"AQID"},"media":{"payload":"AQID"}}"#,
                .unexpectedField
            ),
            (#"{"event":"media","streamSid":"MZ1","media":{"payload":"AQID"},"mark":{"name":"x"}}"#, .unexpectedField),
            (#"{"event":"clear","streamSid":"MZ1","media":{"payload":"AQID"}}"#, .unexpectedField),
            (#"{"event":"clear","streamSid":"MZ1","mark":{"name":"x"}}"#, .unexpectedField),
            (#"{"event":"media","streamSid":"MZ2","media":{"payload":"AQID"}}"#, .wrongStream),
            (#"{"event":"media","media":{"payload":"AQID"}}"#, .missingField),
            (#"{"event":"media","streamSid":"MZ1"}"#, .missingField),
            (#"{"event":"media","streamSid":"MZ1","media":{}}"#, .missingField),
            (#"{"event":"mark","streamSid":"MZ1"}"#, .missingField),
            (#"{"event":"mark","streamSid":"MZ1","mark":{}}"#, .missingField),
            (#"{"streamSid":"MZ1"}"#, .missingField),
            (#"{"event":"stop","streamSid":"MZ1"}"#, .unknownEvent),
            (#"{"event":"media","streamSid":"MZ1","media":{"payload":"A"}}"#, .invalidBase64),
            (#"{"event":"media","streamSid":"MZ1","media":{"payload":1}}"#, .wrongType),
            (#"{"event":1,"streamSid":"MZ1"}"#, .wrongType),
            (#"{"event":"clear","streamSid":"MZ1"} "# + "x", .malformedJSON), ("not json", .malformedJSON),
            ("", .malformedJSON),
        ] as [(String, WireError.Code)])
    func commandsRefused(text: String, code: WireError.Code) {
        let decoder = TwilioCommandDecoder(streamSid: "MZ1")
        var payload = ByteBuffer()
        #expect(
            errorCode { () throws(WireError) in _ = try decoder.decode(buffer(text), payload: &payload) } == code,
            "\(text)")
        #expect(payload.readableBytes == 0)
    }
}
