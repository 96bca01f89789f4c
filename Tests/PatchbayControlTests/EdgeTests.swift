import Foundation
import HTTPTypes
import Patchbay
import PatchbayWire
import Testing

@testable import PatchbayControl

/// What the carrier meets when something at the edge is wrong.
@Suite struct EdgeTests {
    private static let sid = "CA00000000000000000000000000000001"

    private func form(sid: String = Self.sid, _ more: [String: String] = [:]) -> FormFields {
        let fields = ["CallSid": sid, "From": "+15550100099", "To": "+15550100001", "CallStatus": "ringing"]
        return FormFields(fields.merging(more) { $1 }.map { FormFields.Field(name: $0.key, value: $0.value) })
    }

    private func active(_ server: TestServer) async throws -> Int? {
        try await server.get("/calls?active=true").json["active"] as? Int
    }

    // MARK: Answers that cannot be written

    @Test func aCallWhoseAnswerCannotBeWrittenEndsAtOnce() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            // A proxy that is believed says that the world comes by plain HTTP: there is no way to a stream.
            let signature = try #require(
                TwilioSignature(secrets: [TestServer.secret]).sign(
                    url: "http://voice.example.com/twilio/voice", form: form()))
            let headers = [("X-Twilio-Signature", signature), ("X-Forwarded-Host", "voice.example.com")]
            let answer = try await server.post("/twilio/voice", headers: headers, body: form().encoded)
            #expect(answer.status == 200)
            #expect(answer.body.contains("<Say>We encountered an error. Please try again later.</Say><Hangup />"))
            #expect(try await active(server) == 0, "nobody comes for it")
            let call = try await server.get("/calls/\(Self.sid)").json
            #expect((call["endReason"] as? String)?.contains("wss://") == true)
        }
    }

    @Test func parametersAreMeasuredAsTheCarrierDoes() async throws {
        // 300 characters, 600 scalars.
        let text = String(repeating: "e\u{301}", count: 300)
        let document =
            #"{"name": "echo", "numbers": ["*"], "transport": {"type": "twilio", "parameters": {"note": "\#(text)", "kind": "x"}}, "stages": ["echo"]}"#
        try await TestServer.run(document) { (server: TestServer) async throws in
            let answer = try await server.webhook("/twilio/voice", form())
            #expect(answer.status == 200 && answer.body.contains("<Stream url="))
            #expect(answer.body.contains(#"name="kind""#) && !answer.body.contains(#"name="note""#))
        }
    }

    @Test func theErrorPathEndsACallThatRings() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            _ = try await server.webhook("/twilio/voice", form())
            #expect(try await active(server) == 1)
            let answer = try await server.webhook("/twilio/error", form(["ErrorCode": "11200"]))
            #expect(answer.body.contains("<Hangup"))
            #expect(try await active(server) == 0)
            let call = try await server.get("/calls/\(Self.sid)").json
            #expect((call["endReason"] as? String)?.contains("11200") == true)
        }
    }

    // MARK: The public address

    @Test func aPathInFrontOfAllPathsIsSignedAndTold() async throws {
        try await TestServer.run(echoDocument, options: { $0.publicURL = "https://example.com/voice/" }) {
            (server: TestServer) async throws in
            let signature = try #require(
                TwilioSignature(secrets: [TestServer.secret]).sign(
                    url: "https://example.com/voice/twilio/voice", form: form()))
            let answer = try await server.post(
                "/twilio/voice", headers: [("X-Twilio-Signature", signature)], body: form().encoded)
            #expect(answer.body.contains(#"<Stream url="wss://example.com/voice/twilio/stream">"#))
            let description = try await server.get("/openapi.json", headers: TestServer.admin).json
            let servers = description["servers"] as? [[String: Any]]
            #expect(servers?.first?["url"] as? String == "https://example.com/voice")
        }
    }

    // MARK: Shared keys

    @Test func aSharedKeySignsWebhooks() async throws {
        let settings =
            #"{"twilio": {"sharedKeys": [{"id": "webhooks_sharedkey_1", "secret": {"env": "SHARED_KEY"}}]}}"#
        try await TestServer.run(
            echoDocument, environment: ["SHARED_KEY": "a shared key's secret"], settings: settings
        ) { (server: TestServer) async throws in
            func status(_ secret: String, _ algorithm: TwilioSignature.Algorithm, _ header: String?) async throws
                -> (Int, String)
            {
                let signature = try #require(
                    TwilioSignature(secrets: [secret], algorithm: algorithm).sign(
                        url: server.origin + "/twilio/status", form: form()))
                var headers = [("X-Twilio-Signature", signature)]
                if let header { headers.append(("X-Twilio-Webhooks-Signature-Settings", header)) }
                let answer = try await server.post("/twilio/status", headers: headers, body: form().encoded)
                return (answer.status, answer.body)
            }
            let key = "a shared key's secret", known = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
            #expect(try await status(key, .hmacSHA256, known).0 == 200)
            #expect(try await status(TestServer.secret, .hmacSHA1, nil).0 == 200, "the account's own token still does")
            #expect(try await status(TestServer.secret, .hmacSHA256, "algorithm=HMAC_SHA256").0 == 200)
            for (secret, algorithm, header, words) in [
                (key, .hmacSHA1, known, "does not fit"), (TestServer.secret, .hmacSHA256, known, "does not fit"),
                (key, .hmacSHA256, nil, "does not fit"),
                (key, .hmacSHA256, "key=webhooks_sharedkey_2,algorithm=HMAC_SHA256", "webhooks_sharedkey_2"),
                (key, .hmacSHA256, "key=webhooks_sharedkey_1,algorithm=HMAC_MD5", "HMAC_MD5"),
            ] as [(String, TwilioSignature.Algorithm, String?, String)] {
                let (code, body) = try await status(secret, algorithm, header)
                #expect(code == 403 && body.contains(words), "\(header ?? "no header"): \(body)")
                #expect(!body.contains(key))
            }
        }
    }

    // MARK: Transfers and the block list

    @Test func aTransferAsksTheBlockList() async throws {
        let document =
            #"{"name": "echo", "numbers": ["*"], "transport": "twilio", "stages": ["echo"], "limits": {"maximumCallSeconds": 900}}"#
        try await TestServer.run(document) { (server: TestServer) async throws in
            let voice = try await server.webhook("/twilio/voice", form()).body
            let token = try #require(voice.firstMatch(of: /name="token" value="([^"]+)"/)).output.1
            try await server.switchboard.records.block("+4930123456", reason: "asked", at: Date())
            func transfer(to number: String) async throws -> TestServer.Answer {
                try await server.post(
                    "/calls/\(Self.sid)/transfer", headers: TestServer.admin, body: #"{"to": "\#(number)"}"#)
            }
            let refused = try await transfer(to: "+4930123456")
            #expect(refused.status == 403 && refused.body.contains("block list"))
            #expect(try await active(server) == 1)
            #expect(try await transfer(to: "+4930123457").status == 200)
            try await server.stream(
                callSid: Self.sid, from: "+15550100099", to: "+15550100001", token: String(token)
            ) {
                try await server.wait("the end of the stream") { try await active(server) == 0 }
            }
            let next = try await server.webhook("/twilio/next", form(["CallStatus": "in-progress"])).body
            #expect(next.contains(">+4930123457</Dial>") && next.contains(#"timeLimit="900""#))
        }
    }

    @Test func whoDialsDoesNotOpenTheBlockList() async throws {
        let settings =
            #"{"access": {"tokens": [{"name": "campaign", "token": {"env": "CAMPAIGN"}, "rights": ["read", "calls", "dial"]}]}}"#
        try await TestServer.run(echoDocument, environment: ["CAMPAIGN": "campaign-token"], settings: settings) {
            (server: TestServer) async throws in
            let campaign = [("Authorization", "Bearer campaign-token")]
            #expect(try await server.put("/blocked/+4930123456", headers: campaign, body: "").status == 200)
            let refused = try await server.delete("/blocked/+4930123456", headers: campaign)
            #expect(refused.status == 403 && refused.body.contains("admin"))
            #expect(try await server.delete("/blocked/+4930123456", headers: TestServer.admin).status == 204)
        }
    }

    // MARK: Addresses

    @Test func anIPv6NetworkIsOneAddress() {
        var limits = ServerSettings.Limits()
        limits.socketsPerAddress = 2
        limits.requestsPerAddress = 3
        let traffic = TrafficLimits(limits, clock: { 0 })
        #expect(traffic.openSocket("2001:db8:1:2::1") && traffic.openSocket("2001:DB8:1:2:ffff::9"))
        #expect(!traffic.openSocket("2001:db8:1:2:3:4:5:6"))
        #expect(traffic.openSocket("2001:db8:1:3::1"), "another network")
        traffic.closeSocket("2001:db8:1:2::77")
        #expect(traffic.openSocket("2001:db8:1:2::1"))
        #expect(traffic.openSocket("203.0.113.1") && traffic.openSocket("203.0.113.1"))
        #expect(!traffic.openSocket("::ffff:203.0.113.1") && traffic.openSocket("203.0.113.2"))
        func origin(_ peer: String) -> RequestOrigin {
            RequestOrigin(peer: peer, authority: "example.com", headers: [:], options: ServerOptions())
        }
        for host in 1...3 { #expect(traffic.admit(origin("2001:db8::\(host)")) == nil) }
        #expect(traffic.admit(origin("2001:db8::4")) != nil && traffic.admit(origin("2001:db8:0:1::4")) == nil)
    }

    @Test func proxiesAreNamedByAddressOrNetwork() {
        func client(_ peer: String, _ forwarded: String, trusted: Set<String>) -> String {
            var options = ServerOptions()
            options.trustedProxies = trusted
            return RequestOrigin(
                peer: peer, authority: nil, headers: [HTTPField.Name("X-Forwarded-For")!: forwarded], options: options
            ).client
        }
        #expect(client("10.1.2.3", "9.9.9.9, 10.200.0.1", trusted: ["10.0.0.0/8"]) == "9.9.9.9")
        #expect(client("11.1.2.3", "9.9.9.9", trusted: ["10.0.0.0/8"]) == "11.1.2.3")
        #expect(client("2001:db8::1", "9.9.9.9", trusted: ["2001:DB8:0::1"]) == "9.9.9.9")
        #expect(client("2001:db8:0:ffff::1", "9.9.9.9", trusted: ["2001:db8::/33"]) == "9.9.9.9")
        #expect(client("2001:db8:8000::1", "9.9.9.9", trusted: ["2001:db8::/33"]) == "2001:db8:8000::1")
        #expect(client("10.0.0.1", "9.9.9.9", trusted: ["::/0"]) == "10.0.0.1", "another family")
        // Some proxies tell the port too (RFC 7239, section 6).
        #expect(client("127.0.0.1", "9.9.9.9:4711", trusted: []) == "9.9.9.9")
        #expect(client("127.0.0.1", "[2001:db8::7]:4711", trusted: []) == "2001:db8::7")
    }

    @Test func aNameThatOnlyBeginsLikeThisMachineIsNotIt() {
        func isLocal(_ authority: String) -> Bool {
            RequestOrigin(peer: "127.0.0.1", authority: authority, headers: [:], options: ServerOptions()).isLocal
        }
        for name in ["127.0.0.1:8080", "localhost", "127.8.9.1", "[::1]:8080"] { #expect(isLocal(name), "\(name)") }
        for name in ["127.example.com", "127.0.0.1.example.com:8080", "example.com", ""] {
            #expect(!isLocal(name), "\(name)")
        }
    }
}
