import Testing

@testable import PatchbayConfig

@Suite("Credentials in clear text")
struct CredentialTests {
    private static let hex32 = "5f0c4ed8a1b97732e6d0419bc85a7f3e"

    /// Put together here, so that no scanner takes this file for a leak.
    static let credentials: [String] = [
        "sk-" + "live-0123456789", "sk-proj-" + "Ab3dEf6hIj9kLm2nOp5qRs8t", "sk_" + "8f2a61c09b7e4d3a8f2a61c09b7e",
        "xi-" + "9b7e4d3a8f2a61c0", "whsec_" + "MfKQ9r8GKYqrTwjU", "wsec_" + "d41d8cd98f00b204",
        "AIza" + "SyD3x4mple0K3y1234567890abcdefghij", "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
        "Bearer " + "abcdef0123456789", "basic " + "dXNlcjpwYXNzd29yZDE=",
        "Authorization: Bearer " + "abc.def-1234567890",
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "-----BEGIN RSA " + "PRIVATE KEY-----\\nMIIEpAIBAAKCAQEA", "https://user:s3cr3tphrase9@host.example/path",
        "wss://api.vendor.com/v1?api_key=" + "0f1e2d3c4b5a", "https://x.com/?a=1&token=" + "abcd1234efgh#frag",
        "see https://u:p4ssw0rd@h/ for more", "text with sk-" + "abcdef0123456789 in the middle",
    ]

    static let suspicious: [String] = [
        "AC" + hex32, "SK" + hex32, hex32, "q7Rt2Zx9Lm4Kp8Wv3Nb6Yc1Hd5", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "Zm9vYmFyMTIzNDU2Nzg5MEFiQ2REZUZnSGlKa0w9", "mJ8kQ-2vX_9sT4nB7wR1yL6pZ3cF",
    ]

    static let sound: [String] = [
        "", "Hello! Welcome to Test Salon.", "agent_7101k5zvyjhmfg983brhmhkd98n6", "agent_0123456789abcdef0123456789",
        "gpt-4o-realtime-preview-2024-12-17", "eleven_turbo_v2_5", "21m00Tcm4TlvDq8ikWAM",
        "123e4567-e89b-12d3-a456-426614174000", "recordings/${call.sid}-${call.from}.opus",
        "https://backend.example/v1/tools/book?day=tomorrow&key=", "https://api.elevenlabs.io/v1/convai/conversation",
        "wss://user@host.example/stream", "https://host.example:8443/a@b", "Bearer ${env.TOKEN}",
        "https://x.com/?api_key=${env.KEY}", "https://${env.USER}:${env.PASSWORD}@host.example",
        "sk_your_api_key_goes_here_1", "sk-xxxxxxxxxxxxxxxxxxxx1", "AC" + String(repeating: "x", count: 32),
        "Basic instructions for the front desk", "the bearer understands24", "task-force-2024-membership",
        "TheQuickBrownFoxJumpsOverTheLazyDog2", "SalonFrontDeskEnglishVersion12", "+15551234567",
        "2026-12-24T18:00:00Z",
        "09:00-12:30", "Europe/Berlin", "audio/greetings/de/welcome-to-the-salon-2026.wav",
        "Pipelines/shared/listening.fragment.json", "https://json-schema.org/draft/2020-12/schema",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "01234567890123456789012345678901", "DTMF-0123456789-ABCD-star-hash",
        "Ihr-Anruf-wird-aufgezeichnet-Version-3-2026", "en-US-Neural2-F", "pcm_16000", "ulaw_8000",
        "arn:aws:polly:eu-central-1:123456789012:lexicon/salon",
    ]

    private func findings(_ value: String, key: String = "text") -> [Diagnostic] {
        SourceText(file: "x.json", "{\(jsonQuoted(key)): \(jsonQuoted(value))}").checkJSON()
    }

    @Test("Keys in the forms of vendors are errors, under any key", arguments: credentials)
    func certain(_ value: String) {
        for key in ["text", "agentId", "description"] {
            let found = findings(value, key: key)
            #expect(found.map(\.code) == [.plainSecret] && found.hasErrors, "\(value)")
        }
    }

    @Test("What looks random is a warning", arguments: suspicious)
    func uncertain(_ value: String) {
        let found = findings(value)
        #expect(found.map(\.code) == [.plainSecret] && !found.hasErrors, "\(value)")
    }

    @Test("Everyday values are neither", arguments: sound)
    func everyday(_ value: String) {
        #expect(findings(value) == [], "\(value)")
        #expect(SourceText(file: "x.json", "{\"text\": \(jsonQuoted(value))}").credentialRanges() == [], "\(value)")
    }

    @Test("Random identifiers are no secrets", arguments: ["agentId", "call_sid", "voice", "model", "sha256Hash"])
    func identifiers(_ key: String) { #expect(findings(Self.suspicious[3], key: key) == []) }

    @Test(
        "Words under a key such as token are suspicious, prose and telephone keys are not",
        arguments: [
            ("token", "hunter2hunter", true), ("apiKey", "hunter2x", true), ("API_KEY", "abc12345", true),
            ("client-secret", "a1b2c3d4", true), ("password", "correct horse 1", false), ("goodbyeKey", "#", false),
            ("keys", "abc12345", false), ("monkey", "abc12345", false), ("apiKey", "${env.KEY_1_2}", false),
            ("token", "short1", false), ("password", "your_password_1", false),
        ] as [(String, String, Bool)])
    func byKey(_ key: String, _ value: String, _ isFound: Bool) {
        #expect(findings(value, key: key).map(\.code) == (isFound ? [.plainSecret] : []))
    }

    @Test(
        "A variable of the shell is named, a password that looks like one is not",
        arguments: [
            ("$ELEVENLABS_API_KEY", "ELEVENLABS_API_KEY"), ("${MY_NAME}", "MY_NAME"), ("${env.KEY_1_2}", "KEY_1_2"),
            ("$UMMERHOUSE_2024", nil), ("$ECRET", nil), ("$KEY", nil), ("$", nil), ("UMMER_KEY", nil),
        ] as [(String, String?)])
    func namedVariable(_ text: String, _ name: String?) { #expect(Linter.namedVariable(text) == name) }

    @Test(
        "Words of keys",
        arguments: [
            ("apiKey", ["api", "key"]), ("API_KEY", ["api", "key"]), ("xi-api-key", ["xi", "api", "key"]),
            ("URLToken", ["urltoken"]), ("", []),
        ] as [(String, [String])])
    func words(_ key: String, _ words: [String]) { #expect(KeyMeaning.words(of: key) == words) }

    @Test("Nothing found is ever shown, wherever it stands", arguments: credentials + suspicious)
    func neverEchoed(_ value: String) throws {
        let quotedValue = jsonQuoted(value)
        let escaped = value.utf8.map { "\\u00\($0 < 16 ? "0" : "")\(String($0, radix: 16))" }.joined()
        let documents = [
            #"{"name": \#(quotedValue), "transport": \#(quotedValue), "stages": [\#(quotedValue)], \#(quotedValue): 1}"#,
            #"{"name": "x", "transport": {"type": "twilio", "edge": \#(quotedValue)}, "stages": ["echo"], "numbers": [\#(quotedValue)]}"#,
            #"{"name": "x", "transport": "twilio", "variables": {\#(quotedValue): \#(quotedValue)}, "stages": [{"type": "script", "say": "${\#(value)}"}]}"#,
            #"{"name": "x", "transport": "twilio", "stages": [{"type": "elevenlabs", "apiKey": \#(quotedValue), "agentId": 5}]}"#,
            #"{"name": "x" \#(quotedValue), "transport"}"#, #"{"name": \#(value)}"#, #"{'token': '\#(value)'}"#,
            #"{"name": "\#(escaped)", "x": 5}"#, #"{"a": 5, "b": [\#(quotedValue), 5 6]}"#,
        ]
        let finding = CredentialShape.first(in: value)
        let secret = finding.map { String(decoding: Array(value.utf8)[$0.range], as: UTF8.self) } ?? value
        // No part that is long enough to be of use.
        let piece = String(secret.suffix(8))
        // Inside a text, only the forms of vendors are recognised.
        for (index, document) in documents.enumerated() where index != 2 || finding != nil {
            let source = SourceText(file: "x.json", document)
            var found = PipelineSet.load(sources: [source], registry: try .test(), environment: [:]).diagnostics
            found += ServerSettings.load(source).diagnostics
            found += PipelineSet.checkFragment(source, registry: try .test(), environment: [:])
            let output = found.rendered() + found.json
            #expect(!output.contains(piece), "\(document)")
            #expect(!output.contains(escaped), "\(document)")
        }
    }

    @Test("A hostile text costs linear time")
    func linear() {
        for text in ["://", "?key=", "sk-", "eyJaaaaaaaa.", "Bearer ", "AC", "-----BEGIN ", "https://a:"] {
            let long = String(repeating: text, count: 8_000 / text.utf8.count)
            _ = CredentialShape.first(in: long)
            _ = SourceText(file: "x", "{\"a\": \"\(long)").credentialRanges()
        }
    }
}

@Suite("Numbers that are none")
struct NumberSuggestionTests {
    @Test(
        "The suggestion is a number only where the text says its country",
        arguments: [
            ("0049 30 123456", "+4930123456"), ("0049*", "+49*"), ("+49 (0)30 123456", "+4930123456"),
            ("+49 30*", "+4930*"), ("+1 (555) 765-4321", "+15557654321"), ("011 49 30 123456", "+4930123456"),
            ("1-555-123-4567", "+15551234567"), ("15551234567", "+15551234567"), ("00 1 555 123 4567", "+15551234567"),
            ("(555) 123-4567", nil), ("5551234567", nil), ("030 123456", nil), ("0800", nil), ("4930123456", nil),
            ("+0123", nil), ("+1234567890123456", nil), ("+49*30", nil), ("sales", nil), ("", nil), ("()", nil),
            ("000", nil), ("+", nil),
        ] as [(String, String?)])
    func suggestion(_ text: String, _ expected: String?) {
        #expect(NumberPattern.suggestion(for: text)?.replacement == expected)
        if let expected { #expect(NumberPattern(expected) != nil) }
    }

    @Test(
        "A national number gets a sentence",
        arguments: [("030 123456", "instead of the leading 0"), ("(555) 123-4567", "country code")])
    func sentence(_ text: String, _ words: String) {
        #expect(NumberPattern.suggestion(for: text)?.text.contains(words) == true)
    }
}
