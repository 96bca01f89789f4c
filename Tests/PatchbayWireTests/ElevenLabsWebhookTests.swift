import NIOCore
import Testing

@testable import PatchbayWire

@Suite struct ElevenLabsWebhookTests {
    // Made with `elevenlabs` 2.78.0, the vendor's Python library.
    private static let secret = "wsec_0123456789abcdef0123456789abcdef"
    private static let body =
        #"{"type":"post_call_transcription","event_timestamp":1739537297,"data":{"agent_id":"agent_xyz","conversation_id":"conv_abc","status":"done"}}"#
    private static let code = "d3fda6bb60f06b45116d50854724efb48f32ec23aceed02e336568bc817ff919"
    private static let header = "t=1739537300,v0=\(code)"

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var header: String? = ElevenLabsWebhookTests.header
        var body = ElevenLabsWebhookTests.body
        var secrets = [ElevenLabsWebhookTests.secret]
        var now = 1_739_537_305
        var refusal: ElevenLabsSignature.Refusal?
        var testDescription: String { name }
    }

    private static let cases = [
        Case(name: "as sent"),
        Case(name: "another secret", secrets: ["wsec_ffffffffffffffffffffffffffffffff"], refusal: .wrong),
        Case(name: "the second of two secrets", secrets: ["wsec_ffffffffffffffffffffffffffffffff", secret]),
        Case(name: "half an hour old", now: 1_739_539_100),
        Case(name: "a second more", now: 1_739_539_101, refusal: .expired),
        Case(name: "five minutes ahead", now: 1_739_537_000),
        Case(name: "a second more ahead", now: 1_739_536_999, refusal: .fromTheFuture),
        Case(name: "a day ahead", now: 1_739_450_900, refusal: .fromTheFuture),
        Case(name: "another body", body: body.replacing("done", with: "fail"), refusal: .wrong),
        Case(name: "the body written anew", body: body.replacing(":", with: ": "), refusal: .wrong),
        Case(name: "swapped", header: "v0=\(code),t=1739537300"),
        Case(name: "with a space", header: "t=1739537300, v0=\(code)"),
        Case(name: "two signatures, one right", header: "t=1739537300,v0=\(code.replacing("d", with: "e")),v0=\(code)"),
        Case(name: "capital letters", header: "t=1739537300,v0=\(code.uppercased())", refusal: .malformed),
        Case(name: "no signature", header: "t=1739537300", refusal: .malformed),
        Case(name: "no time", header: "v0=\(code)", refusal: .malformed),
        Case(name: "a time that is none", header: "t=now,v0=\(code)", refusal: .malformed),
        Case(name: "a negative time", header: "t=-1,v0=\(code)", refusal: .malformed),
        Case(name: "an endless time", header: "t=99999999999999999999,v0=\(code)", refusal: .malformed),
        Case(name: "half a signature", header: "t=1739537300,v0=\(code.prefix(32))", refusal: .malformed),
        Case(name: "another version", header: "t=1739537300,v1=\(code)", refusal: .malformed),
        Case(name: "an empty header", header: "", refusal: .missing),
        Case(name: "no header", header: nil, refusal: .missing),
        Case(name: "no secret", secrets: [], refusal: .noSecret),
        Case(name: "an empty secret", secrets: [""], refusal: .noSecret),
        Case(
            name: "letters beyond ASCII",
            header: "t=1759931655,v0=307e808998d7a67034ad96f00450398ff130b6e6a14d4f8847fcd4e36c2fd82c",
            body:
                #"{"type":"call_initiation_failure","event_timestamp":1759931652,"data":{"agent_id":"agent_xyz","conversation_id":"conv_abc","failure_reason":"busy","note":"Zoë – ok"}}"#,
            now: 1_759_931_660),
    ]

    @Test(arguments: cases)
    func signatures(_ entry: Case) throws {
        let signature = ElevenLabsSignature(secrets: entry.secrets)
        let body = ByteBuffer(string: entry.body)
        if let refusal = entry.refusal {
            #expect(throws: refusal) { try signature.verify(entry.header, body, now: entry.now) }
        } else {
            try signature.verify(entry.header, body, now: entry.now)
        }
    }

    @Test func signingGivesWhatTheLibraryGives() {
        let signature = ElevenLabsSignature(secrets: [Self.secret])
        #expect(signature.sign(ByteBuffer(string: Self.body), at: 1_739_537_300) == Self.header)
        #expect(ElevenLabsSignature(secrets: []).sign(ByteBuffer(), at: 1) == nil)
    }

    @Test func theOlderSignature() throws {
        let signature = ElevenLabsSignature(secrets: ["old", "new"])
        let message = ByteBuffer(string: "tenantId=t1")
        let header = try #require(signature.legacySign(message))
        // printf tenantId=t1 | openssl dgst -sha256 -hmac old
        #expect(header == "4713b918fd836fa4c565f8e7f7160044375f9b41db5f538eba0f3a1f42ed87f9")
        try signature.verifyLegacy(header, message)
        try signature.verifyLegacy("sha256=" + header.uppercased().lowercased(), message)
        #expect(throws: ElevenLabsSignature.Refusal.wrong) {
            try signature.verifyLegacy(header, ByteBuffer(string: "tenantId=t2"))
        }
        #expect(throws: ElevenLabsSignature.Refusal.malformed) { try signature.verifyLegacy("x", message) }
        #expect(throws: ElevenLabsSignature.Refusal.missing) { try signature.verifyLegacy(nil, message) }
    }

    // MARK: Payloads

    private func read(_ text: String, maximumAudio: Int = 100) throws -> (ElevenLabsWebhook, ByteBuffer) {
        var audio = ByteBuffer()
        let webhook = try ElevenLabsWebhook(ByteBuffer(string: text), audio: &audio, maximumAudio: maximumAudio)
        return (webhook, audio)
    }

    @Test func aReport() throws {
        let (webhook, _) = try read(
            #"""
            {"type": "post_call_transcription", "event_timestamp": 1739537297, "data": {
              "agent_id": "agent_1", "conversation_id": "conv_1", "status": "done",
              "transcript": [
                {"role": "agent", "message": "Hello", "time_in_call_secs": 0, "interrupted": true},
                {"role": "user", "message": "Where is order A17?", "time_in_call_secs": 3},
                {"role": "agent", "message": null, "time_in_call_secs": 5,
                 "tool_calls": [{"request_id": "c1", "tool_name": "lookup", "params_as_json": "{\"id\":\"A17\"}"}],
                 "tool_results": [{"request_id": "c1", "result_value": "shipped", "is_error": false, "tool_latency_secs": 0.09}]},
                "strange", {"role": "user", "message": ""}],
              "metadata": {"start_time_unix_secs": 1739537270, "call_duration_secs": 22, "termination_reason": "",
                "phone_call": {"type": "twilio", "direction": "inbound", "agent_number": "+15552223333",
                  "external_number": "+15550001111", "call_sid": "CA123"}},
              "analysis": {"transcript_summary": "Asked.", "call_successful": "success",
                "data_collection_results": {"intent": {"value": "order \"status\"", "rationale": "x"}, "n": {"value": 3},
                  "none": {"value": null}, "plain": "p"}},
              "conversation_initiation_client_data": {"dynamic_variables": {"session": "s1", "n": 2, "o": {}}}}}
            """#)
        guard case .report(let report) = webhook.event else {
            Issue.record("no report")
            return
        }
        #expect(webhook.agentId == "agent_1" && webhook.conversationId == "conv_1" && webhook.time == 1_739_537_297)
        #expect(webhook.variables == ["session": "s1", "n": "2"])
        #expect(report.turns.map(\.message) == ["Hello", "Where is order A17?"])
        #expect(report.turns.map(\.isInterrupted) == [true, false])
        #expect(report.tools.first?.output == "shipped" && report.tools.first?.arguments == #"{"id":"A17"}"#)
        #expect(report.phoneCall?.callSid == "CA123" && report.durationSeconds == 22)
        #expect(report.collected.map(\.name) == ["intent", "n", "plain"])
        #expect(report.collected.map(\.json) == [#""order \"status\"""#, "3", #""p""#])
        #expect(report.intent == #"order "status""# && report.summary == "Asked." && report.outcome == "success")
    }

    @Test func aRecording() throws {
        let text = #"{"type": "post_call_audio", "data": {"conversation_id": "conv_1", "full_audio": "SUQzBAAA"}}"#
        let (webhook, audio) = try read(text)
        #expect(webhook.event == .audio(byteCount: 6))
        #expect(Array(audio.readableBytesView) == [0x49, 0x44, 0x33, 0x04, 0x00, 0x00])
        #expect(throws: WireError.self) { _ = try read(text, maximumAudio: 5) }
    }

    @Test(arguments: [
        (
            #"{"event": "conversation_started", "agentId": "a", "sessionId": "s"}"#,
            ElevenLabsWebhook.Event.conversationStarted
        ),
        (#"{"event": "conversation_ended", "agentId": "a", "sessionId": "s", "data": {}}"#, .conversationEnded),
        (
            #"{"event": "tool_call", "data": {"agent_id": "a", "session_id": "s", "tool_name": "t", "parameters": {"x": [1]}}}"#,
            .toolCall(ElevenLabsToolCall(name: "t", parameters: #"{"x": [1]}"#))
        ),
        (
            #"{"event": "tool_call", "agentId": "a", "sessionId": "s", "data": {"toolName": "t", "toolCallId": "1"}}"#,
            .toolCall(ElevenLabsToolCall(name: "t", parameters: "{}", id: "1"))
        ),
        (
            #"{"type": "answering_machine_detection", "agent_id": "a", "sessionId": "s"}"#,
            .unknown("answering_machine_detection")
        ),
    ])
    func otherShapes(_ text: String, _ event: ElevenLabsWebhook.Event) throws {
        let (webhook, _) = try read(text)
        #expect(webhook.event == event && webhook.agentId == "a" && webhook.sessionId == "s")
    }

    @Test func aCallThatNeverCameAbout() throws {
        let (webhook, _) = try read(
            #"{"type": "call_initiation_failure", "data": {"failure_reason": "busy", "metadata": {"body": {"CallSid": "CA1"}}}}"#
        )
        guard case .initiationFailure(let failure) = webhook.event else {
            Issue.record("no failure")
            return
        }
        #expect(failure.reason == "busy" && failure.callSid == "CA1")
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"type": 3}"#, #"{"type": "post_call_transcription"}"#,
        #"{"type": "post_call_transcription", "data": []}"#, #"{"type": "post_call_audio", "data": {}}"#,
        #"{"type": "post_call_audio", "data": {"full_audio": "?"}}"#, #"{"event": "tool_call", "data": {}}"#,
        #"{"event": "tool_call"}"#, #"{"type": "x"} y"#,
        #"{"type": ""# + String(repeating: "x", count: 300) + #""}"#,
    ])
    func whatIsRefused(_ text: String) { #expect(throws: WireError.self) { _ = try read(text) } }

    @Test func strangeValuesAreLeftOut() throws {
        let (webhook, _) = try read(
            #"{"type": "post_call_transcription", "data": {"transcript": {}, "metadata": 3, "analysis": [], "status": null}}"#
        )
        guard case .report(let report) = webhook.event else {
            Issue.record("no report")
            return
        }
        #expect(
            report.turns.isEmpty && report.collected.isEmpty && report.phoneCall == nil && report.status == "unknown")
    }

    @Test func envelopes() {
        let call = ElevenLabsToolCall.envelope(
            ByteBuffer(
                string: #"{"tool_call_id": "1", "tool_name": "t", "parameters": {"a": 1}, "conversation_id": "c"}"#))
        #expect(call == ElevenLabsToolCall(name: "t", parameters: #"{"a": 1}"#, id: "1"))
        for text in [#"{"a": 1}"#, #"{"parameters": {}}"#, #"{"tool_name": "t", "parameters": 1}"#, "x", ""] {
            #expect(ElevenLabsToolCall.envelope(ByteBuffer(string: text)) == nil)
        }
    }
}
