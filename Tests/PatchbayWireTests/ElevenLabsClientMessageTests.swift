import NIOCore
import Testing

@testable import PatchbayWire

@Suite struct ElevenLabsClientMessageTests {
    typealias Message = ElevenLabsClientMessage

    private func decode(_ text: String) throws(WireError) -> Message {
        var audio = ByteBuffer()
        return try Message.decode(buffer(text), audio: &audio)
    }

    static let golden: [(String, Message)] = [
        (#"{"type":"conversation_initiation_client_data"}"#, .initiation(ElevenLabsInitiation())),
        (
            #"{"type":"conversation_initiation_client_data","conversation_config_override":{"agent":{"prompt":{"prompt":"You are …"},"first_message":"Hi \"Ann\"","language":"en"},"tts":{"voice_id":"v"},"conversation":{"text_only":false}},"custom_llm_extra_body":{"tenant":"t1"},"dynamic_variables":{"age":7,"balance":12.5,"name":"Ann","vip":true},"user_id":"crm-42","branch_id":"b","environment":"production"}"#,
            .initiation(
                ElevenLabsInitiation(
                    prompt: "You are …", firstMessage: "Hi \"Ann\"", language: "en", voiceId: "v", textOnly: false,
                    dynamicVariables: ["name": "Ann", "balance": 12.5, "vip": true, "age": 7], userId: "crm-42",
                    branchId: "b", environment: "production", customLLMExtraBody: #"{"tenant":"t1"}"#))
        ),
        (
            #"{"type":"conversation_initiation_client_data","conversation_config_override":{"agent":{"first_message":""}}}"#,
            .initiation(ElevenLabsInitiation(firstMessage: ""))
        ),
        (#"{"type":"pong","event_id":7}"#, .pong(eventId: 7)),
        (
            #"{"type":"client_tool_result","tool_call_id":"call_1","result":"{\"a\":1}","is_error":false}"#,
            .clientToolResult(.init(toolCallId: "call_1", result: #"{"a":1}"#))
        ),
        (
            #"{"type":"client_tool_result","tool_call_id":"c","result":"late","is_error":true,"error_type":"client_timeout"}"#,
            .clientToolResult(.init(toolCallId: "c", result: "late", isError: true, errorType: "client_timeout"))
        ),
        (
            #"{"type":"contextual_update","text":"verified","context_id":"auth"}"#,
            .contextualUpdate("verified", contextId: "auth")
        ),
        (#"{"type":"user_message","text":"I want to upgrade"}"#, .userMessage("I want to upgrade")),
        (#"{"type":"user_activity"}"#, .userActivity),
        (#"{"type":"feedback","event_id":12,"score":"like"}"#, .feedback(eventId: 12, score: "like")),
        (#"{"type":"feedback","event_id":12,"score":null}"#, .feedback(eventId: 12, score: nil)),
        (
            #"{"type":"mcp_tool_approval_result","tool_call_id":"c1","is_approved":true}"#,
            .mcpToolApprovalResult(toolCallId: "c1", isApproved: true)
        ),
        (
            #"{"type":"multimodal_message","text":{"type":"user_message","text":"see this"},"file":{"type":"file_input","file_id":"f1"},"files":[{"type":"file_input","file_id":"f1"},{"type":"file_input","file_id":"f2"}]}"#,
            .multimodalMessage(text: "see this", fileIds: ["f1", "f2"])
        ),
        (
            #"{"type":"multimodal_message","file":{"type":"file_input","file_id":"f1"}}"#,
            .multimodalMessage(text: nil, fileIds: ["f1"])
        ),
        (#"{"type":"enclave_setup_config"}"#, .other(type: "enclave_setup_config")),
    ]

    @Test(arguments: golden) func bothWays(text: String, message: Message) throws {
        #expect(try decode(text) == message)
        #expect(PatchbayWireTests.text { message.write(into: &$0) } == text)
    }

    @Test func audio() throws {
        let bytes = [UInt8](repeating: 0x7F, count: 7)
        var out = ByteBuffer()
        bytes.withUnsafeBytes { ElevenLabsWriter.userAudioChunk($0, into: &out) }
        #expect(String(buffer: out) == #"{"user_audio_chunk":"f39/f39/fw=="}"#)
        for text in [
            String(buffer: out), #"{"user_audio_chunk":"f39\/f39\/fw=="}"#,
            #"{"type":"user_audio_chunk","user_audio_chunk":"f39/f39/fw=="}"#,
            #"{"user_audio_chunk":"AAAA","user_audio_chunk":"f39/f39/fw=="}"#,
            #"{"user\u005faudio_chunk":"f39/f39/fw=="}"#,
        ] {
            var audio = ByteBuffer()
            #expect(try Message.decode(buffer(text), audio: &audio) == .userAudioChunk(byteCount: 7), "\(text)")
            #expect(Array(audio.readableBytesView) == bytes)
        }
    }

    /// What the vendor's Python SDK 2.78.0 sends.
    @Test func habitsOfThePythonSDK() throws {
        let first = try decode(
            #"{"type": "conversation_initiation_client_data", "custom_llm_extra_body": {}, "conversation_config_override": {"text_only": true}, "dynamic_variables": {}, "source_info": {"source": "python_sdk", "version": "2.78.0"}}"#
        )
        #expect(first == .initiation(ElevenLabsInitiation(textOnly: true)))
        let result = try decode(
            #"{"type":"client_tool_result","tool_call_id":"c","result":{"a": [1]},"is_error":false}"#)
        #expect(result == .clientToolResult(.init(toolCallId: "c", result: #"{"a": [1]}"#)))
    }

    @Test func overridesThatHaveNoFieldAreNamed() throws {
        let message = try decode(
            #"{"type":"conversation_initiation_client_data","conversation_config_override":{"agent":{"prompt":{"prompt":"p","llm":"m"},"language":null},"tts":{"speed":1.0},"asr":{"keywords":["a"]},"turn":{}},"dynamic_variables":{"n":null,"s":"1","o":{}}}"#
        )
        #expect(
            message
                == .initiation(
                    ElevenLabsInitiation(
                        prompt: "p", dynamicVariables: ["s": "1"],
                        otherOverrides: ["agent.prompt.llm", "tts.speed", "asr.keywords"])))
    }

    @Test func variablesKeepTheirTypes() throws {
        let message = try decode(
            #"{"type":"conversation_initiation_client_data","dynamic_variables":{"i":3,"f":3.5,"e":1e300,"s":"3","b":false}}"#
        )
        guard case .initiation(let initiation) = message else {
            Issue.record("\(message)")
            return
        }
        #expect(
            initiation.dynamicVariables
                == ["i": .integer(3), "f": .number(3.5), "e": .number(1e300), "s": .string("3"), "b": .bool(false)])
    }

    @Test(
        arguments: [
            (#"{"user_audio_chunk":"A"}"#, .invalidBase64), (#"{"user_audio_chunk":null}"#, .missingField),
            (#"{"user_audio_chunk":7}"#, .wrongType), ("{}", .missingField), (#"{"type":"pong"}"#, .missingField),
            (#"{"type":"pong","event_id":"x"}"#, .wrongType),
            (#"{"type":"client_tool_result","tool_call_id":"c"}"#, .missingField),
            (#"{"type":"client_tool_result","result":"r"}"#, .missingField),
            (#"{"type":"contextual_update"}"#, .missingField),
            (#"{"type":"multimodal_message"}"#, .missingField), (" ", .malformedJSON),
            (#"{"type":"pong","event_id":7"#, .malformedJSON),
        ] as [(String, WireError.Code)])
    func refused(text: String, code: WireError.Code) {
        #expect(errorCode { () throws(WireError) in _ = try decode(text) } == code)
    }

    @Test(
        arguments: [
            ("pcm_16000", .init(codec: .pcm, sampleRate: 16_000), 32_000),
            ("ulaw_8000", .init(codec: .ulaw, sampleRate: 8_000), 8_000),
            ("pcm_48000", .init(codec: .pcm, sampleRate: 48_000), 96_000),
        ] as [(String, ElevenLabsAudioFormat, Int)])
    func formats(name: String, format: ElevenLabsAudioFormat, bytesPerSecond: Int) throws {
        #expect(try ElevenLabsAudioFormat(name) == format)
        #expect(format.description == name)
        #expect(format.bytesPerSecond == bytesPerSecond)
    }

    @Test(arguments: [
        "", "pcm", "pcm_", "_16000", "mp3_44100", "pcm_16000_1", "pcm_0", "pcm_-8000", "pcm_99999999999999999999",
        "PCM_16000",
    ])
    func unknownFormats(name: String) {
        #expect(errorCode { () throws(WireError) in _ = try ElevenLabsAudioFormat(name) } == .unsupported)
    }

    @Test(
        arguments: [
            (1000, "", .ended, .never), (1002, "", .operational, .once),
            (1002, "This request exceeds your quota limit.", .quotaExceeded, .never),
            (1002, "Agent misconfigured", .misconfigured, .never), (1006, "", .connectionLost, .immediately),
            (1008, "override_error", .contractViolation, .never), (1011, "", .serverFailure, .immediately),
            (3000, "Request error", .requestRefused, .never),
            (3008, "Too many concurrent connections", .concurrencyExceeded, .later),
            (4300, "timed_out", .concurrencyExceeded, .later), (4999, "?", .unknown, .once),
        ] as [(Int, String, ElevenLabsClose.Meaning, ElevenLabsClose.Retry)])
    func closes(code: Int, reason: String, meaning: ElevenLabsClose.Meaning, retry: ElevenLabsClose.Retry) {
        let close = ElevenLabsClose(code: code, reason: reason)
        #expect(close.meaning == meaning)
        #expect(close.retry == retry)
        #expect(close.description.contains(String(code)))
        #expect(close.description.contains(reason))
    }
}
