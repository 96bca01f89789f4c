import Foundation
import NIOCore
import Patchbay
import PatchbayStore
import PatchbayTesting
import PatchbayWire
import Synchronization
import Testing

@testable import PatchbayControl

/// ElevenLabs' webhooks, its question before a conversation, and its calls of tools, over a real server.
@Suite struct VendorWebhookTests {
    static let secret = "wsec_test"
    static let settings = """
        {"elevenlabs": {"legacySignatures": true, "legacyFormats": true, "maximumBodyBytes": 65536,
          "secretHeader": {"name": "X-Tool-Secret", "value": {"env": "TOOL_SECRET"}}}}
        """

    private func document(_ port: Int) -> String {
        """
        {"name": "salon", "transport": "twilio",
         "numbers": {"+15550100001": {"tenantId": "t1", "agent": "agent_1"}, "+15550100002": {"tenantId": "t2", "agent": "agent_2"}},
         "variables": {"business": "Salon", "apiToken": "${env.SECRET_TOKEN}"},
         "context": {"url": "http://127.0.0.1:1/", "timeoutMs": 50, "default": {"name": "Valued Customer"}},
         "stages": [{"type": "elevenlabs", "agentId": "${agent}", "firstMessage": "Hello ${context.name}", "language": "de",
           "dynamicVariables": {"tenant": "${tenantId}", "visits": 3, "conversation_id": "${call.sid}"}}],
         "tools": [
          {"name": "get_services", "aliases": ["list_services"], "description": "x", "method": "GET",
           "url": "http://127.0.0.1:\(port)/pipelines", "query": {"tenant": "${tenantId}"},
           "parameters": {"type": "object", "properties": {"limit": {"type": "integer"}}}},
          {"name": "book", "description": "x", "url": "http://127.0.0.1:\(port)/pipelines/lint",
           "parameters": {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}}]}
        """
    }

    func serve(
        settings: String? = Self.settings, records: (any Store)? = nil,
        options: @escaping @Sendable (inout ServerOptions) -> Void = { _ in },
        _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        // The tools' service is the operators' side of another server.
        try await TestServer.run(echoDocument) { service in
            try await TestServer.run(
                document(service.port),
                options: {
                    $0.elevenLabsWebhookSecret = Secret(Self.secret)
                    options(&$0)
                }, environment: ["TOOL_SECRET": "tool-s3cr3t", "SECRET_TOKEN": "sk_9f8e7d6c5b4a3f2e1d0c9b8a"],
                settings: settings, records: records, body)
        }
    }

    func post(
        _ server: TestServer, _ body: String, path: String = "/elevenlabs/post-call", secret: String = Self.secret,
        time: Int = Int(Date().timeIntervalSince1970)
    ) async throws -> TestServer.Answer {
        let header = ElevenLabsSignature(secrets: [secret]).sign(ByteBuffer(string: body), at: time) ?? ""
        return try await server.post(path, headers: [(ElevenLabsSignature.header, header)], body: body)
    }

    func report(_ conversation: String, _ more: String = "") -> String {
        """
        {"type": "post_call_transcription", "event_timestamp": 1, "data": {"agent_id": "agent_1",
         "conversation_id": "\(conversation)", "status": "done", "transcript": [
          {"role": "agent", "message": "Hello", "time_in_call_secs": 0},
          {"role": "user", "message": "A cut, please.", "time_in_call_secs": 2}],
         "analysis": {"transcript_summary": "Wants a cut.", "data_collection_results": {"intent": {"value": "booking"}}}
         \(more)}}
        """
    }

    @Test func aTranscriptReachesItsSessionOnce() async throws {
        try await serve { server in
            let records = server.switchboard.records
            var session = VoiceSession(id: "s1", customerPhone: "+15550100099", pipeline: "salon", createdAt: Date())
            session.status = "answered"
            _ = try await records.insert(session)
            let body = report(
                "conv_1", #", "conversation_initiation_client_data": {"dynamic_variables": {"session_id": "s1"}}"#)
            let answer = try await post(server, body)
            #expect(answer.status == 200 && answer.json["success"] as? Bool == true, "\(answer.body)")
            #expect((answer.json["data"] as? [String: Any])?["session"] as? String == "s1")
            let kept = try #require(try await records.session("s1"))
            #expect(kept.status == "completed" && kept.conversationID == "conv_1" && kept.extractedIntent == "booking")
            #expect(
                kept.transcript
                    == #"[{ "atMs": 0, "speaker": "agent", "text": "Hello" }, { "atMs": 2000, "speaker": "caller", "text": "A cut, please." }]"#
            )
            #expect(JSONValue(parsing: kept.extractedData ?? "")?["transcript_summary"] == "Wants a cut.")
            _ = try await records.updateSession("s1") { $0.status = "canceled" }
            let again = try await post(server, body)
            #expect(again.status == 200 && (again.json["data"] as? [String: Any])?["duplicate"] as? Bool == true)
            #expect(try await records.session("s1")?.status == "canceled", "no second effect")
        }
    }

    @Test func aTranscriptReachesItsCall() async throws {
        try await serve { server in
            let records = server.switchboard.records
            var call = StoredCall(
                id: "call-1", callSid: "CA1", direction: "inbound", from: "+1", to: "+2", pipeline: "salon",
                version: "1", status: "ended", createdAt: Date())
            call.conversationID = "conv_1"
            try await records.write([
                .call(call), .event(StoredEvent(call: "call-1", sequence: 4, atMs: 9, event: "call ended", detail: "")),
            ])
            #expect(try await post(server, report("conv_1")).status == 200)
            #expect(try await records.turns(ofCall: "call-1").map(\.text) == ["Hello", "A cut, please."])
            let event = try #require(try await records.events(ofCall: "call-1").last)
            #expect(event.sequence == 5 && event.detail.contains("Wants a cut."))
            // A call over the vendor's own telephony is known by its report alone.
            let native = report(
                "conv_2",
                #", "metadata": {"start_time_unix_secs": 1739537270, "call_duration_secs": 22, "phone_call": {"direction": "inbound", "agent_number": "+2", "external_number": "+3", "call_sid": "CA9"}}"#
            )
            #expect(try await post(server, native).status == 200)
            let made = try #require(try await records.call("CA9"))
            #expect(made.from == "+3" && made.to == "+2" && made.status == "ended" && made.conversationID == "conv_2")
            #expect(try await post(server, report("conv_3")).status == 200, "one that nobody knows is no fault")
        }
    }

    @Test func whoIsNotTheVendorIsRefused() async throws {
        try await serve { server in
            let body = report("conv_1")
            #expect(try await post(server, body, secret: "another").status == 403)
            #expect(try await post(server, body, time: 1_000_000).body.contains("older than"))
            #expect(try await server.post("/elevenlabs/post-call", body: body).body.contains("missing"))
            let legacy = ElevenLabsSignature(secrets: [Self.secret]).legacySign(ByteBuffer(string: body)) ?? ""
            let answer = try await server.post(
                "/elevenlabs/post-call", headers: [(ElevenLabsSignature.legacyHeader, legacy)], body: body)
            #expect(answer.status == 200)
            #expect(try await post(server, "{").status == 400)
            let large = #"{"type": "x", "y": ""# + String(repeating: "z", count: 70_000) + #""}"#
            #expect(try await post(server, large).status == 413)
            #expect(try await post(server, #"{"type": "new_thing"}"#).status == 200)
        }
        try await serve(settings: "{}") { server in
            let legacy = ElevenLabsSignature(secrets: [Self.secret]).legacySign(ByteBuffer(string: "{}")) ?? ""
            let answer = try await server.post(
                "/elevenlabs/post-call", headers: [(ElevenLabsSignature.legacyHeader, legacy)], body: "{}")
            #expect(answer.status == 403, "only where it is switched on")
            let tool = try await server.post("/elevenlabs/tools/get_services", body: "{}")
            #expect(tool.status == 403 && tool.body.contains("secretHeader"))
        }
    }

    @Test func aRecordingIsAFileOfASafeName() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-audio-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await serve(options: { $0.dataDirectory = folder }) { server in
            var call = StoredCall(
                id: "call-1", callSid: "CA1", direction: "inbound", from: "+1", to: "+2", pipeline: "salon",
                version: "1", createdAt: Date())
            call.conversationID = "../../etc/x"
            try await server.switchboard.records.write([.call(call)])
            let body =
                #"{"type": "post_call_audio", "data": {"conversation_id": "../../etc/x", "full_audio": "SUQzBAAA"}}"#
            #expect(try await post(server, body).status == 200)
            let path = try #require(try await server.switchboard.records.call("CA1")?.recordings.first)
            #expect(path.hasPrefix(folder + "/recordings/hash-") && !path.contains(".."))
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data([0x49, 0x44, 0x33, 0x04, 0, 0]))
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    let header = [("X-Tool-Secret", "tool-s3cr3t")]

    @Test func theQuestionBeforeAConversation() async throws {
        try await serve { server in
            let vendors = try await server.post(
                "/elevenlabs/initiation", headers: header,
                body:
                    #"{"caller_id": "+491", "agent_id": "agent_2", "called_number": "+15550100001", "call_sid": "CA1"}"#
            )
            #expect(vendors.status == 200, "\(vendors.body)")
            let variables = try #require(vendors.json["dynamic_variables"] as? [String: Any])
            #expect(variables["tenant"] as? String == "t1" && variables["business"] as? String == "Salon")
            #expect(variables["visits"] as? Int == 3 && variables["caller_number"] as? String == "+491")
            #expect(variables["conversation_id"] as? String == "CA1")
            #expect(!vendors.body.contains("sk_9f8e"))
            let named = try await server.post(
                "/elevenlabs/initiation", headers: header,
                body: #"{"conversation_id": "conv_9", "called_number": "+15550100001", "call_sid": "CA1"}"#)
            #expect((named.json["dynamic_variables"] as? [String: Any])?["conversation_id"] as? String == "conv_9")
            let overrides = try #require(vendors.json["conversation_config_override"] as? [String: [String: Any]])
            #expect(overrides["agent"]?["first_message"] as? String == "Hello Valued Customer")
            #expect(overrides["agent"]?["language"] as? String == "de")
            #expect(overrides["agent"]?["agent_output_audio_format"] as? String == "ulaw_8000")
            #expect(overrides["tts"]?["output_format"] as? String == "ulaw_8000")
            for question in [
                #"{"type": "x", "conversation_id": "c", "agent_id": "a", "dynamic_variables": {"tenant_id": "t2", "caller_number": "+1", "call_sid": "CA2"}}"#,
                #"{"agent_id": "agent_2"}"#,
            ] {
                let answer = try await server.post("/elevenlabs/initiation", headers: header, body: question)
                #expect(
                    (answer.json["dynamic_variables"] as? [String: Any])?["tenant"] as? String == "t2", "\(answer.body)"
                )
            }
            let unknown = try await server.post(
                "/elevenlabs/initiation", headers: header, body: #"{"called_number": "+49"}"#)
            #expect(unknown.status == 404)
            #expect(try await server.post("/elevenlabs/initiation", headers: header, body: "[]").status == 400)
            let stranger = try await server.post(
                "/elevenlabs/initiation", headers: [("X-Tool-Secret", "x")], body: #"{"agent_id": "agent_2"}"#)
            #expect(stranger.status == 403 && stranger.body.contains("X-Tool-Secret is wrong"))
        }
    }

    @Test func toolsOverHTTP() async throws {
        try await serve { server in
            let path = "/elevenlabs/tools/"
            let plain = try await server.post(
                path + "list_services", headers: header, body: #"{"limit": 2, "tenant_id": "t1"}"#)
            #expect(plain.status == 200 && plain.json["pipelines"] != nil, "\(plain.body)")
            let enveloped = try await server.post(
                path + "get_services", headers: header,
                body: #"{"tool_name": "get_services", "parameters": {"limit": 2}, "agent_id": "agent_1"}"#)
            #expect(enveloped.json["result"] is [String: Any], "\(enveloped.body)")
            let asked = try await server.get(path + "get_services?limit=2&tenantId=t2", headers: header)
            #expect(asked.status == 200, "\(asked.body)")
            let wrong = try await server.get(path + "get_services?limit=two&tenantId=t2", headers: header)
            #expect(wrong.status == 400 && wrong.json["code"] as? String == "VALIDATION_ERROR", "\(wrong.body)")
            let missing = try await server.post(path + "book", headers: header, body: #"{"tenantId": "t1"}"#)
            #expect(missing.status == 400 && missing.body.contains("day"), "\(missing.body)")
            #expect(try await server.post(path + "nothing?tenantId=t1", headers: header, body: "{}").status == 404)
            #expect(try await server.post(path + "book?tenantId=t9", headers: header, body: "{}").status == 404)
            #expect(try await server.post(path + "book?tenantId=t1", body: "{}").status == 403)
            let form = header + [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
            let filled = try await server.post(path + "list_services", headers: form, body: "limit=2&tenant_id=t1")
            #expect(filled.status == 200 && filled.json["pipelines"] != nil, "\(filled.body)")
            let lacking = try await server.post(path + "book", headers: form, body: "tenant_id=t1&x=%20")
            #expect(lacking.status == 400 && lacking.body.contains("day"), "\(lacking.body)")
            // A GET has no body; what is signed is its query.
            let query = "limit=2&tenantId=t2", signature = ElevenLabsSignature(secrets: [Self.secret])
            let time = Int(Date().timeIntervalSince1970)
            for (name, value, status) in [
                (ElevenLabsSignature.header, signature.sign(ByteBuffer(string: query), at: time), 200),
                (ElevenLabsSignature.header, signature.sign(ByteBuffer(), at: time), 403),
                (ElevenLabsSignature.legacyHeader, signature.legacySign(ByteBuffer(string: query)), 200),
                (ElevenLabsSignature.legacyHeader, signature.legacySign(ByteBuffer()), 403),
            ] {
                let answer = try await server.get(path + "get_services?" + query, headers: [(name, value ?? "")])
                #expect(answer.status == status, "\(name) \(answer.body)")
            }
        }
    }

    @Test func toolsByEvents() async throws {
        try await serve { server in
            let services =
                #"{"event": "tool_call", "agentId": "agent_1", "sessionId": "s", "data": {"tool_name": "list_services", "parameters": {}}}"#
            for _ in 0..<2 {
                let answer = try await post(server, services)
                #expect(answer.status == 200 && answer.json["success"] as? Bool == true, "\(answer.body)")
                #expect((answer.json["data"] as? [String: Any])?["pipelines"] != nil)
            }
            let book =
                #"{"event": "tool_call", "agentId": "agent_1", "sessionId": "s", "data": {"tool_name": "book", "parameters": {"day": "x"}}}"#
            let time = Int(Date().timeIntervalSince1970)
            // The service has no such document: what it says of it is the answer, and the same for a repetition.
            let first = try await post(server, book, time: time)
            let second = try await post(server, book, time: time)
            #expect(first.body == second.body && first.status == second.status, "\(first.body) \(second.body)")
            // With a name of its own a call is known again, whenever it is signed.
            let named =
                #"{"event": "tool_call", "agentId": "agent_1", "sessionId": "s", "data": {"tool_name": "book", "tool_call_id": "t-1", "parameters": {"day": "y"}}}"#
            let one = try await post(server, named, time: time)
            let two = try await post(server, named + " ", time: time - 60)
            #expect(one.body == two.body && one.status == two.status)
        }
    }

    /// A store that knows of every delivery already.
    private struct Claimed: ForwardingStore {
        let base: any Store
        let answer: DeliveryClaim
        func claim(source: String, key: String, at date: Date) async throws(StoreError) -> DeliveryClaim { answer }
    }

    @Test(arguments: [
        (DeliveryClaim.abandoned, 409, "OUTCOME_UNKNOWN"), (.inProgress, 503, "IN_PROGRESS"),
        (.settled(answer: "not ours"), 409, "OUTCOME_UNKNOWN"),
        (.settled(answer: #"{"tool": "book", "output": "taken", "isError": true}"#), 502, "TOOL_ERROR"),
    ])
    func aToolIsNotSaidToBeDoneWithoutKnowing(claim: DeliveryClaim, status: Int, code: String) async throws {
        try await serve(records: Claimed(base: try SQLiteStore(), answer: claim)) { server in
            let book =
                #"{"event": "tool_call", "agentId": "agent_1", "sessionId": "s", "data": {"tool_name": "book", "parameters": {"day": "x"}}}"#
            let answer = try await post(server, book)
            #expect(answer.status == status && answer.json["success"] as? Bool == false, "\(answer.body)")
            #expect(answer.json["code"] as? String == code)
        }
    }

    @Test func whatIsRefusedIsNotedAndCounted() async throws {
        PrometheusMetrics.bootstrap()
        try await serve { server in
            _ = try await post(server, "{}", secret: "another")
            _ = try await server.post("/elevenlabs/tools/book", headers: [("X-Tool-Secret", "x")], body: "{}")
            _ = try await server.post("/elevenlabs/initiation", body: "{}")
            let trail = try await server.get("/audit").json["entries"] as? [[String: Any]] ?? []
            let refused = trail.filter { $0["action"] as? String == "webhook.refused" }
            #expect(
                refused.compactMap { $0["subject"] as? String } == [
                    "/elevenlabs/initiation", "/elevenlabs/tools/book", "/elevenlabs/post-call",
                ])
            #expect(refused.last?["outcome"] as? String == "the signature does not fit the body")
            let message = OutboxMessage(
                id: "m1", event: "call.ended", endpoint: "crm", body: "{}", createdAt: Date(timeIntervalSince1970: 0))
            try await server.switchboard.records.enqueue([message])
            try await server.switchboard.records.failed(message: "m1", error: "gone", next: nil)
            #expect(try await server.post("/webhooks/dead/m1/retry").status == 200)
            let last = (try await server.get("/audit").json["entries"] as? [[String: Any]])?.first
            #expect(last?["action"] as? String == "webhook.retry" && last?["subject"] as? String == "m1")
            #expect(last?["outcome"] as? String == "ok" && last?["actor"] as? String == "local")
        }
    }
}
