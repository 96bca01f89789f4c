import NIOCore
import Testing

@testable import PatchbayWire

private let sid = "MZ0123456789abcdef0123456789abcdef"

@Suite struct TwilioMessageTests {
    private func decode(_ message: String, expecting streamSid: String? = sid) throws(WireError) -> TwilioMessage {
        var payload = ByteBuffer()
        var decoder = TwilioMessageDecoder()
        decoder.streamSid = streamSid
        return try decoder.decode(buffer(message), payload: &payload)
    }

    private func media(_ message: String) throws(WireError) -> (TwilioMessage, [UInt8]) {
        var payload = ByteBuffer()
        var decoder = TwilioMessageDecoder()
        decoder.streamSid = sid
        let decoded = try decoder.decode(buffer(message), payload: &payload)
        return (decoded, Array(payload.readableBytesView))
    }

    // MARK: Golden messages, as documented

    @Test func connected() throws {
        let message = try decode(#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#, expecting: nil)
        #expect(message == .connected(protocol: "Call", version: "1.0.0"))
    }

    @Test func start() throws {
        let message = try decode(
            #"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"FirstName":"Jane","RemoteParty":"B\u00f6b"}},"streamSid":"MZ1"}"#,
            expecting: nil)
        #expect(
            message
                == .start(
                    TwilioStart(
                        streamSid: "MZ1", callSid: "CA1", accountSid: "AC1", tracks: ["inbound"],
                        customParameters: ["FirstName": "Jane", "RemoteParty": "Böb"], sequenceNumber: 1)))
    }

    @Test func startWithWhatACallNeedsAndOtherTypes() throws {
        let message = try decode(
            #"{"start":{"callSid":"CA1","mediaFormat":{"encoding":"audio/x-l16","sampleRate":"16000","channels":"1"}},"streamSid":"MZ1","event":"start","future":[{}]}"#,
            expecting: nil)
        #expect(
            message
                == .start(
                    TwilioStart(
                        streamSid: "MZ1", callSid: "CA1",
                        mediaFormat: .init(encoding: "audio/x-l16", sampleRate: 16000, channels: 1), sequenceNumber: nil
                    )))
    }

    @Test func mediaAsDocumented() throws {
        let (message, payload) = try media(
            #"{"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"2","timestamp":"25","payload":"f39/f39/fw=="},"streamSid":"\#(sid)"}"#
        )
        #expect(
            message == .media(TwilioMedia(track: .inbound, chunk: 2, timestamp: 25, sequenceNumber: 4, byteCount: 7)))
        #expect(payload == [UInt8](repeating: 0x7F, count: 7))
    }

    @Test func otherEvents() throws {
        #expect(
            try decode(
                ##"{"event":"dtmf","streamSid":"\##(sid)","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"#"}}"##
            )
                == .dtmf(digit: "#"))
        #expect(
            try decode(#"{"event":"mark","sequenceNumber":"7","streamSid":"\#(sid)","mark":{"name":"my \"label\""}}"#)
                == .mark(name: "my \"label\""))
        #expect(
            try decode(
                #"{"event":"stop","sequenceNumber":"99","stop":{"accountSid":"AC1","callSid":"CA1"},"streamSid":"\#(sid)"}"#
            )
                == .stop(TwilioStop(accountSid: "AC1", callSid: "CA1")))
        #expect(try decode(#"{"event":"stop"}"#) == .stop(TwilioStop()))
        #expect(try decode(#"{"event":"new","media":{"payload":"a\"b","track":5}}"#) == .unknown(event: "new"))
        #expect(try decode(#"{"media":{"payload":"a\"b","track":5},"event":"new"}"#) == .unknown(event: "new"))
    }

    // MARK: Any order, any spelling

    @Test func mediaInAnyKeyOrder() throws {
        let expected = TwilioMessage.media(
            TwilioMedia(track: .outbound, chunk: 2, timestamp: 25, sequenceNumber: 4, byteCount: 3))
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<100 {
            let inner = [
                #""track":"outbound""#, #""chunk":2"#, #""timestamp" : "25""#, #""payload":"AQID""#, #""x":{"y":[1]}"#,
            ]
            .shuffled(using: &generator).joined(separator: " ,\n")
            let outer = [
                #""event":"media""#, #""sequenceNumber":4"#, "\"media\":{\(inner)}", "\"streamSid\":\"\(sid)\"",
                #""z":null"#,
            ]
            .shuffled(using: &generator).joined(separator: "\t, ")
            let (message, payload) = try media(" {\(outer)}\r\n")
            #expect(message == expected, "\(outer), seed 7")
            #expect(payload == [1, 2, 3])
        }
    }

    @Test(arguments: [
        #"{"event":"media","media":{"payload":"\/\/\/\/"}}"#,
        #"{"event":"media","media":{"payload":"\u002f\u002F/\/"}}"#,
        #"{"\u0065vent":"media","media":{"payload":"\/\/\/\/"}}"#,
        #"{"event":"\u006dedia","media":{"p\u0061yload":"////"}}"#,
        #"{"event":"media","media":{"tr\u0061ck":"inbound","payload":"////"}}"#,
        #"{"event":"media","media":{"track":"inb\u006fund","payload":"////"}}"#,
        #"{"event":"media","streamSid":"\u004dZ0123456789abcdef0123456789abcdef","media":{"payload":"////"}}"#,
        #"{"event":"media","media":{"payload":"AAAA"},"media":{"payload":"////"}}"#,
        #"{"event":"media","media":{"payload":"AAAA","payload":"////"}}"#,
        #"{"event":"mark","event":"media","media":{"payload":"////"}}"#,
    ])
    func unusualSpellings(text: String) throws {
        let (message, payload) = try media(text)
        #expect(payload == [0xFF, 0xFF, 0xFF], "\(message)")
    }

    // MARK: What must not pass

    @Test(
        arguments: [
            (#"{"event":"media","media":{"payload":"AA"}}"#, .invalidBase64),
            (#"{"event":"media","media":{"payload":"AA-_"}}"#, .invalidBase64),
            (#"{"event":"media","media":{"payload":"A\nAA"}}"#, .invalidBase64),
            ("{\"event\":\"media\",\"media\":{\"payload\":\"A\nAA\"}}", .malformedJSON),
            ("{\"event\":\"media\",\"media\":{\"payload\":\"A\nA\",\"payload\":\"AAAA\"}}", .malformedJSON),
            (#"{"event":"media","media":{"payload":"AA\q="}}"#, .malformedJSON),
            (#"{"event":"media","media":{"payload":5}}"#, .wrongType),
            (#"{"event":"media","media":{}}"#, .missingField),
            (#"{"event":"media","media":[]}"#, .wrongType),
            (#"{"event":"media"}"#, .missingField),
            (#"{"event":"media","media":{"payload":"AAAA","track":"sideways"}}"#, .invalidValue),
            (#"{"event":"media","media":{"payload":"AAAA","chunk":"x"}}"#, .wrongType),
            (#"{"event":"media","media":{"payload":"AAAA"},"streamSid":"MZ9"}"#, .wrongStream),
            (
                #"{"event":"media","media":{"payload":"AAAA"},"streamSid":"MZ0123456789abcdef0123456789abcdeF"}"#,
                .wrongStream
            ),
            (#"{"event":"media","media":{"payload":"AAAA"},"streamSid":"\u004dZ9"}"#, .wrongStream),
            (#"{"event":"media","media":{"payload":"AAAA"}} x"#, .malformedJSON),
            (#"{"event":"mark","mark":{"name":"m"},"streamSid":"MZ9"}"#, .wrongStream),
            (#"{"event":"mark","mark":{}}"#, .missingField), (#"{"event":"mark"}"#, .missingField),
            (#"{"event":"dtmf","dtmf":{"digit":"12"}}"#, .invalidValue),
            (#"{"event":"dtmf","dtmf":{"digit":"x"}}"#, .invalidValue),
            (#"{"event":"dtmf","dtmf":{"digit":""}}"#, .invalidValue),
            (#"{"event":"dtmf","dtmf":{"digit":1}}"#, .wrongType),
            (#"{"event":"start"}"#, .missingField), (#"{"event":"start","start":{"callSid":"CA1"}}"#, .missingField),
            (#"{"event":"start","start":{"streamSid":"MZ1"}}"#, .missingField),
            (#"{"event":"start","streamSid":"MZ2","start":{"streamSid":"MZ1","callSid":"CA1"}}"#, .wrongStream),
            (#"{"event":5}"#, .wrongType), (#"{"event":null}"#, .missingField), ("{}", .missingField),
            ("[]", .malformedJSON),
            ("", .malformedJSON), ("hello", .malformedJSON),
        ] as [(String, WireError.Code)])
    func refused(text: String, code: WireError.Code) {
        #expect(errorCode { () throws(WireError) in _ = try decode(text) } == code, "\(text)")
    }

    @Test func everyTruncationThrows() throws {
        let whole = Array(
            #"{"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"2","timestamp":"25","payload":"f39\/f39/fw=="},"streamSid":"\#(sid)"}"#
                .utf8)
        let decoder = TwilioMessageDecoder()
        let message = ByteBuffer(bytes: whole)
        for length in 0..<whole.count {
            var payload = ByteBuffer(string: "kept")
            // A slice: the rest of the message lies behind its end, and a reader that goes too far would find it.
            let cut = try #require(message.getSlice(at: 0, length: length))
            #expect(throws: WireError.self, "the first \(length) bytes") {
                try decoder.decode(cut, payload: &payload)
            }
            #expect(String(buffer: payload) == "kept")
        }
    }

    @Test func payloadsHaveALimit() throws {
        var decoder = TwilioMessageDecoder(maximumPayload: 30)
        decoder.streamSid = sid
        var payload = ByteBuffer()
        let fits = String(repeating: "AAAA", count: 10), tooMuch = fits + "AA=="
        _ = try decoder.decode(buffer(#"{"event":"media","media":{"payload":"\#(fits)"}}"#), payload: &payload)
        #expect(payload.readableBytes == 30)
        for text in [
            tooMuch, tooMuch + fits + fits, #"\/"# + tooMuch.dropFirst(), String(repeating: "\\u0041", count: 44),
        ] {
            let code = errorCode { () throws(WireError) in
                _ = try decoder.decode(buffer(#"{"event":"media","media":{"payload":"\#(text)"}}"#), payload: &payload)
            }
            #expect(code == .tooLarge, "\(text)")
        }
        // Forty characters of escaped text are within the limit.
        let escaped = String(repeating: "\\u0041", count: 40)
        _ = try decoder.decode(buffer(#"{"event":"media","media":{"payload":"\#(escaped)"}}"#), payload: &payload)
        #expect(payload.readableBytes == 60)
    }

    @Test func readsFromTheReaderIndex() throws {
        var message = buffer(#"junk{"event":"mark","mark":{"name":"m"}}"#)
        message.moveReaderIndex(forwardBy: 4)
        var payload = ByteBuffer()
        #expect(try TwilioMessageDecoder().decode(message, payload: &payload) == .mark(name: "m"))
    }
}
