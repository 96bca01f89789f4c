import NIOCore
import PatchbayWire
import Testing

@Suite struct AgentSocketMessageTests {
    private func server(_ text: String) throws(WireError) -> (message: AgentSocketServerMessage, audio: [UInt8]) {
        var audio = ByteBuffer()
        let message = try AgentSocketServerMessage.decode(ByteBuffer(string: text), audio: &audio)
        return (message, Array(audio.readableBytesView))
    }

    private func code(_ text: String) -> WireError.Code? {
        do throws(WireError) {
            _ = try server(text)
            return nil
        } catch {
            return error.code
        }
    }

    static let ofAnAgent: [(AgentSocketServerMessage, String)] = [
        (.ready(.init(), conversation: nil), #"{"type":"ready"}"#),
        (
            .ready(
                .init(
                    form: .base64, input: .init(.mulaw, sampleRate: 8000), output: .init(.pcm16, sampleRate: 24000)),
                conversation: "c-1"),
            #"{"type":"ready","audio":{"form":"base64","input":"mulaw_8000","output":"pcm16_24000"},"conversation":"c-1"}"#
        ),
        (.turnEnded, #"{"type":"turnEnded"}"#),
        (
            .text(.init("Grüß \"Gott\"", speaker: .agent)),
            #"{"type":"text","speaker":"agent","text":"Grüß \"Gott\"","final":true}"#
        ),
        (
            .text(.init("a", speaker: .caller, isFinal: false, isCorrection: true)),
            #"{"type":"text","speaker":"caller","text":"a","final":false,"correction":true}"#
        ),
        (.interruption(cause: nil), #"{"type":"interruption"}"#),
        (.interruptible(false), #"{"type":"interruptible","allowed":false}"#),
        (.dtmf("12#"), #"{"type":"dtmf","digits":"12#"}"#),
        (
            .toolCall(id: "1", name: "book", arguments: #"{"at":[1,2]}"#),
            #"{"type":"toolCall","id":"1","name":"book","arguments":{"at":[1,2]}}"#
        ),
        (.toolCancel(ids: ["1", "2"]), #"{"type":"toolCancel","ids":["1","2"]}"#),
        (.hangUp(reason: "bye"), #"{"type":"hangUp","reason":"bye"}"#),
        (.transfer(to: "+15550100077"), #"{"type":"transfer","to":"+15550100077"}"#),
        (.reconnect(cause: nil), #"{"type":"reconnect"}"#),
        (
            .error(.init(code: "quota", message: "full", isRetryable: true)),
            #"{"type":"error","code":"quota","message":"full","retryable":true}"#
        ),
        (.ping(id: 7), #"{"type":"ping","id":7}"#),
        (.pong(id: nil), #"{"type":"pong"}"#),
        (.other(type: "mood"), #"{"type":"mood"}"#),
    ]

    @Test(arguments: ofAnAgent)
    func messagesOfAnAgentComeBackAsTheyWereWritten(_ message: AgentSocketServerMessage, _ text: String) throws {
        var buffer = ByteBuffer()
        message.write(into: &buffer)
        #expect(String(buffer: buffer) == text)
        #expect(try server(text).message == message)
    }

    @Test func unknownKeysAreIgnoredAndDefaultsHold() throws {
        #expect(
            try server(#"{"text":"Hi","mood":{"deep":[1]},"type":"text"}"#).message
                == .text(.init("Hi", speaker: .agent)))
        #expect(
            try server(#"{"type":"toolCall","id":"1","name":"n"}"#).message
                == .toolCall(id: "1", name: "n", arguments: "{}"))
        #expect(try server(#"{"type":"error"}"#).message == .error(.init(code: "failed", message: "")))
        #expect(
            try server(#"{"type":"ready","audio":null,"conversation":null}"#).message
                == .ready(.init(), conversation: nil))
    }

    @Test func audioIsReadInAnyOrderOfKeys() throws {
        for text in [
            #"{"type":"audio","audio":"AQL/"}"#, #"{ "audio" : "AQL/", "more": {"audio": 1}, "type" : "audio" }"#,
            #"{"type":"audio","audio":"AQL\/"}"#, #"{"\u0074ype":"audio","audio":"AQL/"}"#,
        ] {
            let (message, audio) = try server(text)
            #expect(message == .audio(byteCount: 3) && audio == [1, 2, 255], "\(text)")
        }
        #expect(try server(#"{"type":"audio","audio":""}"#).message == .audio(byteCount: 0))
    }

    static let wrong: [(String, WireError.Code)] = [
        ("", .malformedJSON), ("no JSON", .malformedJSON), ("[]", .malformedJSON),
        (#"{"type":"ready""#, .malformedJSON),
        (#"{}"#, .missingField), (#"{"type":7}"#, .wrongType), (#"{"type":"audio"}"#, .missingField),
        (#"{"type":"audio","audio":"A"}"#, .invalidBase64), (#"{"type":"audio","audio":7}"#, .wrongType),
        (#"{"type":"ready","audio":"binary"}"#, .wrongType),
        (#"{"type":"ready","audio":{"input":"pcm_16000"}}"#, .unsupported),
        (#"{"type":"ready","audio":{"form":"morse"}}"#, .invalidValue),
        (#"{"type":"text"}"#, .missingField), (#"{"type":"text","text":"a","speaker":"dog"}"#, .invalidValue),
        (#"{"type":"text","text":"a","final":"yes"}"#, .wrongType),
        (#"{"type":"interruptible"}"#, .missingField), (#"{"type":"dtmf","digits":"x"}"#, .invalidValue),
        (#"{"type":"dtmf","digits":""}"#, .invalidValue),
        (#"{"type":"dtmf","digits":"\#(String(repeating: "1", count: 33))"}"#, .tooLarge),
        (#"{"type":"toolCall","name":"n"}"#, .missingField),
        (#"{"type":"toolCall","id":"1","name":"n","arguments":"{}"}"#, .wrongType),
        (#"{"type":"toolCall","id":"\#(String(repeating: "i", count: 129))","name":"n"}"#, .tooLarge),
        (#"{"type":"toolCancel","ids":"1"}"#, .missingField), (#"{"type":"toolCancel","ids":[1]}"#, .wrongType),
        (#"{"type":"transfer","to":"a b"}"#, .invalidValue), (#"{"type":"transfer"}"#, .missingField),
        (#"{"type":"ping","id":"x"}"#, .wrongType),
        (#"{"type":"text","text":"\#(String(repeating: "a", count: 16385))"}"#, .tooLarge),
    ]

    @Test(arguments: wrong)
    func whatCannotBeUsedIsATypedError(_ text: String, _ expected: WireError.Code) {
        #expect(code(text) == expected)
    }

    @Test func aMessageThatEndsEarlyIsNeverTakenForAnother() {
        for (_, text) in Self.ofAnAgent {
            for length in 0..<text.utf8.count {
                let part = String(decoding: text.utf8.prefix(length), as: UTF8.self)
                #expect(code(part) != nil, "\(part)")
            }
        }
    }

    static let ofPatchbay: [AgentSocketClientMessage] = [
        .callStarted, .speechStarted, .speechStopped, .turnStarted, .turnEnded,
        .text(.init("a", speaker: .caller, isFinal: false)),
        .interruption(cause: "the caller spoke", .init(text: "On", milliseconds: 420, isComplete: false)),
        .heard(.init(text: "On which day?", milliseconds: 1140, isComplete: true)), .dtmf("5"),
        .toolResult(id: "1", name: "book", output: #"{"ok":true}"#, isError: false), .context("more"),
        .end(reason: "callerHungUp", detail: ""), .ping(id: 1), .pong(id: 2), .other(type: "later"),
    ]

    @Test(arguments: ofPatchbay)
    func messagesOfPatchbayComeBackAsTheyWereWritten(_ message: AgentSocketClientMessage) throws {
        var buffer = ByteBuffer(), audio = ByteBuffer()
        message.write(into: &buffer)
        #expect(try AgentSocketClientMessage.decode(buffer, audio: &audio) == message)
    }

    @Test func aStartKeepsEverything() throws {
        let start = AgentSocketStart(
            call: .init(
                id: "call_1", carrierId: "CA1", from: "+15550100009", to: "+15550100001", direction: "outbound",
                pipeline: "salon"),
            audio: .init(
                form: .base64, inputs: [.init(.mulaw, sampleRate: 8000), .init(.pcm16, sampleRate: 16000)],
                outputs: [.init(.alaw, sampleRate: 8000)]),
            variables: ["n": .number(3), "x": .number(1.5), "vip": .bool(true), "name": .string("Kutz")],
            tools: [.init("book", description: "Books.", parameters: #"{"type":"object"}"#)],
            history: [.init(.agent, "Hello"), .init(.caller, "Hi")], isAnswerAwaited: true,
            context: "- book: it answered: \"101\"", resume: "c-1")
        var buffer = ByteBuffer(), audio = ByteBuffer()
        AgentSocketClientMessage.start(start).write(into: &buffer)
        #expect(try AgentSocketClientMessage.decode(buffer, audio: &audio) == .start(start))
        #expect(String(buffer: buffer).contains(#""variables":{"n":3,"name":"Kutz","vip":true,"x":1.5}"#))
    }

    @Test func ofALongHistoryTheNewestTurnsAreTold() throws {
        var start = AgentSocketStart(call: .init(id: "1"), audio: .init(inputs: [], outputs: []))
        let words = String(repeating: "a", count: 1000)
        start.history = (0..<100).map { .init(.caller, "\($0) \(words)") }
        var buffer = ByteBuffer(), audio = ByteBuffer()
        AgentSocketClientMessage.start(start).write(into: &buffer)
        guard case .start(let told) = try AgentSocketClientMessage.decode(buffer, audio: &audio) else {
            Issue.record("no start")
            return
        }
        #expect(told.history == Array(start.history.suffix(told.history.count)))
        #expect((60...65).contains(told.history.count))
    }

    @Test func formatsHaveTheNamesOfTheProtocol() throws {
        #expect(AgentSocketFormat.all.count == 12)
        for format in AgentSocketFormat.all { #expect(try AgentSocketFormat(format.description) == format) }
        for name in ["", "pcm16", "pcm16_", "pcm16_44100", "PCM16_8000", "mulaw_8000 ", "opus_48000"] {
            #expect(throws: WireError.self) { try AgentSocketFormat(name) }
        }
    }
}
