import NIOCore
import Testing

@testable import PatchbayWire

@Suite struct ElevenLabsServerMessageTests {
    typealias Message = ElevenLabsServerMessage

    private func decode(_ text: String) throws(WireError) -> Message {
        var audio = ByteBuffer()
        return try Message.decode(buffer(text), audio: &audio)
    }

    static let golden: [(String, Message)] = [
        (
            #"{"type":"conversation_initiation_metadata","conversation_initiation_metadata_event":{"conversation_id":"conv_01abc","agent_output_audio_format":"pcm_16000","user_input_audio_format":"ulaw_8000"}}"#,
            .conversationInitiationMetadata(
                .init(conversationId: "conv_01abc", agentOutputFormat: "pcm_16000", userInputFormat: "ulaw_8000"))
        ),
        (#"{"type":"ping","ping_event":{"event_id":3,"ping_ms":42}}"#, .ping(eventId: 3, pingMs: 42)),
        (#"{"type":"ping","ping_event":{"event_id":3,"ping_ms":null}}"#, .ping(eventId: 3, pingMs: nil)),
        (
            #"{"type":"user_transcript","user_transcription_event":{"user_transcript":"I need help","event_id":4}}"#,
            .userTranscript("I need help", eventId: 4)
        ),
        (
            #"{"type":"tentative_user_transcript","tentative_user_transcription_event":{"user_transcript":"I need","event_id":4}}"#,
            .tentativeUserTranscript("I need", eventId: 4)
        ),
        (
            #"{"type":"agent_response","agent_response_event":{"agent_response":"Sure, which order?","event_id":5}}"#,
            .agentResponse("Sure, which order?", eventId: 5)
        ),
        (
            #"{"type":"agent_response_correction","agent_response_correction_event":{"original_agent_response":"Sure, which order do you mean?","corrected_agent_response":"Sure, which...","event_id":5}}"#,
            .agentResponseCorrection(
                original: "Sure, which order do you mean?", corrected: "Sure, which...", eventId: 5)
        ),
        (#"{"type":"interruption","interruption_event":{"event_id":5}}"#, .interruption(eventId: 5)),
        (
            #"{"type":"client_tool_call","client_tool_call":{"tool_name":"lookup_order","tool_call_id":"call_1","parameters":{"order_id":"A17"},"event_id":6,"expects_response":true}}"#,
            .clientToolCall(.init(name: "lookup_order", id: "call_1", parameters: #"{"order_id":"A17"}"#, eventId: 6))
        ),
        (
            #"{"type":"agent_tool_request","agent_tool_request":{"tool_name":"t","tool_call_id":"c","tool_type":"system","event_id":6}}"#,
            .agentToolRequest(.init(name: "t", id: "c", type: "system", eventId: 6))
        ),
        (
            #"{"type":"agent_tool_response","agent_tool_response":{"tool_name":"end_call","tool_call_id":"c","tool_type":"system","is_error":false,"is_called":true,"event_id":6}}"#,
            .agentToolResponse(
                .init(name: "end_call", id: "c", type: "system", isError: false, isCalled: true, eventId: 6))
        ),
        (
            #"{"type":"agent_tool_response_full_payload","agent_tool_response_full_payload":{"tool_name":"t","tool_call_id":"c","tool_type":"mcp","is_error":false,"is_called":true,"event_id":6,"full_tool_result":"42","truncated":true}}"#,
            .agentToolResponseFullPayload(
                .init(name: "t", id: "c", type: "mcp", isError: false, isCalled: true, eventId: 6), result: "42",
                isTruncated: true)
        ),
        (
            #"{"type":"agent_chat_response_part","text_response_part":{"text":"Hi","type":"delta","event_id":3}}"#,
            .agentChatResponsePart("Hi", part: "delta", eventId: 3)
        ),
        (
            #"{"type":"agent_response_complete","agent_response_complete_event":{"event_id":3}}"#,
            .agentResponseComplete(eventId: 3)
        ),
        (
            #"{"type":"agent_response_metadata","agent_response_metadata_event":{"metadata":{"a":[1]},"event_id":3}}"#,
            .agentResponseMetadata(json: #"{"a":[1]}"#, eventId: 3)
        ),
        (#"{"type":"vad_score","vad_score_event":{"vad_score":0.75}}"#, .vadScore(0.75)),
        (
            #"{"type":"mcp_tool_call","mcp_tool_call":{"service_id":"s","tool_call_id":"c","tool_name":"t","parameters":{},"state":"awaiting_approval","approval_timeout_secs":300}}"#,
            .mcpToolCall(.init(serviceId: "s", id: "c", name: "t", state: "awaiting_approval", approvalTimeout: 300))
        ),
        (
            #"{"type":"mcp_connection_status","mcp_connection_status":{"integrations":[{"integration_id":"i","integration_type":"mcp_server","is_connected":true,"tool_count":3}]}}"#,
            .mcpConnectionStatus([.init(id: "i", type: "mcp_server", isConnected: true, toolCount: 3)])
        ),
        (
            #"{"type":"context_usage","context_usage_event":{"event_id":4,"model":"m","context_tokens":10,"context_limit_tokens":100}}"#,
            .contextUsage(.init(model: "m", contextTokens: 10, contextLimitTokens: 100, eventId: 4))
        ),
        (#"{"type":"asr_initiation_metadata","asr_initiation_metadata_event":{}}"#, .asrInitiationMetadata),
        (
            #"{"type":"guardrail_triggered","guardrail_triggered_event":{"guardrail_name":"g"}}"#,
            .guardrailTriggered(name: "g")
        ),
        (#"{"type":"queue_status","queue_status_event":{"status":"waiting"}}"#, .queueStatus("waiting")),
        (
            #"{"type":"client_error","error_event":{"code":1008,"message":"m","error_name":"n"}}"#,
            .clientError(.init(code: 1008, type: "n", message: "m"))
        ),
        (
            #"{"type":"error","error_event":{"code":1008,"error_type":"override_error","message":"m","reason":"r"}}"#,
            .error(.init(code: 1008, type: "override_error", message: "m", reason: "r"))
        ),
        (
            #"{"type":"internal_tentative_agent_response","tentative_agent_response_internal_event":{"tentative_agent_response":"x"}}"#,
            .internalTentativeAgentResponse("x")
        ),
        (
            #"{"type":"internal_turn_probability","turn_probability_internal_event":{"turn_probability":0.5}}"#,
            .internalTurnProbability(0.5)
        ),
        (
            #"{"type":"agent_typing","agent_typing_event":{"is_typing":true,"duration_ms":300}}"#,
            .agentTyping(isTyping: true, durationMs: 300)
        ),
        (#"{"type":"dtmf_request","dtmf_request":{"digits":"12#"}}"#, .dtmfRequest(json: ##"{"digits":"12#"}"##)),
        (#"{"type":"external_agent_connected"}"#, .other(type: "external_agent_connected")),
    ]

    @Test(arguments: golden) func bothWays(text: String, message: Message) throws {
        #expect(try decode(text) == message)
        #expect(PatchbayWireTests.text { message.write(into: &$0) } == text)
    }

    @Test(
        arguments: [
            (#"{"type":"error","message":"received 1002 quota"}"#, .error(.init(message: "received 1002 quota"))),
            (#"{"type":"interruption","interruption_event":{"reason":"user"}}"#, .interruption(eventId: nil)),
            (#"{"type":"interruption"}"#, .interruption(eventId: nil)),
            (#"{"type":"ping","event_id":"9"}"#, .ping(eventId: 9, pingMs: nil)),
            (#"{"ping_event":{"ping_ms":12.6,"event_id":"3"},"type":"ping"}"#, .ping(eventId: 3, pingMs: nil)),
            (#"{"type":"guardrail_triggered"}"#, .guardrailTriggered(name: nil)),
            (
                #"{"type":"client_tool_call","client_tool_call":{"tool_name":"t","tool_call_id":"c","expects_response":false}}"#,
                .clientToolCall(.init(name: "t", id: "c", expectsResponse: false))
            ),
            (
                #"{"type":"agent_chat_response_part","text_response_part":{"text":"Hi","type":"stop","event_id":"3","response_id":"r"}}"#,
                .agentChatResponsePart("Hi", part: "stop", eventId: 3)
            ),
            (
                #"{"type":"user_transcript","user_transcript":"flat","x":1}"#, .userTranscript("flat", eventId: nil)
            ),
            (
                #"{"type":"conversation_initiation_metadata","conversation_initiation_metadata_event":{"conversation_id":"c","agent_output_audio_format":"pcm_16000"}}"#,
                .conversationInitiationMetadata(
                    .init(conversationId: "c", agentOutputFormat: "pcm_16000", userInputFormat: "pcm_16000"))
            ),
            (
                #"{"type":"never_heard_of","audio_event":{"audio_base_64":"not base64"}}"#,
                .other(type: "never_heard_of")
            ),
            (#"{"audio_event":{"audio_base_64":5},"type":"never_heard_of"}"#, .other(type: "never_heard_of")),
        ] as [(String, Message)])
    func tolerated(text: String, message: Message) throws {
        #expect(try decode(text) == message)
    }

    @Test(
        arguments: [
            (
                #"{"type":"audio","audio_event":{"audio_base_64":"AQIDBA==","event_id":5,"alignment":{"chars":["H","i"],"char_start_times_ms":[0,60],"char_durations_ms":[60,90]}}}"#,
                5
            ),
            (
                #"{"audio_event":{"alignment":null,"is_final":true,"event_id":"5","audio_base_64":"AQIDBA=="},"type":"audio","x":{}}"#,
                5
            ),
            (#"{ "type" : "audio" , "audio_event" : { "audio_base_64" : "AQIDBA==" } }"#, nil),
            (#"{"type":"\u0061udio","audio_event":{"audio_base_64":"AQIDB\u0041==","event_id":5}}"#, 5),
            (
                #"{"type":"audio","audio_event":{"audio_base_64":"AAAA"},"audio_event":{"audio_base_64":"AQIDBA==","event_id":5}}"#,
                5
            ),
        ] as [(String, Int?)])
    func audio(text: String, eventId: Int?) throws {
        var audio = ByteBuffer(bytes: [9])
        #expect(try Message.decode(buffer(text), audio: &audio) == .audio(eventId: eventId, byteCount: 4))
        #expect(Array(audio.readableBytesView) == [9, 1, 2, 3, 4])
    }

    @Test func audioWritten() throws {
        let bytes: [UInt8] = [1, 2, 3, 4]
        #expect(
            PatchbayWireTests.text { out in bytes.withUnsafeBytes { ElevenLabsWriter.audio($0, eventId: 5, into: &out) }
            }
                == #"{"type":"audio","audio_event":{"audio_base_64":"AQIDBA==","event_id":5}}"#)
        #expect(
            PatchbayWireTests.text { out in
                bytes.withUnsafeBytes {
                    ElevenLabsWriter.audio($0, eventId: nil, alignment: #"{"chars":["é"]}"#, into: &out)
                }
            } == #"{"type":"audio","audio_event":{"audio_base_64":"AQIDBA==","alignment":{"chars":["é"]}}}"#)
        #expect(
            PatchbayWireTests.text { out in
                bytes.withUnsafeBytes { Message.audio(eventId: 1, byteCount: 4).write(audio: $0, into: &out) }
            } == #"{"type":"audio","audio_event":{"audio_base_64":"AQIDBA==","event_id":1}}"#)
    }

    @Test func twoMebibytesOfAudio() throws {
        let bytes = (0..<(2 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var message = ByteBuffer()
        bytes.withUnsafeBytes { ElevenLabsWriter.audio($0, eventId: 7, into: &message) }
        var audio = ByteBuffer()
        #expect(try Message.decode(message, audio: &audio) == .audio(eventId: 7, byteCount: 2 << 20))
        #expect(audio.readableBytesView.elementsEqual(bytes))
        let code = errorCode { () throws(WireError) in
            _ = try Message.decode(message, audio: &audio, maximumAudio: 1 << 20)
        }
        #expect(code == .tooLarge)
    }

    @Test(
        arguments: [
            (#"{"type":"audio","audio_event":{"audio_base_64":"AQ","event_id":5}}"#, .invalidBase64),
            (#"{"type":"audio","audio_event":{"event_id":5}}"#, .missingField), (#"{"type":"audio"}"#, .missingField),
            (#"{"type":"audio","audio_event":{"audio_base_64":5}}"#, .wrongType),
            (#"{"type":"ping","ping_event":{}}"#, .missingField),
            (#"{"type":"ping","ping_event":{"event_id":"x"}}"#, .wrongType),
            (#"{"type":"user_transcript","user_transcription_event":{"user_transcript":5}}"#, .wrongType),
            (#"{"type":"client_tool_call","client_tool_call":{"tool_name":"t"}}"#, .missingField),
            ("{}", .missingField),
            (#"{"type":null}"#, .missingField), (#"{"type":5}"#, .wrongType), ("[]", .malformedJSON),
            ("", .malformedJSON),
            (#"{"type":"ping","ping_event":{"event_id":1}}}"#, .malformedJSON),
        ] as [(String, WireError.Code)])
    func refused(text: String, code: WireError.Code) {
        #expect(errorCode { () throws(WireError) in _ = try decode(text) } == code)
    }

    @Test func everyTruncationThrows() throws {
        for (text, _) in Self.golden {
            let message = buffer(text)
            for length in 0..<message.readableBytes {
                var audio = ByteBuffer()
                // A slice: the rest of the message lies behind its end, and a reader that goes too far would find it.
                let cut = try #require(message.getSlice(at: 0, length: length))
                #expect(throws: WireError.self, "the first \(length) bytes of \(text)") {
                    try Message.decode(cut, audio: &audio)
                }
            }
        }
    }
}
