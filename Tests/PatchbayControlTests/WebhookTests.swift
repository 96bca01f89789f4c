import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Patchbay
import PatchbaySimulators
import PatchbayWire
import Testing

@testable import PatchbayControl

@Suite struct WebhookTests {
    private func form(_ to: String = "+15550100001", sid: String = "CA00000000000000000000000000000001") -> FormFields {
        FormFields([
            "CallSid": sid, "AccountSid": "AC1", "From": "+15550100099", "To": to, "CallStatus": "ringing",
            "FromCity": "",
        ])
    }

    @Test func aSignedWebhookGetsAStream() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let answer = try await server.webhook("/twilio/voice", form())
            #expect(answer.status == 200)
            #expect(answer.body.hasPrefix(#"<?xml version="1.0" encoding="UTF-8"?><Response><Connect action=""#))
            #expect(answer.body.contains("<Stream url=\"ws://127.0.0.1:\(server.port)/twilio/stream\">"))
            #expect(answer.body.contains(#"<Parameter name="token" value=""#))
            let listed = try await server.get("/calls?active=true").json
            #expect(listed["active"] as? Int == 1)
            let again = try await server.webhook("/twilio/voice", form())
            #expect(again.status == 200)
            #expect(
                try await server.get("/calls").json["active"] as? Int == 1, "a repeated webhook makes no second call")
        }
    }

    @Test func withoutAValidSignatureNothingHappens() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let unsigned = try await server.webhook("/twilio/voice", form(), signed: false)
            #expect(unsigned.status == 403 && unsigned.body.contains("X-Twilio-Signature is missing"))
            let forged = try await server.webhook("/twilio/voice", form(), secret: "another")
            #expect(forged.status == 403 && forged.body.contains("does not fit"))
            #expect(!forged.body.contains(TestServer.secret))
            #expect(try await server.get("/calls").json["active"] as? Int == 0)
        }
    }

    @Test func withoutATokenEveryWebhookIsRefusedWithTheReason() async throws {
        try await TestServer.run(echoDocument, options: { $0.twilioAuthToken = nil }) {
            (server: TestServer) async throws in
            let answer = try await server.webhook("/twilio/voice", form())
            #expect(answer.status == 403 && answer.body.contains("TWILIO_AUTH_TOKEN is not set"))
        }
        try await TestServer.run(
            echoDocument,
            options: {
                $0.twilioAuthToken = nil
                $0.skipsSignatures = true
            }
        ) { (server: TestServer) async throws in
            #expect(try await server.webhook("/twilio/voice", form(), signed: false).status == 200)
        }
    }

    @Test func behindAProxyThePublicAddressCounts() async throws {
        try await TestServer.run(echoDocument, options: { $0.publicURL = "https://voice.example.com" }) {
            (server: TestServer) async throws in
            let form = form()
            let signature = try #require(
                TwilioSignature(secrets: [TestServer.secret]).sign(
                    url: "https://voice.example.com/twilio/voice", form: form))
            let answer = try await server.post(
                "/twilio/voice", headers: [("X-Twilio-Signature", signature)], body: form.encoded)
            #expect(answer.status == 200)
            #expect(answer.body.contains(#"<Stream url="wss://voice.example.com/twilio/stream">"#))
            #expect(answer.body.contains(#"<Connect action="https://voice.example.com/twilio/next?ticket="#))
        }
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let form = form()
            let signature = try #require(
                TwilioSignature(secrets: [TestServer.secret]).sign(
                    url: "https://proxied.example.com/twilio/voice", form: form))
            let headers = [
                ("X-Twilio-Signature", signature), ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Host", "proxied.example.com"), ("X-Forwarded-For", "203.0.113.9"),
            ]
            #expect(try await server.post("/twilio/voice", headers: headers, body: form.encoded).status == 200)
        }
    }

    @Test func refusalsAreSpoken() async throws {
        let noAgent =
            #"{"name": "private", "numbers": ["+15550100007"], "transport": "twilio", "stages": [{ "type": "elevenlabs" }], "messages": {"missingAgent": "Nobody is at home."}}"#
        try await TestServer.run(echoDocument, noAgent, settings: #"{"limits": {"maximumCalls": 1}}"#) {
            (server: TestServer) async throws in
            let unknown = try await server.webhook("/twilio/voice", form("+15550109999"))
            #expect(unknown.body.contains("<Say>This number is not in service.</Say><Hangup />"))
            let unconfigured = try await server.webhook("/twilio/voice", form("+15550100007", sid: "CA2"))
            #expect(unconfigured.body.contains("<Say>Nobody is at home.</Say><Hangup />"))
            _ = try await server.webhook("/twilio/voice", form())
            let busy = try await server.webhook("/twilio/voice", form(sid: "CA3"))
            #expect(busy.body.contains("<Say>All our lines are busy. Please call again in a few minutes.</Say>"))
            #expect(try await server.get("/ready").status == 503)
            // A call with a record of its own is told there, too.
            await server.switchboard.audit.flush()
            let trail = try await server.switchboard.records.auditTrail(tenant: nil, limit: 10)
            let refused = trail.filter { $0.action == AuditTrail.refusedCall }
            #expect(refused.map(\.outcome) == ["busy", "agent-missing", "unknown-number"])
            #expect(refused.first?.subject == "CA3 from +15550100099 to +15550100001")
            #expect(refused.allSatisfy { $0.actor == "carrier" && $0.peer == "127.0.0.1" })
        }
    }

    @Test func bodiesBeyondTheLimitAndStrangeOnesAreRefused() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let huge = FormFields(["CallSid": String(repeating: "x", count: 100_000), "To": "+1"])
            let tooLong = try await server.webhook("/twilio/voice", huge)
            #expect(tooLong.status == 413 && tooLong.words.hasPrefix("the body is too long; at most"))
            let empty = try await server.webhook("/twilio/voice", FormFields())
            #expect(empty.status == 400 && empty.body.contains("CallSid"))
            let nowhere = try await server.get("/nowhere")
            #expect(nowhere.status == 404 && nowhere.words.hasPrefix("there is nothing at /nowhere; GET /openapi.json"))
        }
    }

    @Test func aPathThatIsAskedInTheWrongWaySaysWhichIsRight() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let table: [(HTTPMethod, String, UInt, String?, String)] = [
                (.GET, "/twilio/voice", 405, "POST", "/twilio/voice takes POST, not GET"),
                (.DELETE, "/calls", 405, "GET, POST", "/calls takes GET, POST, not DELETE"),
                (.PUT, "/calls/CA1/hangup", 405, "POST", "takes POST, not PUT"),
                (.GET, "/calls/CA1/nothing", 404, nil, "there is nothing at /calls/CA1/nothing"),
                (.GET, "/ws", 426, nil, "/ws is a WebSocket"), (.GET, "/twilio/stream", 426, nil, "is a WebSocket"),
            ]
            for (method, path, status, allow, words) in table {
                var request = HTTPClientRequest(url: server.origin + path)
                request.method = method
                let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
                let body = String(buffer: try await response.body.collect(upTo: 1 << 16))
                #expect(response.status.code == status && response.headers.first(name: "Allow") == allow, "\(path)")
                #expect(TestServer.Answer(status: Int(status), body: body).words.contains(words), "\(body)")
            }
            #expect(try await server.execute(.HEAD, "/nowhere", headers: [], body: nil).status == 404)
            #expect(try await server.get("/").json["version"] as? String == ServerVersion.text)
        }
    }

    @Test func theErrorPathAndTheStatusPathAnswerTwiML() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let error = try await server.webhook("/twilio/error", FormFields(["CallSid": "CA1", "ErrorCode": "11200"]))
            #expect(error.body.contains("<Say>We encountered an error. Please try again later.</Say><Hangup />"))
            _ = try await server.webhook("/twilio/voice", form())
            let status = FormFields(["CallSid": "CA00000000000000000000000000000001", "CallStatus": "completed"])
            #expect(try await server.webhook("/twilio/status", status).status == 200)
            try await server.wait("the call's end") { try await server.get("/calls").json["active"] as? Int == 0 }
        }
    }

    @Test func pathsCanHaveAliases() async throws {
        let settings =
            #"{"paths": {"voice": ["/api/twilio/voice", "/twilio/incoming-call"], "stream": ["/api/twilio/stream"]}}"#
        try await TestServer.run(echoDocument, settings: settings) { (server: TestServer) async throws in
            let answer = try await server.webhook("/api/twilio/voice", form())
            #expect(answer.status == 200 && answer.body.contains("/api/twilio/stream\""))
            #expect(try await server.webhook("/twilio/incoming-call", form()).status == 200)
            #expect(try await server.webhook("/twilio/voice", form()).status == 404)
        }
    }

    @Test func adminPathsAreForThisMachineOrATokenAlone() async throws {
        try await TestServer.run(echoDocument, options: { $0.adminToken = Secret("letmein") }) {
            (server: TestServer) async throws in
            #expect(try await server.get("/calls").status == 200)
            let forwarded = [("X-Forwarded-For", "203.0.113.9")]
            #expect(try await server.get("/calls", headers: forwarded).status == 401)
            #expect(try await server.get("/metrics", headers: forwarded).status == 401)
            #expect(
                try await server.get("/calls", headers: forwarded + [("Authorization", "Bearer wrong")]).status == 401)
            #expect(
                try await server.get("/calls", headers: forwarded + [("Authorization", "Bearer letmein")]).status == 200
            )
            #expect(try await server.get("/health", headers: forwarded).status == 200)
        }
        let withoutToken: @Sendable (inout ServerOptions) -> Void = { $0.adminToken = nil }
        try await TestServer.run(echoDocument, options: withoutToken) { (server: TestServer) async throws in
            #expect(try await server.get("/calls", headers: [("X-Forwarded-For", "203.0.113.9")]).status == 403)
        }
        try await TestServer.run(echoDocument, options: withoutToken, settings: #"{"public": ["calls"]}"#) {
            (server: TestServer) async throws in
            #expect(try await server.get("/calls", headers: [("X-Forwarded-For", "203.0.113.9")]).status == 200)
            #expect(
                try await server.post("/calls/x/hangup", headers: [("X-Forwarded-For", "203.0.113.9")]).status == 403)
        }
    }
}
