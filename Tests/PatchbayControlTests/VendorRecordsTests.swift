import Foundation
import Patchbay
import PatchbayStore
import PatchbayWire
import Testing

@testable import PatchbayControl

/// What ElevenLabs' webhooks leave in the records and in the audit trail.
extension VendorWebhookTests {
    @Test func aCallThatTheVendorCarriedIsItsTenants() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-owner-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await serve(options: { $0.dataDirectory = folder }) { server in
            for (id, number, agent) in [
                ("north", "+15550100012", "agent_north"), ("south", "+15550100013", "agent_south"),
            ] {
                let put = try await server.execute(
                    .PUT, "/tenants/\(id)", headers: TestServer.admin,
                    body: #"{"name": "\#(id)", "pipeline": "salon", "numbers": ["\#(number)"], "agentId": "\#(agent)"}"#
                )
                #expect(put.status == 201, "\(put.body)")
            }
            let records = server.switchboard.records
            let phone =
                #""phone_call": {"direction": "inbound", "agent_number": "+15550100012", "external_number": "+3", "call_sid": "CA7"}"#
            func tell(_ conversation: String, agent: String, metadata: String = "", variables: String = "") async throws
            {
                let body = """
                    {"type": "post_call_transcription", "event_timestamp": 1, "data": {"agent_id": "\(agent)",
                     "conversation_id": "\(conversation)", "status": "done", "transcript": [
                      {"role": "user", "message": "A cut, please.", "time_in_call_secs": 2}], "metadata": {\(metadata)},
                     "conversation_initiation_client_data": {"dynamic_variables": {\(variables)}}}}
                    """
                #expect(try await post(server, body).status == 200)
            }
            func tellAudio(_ conversation: String, agent: String) async throws {
                let body =
                    #"{"type": "post_call_audio", "data": {"agent_id": "\#(agent)", "conversation_id": "\#(conversation)", "full_audio": "SUQzBAAA"}}"#
                #expect(try await post(server, body).status == 200)
            }
            // The number that was called goes before what an agent or a variable says.
            try await tell("conv_1", agent: "agent_south", metadata: phone, variables: #""tenant_id": "south""#)
            let called = try #require(try await records.call(conversation: "conv_1"))
            #expect(called.tenant == "north" && called.pipeline == "salon" && !called.version.isEmpty)
            let elsewhere = phone.replacing("+15550100012", with: "+15550100098").replacing("CA7", with: "CA8")
            for (conversation, agent, variables, tenant) in [
                ("conv_2", "agent_south", "", "south"), ("conv_3", "agent_x", #""tenant_id": "south""#, "south"),
                ("conv_4", "agent_x", #""tenant_id": "nobody""#, nil),
            ] as [(String, String, String, String?)] {
                let sid = "CA-\(conversation)"
                try await tell(
                    conversation, agent: agent, metadata: elsewhere.replacing("CA8", with: sid), variables: variables)
                #expect(try await records.call(conversation: conversation)?.tenant == tenant, "\(conversation)")
            }
            // The recording comes first: the agent says whose it is, and the report brings the rest.
            try await tellAudio("conv_5", agent: "agent_north")
            let recorded = try #require(try await records.call(conversation: "conv_5"))
            #expect(recorded.tenant == "north" && recorded.recordings.count == 1 && recorded.from.isEmpty)
            try await tell("conv_5", agent: "agent_north", metadata: phone.replacing("CA7", with: "CA5"))
            let whole = try #require(try await records.call("CA5"))
            #expect(whole.id == recorded.id && whole.recordings == recorded.recordings && whole.from == "+3")
            #expect(whole.tenant == "north")
            let seen = try await server.get("/calls?tenant=south").json["calls"] as? [[String: Any]]
            #expect(Set(seen?.compactMap { $0["callSid"] as? String } ?? []) == ["CA-conv_2", "CA-conv_3"])
            #expect(try await records.usage(tenant: "north", days: 2).reduce(0) { $0 + $1.calls } == 2)
        }
    }

    /// `action subject outcome` of what the vendor did, the oldest first.
    private func trail(_ server: TestServer) async throws -> [String] {
        let entries = try await server.get("/audit").json["entries"] as? [[String: Any]] ?? []
        return entries.reversed().filter { $0["actor"] as? String == "vendor" }.map { entry in
            ["action", "subject", "outcome"].map { entry[$0] as? String ?? "" }.joined(separator: " ")
        }
    }

    @Test func whatTheVendorDoesIsInTheAuditTrail() async throws {
        try await serve { server in
            let path = "/elevenlabs/tools/"
            _ = try await server.post(
                path + "list_services", headers: header,
                body: #"{"tenant_id": "t1", "call_sid": "CA1", "limit": 2}"#)
            _ = try await server.post(
                path + "book", headers: header, body: #"{"tenantId": "t1", "conversation_id": "conv_1"}"#)
            _ = try await server.post(path + "nothing?tenantId=t1", headers: header, body: "{}")
            let book =
                #"{"event": "tool_call", "agentId": "agent_1", "sessionId": "s", "data": {"tool_name": "book", "tool_call_id": "t-1", "parameters": {"day": "words of a person"}}}"#
            // Its repetition runs nothing, and the service knows no such document.
            for _ in 0..<2 { _ = try await post(server, book) }
            for event in ["conversation_started", "conversation_ended"] {
                for _ in 0..<2 { _ = try await post(server, #"{"event": "\#(event)", "sessionId": "s1", "data": {}}"#) }
            }
            let failure =
                #"{"type": "call_initiation_failure", "data": {"agent_id": "a", "conversation_id": "conv_2", "failure_reason": "busy", "metadata": {"body": {"CallSid": "CA2"}}}}"#
            #expect(try await post(server, failure).status == 200)
            _ = try await post(server, report("conv_3"))
            let noted = try await trail(server)
            #expect(
                noted == [
                    "tool.call get_services: CA1 ok", "tool.call book: conv_1 VALIDATION_ERROR",
                    "tool.call nothing: a call without a name UNKNOWN_TOOL", "tool.call book: s error",
                    "webhook.taken conversation_started: s1 ok", "webhook.taken conversation_ended: s1 ok",
                    "webhook.taken call_initiation_failure: CA2 busy",
                    "webhook.taken post_call_transcription: conv_3 ok",
                ])
            #expect(!(try await server.get("/audit").body.contains("words of a person")))
        }
    }

    @Test func aToolByWebhookIsPartOfTheCallThatItNames() async throws {
        let document = """
            {"name": "desk", "numbers": ["+15550100001"], "transport": "twilio",
             "stages": ["decoder", {"type": "script", "say": "Hello."}, {"type": "resampler", "rateHz": 8000}, "encoder"],
             "tools": [{"name": "get_services", "description": "x", "method": "GET", "url": "http://127.0.0.1:1/"}]}
            """
        try await TestServer.run(
            document, options: { $0.elevenLabsWebhookSecret = Secret(Self.secret) },
            environment: ["TOOL_SECRET": "tool-s3cr3t"], settings: Self.settings
        ) { server in
            _ = try await server.webhook(
                "/twilio/voice",
                FormFields([
                    "CallSid": "CA5", "From": "+15550100099", "To": "+15550100001", "CallStatus": "ringing",
                ]))
            let answer = try await server.post(
                "/elevenlabs/tools/get_services", headers: header + [("X-Call-Sid", "CA5")], body: "{}")
            #expect(answer.status == 502, "nobody is there: \(answer.body)")
            let call = try #require(server.switchboard.registry.latest(callSid: "CA5"))
            _ = await server.switchboard.journal.flush()
            let records = server.switchboard.records
            let kept = try await records.toolCalls(ofCall: call.info.id)
            #expect(kept.map(\.name) == ["get_services"] && kept.first?.isError == true && kept.first?.output != nil)
            let events = try await records.events(ofCall: call.info.id).filter { $0.event == "tool called by webhook" }
            #expect(events.count == 1 && events.first?.detail.hasPrefix("get_services after ") == true)
            #expect(events.first?.detail.hasSuffix("ms: error") == true)
            // While recordings are paused nothing is kept of what it was asked and answered.
            call.recorder.observe(.recording(.pause), time: .now())
            _ = try await server.post(
                "/elevenlabs/tools/get_services", headers: header + [("X-Call-Sid", "CA5")], body: "{}")
            _ = await server.switchboard.journal.flush()
            let withheld = try #require(try await records.toolCalls(ofCall: call.info.id).last)
            #expect(withheld.sequence == 1 && withheld.output == CallRecorder.withheld)
            #expect(withheld.arguments == CallRecorder.withheldJSON)
        }
    }
}
