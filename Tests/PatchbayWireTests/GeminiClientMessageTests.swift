import NIOCore
import Testing

@testable import PatchbayWire

@Suite struct GeminiClientMessageTests {
    typealias Message = GeminiClientMessage

    private static func setup(_ change: (inout GeminiSetup) -> Void) -> Message {
        var setup = GeminiSetup(model: "models/m")
        change(&setup)
        return .setup(setup)
    }

    static let golden: [(String, Message, [UInt8])] = [
        (
            #"{"setup":{"model":"models/m","generationConfig":{"responseModalities":["AUDIO"]},"realtimeInputConfig":{"automaticActivityDetection":{}}}}"#,
            setup { _ in }, []
        ),
        (
            #"{"setup":{"model":"models/m","generationConfig":{"responseModalities":["AUDIO"],"temperature":0.5,"speechConfig":{"voiceConfig":{"prebuiltVoiceConfig":{"voiceName":"Kore"}},"languageCode":"de-DE"},"thinkingConfig":{"thinkingBudget":0}},"systemInstruction":{"parts":[{"text":"Be \"kind\"."}]},"tools":[{"functionDeclarations":[{"name":"lookup","description":"Looks up.","parametersJsonSchema":{"type":"object"}}]}],"realtimeInputConfig":{"automaticActivityDetection":{"startOfSpeechSensitivity":"START_SENSITIVITY_HIGH","endOfSpeechSensitivity":"END_SENSITIVITY_LOW","prefixPaddingMs":20,"silenceDurationMs":500}},"inputAudioTranscription":{},"outputAudioTranscription":{},"sessionResumption":{"handle":"h"},"contextWindowCompression":{"slidingWindow":{}},"historyConfig":{"initialHistoryInClientContent":true}}}"#,
            setup {
                $0.temperature = 0.5
                $0.voice = "Kore"
                $0.languageCode = "de-DE"
                $0.thinkingBudget = 0
                $0.instructions = #"Be "kind"."#
                $0.tools = [GeminiTool("lookup", description: "Looks up.", parameters: #"{"type":"object"}"#)]
                $0.turnDetection = .automatic(.init(start: .high, end: .low, prefixPaddingMs: 20, silenceMs: 500))
                $0.transcribesInput = true
                $0.transcribesOutput = true
                $0.isResumable = true
                $0.resumptionHandle = "h"
                $0.compressesContext = true
                $0.hasInitialHistory = true
            }, []
        ),
        (
            #"{"setup":{"model":"models/m","generationConfig":{"responseModalities":["AUDIO"]},"realtimeInputConfig":{"automaticActivityDetection":{"disabled":true}},"sessionResumption":{}}}"#,
            setup {
                $0.turnDetection = .none
                $0.isResumable = true
            }, []
        ),
        (
            #"{"realtimeInput":{"audio":{"data":"AQID","mimeType":"audio/pcm;rate=16000"}}}"#,
            .audio(byteCount: 3, sampleRate: 16_000), [1, 2, 3]
        ),
        (#"{"realtimeInput":{"audioStreamEnd":true}}"#, .audioStreamEnd, []),
        (#"{"realtimeInput":{"activityStart":{}}}"#, .activityStart, []),
        (#"{"realtimeInput":{"activityEnd":{}}}"#, .activityEnd, []),
        (#"{"realtimeInput":{"text":"typed\n"}}"#, .text("typed\n"), []),
        (
            #"{"clientContent":{"turns":[{"role":"user","parts":[{"text":"Hello"}]},{"role":"model","parts":[{"text":"Hi"}]}],"turnComplete":true}}"#,
            .content([.init(.user, "Hello"), .init(.model, "Hi")], isComplete: true), []
        ),
        (#"{"clientContent":{"turnComplete":false}}"#, .content([], isComplete: false), []),
        (
            #"{"toolResponse":{"functionResponses":[{"id":"f-1","name":"lookup","response":{"output":{"ok":true}}}]}}"#,
            .toolResponses([.init(id: "f-1", name: "lookup", response: #"{"output":{"ok":true}}"#)]), []
        ),
    ]

    @Test(arguments: golden.indices) func everyMessageIsWrittenAndReads(index: Int) throws {
        let (json, message, sound) = Self.golden[index]
        let written = text { buffer in sound.withUnsafeBytes { message.write(audio: $0, into: &buffer) } }
        #expect(written == json)
        var audio = ByteBuffer()
        #expect(try Message.decode(buffer(json), audio: &audio) == message)
        #expect(Array(audio.readableBytesView) == sound)
    }

    /// As Google's SDKs write: snake_case outside, URL-safe base64.
    static let variants: [(String, Message, [UInt8])] = [
        (
            #"{"realtime_input": {"audio": {"mime_type": "audio/pcm;rate=16000", "data": "-_8="}}}"#,
            .audio(byteCount: 2, sampleRate: 16_000), [0xFB, 0xFF]
        ),
        (
            #"{"realtime_input": {"mediaChunks": [{"mimeType": "audio/pcm", "data": "AAE="}, {"mimeType": "audio/pcm", "data": "AgM="}]}}"#,
            .audio(byteCount: 4, sampleRate: 16_000), [0, 1, 2, 3]
        ),
        (
            #"{"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=8000", "data": ""}}}"#,
            .audio(byteCount: 0, sampleRate: 8_000), []
        ),
        (#"{"realtime_input": {"audio_stream_end": true}}"#, .audioStreamEnd, []),
        (#"{"realtime_input": {"video": {"mimeType": "image/jpeg", "data": "AAE="}}}"#, .video, []),
        (
            #"{"client_content": {"turns": [{"parts": [{"text": "a"}, {"text": "b"}], "role": "user"}], "turn_complete": true}}"#,
            .content([.init(.user, "ab")], isComplete: true), []
        ),
        (
            #"{"tool_response": {"function_responses": [{"name": "f", "response": {"x": 1}}]}}"#,
            .toolResponses([.init(id: nil, name: "f", response: #"{"x": 1}"#)]), []
        ),
        (#"{"unheardOf": {}, "setup": null}"#, .other(["unheardOf"]), []),
    ]

    @Test(arguments: variants.indices) func otherSpellings(index: Int) throws {
        let (json, message, sound) = Self.variants[index]
        var audio = ByteBuffer()
        #expect(try Message.decode(buffer(json), audio: &audio) == message)
        #expect(Array(audio.readableBytesView) == sound)
    }

    @Test func unknownFieldsOfASetupAreNamed() throws {
        var audio = ByteBuffer()
        let json = #"{"setup":{"model":"m","generation_config":{"top_k":3,"colour":1},"mood":"good"}}"#
        guard case .setup(let setup) = try Message.decode(buffer(json), audio: &audio) else {
            Issue.record("no setup")
            return
        }
        #expect(setup.otherFields == ["generationConfig.colour", "mood"])
    }

    @Test(arguments: [
        (#"{"setup":{}}"#, WireError.Code.missingField),
        (#"{"setup":{"model":"m"},"realtimeInput":{"text":"a"}}"#, .unexpectedField),
        (#"{"realtimeInput":{"text":"a","activityEnd":{}}}"#, .unexpectedField),
        (#"{"realtimeInput":{"audio":{"mimeType":"audio/pcm"}}}"#, .missingField),
        (#"{"realtimeInput":{"audio":{"mimeType":"audio/pcm","data":"?"}}}"#, .invalidBase64),
        (#"{"realtimeInput":{"audio":{"mimeType":"audio/mp3","data":"AAAA"}}}"#, .unsupported),
        (#"{"toolResponse":{"functionResponses":[{"name":"f","response":"text"}]}}"#, .wrongType),
        ("nonsense", .malformedJSON),
    ])
    func faults(json: String, code: WireError.Code) {
        var audio = ByteBuffer()
        #expect(errorCode { () throws(WireError) in _ = try Message.decode(buffer(json), audio: &audio) } == code)
        #expect(audio.readableBytes == 0)
    }

    @Test(
        arguments: [
            ("sunny", false, #"{"output":"sunny"}"#), (#"{"a":[1]}"#, false, #"{"output":{"a":[1]}}"#),
            ("12", false, #"{"output":12}"#),
            ("no such \"name\"", true, #"{"error":"no such \"name\""}"#), ("", false, #"{"output":""}"#),
            (#"{"a":1} and more"#, false, #"{"output":"{\"a\":1} and more"}"#),
            (String(repeating: "[", count: 61) + String(repeating: "]", count: 61), false, nil),
        ] as [(String, Bool, String?)])
    func answersOfToolsAreObjects(output: String, isError: Bool, expected: String?) throws {
        let response = Message.FunctionResponse(id: "1", name: "f", output: output, isError: isError)
        if let expected { #expect(response.response == expected) }
        let whole = text { Message.toolResponses([response]).write(into: &$0) }
        try checkJSON(whole)
    }

    @Test func durations() {
        for (text, expected) in [("0s", 0), ("9.8s", 9_800), ("0.0005s", 0), ("-1.5s", -1_500), ("1e3s", 1_000_000)]
            as [(String, Int?)]
            + [("5", nil), ("s", nil), ("infs", nil), ("nans", nil), ("1e300s", nil)]
        {
            #expect(ProtobufDuration.milliseconds(text) == expected, "\(text)")
        }
        for value in [0, 5, 50, 500, 9_800, 60_000, -1_500, -20] {
            #expect(ProtobufDuration.milliseconds(ProtobufDuration.text(milliseconds: value)) == value)
        }
    }
}

@Suite struct GeminiCloseTests {
    @Test(arguments: [
        (1007, "API key not valid. Please pass a valid API key.", GeminiClose.Meaning.unauthorized),
        (1008, "Method doesn't allow unregistered callers (callers without established identity).", .unauthorized),
        (
            1008, "models/x is not found for API version v1beta, or is not supported for bidiGenerateContent.",
            .unknownModel
        ),
        (1011, "You exceeded your current quota, please check your plan and billing details.", .quotaExceeded),
        (1011, "RESOURCE_EXHAUSTED", .quotaExceeded), (1007, "Request contains an invalid argument.", .invalidArgument),
        (1011, "Internal error encountered.", .serverFailure), (1006, "", .connectionLost), (1000, "", .ended),
        (1008, "Operation is not implemented, or supported, or enabled.", .refused), (4000, "", .unknown),
    ])
    func meanings(code: Int, reason: String, meaning: GeminiClose.Meaning) {
        let close = GeminiClose(code: code, reason: reason)
        #expect(close.meaning == meaning)
        #expect(close.description.contains("\(code)") && close.description.contains(reason))
        #expect(close.isRetryable == [.serverFailure, .connectionLost, .ended, .unknown].contains(meaning))
    }
}

/// Mutated messages must give a value or a `WireError`; a trap ends the test process.
@Suite struct GeminiFuzzTests {
    private static let seeds =
        (GeminiServerMessageTests.golden + GeminiServerMessageTests.variants).map { Array($0.0.utf8) }
        + (GeminiClientMessageTests.golden + GeminiClientMessageTests.variants).map { Array($0.0.utf8) }
    private static let fragments = [
        "\"", "\\", "\\u", "{", "}", "[", "]", ":", ",", "null", "true", "1e", "-_", "=", "\"data\":",
        "\"thought\":true,", "\"audio/\"",
        "\"text\":\"", ";rate=", "\u{0}", "é",
    ].map { Array($0.utf8) }

    @Test(arguments: [UInt64(20_261_121), 5, 77]) func mutatedMessages(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var accepted = 0
        for _ in 0..<4_000 {
            var bytes = Self.seeds[Int.random(in: 0..<Self.seeds.count, using: &generator)]
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let position = Int.random(in: 0...bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0 where position < bytes.count: bytes[position] = UInt8.random(in: 0...255, using: &generator)
                case 1 where position < bytes.count:
                    bytes.removeSubrange(
                        position..<min(bytes.count, position + Int.random(in: 1...10, using: &generator)))
                case 2: bytes.removeLast(bytes.count - position)
                default:
                    let fragment = Self.fragments[Int.random(in: 0..<Self.fragments.count, using: &generator)]
                    bytes.insert(contentsOf: fragment, at: position)
                }
            }
            let message = ByteBuffer(bytes: bytes)
            var audio = ByteBuffer()
            let server = try? GeminiServerMessage.decode(message, audio: &audio, maximumAudio: 64)
            #expect(
                audio.readableBytes == server?.content?.audioByteCount ?? 0, "seed \(seed): \(String(buffer: message))")
            audio.clear()
            let client = try? GeminiClientMessage.decode(message, audio: &audio, maximumAudio: 64)
            #expect(audio.readableBytes <= 64, "seed \(seed)")
            guard server != nil || client != nil else { continue }
            accepted += 1
            // Whatever a decoder takes must be JSON to the general reader as well.
            #expect(throws: Never.self, "seed \(seed): \(String(buffer: message))") { try checkJSON(bytes) }
        }
        #expect(accepted > 100, "seed \(seed): mutations too harsh to test what is accepted")
        print("fuzz: seed \(seed), \(accepted) of 4,000 mutated messages accepted")
    }
}
