import Testing

@testable import PatchbayWire

/// Signatures computed with the `twilio` library for Python 9.13.0.
@Suite struct TwilioSignatureTests {
    static let p: FormFields = FormFields([
        "CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309",
        "To": "+18005551212",
    ])
    static let u = FormFields([
        "CallSid": "CA00000000000000000000000000000001", "CallerName": "Zoë Ünïcode 東京", "From": "+491701234567",
        "SpeechResult": "Grüße 👋", "To": "+4930123456",
    ])
    static let rawBody =
        "AccountSid=AC0123456789abcdef0123456789abcdef&ApiVersion=2010-04-01&CallSid=CA0123456789abcdef0123456789abcdef&CallStatus=ringing&Called=%2B18005550101&CalledCity=&Caller=%2B14155550100&CallerName=JOS%C3%89+%26+SONS++LTD&Direction=inbound&From=%2B14155550100&FromCity=SAN+FRANCISCO&FromCountry=US&StirVerstat=TN-Validation-Passed-A&To=%2B18005550101"
    static let token = "0123456789abcdef0123456789abcdef"

    static func form(_ body: String) -> FormFields { (try? FormFields(parsing: body.utf8)) ?? FormFields() }

    struct Vector: Sendable, CustomTestStringConvertible {
        var name: String, secret: String, url: String, form: FormFields?, signature: String
        var testDescription: String { name }
    }

    static let vectors = [
        Vector(
            name: "V1", secret: "12345", url: "https://mycompany.com/myapp.php?foo=1&bar=2", form: p,
            signature: "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        Vector(
            name: "V2a", secret: "12345", url: "https://mycompany.com:8443/voice", form: p,
            signature: "MhyTYGdKyiBtNUYsLMAqPiXNk8o="),
        Vector(
            name: "V2b", secret: "12345", url: "https://mycompany.com:443/voice", form: p,
            signature: "LuZtIq5i89Zmnms36h3edd7furU="),
        Vector(
            name: "V2c", secret: "12345", url: "https://mycompany.com/voice", form: p,
            signature: "ybClReBlP4dVb/TdNaPgcA9ASwE="),
        Vector(
            name: "V3", secret: "s3cr3t-token",
            url: "https://voice.example.com/twilio/incoming?tenant=caf%C3%A9&x=a%20b", form: u,
            signature: "9Vk7q3Bmtq/3xUc865YwDceZqO4="),
        Vector(
            name: "V4", secret: "s3cr3t-token", url: "https://voice.example.com/dup",
            form: form("A=z&A=a&A=z&B=2&Empty="),
            signature: "EiqXRBF0Hbm+/kvEGzcqaP0NBFo="),
        Vector(
            name: "V5", secret: "s3cr3t-token", url: "https://voice.example.com/case",
            form: form("a=1&B=2&Z=3&_x=4&AnsweredBy=human"), signature: "YIk0QAG/eiZnMs90vKshqUoBdSQ="),
        Vector(
            name: "V7", secret: "s3cr3t-token", url: "https://voice.example.com/get?CallSid=CA1&From=%2B15551234567",
            form: nil, signature: "YNo5fjGOvOP5L+27pxsEkOr5fTE="),
        Vector(
            name: "V8a", secret: "s3cr3t-token", url: "wss://voice.example.com/media", form: nil,
            signature: "G6mMFJ2JYeIkaYSQIicVGRfquTo="),
        Vector(
            name: "V8b", secret: "s3cr3t-token", url: "wss://voice.example.com/media/", form: nil,
            signature: "zPR/6yOgPG0Ltmx/31Tcb541reI="),
        Vector(
            name: "V8c", secret: "s3cr3t-token", url: "wss://voice.example.com:443/media", form: nil,
            signature: "7RmQU+Q/8UDNUvstD2YTTiN5l/M="),
        Vector(
            name: "V8d", secret: "s3cr3t-token", url: "wss://voice.example.com/relay", form: form("token=abc123"),
            signature: "Hf7avMa32LjpIwko9LnLgSvh4iI="),
        Vector(
            name: "V8e", secret: "s3cr3t-token", url: "wss://voice.example.com/relay?token=abc123", form: nil,
            signature: "Gipd/VkLW8H/fDXExT1bfx+4JDo="),
        Vector(
            name: "V8x", secret: "s3cr3t-token", url: "https://voice.example.com/media", form: nil,
            signature: "pDxwT1vuuucFO+Ja/hgbSaIUXTM="),
        Vector(
            name: "V10", secret: token, url: "https://voice.example.com/twilio/voice", form: form(rawBody),
            signature: "vBJRFOeZubwaDRJUHX/DecZiWKY="),
        Vector(
            name: "V11", secret: token, url: "https://voice.example.com/twilio/stream-status",
            form: FormFields([
                "AccountSid": "AC0123456789abcdef0123456789abcdef", "CallSid": "CA0123456789abcdef0123456789abcdef",
                "StreamSid": "MZ0123456789abcdef0123456789abcdef", "StreamName": "agent",
                "StreamEvent": "stream-started",
                "Timestamp": "2026-01-02T03:04:05.678Z",
            ]), signature: "l0SLkfZOSPmtZ5jNCT391ElPzvo="),
        Vector(
            name: "V12", secret: "s3cr3t-token", url: "https://user:pass@voice.example.com/voice", form: p,
            signature: "yHc97o1hiEM+Sw7ACHxt9TxGECQ="),
    ]

    @Test(arguments: vectors) func signsAndVerifies(vector: Vector) {
        let signature = TwilioSignature(secrets: [vector.secret])
        #expect(signature.sign(url: vector.url, form: vector.form) == vector.signature)
        #expect(signature.verify(signature: vector.signature, url: vector.url, form: vector.form))
        #expect(!signature.verify(signature: vector.signature, url: vector.url + "x", form: vector.form))
        #expect(
            !TwilioSignature(secrets: ["wrong"]).verify(signature: vector.signature, url: vector.url, form: vector.form)
        )
        let rotating = TwilioSignature(secrets: ["new", vector.secret])
        #expect(rotating.verify(signature: vector.signature, url: vector.url, form: vector.form))
        #expect(rotating.sign(url: vector.url) == TwilioSignature(secrets: ["new"]).sign(url: vector.url))
    }

    @Test func ports() {
        let signature = TwilioSignature(secrets: ["12345"])
        func verifies(_ code: String, _ url: String) -> Bool {
            signature.verify(signature: code, url: url, form: Self.p)
        }
        #expect(verifies("LuZtIq5i89Zmnms36h3edd7furU=", "https://mycompany.com/voice"))
        #expect(verifies("ybClReBlP4dVb/TdNaPgcA9ASwE=", "https://mycompany.com:8443/voice"))
        #expect(!verifies("MhyTYGdKyiBtNUYsLMAqPiXNk8o=", "https://mycompany.com/voice"))
        #expect(!verifies("LuZtIq5i89Zmnms36h3edd7furU=", "https://mycompany.com:8443/voice"))
        #expect(!verifies("LuZtIq5i89Zmnms36h3edd7furU=", "http://mycompany.com/voice"))
    }

    @Test func jsonBodies() {
        let signature = TwilioSignature(secrets: ["s3cr3t-token"])
        let url =
            "https://voice.example.com/json?bodySHA256=f1e3ae6a47cf6f51ee1e00364774e064ca3708e85c06d0b54c3f16342c32273a"
        let body = #"{"CallSid":"CA1234567890ABCDE","Caller":"+14158675309"}"#
        let code = "1nPWhvacUKR+AYr+G2UCv5a9kYs="
        #expect(signature.verify(signature: code, url: url, jsonBody: body.utf8))
        #expect(!signature.verify(signature: code, url: url, jsonBody: (body + " ").utf8))
        #expect(!signature.verify(signature: code, url: url.replacing("f1e3", with: "F1E3"), jsonBody: body.utf8))
        let bare = "https://voice.example.com/json"
        #expect(!signature.verify(signature: signature.sign(url: bare) ?? "", url: bare, jsonBody: body.utf8))
    }

    @Test func theClassicBugs() {
        let signature = TwilioSignature(secrets: [Self.token])
        let url = "https://voice.example.com/twilio/voice"
        var fields = Self.form(Self.rawBody)
        let withoutBlanks = FormFields(fields.fields.filter { !$0.valueBytes.isEmpty })
        // V10x: what a parser that drops blank fields would accept.
        #expect(signature.sign(url: url, form: withoutBlanks) == "RjMFeVyR7iTtno6xemmnuhYCnIs=")
        #expect(!signature.verify(signature: "RjMFeVyR7iTtno6xemmnuhYCnIs=", url: url, form: fields))
        #expect(!signature.verify(signature: "vBJRFOeZubwaDRJUHX/DecZiWKY=", url: url, form: withoutBlanks))
        fields.fields.reverse()
        #expect(signature.verify(signature: "vBJRFOeZubwaDRJUHX/DecZiWKY=", url: url, form: fields))
    }

    @Test(arguments: [
        ("G6mMFJ2JYeIkaYSQIicVGRfquTo=", "wss://voice.example.com/media", true),
        ("G6mMFJ2JYeIkaYSQIicVGRfquTo=", "https://voice.example.com/media", true),
        ("G6mMFJ2JYeIkaYSQIicVGRfquTo=", "https://voice.example.com/media/", true),
        ("G6mMFJ2JYeIkaYSQIicVGRfquTo=", "wss://voice.example.com:8443/media", true),
        ("G6mMFJ2JYeIkaYSQIicVGRfquTo=", "http://voice.example.com/media", false),
        ("G6mMFJ2JYeIkaYSQIicVGRfquTo=", "wss://voice.example.com/medi", false),
        ("G6mMFJ2JYeIkaYSQIicVGRfquTo=", "ftp://voice.example.com/media", false),
        ("G6mMFJ2JYeIkaYSQIicVGRfquTo=", "/media", false),
        ("zPR/6yOgPG0Ltmx/31Tcb541reI=", "wss://voice.example.com/media", true),
        ("7RmQU+Q/8UDNUvstD2YTTiN5l/M=", "wss://voice.example.com/media", true),
        ("7RmQU+Q/8UDNUvstD2YTTiN5l/M=", "https://voice.example.com:443/media", true),
        ("Hf7avMa32LjpIwko9LnLgSvh4iI=", "wss://voice.example.com/relay?token=abc123", true),
        ("Gipd/VkLW8H/fDXExT1bfx+4JDo=", "wss://voice.example.com/relay?token=abc123", true),
        ("Gipd/VkLW8H/fDXExT1bfx+4JDo=", "wss://voice.example.com/relay?token=abc124", false),
        ("Hf7avMa32LjpIwko9LnLgSvh4iI=", "wss://voice.example.com/relay", false),
        // V8x: signed with https.
        ("pDxwT1vuuucFO+Ja/hgbSaIUXTM=", "wss://voice.example.com/media", false),
        ("pDxwT1vuuucFO+Ja/hgbSaIUXTM=", "https://voice.example.com/media", false),
        ("", "wss://voice.example.com/media", false), ("not base64!", "wss://voice.example.com/media", false),
        ("G6mMFJ2JYeIkaYSQIicVGRfq", "wss://voice.example.com/media", false),
    ])
    func handshakes(code: String, url: String, isValid: Bool) {
        #expect(TwilioSignature(secrets: ["s3cr3t-token"]).verifyHandshake(signature: code, url: url) == isValid)
    }

    @Test func hostWithoutPath() {
        let signature = TwilioSignature(secrets: ["s"])
        let code = signature.sign(url: "wss://voice.example.com") ?? ""
        #expect(signature.verifyHandshake(signature: code, url: "wss://voice.example.com/"))
        #expect(signature.verifyHandshake(signature: signature.sign(url: "wss://h/") ?? "", url: "wss://h"))
    }

    @Test func sharedKeys() throws {
        let code = "CfJl8iZwso5tnxCWiYffxdkoYBb7k+U0dtyUE6tARJc="
        let url = "https://voice.example.com/twilio/incoming"
        let settings = try TwilioSignature.Settings(header: "key=webhooks_sharedkey_1, algorithm=hmac_sha256")
        #expect(settings.keyID == "webhooks_sharedkey_1")
        let signature = TwilioSignature(settings: settings) {
            $0 == "webhooks_sharedkey_1" ? ["shared-key-secret"] : []
        }
        #expect(signature.verify(signature: code, url: url, form: Self.p))
        #expect(signature.sign(url: url, form: Self.p) == code)
        #expect(!TwilioSignature(secrets: ["shared-key-secret"]).verify(signature: code, url: url, form: Self.p))
        let other = TwilioSignature(settings: try .init(header: "key=other,algorithm=HMAC_SHA256")) {
            $0 == "webhooks_sharedkey_1" ? ["shared-key-secret"] : []
        }
        #expect(!other.verify(signature: code, url: url, form: Self.p))
        for header in [nil, ""] {
            let plain = try TwilioSignature.Settings(header: header)
            #expect(plain.keyID == nil && plain.algorithm == .hmacSHA1)
        }
        #expect(
            errorCode { () throws(WireError) in _ = try TwilioSignature.Settings(header: "algorithm=none") }
                == .unsupported)
    }

    @Test func withoutASecretNothingVerifies() {
        for secrets in [[], [""], ["", ""]] {
            let signature = TwilioSignature(secrets: secrets)
            #expect(signature.sign(url: "https://h/p") == nil)
            #expect(!signature.verify(signature: "", url: "https://h/p"))
            // HMAC-SHA1 of "https://h/p" with an empty key would be known to everybody.
            #expect(!signature.verify(signature: "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", url: "https://h/p"))
        }
    }

    @Test(
        arguments: [
            ("https://user:p%40ss@host:8443/p?q=1", "user:p%40ss", "host", "8443", "/p", "q=1"),
            ("https://[2001:db8::1]:443/p", nil, "[2001:db8::1]", "443", "/p", nil),
            ("https://[2001:db8::1]/p", nil, "[2001:db8::1]", nil, "/p", nil),
            ("wss://a:b@[::1]:1", "a:b", "[::1]", "1", "", nil),
            ("https://Host.Example", nil, "Host.Example", nil, "", nil),
            ("https://host?q=http://x:1/@", nil, "host", nil, "", "q=http://x:1/@"),
            ("http://host/a:80@b", nil, "host", nil, "/a:80@b", nil),
        ] as [(String, String?, String, String?, String, String?)])
    func urlParts(url: String, userinfo: String?, host: String, port: String?, path: String, query: String?) throws {
        let split = try #require(SplitURL(url))
        #expect(split.userinfo == userinfo)
        #expect(split.host == host)
        #expect(split.port == port)
        #expect(split.path == path)
        #expect(split.query == query)
        #expect(split.text == url)
    }

    @Test func portsBesideUserinfoAndAddresses() {
        let signature = TwilioSignature(secrets: ["s"])
        for (signed, requested) in [
            ("https://u:p@h/x", "https://u:p@h:443/x"), ("https://[::1]/x", "https://[::1]:443/x"),
            ("https://[::1]:443/x", "https://[::1]/x"), ("http://u:p@[::1]:80/x", "http://u:p@[::1]/x"),
            ("https://h/x", "https://h/x#ct=1000"),
        ] {
            #expect(signature.verify(signature: signature.sign(url: signed) ?? "", url: requested), "\(signed)")
        }
    }
}
