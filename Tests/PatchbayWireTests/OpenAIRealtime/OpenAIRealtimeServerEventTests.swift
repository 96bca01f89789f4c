import NIOCore
import Testing

@testable import PatchbayWire

@Suite struct OpenAIRealtimeServerEventTests {
    typealias Event = OpenAIRealtimeServerEvent
    typealias Item = OpenAIRealtimeItem

    private static let place = Event.Place(responseID: "resp_1", itemID: "item_2", outputIndex: 0, contentIndex: 0)

    private static let session: OpenAIRealtimeSession = {
        var session = OpenAIRealtimeSession()
        session.id = "sess_1"
        session.type = "realtime"
        session.model = "gpt-realtime"
        session.expiresAt = 1_790_000_000
        session.outputModalities = ["audio"]
        session.instructions = "Be brief."
        session.inputFormat = .pcmu
        session.outputFormat = .pcm24k
        session.noiseReduction = .off
        session.transcription = .on(.init(model: "whisper-1", language: "en"))
        var detection = OpenAIRealtimeSession.TurnDetection(.server)
        detection.threshold = 0.5
        detection.prefixPaddingMs = 300
        detection.silenceMs = 500
        detection.createsResponse = true
        detection.interruptsResponse = true
        session.turnDetection = .on(detection)
        session.voice = "marin"
        session.speed = 1.5
        session.tools = [.init("lookup", description: "d", parameters: #"{"type":"object"}"#)]
        session.toolChoice = "auto"
        session.maxOutputTokens = .infinite
        return session
    }()

    /// One text as servers send it for every event, and what it means.
    static let golden: [(String, Event)] = [
        (
            #"{"type":"session.created","event_id":"e","session":{"object":"realtime.session","id":"sess_1","expires_at":1790000000,"type":"realtime","model":"gpt-realtime","output_modalities":["audio"],"instructions":"Be brief.","audio":{"input":{"format":{"type":"audio/pcmu"},"transcription":{"model":"whisper-1","language":"en"},"noise_reduction":null,"turn_detection":{"type":"server_vad","threshold":0.5,"prefix_padding_ms":300,"silence_duration_ms":500,"create_response":true,"interrupt_response":true}},"output":{"format":{"type":"audio/pcm","rate":24000},"voice":"marin","speed":1.5}},"max_output_tokens":"inf","tools":[{"type":"function","name":"lookup","description":"d","parameters":{"type":"object"}}],"tool_choice":"auto"}}"#,
            .sessionCreated(session)
        ),
        (
            #"{"type":"conversation.created","event_id":"e","conversation":{"id":"conv_1","object":"realtime.conversation"}}"#,
            .conversationCreated(id: "conv_1")
        ),
        (
            #"{"type":"conversation.item.added","event_id":"e","previous_item_id":"item_1","item":{"id":"item_2","object":"realtime.item","type":"message","status":"in_progress","role":"assistant","content":[]}}"#,
            .itemAdded(Item(.message(.assistant, []), id: "item_2", status: "in_progress"), previousItemID: "item_1")
        ),
        (
            #"{"type":"conversation.item.done","event_id":"e","previous_item_id":null,"item":{"id":"item_2","object":"realtime.item","type":"message","status":"completed","role":"user","content":[{"type":"input_audio","transcript":null}]}}"#,
            .itemDone(
                Item(.message(.user, [.init(type: "input_audio")]), id: "item_2", status: "completed"),
                previousItemID: nil)
        ),
        (
            #"{"type":"conversation.item.retrieved","event_id":"e","item":{"id":"item_3","object":"realtime.item","type":"function_call_output","call_id":"call_1","output":"42"}}"#,
            .itemRetrieved(Item(.functionCallOutput(callID: "call_1", output: "42"), id: "item_3"))
        ),
        (
            #"{"type":"conversation.item.deleted","event_id":"e","item_id":"item_2"}"#, .itemDeleted(id: "item_2")
        ),
        (
            #"{"type":"conversation.item.truncated","event_id":"e","item_id":"item_2","content_index":0,"audio_end_ms":1234}"#,
            .itemTruncated(id: "item_2", contentIndex: 0, audioEndMs: 1234)
        ),
        (
            #"{"type":"conversation.item.input_audio_transcription.delta","event_id":"e","item_id":"item_1","content_index":0,"delta":"Hel"}"#,
            .inputTranscriptDelta(itemID: "item_1", "Hel")
        ),
        (
            #"{"type":"conversation.item.input_audio_transcription.completed","event_id":"e","item_id":"item_1","content_index":0,"transcript":"Hello.","usage":{"type":"duration","seconds":1}}"#,
            .inputTranscriptDone(itemID: "item_1", "Hello.")
        ),
        (
            #"{"type":"conversation.item.input_audio_transcription.failed","event_id":"e","item_id":"item_1","content_index":0,"error":{"type":"transcription_error","code":"audio_unintelligible","message":"m","param":null,"event_id":null}}"#,
            .inputTranscriptFailed(
                itemID: "item_1", .init(type: "transcription_error", code: "audio_unintelligible", message: "m"))
        ),
        (
            #"{"type":"input_audio_buffer.speech_started","event_id":"e","audio_start_ms":1000,"item_id":"item_1"}"#,
            .speechStarted(itemID: "item_1", audioStartMs: 1000)
        ),
        (
            #"{"type":"input_audio_buffer.speech_stopped","event_id":"e","audio_end_ms":2000,"item_id":"item_1"}"#,
            .speechStopped(itemID: "item_1", audioEndMs: 2000)
        ),
        (
            #"{"type":"input_audio_buffer.committed","event_id":"e","previous_item_id":null,"item_id":"item_1"}"#,
            .audioCommitted(itemID: "item_1", previousItemID: nil)
        ),
        (#"{"type":"input_audio_buffer.cleared","event_id":"e"}"#, .audioCleared),
        (
            #"{"type":"input_audio_buffer.timeout_triggered","event_id":"e","audio_start_ms":0,"audio_end_ms":0,"item_id":"item_1"}"#,
            .idleTimeout(itemID: "item_1")
        ),
        (#"{"type":"input_audio_buffer.dtmf_event_received","event_id":"e","event":"9"}"#, .keyPressed("9")),
        (
            #"{"type":"response.created","event_id":"e","response":{"object":"realtime.response","id":"resp_1","status":"in_progress","status_details":null,"output":[],"conversation_id":"conv_1","output_modalities":["audio"],"usage":null}}"#,
            .responseCreated(.init(id: "resp_1", status: "in_progress", conversationID: "conv_1"))
        ),
        (
            #"{"type":"response.done","event_id":"e","response":{"object":"realtime.response","id":"resp_1","status":"completed","status_details":null,"output":[{"id":"item_2","object":"realtime.item","type":"function_call","status":"completed","call_id":"call_1","name":"lookup","arguments":"{}"}],"conversation_id":null,"output_modalities":["audio"],"usage":{"total_tokens":30,"input_tokens":10,"output_tokens":20}}}"#,
            .responseDone(
                .init(
                    id: "resp_1", status: "completed",
                    output: [
                        Item(
                            .functionCall(.init(callID: "call_1", name: "lookup", arguments: "{}")), id: "item_2",
                            status: "completed")
                    ], usage: .init(total: 30, input: 10, output: 20)))
        ),
        (
            #"{"type":"response.done","event_id":"e","response":{"object":"realtime.response","id":"resp_1","status":"failed","status_details":{"type":"failed","reason":"error","error":{"type":"insufficient_quota","code":"insufficient_quota","message":"m"}},"output":[],"conversation_id":null,"output_modalities":["audio"],"usage":null}}"#,
            .responseDone(
                .init(
                    id: "resp_1", status: "failed", reason: "error",
                    fault: .init(type: "insufficient_quota", code: "insufficient_quota", message: "m")))
        ),
        (
            #"{"type":"response.output_item.added","event_id":"e","response_id":"resp_1","output_index":1,"item":{"id":"item_2","object":"realtime.item","type":"function_call","status":"in_progress","call_id":"call_1","name":"lookup","arguments":""}}"#,
            .outputItemAdded(
                responseID: "resp_1", outputIndex: 1,
                Item(.functionCall(.init(callID: "call_1", name: "lookup")), id: "item_2", status: "in_progress"))
        ),
        (
            #"{"type":"response.output_item.done","event_id":"e","response_id":"resp_1","output_index":0,"item":{"id":"item_2","object":"realtime.item","type":"message","status":"completed","role":"assistant","content":[{"type":"output_audio","transcript":"Hi."}]}}"#,
            .outputItemDone(
                responseID: "resp_1", outputIndex: 0,
                Item(
                    .message(.assistant, [.init(type: "output_audio", transcript: "Hi.")]), id: "item_2",
                    status: "completed"))
        ),
        (
            #"{"type":"response.content_part.added","event_id":"e","response_id":"resp_1","item_id":"item_2","output_index":0,"content_index":0,"part":{"type":"audio","transcript":""}}"#,
            .contentPartAdded(place, .init(type: "audio", transcript: ""))
        ),
        (
            #"{"type":"response.content_part.done","event_id":"e","response_id":"resp_1","item_id":"item_2","output_index":0,"content_index":0,"part":{"type":"text","text":"Hi."}}"#,
            .contentPartDone(place, .init(type: "text", text: "Hi."))
        ),
        (
            #"{"type":"response.output_audio.done","event_id":"e","response_id":"resp_1","item_id":"item_2","output_index":0,"content_index":0}"#,
            .audioDone(place)
        ),
        (
            #"{"type":"response.output_audio_transcript.delta","event_id":"e","response_id":"resp_1","item_id":"item_2","output_index":0,"content_index":0,"delta":"Hi \"there\""}"#,
            .transcriptDelta(place, "Hi \"there\"")
        ),
        (
            #"{"type":"response.output_audio_transcript.done","event_id":"e","response_id":"resp_1","item_id":"item_2","output_index":0,"content_index":0,"transcript":"Hi."}"#,
            .transcriptDone(place, "Hi.")
        ),
        (
            #"{"type":"response.output_text.delta","event_id":"e","response_id":"resp_1","item_id":"item_2","output_index":0,"content_index":0,"delta":"H"}"#,
            .textDelta(place, "H")
        ),
        (
            #"{"type":"response.output_text.done","event_id":"e","response_id":"resp_1","item_id":"item_2","output_index":0,"content_index":0,"text":"Hi."}"#,
            .textDone(place, "Hi.")
        ),
        (
            #"{"type":"response.function_call_arguments.delta","event_id":"e","response_id":"resp_1","item_id":"item_2","output_index":0,"call_id":"call_1","delta":"{\"a\""}"#,
            .argumentsDelta(place, callID: "call_1", #"{"a""#)
        ),
        (
            #"{"type":"response.function_call_arguments.done","event_id":"e","response_id":"resp_1","item_id":"item_2","output_index":0,"call_id":"call_1","name":"lookup","arguments":"{\"a\":1}"}"#,
            .argumentsDone(place, .init(callID: "call_1", name: "lookup", arguments: #"{"a":1}"#))
        ),
        (
            #"{"type":"rate_limits.updated","event_id":"e","rate_limits":[{"name":"tokens","limit":50000,"remaining":49000,"reset_seconds":0.5}]}"#,
            .rateLimits([.init(name: "tokens", limit: 50_000, remaining: 49_000, resetSeconds: 0.5)])
        ),
        (
            #"{"type":"error","event_id":"e","error":{"type":"invalid_request_error","code":"invalid_event","message":"The 'type' field is missing.","param":null,"event_id":"event_567"}}"#,
            .error(.init(code: "invalid_event", message: "The 'type' field is missing.", eventID: "event_567"))
        ),
        (#"{"type":"mcp_list_tools.completed","event_id":"e"}"#, .other(type: "mcp_list_tools.completed")),
    ]

    private func decode(_ text: String) throws(WireError) -> Event {
        var decoder = OpenAIRealtimeServerDecoder()
        var audio = ByteBuffer()
        return try decoder.decode(buffer(text), audio: &audio)
    }

    @Test(arguments: golden) func reads(text: String, event: Event) throws {
        #expect(try decode(text) == event)
    }

    @Test(arguments: golden) func writesWhatItReads(golden: String, event: Event) throws {
        let written = text { event.write(eventID: "e", into: &$0) }
        #expect(written == golden)
    }

    /// Every event that has bounded text, cut off at every byte: an error, never a trap and never half an event.
    @Test func truncatedAtEveryByte() {
        for (text, _) in Self.golden {
            for count in 0..<text.utf8.count {
                #expect(throws: WireError.self, "\(text.prefix(count))") { try decode(String(text.prefix(count))) }
            }
        }
    }

    // MARK: Audio

    @Test(arguments: [
        #"{"type":"response.output_audio.delta","event_id":"e","response_id":"r","item_id":"i","output_index":1,"content_index":2,"delta":"AQID"}"#,
        #"{"delta":"AQID","content_index":2,"output_index":1,"item_id":"i","response_id":"r","type":"response.output_audio.delta"}"#,
        #"{"type":"response.audio.delta","response_id":"r","item_id":"i","output_index":1,"content_index":2,"x":{"y":[1]},"delta":"AQID"}"#,
        #"{"type":"response.output_audio.delta","response_id":"r","item_id":"i","output_index":1,"content_index":2,"\u0064elta":"AQID"}"#,
    ])
    func audioInAnyOrderAndByBothNames(text: String) throws {
        var decoder = OpenAIRealtimeServerDecoder()
        var audio = ByteBuffer()
        let event = try decoder.decode(buffer(text), audio: &audio)
        #expect(
            event
                == .audioDelta(
                    .init(responseID: "r", itemID: "i", outputIndex: 1, contentIndex: 2), byteCount: 3))
        #expect(Array(audio.readableBytesView) == [1, 2, 3])
    }

    @Test func placesAreThoseOfTheirOwnEvent() throws {
        var decoder = OpenAIRealtimeServerDecoder()
        var audio = ByteBuffer()
        for (response, item) in [
            ("resp_aaaaaaaaaaaaaaaaaaaa", "item_1"), ("resp_aaaaaaaaaaaaaaaaaaab", "item_1"), ("resp_a\\u0061", "é"),
        ] {
            let text =
                #"{"type":"response.output_audio.delta","response_id":"\#(response)","item_id":"\#(item)","delta":""}"#
            let expected = Event.Place(
                responseID: response.replacing("\\u0061", with: "a"), itemID: item)
            #expect(try decoder.decode(buffer(text), audio: &audio) == .audioDelta(expected, byteCount: 0))
        }
        let bare = try decoder.decode(buffer(#"{"type":"response.output_audio.delta","delta":""}"#), audio: &audio)
        #expect(bare == .audioDelta(.init(), byteCount: 0), "nothing is kept from the event before")
    }

    @Test func writtenAudioReadsBack() throws {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var message = ByteBuffer()
        bytes.withUnsafeBytes {
            Event.audioDelta(Self.place, byteCount: 0).write(eventID: "e", audio: $0, into: &message)
        }
        try checkJSON(String(buffer: message))
        var decoder = OpenAIRealtimeServerDecoder()
        var audio = ByteBuffer()
        #expect(try decoder.decode(message, audio: &audio) == .audioDelta(Self.place, byteCount: 1000))
        #expect(Array(audio.readableBytesView) == bytes)
    }

    @Test(
        arguments: [
            ("", .malformedJSON), ("[]", .malformedJSON), ("{}", .missingField), (#"{"type":7}"#, .wrongType),
            (#"{"type":"session.created"}"#, .missingField),
            (#"{"type":"response.output_audio.delta"}"#, .missingField),
            (#"{"type":"response.output_audio.delta","delta":7}"#, .wrongType),
            (#"{"type":"response.output_audio.delta","delta":"A"}"#, .invalidBase64),
            (#"{"type":"response.output_audio.delta","delta":"AQID"}x"#, .malformedJSON),
            (#"{"type":"response.output_item.added","item":{"role":"user"}}"#, .missingField),
            (#"{"type":"response.function_call_arguments.done","arguments":"{}"}"#, .missingField),
            (#"{"type":"response.done","response":[]}"#, .wrongType),
        ] as [(String, WireError.Code)])
    func refused(text: String, code: WireError.Code) {
        #expect(errorCode { () throws(WireError) in _ = try decode(text) } == code)
    }

    @Test func tooMuchAudioIsRefused() {
        var decoder = OpenAIRealtimeServerDecoder(maximumAudio: 2)
        var audio = ByteBuffer()
        let text = #"{"type":"response.output_audio.delta","delta":"AQID"}"#
        #expect(
            errorCode { () throws(WireError) in _ = try decoder.decode(buffer(text), audio: &audio) } == .tooLarge)
        #expect(audio.readableBytes == 0)
    }

    // MARK: The beta protocol

    @Test(
        arguments: [
            (
                #"{"type":"conversation.item.created","item":{"id":"i","type":"message","role":"user","content":[]}}"#,
                .itemAdded(Item(.message(.user, []), id: "i"), previousItemID: nil)
            ),
            (
                #"{"type":"response.audio_transcript.delta","response_id":"resp_1","item_id":"item_2","delta":"H"}"#,
                .transcriptDelta(place, "H")
            ),
            (
                #"{"type":"response.audio_transcript.done","response_id":"resp_1","item_id":"item_2","transcript":"H"}"#,
                .transcriptDone(place, "H")
            ),
            (#"{"type":"response.audio.done","response_id":"resp_1","item_id":"item_2"}"#, .audioDone(place)),
            (
                #"{"type":"response.text.delta","response_id":"resp_1","item_id":"item_2","delta":"H"}"#,
                .textDelta(place, "H")
            ),
            (
                #"{"type":"response.text.done","response_id":"resp_1","item_id":"item_2","text":"H"}"#,
                .textDone(place, "H")
            ),
        ] as [(String, Event)])
    func formerNames(text: String, event: Event) throws {
        #expect(try decode(text) == event)
    }

    @Test func flatSessions() throws {
        let text =
            #"{"type":"session.updated","session":{"id":"s","model":"m","modalities":["text","audio"],"voice":"alloy","input_audio_format":"g711_ulaw","output_audio_format":"pcm16","input_audio_transcription":{"model":"whisper-1"},"turn_detection":null,"max_response_output_tokens":200}}"#
        var expected = OpenAIRealtimeSession()
        expected.id = "s"
        expected.model = "m"
        expected.outputModalities = ["text", "audio"]
        expected.voice = "alloy"
        expected.inputFormat = .pcmu
        expected.outputFormat = .pcm24k
        expected.transcription = .on(.init(model: "whisper-1"))
        expected.turnDetection = .off
        expected.maxOutputTokens = .tokens(200)
        #expect(try decode(text) == .sessionUpdated(expected))
    }

    // MARK: Faults

    @Test(
        arguments: [
            ("invalid_request_error", "invalid_api_key", "", .unauthorized),
            ("invalid_request_error", "model_not_found", "", .unknownModel),
            ("insufficient_quota", nil, "", .quotaExceeded),
            ("tokens", "rate_limit_exceeded", "", .rateLimited),
            ("invalid_request_error", "session_expired", "", .sessionExpired),
            ("invalid_request_error", "response_cancel_not_active", "", .nothingToDo),
            ("invalid_request_error", "conversation_already_has_active_response", "", .responseActive),
            ("invalid_request_error", nil, "Conversation already has an active response", .responseActive),
            ("invalid_request_error", nil, "Cancellation failed: no active response found", .nothingToDo),
            ("server_error", nil, "", .serverFailed),
            ("invalid_request_error", "unknown_parameter", "", .invalidRequest),
            ("", nil, "", .invalidRequest),
        ] as [(String, String?, String, OpenAIRealtimeFault.Meaning)])
    func faults(type: String, code: String?, message: String, meaning: OpenAIRealtimeFault.Meaning) {
        #expect(OpenAIRealtimeFault(type: type, code: code, message: message).meaning == meaning)
    }

    @Test(
        arguments: [
            (1000, "", nil, false, true), (1001, "", nil, true, false), (1006, "", nil, true, false),
            (1011, "", nil, true, false), (1008, "", nil, false, false),
            (1001, "Your session hit the maximum duration of 60 minutes.", .sessionExpired, true, false),
            (3000, "invalid_request_error.invalid_api_key", .unauthorized, false, false),
            (4000, "invalid_request_error.model_not_found", .unknownModel, false, false),
            (1000, "insufficient_quota", .quotaExceeded, false, false), (4999, "?", nil, false, false),
        ] as [(Int, String, OpenAIRealtimeFault.Meaning?, Bool, Bool)])
    func closes(
        code: Int, reason: String, meaning: OpenAIRealtimeFault.Meaning?, isRetryable: Bool, isOrderly: Bool
    ) {
        let close = OpenAIRealtimeClose(code: code, reason: reason)
        #expect(close.meaning == meaning)
        #expect(close.isRetryable == isRetryable)
        #expect(close.isOrderly == isOrderly)
        #expect(close.description.contains("\(code)") && close.description.contains(reason))
    }
}
