import Foundation
import HTTPTypes
import Patchbay
import PatchbayWire
import Testing

@testable import PatchbayControl

@Suite struct AccessTests {
    private static let settings = """
        {"access": {
          "tokens": [
            {"name": "watcher", "token": {"env": "WATCHER"}},
            {"name": "desk-a", "token": {"env": "DESK_A"}, "tenant": "a", "rights": ["read", "calls"]},
            {"name": "desk-b", "token": {"env": "DESK_B"}, "tenant": "b", "rights": ["read", "calls", "dial", "admin"]}
          ],
          "jwt": {"secret": {"env": "JWT"}, "tenantClaim": "tenant", "rights": ["read", "calls"]}}}
        """
    private static let environment = [
        "WATCHER": "watcher-token", "DESK_A": "desk-a-token", "DESK_B": "desk-b-token", "JWT": TokenMaker.secret,
    ]
    private static let forwarded = [("X-Forwarded-For", "203.0.113.9")]
    private static let document =
        #"{"name": "echo", "variables": {"greeting": ""}, "transport": "twilio", "stages": ["echo"]}"#

    private static func bearer(_ token: String) -> [(String, String)] { [("Authorization", "Bearer \(token)")] }

    private static func form(_ to: String, _ sid: String) -> FormFields {
        FormFields(["CallSid": sid, "From": "+15550100099", "To": to, "CallStatus": "ringing"])
    }

    private static func withTenants(_ body: @Sendable (TestServer) async throws -> Void) async throws {
        try await TestServer.run(
            document, environment: environment, settings: settings
        ) { (server: TestServer) async throws in
            for (id, number) in [("a", "+15550100001"), ("b", "+15550100002")] {
                let text = #"{"name": "Tenant \#(id)", "pipeline": "echo", "numbers": ["\#(number)"]}"#
                #expect(try await server.put("/tenants/\(id)", body: text).status == 201)
                _ = try await server.webhook("/twilio/voice", form(number, "CA\(id)"))
            }
            try await body(server)
        }
    }

    @Test func aTenantsTokenSeesNothingOfAnothers() async throws {
        try await Self.withTenants { server in
            let all = try await server.get("/calls").json
            #expect(all["active"] as? Int == 2)
            let a = Self.bearer("desk-a-token"), b = Self.bearer("desk-b-token")
            let own = try await server.get("/calls", headers: a).json
            #expect(own["active"] as? Int == 1)
            #expect((own["calls"] as? [[String: Any]])?.compactMap { $0["callSid"] as? String } == ["CAa"])
            #expect(try await server.get("/calls/CAa", headers: a).status == 200)
            // The answer about another's call is the one about no call at all.
            let foreign = try await server.get("/calls/CAb", headers: a)
            #expect(foreign.status == 404)
            #expect(
                try await server.get("/calls/CAx", headers: a).body.replacing("CAx", with: "CAb") == foreign.body)
            for (path, body) in [
                ("hangup", ""), ("transfer", #"{"to": "+4930123456"}"#), ("agent", #"{"backend": 0}"#),
                ("recording", #"{"command": "pause"}"#),
            ] {
                #expect(try await server.post("/calls/CAb/\(path)", headers: a, body: body).status == 404, "\(path)")
            }
            #expect(try await server.get("/calls?active=true").json["active"] as? Int == 2, "nothing has happened")
            for path in ["/metrics", "/pipelines"] {
                #expect(try await server.get(path, headers: a).status == 403, "\(path) concerns all")
            }
            for path in ["/pipelines/reload", "/pipelines/rollback", "/pipelines/lint"] {
                #expect(try await server.post(path, headers: b).status == 403, "\(path), whatever the rights")
            }
            #expect(try await server.put("/tenants/b", headers: b, body: "{}").status == 403)
            #expect(try await server.put("/numbers/+15550100001", headers: b, body: #"{"tenant": "b"}"#).status == 403)
            #expect(try await server.get("/tenants/b", headers: a).status == 404)
            let tenants = try await server.get("/tenants", headers: a).json["tenants"] as? [[String: Any]]
            #expect(tenants?.compactMap { $0["id"] as? String } == ["a"])
            let numbers = try await server.get("/numbers", headers: a).json["numbers"] as? [[String: Any]]
            #expect(numbers?.compactMap { $0["number"] as? String } == ["+15550100001"])
            #expect(try await server.get("/numbers/+15550100002", headers: a).status == 404)
            // The audit trail too.
            let trail = try await server.get("/audit", headers: b).json["entries"] as? [[String: Any]]
            #expect(trail?.isEmpty == false && trail?.allSatisfy { $0["tenant"] as? String == "b" } == true)
            #expect(try await server.get("/audit?tenant=a", headers: b).status == 404)
            #expect(try await server.get("/audit", headers: a).status == 403)
            #expect(try await server.post("/calls/CAa/hangup", headers: a).status == 200)
        }
    }

    @Test func whatATokenOpens() async throws {
        try await Self.withTenants { server in
            let watcher = Self.bearer("watcher-token")
            for path in ["/calls", "/calls/CAa", "/metrics", "/pipelines", "/numbers", "/tenants"] {
                #expect(try await server.get(path, headers: watcher + Self.forwarded).status == 200, "\(path)")
            }
            for path in ["/calls/CAa/hangup", "/calls/CAa/transfer", "/calls/CAa/agent", "/pipelines/reload"] {
                let answer = try await server.post(path, headers: watcher)
                #expect(answer.status == 403 && answer.body.contains("lacks the right"), "\(path)")
            }
            let jwt = Self.bearer(TokenMaker.hs256(#"{"sub": "x", "tenant": "a"}"#).reveal())
            #expect(try await server.get("/calls/CAa", headers: jwt + Self.forwarded).status == 200)
            #expect(try await server.get("/calls/CAb", headers: jwt + Self.forwarded).status == 404)
            #expect(try await server.get("/calls", headers: Self.bearer(TokenMaker.hs256("{}").reveal())).status == 401)
        }
    }

    @Test func whoIsTurnedAway() async throws {
        try await Self.withTenants { server in
            for headers in [
                Self.forwarded, Self.bearer("wrong"), Self.bearer(""), Self.bearer("watcher-token2"),
                Self.bearer("watcher-toke"), Self.bearer("desk-a-token,desk-b-token"),
                Self.bearer(String(repeating: "x", count: 9000)), [("Authorization", "bearer")],
                Self.forwarded + [("Authorization", "Basic d2F0Y2hlcjp3YXRjaGVyLXRva2Vu")],
                Self.forwarded + [("Authorization", "watcher-token")],
            ] {
                let answer = try await server.get("/calls", headers: headers)
                #expect(answer.status == 401, "\(headers)")
                #expect(!answer.body.contains("token\""), "no token is told")
            }
            #expect(
                try await server.get("/calls", headers: [("Authorization", "bEaReR watcher-token")]).status == 200,
                "the scheme's name knows no case")
            // What moves a caller needs a token on this machine too.
            for path in ["transfer", "agent"] {
                #expect(try await server.post("/calls/CAa/\(path)", body: "{}").status == 401)
            }
            let entries = try #require(
                try await server.get("/audit", headers: TestServer.admin).json["entries"] as? [[String: Any]])
            let refused = entries.filter { $0["action"] as? String == "request.refused" }
            #expect(refused.count == 12)
            #expect(refused.contains { $0["peer"] as? String == "203.0.113.9" })
            #expect(!"\(entries)".contains("watcher-toke"), "what was shown is not kept")
            let done = entries.filter { $0["action"] as? String == "tenant.put" && $0["outcome"] as? String == "ok" }
            #expect(done.count == 2 && done.first?["actor"] as? String == "local")
        }
    }

    @Test func publicPathsNeedNoToken() async throws {
        try await TestServer.run(
            echoDocument, settings: #"{"public": ["calls"]}"#
        ) { (server: TestServer) async throws in
            #expect(try await server.get("/calls", headers: Self.forwarded).status == 200)
            #expect(try await server.get("/numbers", headers: Self.forwarded).status == 401)
        }
    }

    @Test func withoutAnyTokenOnlyThisMachineIsLetIn() async throws {
        try await TestServer.run(echoDocument, options: { $0.adminToken = nil }) { (server: TestServer) async throws in
            #expect(try await server.get("/calls").status == 200)
            let stranger = try await server.get("/calls", headers: Self.forwarded)
            #expect(stranger.status == 403 && stranger.body.contains("set PATCHBAY_ADMIN_TOKEN"))
            #expect(try await server.post("/calls/CA1/transfer", body: "{}").status == 403)
        }
    }

    @Test func aSecretInTheEnvironmentTakesTokens() async throws {
        try await TestServer.run(
            echoDocument, options: { $0.jwtSecret = Secret(TokenMaker.secret) }
        ) { (server: TestServer) async throws in
            let jwt = Self.bearer(TokenMaker.hs256(#"{"sub": "campaign"}"#).reveal()) + Self.forwarded
            #expect(try await server.get("/calls", headers: jwt).status == 200)
            #expect(try await server.post("/pipelines/reload", headers: jwt).status == 403)
        }
    }

    @Test func theClientBehindAProxyIsTheLastOneItNames() {
        func client(_ peer: String, _ forwarded: String..., real: String? = nil, trusted: Set<String> = []) -> String {
            var options = ServerOptions()
            options.trustedProxies = trusted
            var fields = HTTPFields()
            for value in forwarded {
                fields.append(HTTPField(name: HTTPField.Name("X-Forwarded-For")!, value: value))
            }
            if let real { fields.append(HTTPField(name: HTTPField.Name("X-Real-IP")!, value: real)) }
            return RequestOrigin(peer: peer, authority: nil, headers: fields, options: options).client
        }
        #expect(client("203.0.113.1") == "203.0.113.1")
        #expect(client("203.0.113.1", "9.9.9.9") == "203.0.113.1", "not believed")
        #expect(client("127.0.0.1", "9.9.9.9") == "9.9.9.9")
        #expect(client("::ffff:127.0.0.1", "1.1.1.1, 9.9.9.9") == "9.9.9.9", "what stands before it, anybody can write")
        #expect(client("127.0.0.1", "1.1.1.1", "9.9.9.9,127.0.0.1") == "9.9.9.9")
        #expect(client("10.0.0.1", "9.9.9.9, 10.0.0.2", trusted: ["10.0.0.1", "10.0.0.2"]) == "9.9.9.9")
        #expect(client("127.0.0.1", "x\" y") == "127.0.0.1" && client("127.0.0.1", "") == "127.0.0.1")
        #expect(
            client("127.0.0.1", real: "9.9.9.9") == "9.9.9.9" && client("127.0.0.1", "2001:db8::1") == "2001:db8::1")
    }
}

extension TestServer {
    func put(_ path: String, headers: [(String, String)] = [], body: String) async throws -> Answer {
        try await execute(.PUT, path, headers: headers, body: body)
    }
}
