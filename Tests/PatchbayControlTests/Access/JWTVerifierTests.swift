import Crypto
import CryptoExtras
import Foundation
import Patchbay
import Testing

@testable import PatchbayControl

/// Makes tokens by hand, so that they can be wrong in every way.
struct TokenMaker {
    static let secret = "a secret of more than thirty-two bytes, for tests"
    static let now = Date(timeIntervalSince1970: 1_700_000_000)

    static func encode(_ bytes: some DataProtocol) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    static func hs256(_ payload: String, header: String = #"{"alg":"HS256","typ":"JWT"}"#, secret: String = secret)
        -> Secret
    {
        let signed = encode(Data(header.utf8)) + "." + encode(Data(payload.utf8))
        let code = HMAC<SHA256>.authenticationCode(
            for: Data(signed.utf8), using: SymmetricKey(data: Data(secret.utf8)))
        return Secret(signed + "." + encode(Data(code)))
    }

    static func rs256(_ payload: String, header: String = #"{"alg":"RS256"}"#, key: _RSA.Signing.PrivateKey) throws
        -> Secret
    {
        let signed = encode(Data(header.utf8)) + "." + encode(Data(payload.utf8))
        let signature = try key.signature(for: SHA256.hash(data: Data(signed.utf8)), padding: .insecurePKCS1v1_5)
        return Secret(signed + "." + encode(signature.rawRepresentation))
    }
}

@Suite struct JWTVerifierTests {
    private typealias Refusal = JWTVerifier.Refusal
    private let now = TokenMaker.now

    private func verifier(_ change: (inout AccessSettings.JWT) -> Void = { _ in }) throws -> JWTVerifier {
        var settings = AccessSettings.JWT()
        change(&settings)
        let made = try JWTVerifier(settings, secret: Secret(TokenMaker.secret))
        return try #require(made)
    }

    private func refusal(_ token: Secret, _ verifier: JWTVerifier) -> Refusal? {
        do {
            _ = try verifier.verify(token, at: now)
            return nil
        } catch {
            return error
        }
    }

    @Test func theSecretAloneIsEnough() throws {
        let made = try JWTVerifier(nil, secret: Secret(TokenMaker.secret))
        let verifier = try #require(made)
        let principal = try verifier.verify(TokenMaker.hs256(#"{"sub": "campaign"}"#), at: now)
        #expect(principal.name == "jwt:campaign" && principal.tenant == nil)
        #expect(principal.rights == [.read, .calls, .dial, .talk])
        #expect(try JWTVerifier(nil, secret: nil) == nil)
    }

    @Test(
        arguments: [
            // Times, with a minute for clocks that differ.
            (#"{"exp": 1700000000}"#, nil), (#"{"exp": 1699999941}"#, nil), (#"{"exp": 1699999940}"#, .expired),
            (#"{"exp": 1699999940.9}"#, nil), (#"{"exp": "1800000000"}"#, .claim("exp")),
            (#"{"exp": null}"#, .claim("exp")), (#"{"exp": -1}"#, .expired), (#"{"nbf": 1700000060}"#, nil),
            (#"{"nbf": 1700000061}"#, .early), (#"{"nbf": true}"#, .claim("nbf")), ("{}", nil),
            // What is no claims.
            ("[]", .malformed), ("", .malformed), ("7", .malformed), (#"{"exp": 1, "exp": 1800000000}"#, .malformed),
            (#"{"sub": "a", "sub": "b"}"#, .malformed),
        ] as [(String, JWTVerifier.Refusal?)])
    func claims(_ payload: String, expected: JWTVerifier.Refusal?) throws {
        #expect(refusal(TokenMaker.hs256(payload), try verifier()) == expected)
    }

    @Test func issuerAudienceTenantAndRights() throws {
        let strict = try verifier {
            $0.issuer = "https://id.example.com"
            $0.audience = "patchbay"
            $0.tenantClaim = "tenant_id"
            $0.rights = [.read, .dial]
            $0.rightsClaim = "scope"
            $0.requiresExpiry = true
        }
        func token(_ change: (inout [String: String]) -> Void) -> Secret {
            var claims = [
                "iss": #""https://id.example.com""#, "aud": #"["other", "patchbay"]"#, "tenant_id": #""a""#,
                "scope": #""read admin openid""#, "exp": "1800000000",
            ]
            change(&claims)
            return TokenMaker.hs256("{" + claims.map { "\"\($0)\": \($1)" }.joined(separator: ",") + "}")
        }
        let principal = try strict.verify(token { _ in }, at: now)
        #expect(principal.tenant == "a" && principal.rights == [.read], "no more than the settings allow")
        for (change, expected) in [
            ({ $0["iss"] = nil }, .issuer), ({ $0["iss"] = #""https://id.example.com.evil""# }, .issuer),
            ({ $0["iss"] = #"["https://id.example.com"]"# }, .issuer), ({ $0["aud"] = nil }, .audience),
            ({ $0["aud"] = #""patchbay2""# }, .audience), ({ $0["aud"] = #""other patchbay""# }, .audience),
            ({ $0["tenant_id"] = nil }, .tenant), ({ $0["tenant_id"] = #""""# }, .tenant),
            ({ $0["tenant_id"] = "7" }, .tenant), ({ $0["exp"] = nil }, .endless),
        ] as [((inout [String: String]) -> Void, JWTVerifier.Refusal)] {
            #expect(refusal(token(change), strict) == expected)
        }
        #expect(try strict.verify(token { $0["aud"] = #""patchbay""# }, at: now).tenant == "a")
        #expect(try strict.verify(token { $0["scope"] = #"["dial"]"# }, at: now).rights == [.dial])
        #expect(try strict.verify(token { $0["scope"] = nil }, at: now).rights == [])
    }

    @Test(
        "A token that names a tenant opens no other's, though nobody said which claim that is",
        arguments: [
            ("tenant", #""a""#, "a"), ("tenant_id", #""a""#, "a"), ("tenantId", #""a""#, "a"), ("tenant", #""""#, nil),
            ("tenant_id", "7", nil),
        ] as [(String, String, String?)])
    func usualTenantClaims(_ name: String, _ value: String, _ tenant: String?) throws {
        let token = TokenMaker.hs256(#"{"\#(name)": \#(value)}"#)
        if let tenant {
            #expect(try verifier().verify(token, at: now).tenant == tenant)
        } else {
            #expect(refusal(token, try verifier()) == .tenant)
        }
    }

    @Test(
        arguments: [
            #"{"alg":"none"}"#, #"{"alg":"None"}"#, #"{"alg":"nOnE"}"#, #"{"alg":""}"#, "{}", #"{"alg":null}"#,
            #"{"alg":"HS384"}"#, #"{"alg":"hs256"}"#, #"{"alg":"ES256"}"#, #"{"alg":["HS256"]}"#,
            #"{"alg":"RS256"}"#,
        ]) func noOtherAlgorithmIsTaken(header: String) throws
    {
        let verifier = try verifier()
        let signed = TokenMaker.hs256("{}", header: header)
        guard case .algorithm? = refusal(signed, verifier) else {
            Issue.record("\(header) was taken, or refused for another reason")
            return
        }
        // And with the signature that `none` has: nothing.
        let bare = signed.reveal().split(separator: ".").prefix(2).joined(separator: ".") + "."
        #expect(refusal(Secret(bare), verifier) != nil)
    }

    @Test func whatIsNoTokenIsNone() throws {
        let verifier = try verifier()
        let good = TokenMaker.hs256("{}").reveal()
        let parts = good.split(separator: ".").map(String.init)
        for text in [
            ".", "..", "...", "a.b", "a.b.c", good + ".", "." + good, good + "=", good + "\n", " " + good,
            "\(parts[0]).\(parts[1])", "\(parts[0])=.\(parts[1]).\(parts[2])", "\(parts[0])..\(parts[2])",
            "\(parts[0]).\(parts[1])!.\(parts[2])", "\(parts[0]).\(parts[1]).\(parts[2]).\(parts[2])",
            String(repeating: ".", count: 8000), "\u{0}.\u{0}.\u{0}",
        ] {
            #expect(refusal(Secret(text), verifier) != nil, "\(text.prefix(40))")
        }
        #expect(refusal(Secret(good), verifier) == nil)
        #expect(refusal(TokenMaker.hs256("{}", secret: "another"), verifier) == .signature)
        #expect(refusal(TokenMaker.hs256("{}", header: #"{"alg":"HS256","crit":["exp"]}"#), verifier) == .malformed)
        // Every single bit of the signature counts.
        for index in parts[2].indices {
            var changed = parts[2]
            changed.replaceSubrange(index...index, with: changed[index] == "A" ? "B" : "A")
            #expect(refusal(Secret("\(parts[0]).\(parts[1]).\(changed)"), verifier) != nil)
        }
    }

    @Test func publicKeysFromFiles() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-jwt-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ name: String, _ text: String) throws -> String {
            let url = folder.appendingPathComponent(name)
            try Data(text.utf8).write(to: url)
            return url.path
        }
        let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        let other = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        let pem = try write("key.pem", key.publicKey.pemRepresentation)
        let primitives = try key.publicKey.getKeyPrimitives()
        let jwk =
            #"{"kty":"RSA","kid":"one","use":"sig","n":"\#(TokenMaker.encode(primitives.modulus))","e":"\#(TokenMaker.encode(primitives.publicExponent))"}"#
        let set = try write("jwks.json", #"{"keys":[{"kty":"EC","kid":"two"},\#(jwk)]}"#)

        let payload = #"{"sub":"a","exp":1800000000}"#
        var withoutSecret = AccessSettings.JWT()
        withoutSecret.keySetFile = set
        let alone = try JWTVerifier(withoutSecret, secret: nil)
        for verifier in [
            try verifier { $0.publicKeyFile = pem }, try verifier { $0.keySetFile = set }, try #require(alone),
        ] {
            #expect(refusal(try TokenMaker.rs256(payload, key: key), verifier) == nil)
            #expect(refusal(try TokenMaker.rs256(payload, key: other), verifier) == .signature)
            // The public key is known to everybody; it is no secret of HS256.
            let confused = TokenMaker.hs256(payload, secret: key.publicKey.pemRepresentation)
            #expect([.signature, .algorithm("HS256")].contains(refusal(confused, verifier)))
        }
        let byName = try verifier { $0.keySetFile = set }
        #expect(
            refusal(try TokenMaker.rs256(payload, header: #"{"alg":"RS256","kid":"one"}"#, key: key), byName) == nil)
        #expect(
            refusal(try TokenMaker.rs256(payload, header: #"{"alg":"RS256","kid":"two"}"#, key: key), byName)
                == .signature)
        // Only what is accepted.
        let onlyRSA = try verifier {
            $0.publicKeyFile = pem
            $0.algorithms = [.rs256]
        }
        #expect(refusal(TokenMaker.hs256(payload), onlyRSA) == .algorithm("HS256"))

        let small = try _RSA.Signing.PrivateKey(unsafePEMRepresentation: Self.smallKey)
        for (name, text) in [
            ("none.pem", "nothing"), ("small.pem", small.publicKey.pemRepresentation), ("empty.pem", ""),
        ] {
            let file = try write(name, text)
            #expect(throws: JWTVerifier.Fault.self, "\(name)") { try verifier { $0.publicKeyFile = file } }
        }
        for (name, text) in [("a.json", "{}"), ("b.json", #"{"keys":[]}"#), ("c.json", "[]"), ("d.json", "x")] {
            let file = try write(name, text)
            #expect(throws: JWTVerifier.Fault.self, "\(name)") { try verifier { $0.keySetFile = file } }
        }
        #expect(throws: JWTVerifier.Fault.self) { try verifier { $0.publicKeyFile = "/nowhere" } }
        #expect(throws: JWTVerifier.Fault.self) { try verifier { $0.secret = Secret(key.publicKey.pemRepresentation) } }
        #expect(throws: JWTVerifier.Fault.self) { try verifier { $0.algorithms = [.rs256] } }
    }

    /// Made for this test; signs nothing else.
    private static let smallKey = """
        -----BEGIN RSA PRIVATE KEY-----
        MIICWwIBAAKBgQCfMos/taftVbsCQrryc/5tgWBCmux5Pb1WL9vprz+jAL9TDYL6
        LHBwckc2shAB5hRJuA3HHBt//Tu1e1xPoKGfs65Ap2fDHMV3d3O3JIf1toXNR6Wy
        NTWYdEKGr4i0AseLlwkw+rov/I0igj3nyFitvmmvmw40XvkfME1G42cHKQIDAQAB
        AoGACPOJmuJ298RbSIxCAMH+619b70LQyxxqmf8E6YXeGSdAmsXmuHRpOhli4bNv
        bPvn5iFAPRLahP7TLagrD5sjm0WFTtGZqyaDkWpRLieGc8B5LnazU9DtIuqGs1YH
        SQkYKt+LQ5hDsztXXIgnayKrD8OkuvdhITQyxs+tUoUczdECQQDNm6q/0Ogn5fqi
        IXbRFU7PK+/kgNy1XwOS0PA0CSGTdmO7OcKJw5LtiAbByLNgaaIHRN3rPOaWcR0J
        bnpquUq9AkEAxjb29ja5mQ1X4f46cQATSIucO1oDQ1UZUMM5wffSUlVlSne/5NH3
        yOH3CQ7sbZ3fsP78Dm4g4eO1kD+O0hCq3QJAX6I/SpcN1LkI2e68yEWj8YLbQyqY
        /heinuBmSZ3RqzhO7R/Rl6iLJ8a0deA3ZunbPoxOuIMMMf+M5P0pHYjv9QJAM9MF
        KQTP6+toMedVglwBrrMJ6x6ywbULRGl2vXc9H1fCfwDmRD59qaEjBNRJDrP7W3yf
        jGpQ4J63xvpHLjc7ZQJAYMcAnqFhSs1BG5iN1o1jjiqaPLcZlHJrH3qxQzLpi2uz
        eiv8V/bpDRAfWzT0BF4eBdRKQoGxBe+/pRlsVbEoxQ==
        -----END RSA PRIVATE KEY-----
        """

    @Test func base64ForURLsIsStrict() {
        #expect(Base64URL.decode("".utf8) == [])
        #expect(Base64URL.decode("AA".utf8) == [0] && Base64URL.decode("_-8".utf8) == [0xFF, 0xEF])
        for text in ["A", "AAAAA", "AB", "AA==", "A+A", "A/A", "A A", "AAB"] {
            #expect(Base64URL.decode(text.utf8) == nil, "\(text)")
        }
    }
}
