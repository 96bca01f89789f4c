import NIOCore
import Testing

@testable import PatchbayWire

@Suite struct GeminiServerMessageTests {
    typealias Message = GeminiServerMessage

    private static func content(_ change: (inout Message.Content) -> Void) -> Message {
        var content = Message.Content()
        change(&content)
        return Message(content)
    }

    private static func message(_ change: (inout Message) -> Void) -> Message {
        var message = Message()
        change(&message)
        return message
    }

    /// What is sent, what it means, and the sound that it brings.
    static let golden: [(String, Message, [UInt8])] = [
        (#"{"setupComplete":{}}"#, message { $0.setupComplete = .init() }, []),
        (#"{"setupComplete":{"sessionId":"s-1"}}"#, message { $0.setupComplete = .init(sessionId: "s-1") }, []),
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"AQIDBA=="}}]}}}"#,
            content { $0.audioByteCount = 4 }, [1, 2, 3, 4]
        ),
        (
            #"{"serverContent":{"outputTranscription":{"text":"Hello the"}}}"#,
            content { $0.outputTranscription = .init("Hello the") }, []
        ),
        (
            #"{"serverContent":{"inputTranscription":{"text":" book a","finished":true}}}"#,
            content { $0.inputTranscription = .init(" book a", isFinished: true) }, []
        ),
        (
            #"{"serverContent":{"interimInputTranscription":{"text":"book"}}}"#,
            content { $0.interimInputTranscription = .init("book") }, []
        ),
        (#"{"serverContent":{"generationComplete":true}}"#, content { $0.isGenerationComplete = true }, []),
        (
            #"{"serverContent":{"turnComplete":true},"usageMetadata":{"promptTokenCount":210,"responseTokenCount":95,"totalTokenCount":305}}"#,
            message {
                $0.content = .init()
                $0.content?.isTurnComplete = true
                $0.usage = .init(promptTokens: 210, responseTokens: 95, totalTokens: 305)
            }, []
        ),
        (#"{"serverContent":{"interrupted":true}}"#, content { $0.isInterrupted = true }, []),
        (
            #"{"toolCall":{"functionCalls":[{"id":"function-call-123","name":"lookup","args":{"id":"7"}}]}}"#,
            message { $0.functionCalls = [.init(id: "function-call-123", name: "lookup", arguments: #"{"id":"7"}"#)] },
            []
        ),
        (#"{"toolCallCancellation":{"ids":["a","b"]}}"#, message { $0.cancelledCalls = ["a", "b"] }, []),
        (#"{"goAway":{"timeLeft":"9.800s"}}"#, message { $0.goAway = .init(timeLeftMs: 9_800) }, []),
        (
            #"{"sessionResumptionUpdate":{"newHandle":"CihwMXJ","resumable":true}}"#,
            message { $0.resumption = .init(handle: "CihwMXJ", isResumable: true) }, []
        ),
        (#"{"sessionResumptionUpdate":{}}"#, message { $0.resumption = .init(handle: nil, isResumable: false) }, []),
        (
            #"{"serverContent":{"interrupted":true,"modelTurn":{"parts":[{"text":"Hi"},{"inlineData":{"mimeType":"audio/pcm;rate=16000","data":"AAE="}}]},"inputTranscription":{"text":"a"},"outputTranscription":{"text":"b"},"generationComplete":true,"turnComplete":true}}"#,
            content {
                $0.isInterrupted = true
                $0.text = "Hi"
                $0.audioByteCount = 2
                $0.sampleRate = 16_000
                $0.inputTranscription = .init("a")
                $0.outputTranscription = .init("b")
                $0.isGenerationComplete = true
                $0.isTurnComplete = true
            }, [0, 1]
        ),
    ]

    @Test(arguments: golden.indices) func everyMessageReadsAndIsWritten(index: Int) throws {
        let (json, message, sound) = Self.golden[index]
        var audio = ByteBuffer()
        #expect(try Message.decode(buffer(json), audio: &audio) == message)
        #expect(Array(audio.readableBytesView) == sound)
        let written = text { buffer in sound.withUnsafeBytes { message.write(audio: $0, into: &buffer) } }
        #expect(written == json)
    }

    /// Other spellings of the same.
    static let variants: [(String, Message, [UInt8])] = [
        // Several parts, in one order of keys and the other, with blanks.
        (
            """
            { "serverContent" : { "modelTurn" : { "role": "model", "parts" : [
              { "inlineData": { "data": "AQI=", "mimeType": "audio/pcm;rate=24000" } },
              { "inlineData": { "mimeType": "audio/pcm", "data": "AwQ=" } } ] } } }
            """, content { $0.audioByteCount = 4 }, [1, 2, 3, 4]
        ),
        // Thoughts are not for ears, wherever the mark stands.
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"text":"hm","thought":true},{"thought":true,"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"AQI="}},{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"AQI="},"thought":true},{"text":"yes","thought":false}]}}}"#,
            content { $0.text = "yes" }, []
        ),
        // Escapes in the sound and its type; the other alphabet, no padding.
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio\/pcm;rate\u003d24000","data":"+\/8\u003d"}}]}}}"#,
            content { $0.audioByteCount = 2 }, [0xFB, 0xFF]
        ),
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"-_8"}}]}}}"#,
            content { $0.audioByteCount = 2 }, [0xFB, 0xFF]
        ),
        // Parts of other kinds, empty parts, sound of no length.
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"executableCode":{"language":"PYTHON","code":"1"}},{},{"inlineData":{"mimeType":"image/png","data":"AQI="}},{"inlineData":{"mimeType":"audio/pcm;rate=16000","data":""}},null]},"groundingMetadata":{"x":[1]},"turnCompleteReason":"OK"}}"#,
            content { _ in }, []
        ),
        // Keys with escapes, unknown members, null, another type than expected.
        (
            #"{"server\u0043ontent":{"turn\u0043omplete":true},"somethingNew":{"a":[{}]},"toolCall":null,"goAway":7}"#,
            content { $0.isTurnComplete = true }, []
        ),
        (#"{"goAway":{}}"#, message { $0.goAway = .init(timeLeftMs: nil) }, []),
        (#"{"goAway":{"timeLeft":"soon"}}"#, message { $0.goAway = .init(timeLeftMs: nil) }, []),
        (#"{"goAway":{"timeLeft":"5s"}}"#, message { $0.goAway = .init(timeLeftMs: 5_000) }, []),
        (
            #"{"toolCall":{"functionCalls":[{"name":"f"}]}}"#,
            message { $0.functionCalls = [.init(id: nil, name: "f")] }, []
        ),
        (
            #"{"sessionResumptionUpdate":{"newHandle":"","resumable":false}}"#,
            message { $0.resumption = .init(handle: nil, isResumable: false) }, []
        ),
        (#"{}"#, Message(), []),
    ]

    @Test(arguments: variants.indices) func otherSpellings(index: Int) throws {
        let (json, message, sound) = Self.variants[index]
        var audio = ByteBuffer()
        #expect(try Message.decode(buffer(json), audio: &audio) == message)
        #expect(Array(audio.readableBytesView) == sound)
    }

    @Test(arguments: [
        ("", WireError.Code.malformedJSON), ("[]", .malformedJSON), ("{", .malformedJSON),
        (#"{"serverContent":{"turnComplete":true}} x"#, .malformedJSON),
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm","data":"$$$$"}}]}}}"#,
            .invalidBase64
        ),
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm","data":"AAAA"}},{"inlineData":{"mimeType":"audio/pcm","data":"$"}}]}}}"#,
            .invalidBase64
        ),
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/opus","data":"AAAA"}}]}}}"#,
            .unsupported
        ),
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm;rate=1","data":"AAAA"}}]}}}"#,
            .invalidValue
        ),
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm;rate=99999999999999999999","data":"AAAA"}}]}}}"#,
            .invalidValue
        ),
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm;rate=16000","data":"AAAA"}},{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"AAAA"}}]}}}"#,
            .invalidValue
        ),
        (#"{"toolCall":{"functionCalls":[{"id":"1"}]}}"#, .missingField),
        (
            #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm","data":"AAAAAAAAAAAAAAAAAAAAAAAA"}}]}}}"#,
            .tooLarge
        ),
    ])
    func faults(json: String, code: WireError.Code) {
        var audio = ByteBuffer(bytes: [9])
        #expect(
            errorCode { () throws(WireError) in _ = try Message.decode(buffer(json), audio: &audio, maximumAudio: 16) }
                == code)
        #expect(Array(audio.readableBytesView) == [9], "what was there stays as it was")
    }

    @Test(arguments: golden.indices) func truncatedMessagesAreFaults(index: Int) {
        let bytes = Array(Self.golden[index].0.utf8)
        for length in 0..<bytes.count {
            var audio = ByteBuffer()
            let code = errorCode { () throws(WireError) in
                _ = try Message.decode(ByteBuffer(bytes: bytes[..<length]), audio: &audio)
            }
            #expect(code != nil, "cut at byte \(length)")
            #expect(audio.readableBytes == 0, "cut at byte \(length)")
        }
    }

    @Test func soundIsReadIntoTheSameMemory() throws {
        let sound = [UInt8](repeating: 7, count: 4_800)
        var message = ByteBuffer()
        sound.withUnsafeBytes { GeminiWriter.modelAudio($0, sampleRate: 24_000, into: &message) }
        var audio = ByteBuffer()
        _ = try Message.decode(message, audio: &audio)
        let capacity = audio.storageCapacity
        for _ in 0..<10 {
            audio.clear()
            let decoded = try Message.decode(message, audio: &audio)
            #expect(decoded.content?.audioByteCount == 4_800 && decoded.content?.sampleRate == 24_000)
        }
        #expect(audio.storageCapacity == capacity)
    }
}
