import Testing

@testable import PatchbayWire

/// Expected texts as the `twilio` library for Python 9.13.0 prints them.
@Suite struct TwiMLTests {
    private static let prolog = #"<?xml version="1.0" encoding="UTF-8"?>"#

    private func body(_ verbs: TwiML.Verb...) throws -> String {
        let document = try TwiML(verbs).document()
        #expect(document.hasPrefix(Self.prolog))
        return String(document.dropFirst(Self.prolog.count))
    }

    @Test func emptyDocument() throws {
        #expect(try TwiML().document() == #"<?xml version="1.0" encoding="UTF-8"?><Response />"#)
    }

    @Test func simpleVerbs() throws {
        #expect(
            try body(.say("Fish & chips <3 \"quoted\" it's é", voice: "Polly.Joanna", language: "en-US", loop: 2))
                == #"<Response><Say language="en-US" loop="2" voice="Polly.Joanna">Fish &amp; chips &lt;3 "quoted" it's é</Say></Response>"#
        )
        #expect(
            try body(.play("https://a/b?c=1&d=2", loop: 0), .pause(seconds: 2), .pause(), .hangup)
                == #"<Response><Play loop="0">https://a/b?c=1&amp;d=2</Play><Pause length="2" /><Pause /><Hangup /></Response>"#
        )
        #expect(try body(.reject(reason: .busy)) == #"<Response><Reject reason="busy" /></Response>"#)
        #expect(
            try body(.redirect("/x?y=1&z=2", method: .post))
                == #"<Response><Redirect method="POST">/x?y=1&amp;z=2</Redirect></Response>"#)
    }

    @Test func dial() throws {
        #expect(
            try body(
                .dial(
                    TwiML.Dial(
                        .number("+15551234567"), callerId: "+1", action: "/done", method: .get, timeout: 20,
                        timeLimit: 60,
                        answerOnBridge: true)))
                == #"<Response><Dial action="/done" answerOnBridge="true" callerId="+1" method="GET" timeLimit="60" timeout="20">+15551234567</Dial></Response>"#
        )
        #expect(
            try body(
                .dial(.init(.sip("sip:a@b?x=1&y=2"))), .dial(.init(.client("joe"))), .dial(.init(.conference("room"))))
                == "<Response><Dial><Sip>sip:a@b?x=1&amp;y=2</Sip></Dial><Dial><Client>joe</Client></Dial><Dial><Conference>room</Conference></Dial></Response>"
        )
    }

    @Test func streams() throws {
        let stream = TwiML.Stream(
            url: "wss://e/m", name: "agent", track: .inbound, statusCallback: "https://e/s",
            statusCallbackMethod: .post,
            parameters: [.init(name: "to\"k<>&'\n\t\ren", value: "s&東")])
        #expect(
            try body(.connect(stream, action: "https://e/x", method: .post), .hangup)
                == #"<Response><Connect action="https://e/x" method="POST"><Stream name="agent" statusCallback="https://e/s" statusCallbackMethod="POST" track="inbound_track" url="wss://e/m"><Parameter name="to&quot;k&lt;&gt;&amp;'&#10;&#09;&#13;en" value="s&amp;東" /></Stream></Connect><Hangup /></Response>"#
        )
        #expect(
            try body(.start(.init(url: "wss://e/m", track: .both)))
                == #"<Response><Start><Stream track="both_tracks" url="wss://e/m" /></Start></Response>"#)
    }

    @Test func charactersThatXMLCannotHoldAreLeftOut() throws {
        let text = "a\u{0}\u{8}\u{B}\u{C}\u{1F}\u{FFFE}\u{FFFF}b\t\n\rc👋"
        #expect(try body(.say(text)) == "<Response><Say>ab\t\n\rc👋</Say></Response>")
    }

    @Test(arguments: [
        "wss://voice.example.com/twilio/stream", "wss://voice.example.com", "wss://voice.example.com:8443/x",
        "wss://[2001:db8::1]/x", "ws://127.0.0.1:8080/s", "ws://localhost/s", "ws://LOCALHOST:1/s", "ws://[::1]:8080/s",
    ])
    func goodStreamURLs(url: String) throws {
        _ = try TwiML([.connect(TwiML.Stream(url: url))]).document()
    }

    @Test(arguments: [
        "", "/relative", "https://voice.example.com/s", "WSS", "wss://", "wss:///path", "ws://voice.example.com/s",
        "ws://127.0.0.1.example.com/s", "ws://localhost.example.com/s", "ws://user@example.com:80/s",
        "ws://127.0.0.1@example.com/s",
        "wss://voice.example.com/s?token=1", "wss://voice.example.com/s?", "wss://voice.example.com/s#x",
        "wss://voice.example.com/a b", "wss://voice.example.com/a\nb", "wss://[::1/s", "wss://voice.example.com:x/s",
    ])
    func badStreamURLs(url: String) {
        for verb in [TwiML.Verb.connect(.init(url: url)), .start(.init(url: url))] {
            #expect(errorCode { () throws(WireError) in _ = try TwiML([verb]).document() } == .invalidValue)
        }
    }

    @Test func limits() throws {
        func code(_ verbs: TwiML.Verb...) -> WireError.Code? {
            errorCode { () throws(WireError) in _ = try TwiML(verbs).document() }
        }
        func parameter(_ count: Int) -> TwiML.Verb {
            .connect(
                .init(
                    url: "wss://e/m", parameters: [.init(name: "name", value: String(repeating: "é", count: count - 4))]
                ))
        }
        #expect(code(parameter(499)) == nil)
        #expect(code(parameter(500)) == .tooLarge)
        #expect(code(.connect(.init(url: "wss://e/m", parameters: [.init(name: "", value: "x")]))) == .invalidValue)
        #expect(code(.connect(.init(url: "wss://e/m", track: .both))) == .invalidValue)
        #expect(code(.connect(.init(url: "wss://e/m", track: .outbound))) == .invalidValue)
        #expect(code(.pause(seconds: 1), .reject()) == .invalidValue)
        #expect(code(.redirect("")) == .invalidValue)
        #expect(code(.play("")) == .invalidValue)
        #expect(code(.say("x", loop: -1)) == .invalidValue)
        let frame = Self.prolog.utf8.count + "<Response><Say></Say></Response>".utf8.count
        #expect(code(.say(String(repeating: "x", count: TwiML.maximumSize - frame))) == nil)
        #expect(code(.say(String(repeating: "x", count: TwiML.maximumSize - frame + 1))) == .tooLarge)
    }
}
