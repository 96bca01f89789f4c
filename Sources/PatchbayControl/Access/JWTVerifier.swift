import Crypto
import CryptoExtras
import Foundation
import PatchbayConfig

/// Checks JSON Web Tokens: who signed them, for whom, and until when (RFC 7519, RFC 7515, RFC 8725).
///
/// A key knows the one algorithm that it is good for, so no token can choose another: an RSA key is never the secret of an
/// HMAC, and `none` has no key. swift-crypto does the arithmetic, in constant time for HMAC.
struct JWTVerifier: Sendable {
    typealias Settings = AccessSettings.JWT

    /// Why a token is not accepted. Says nothing that its bearer does not know.
    enum Refusal: Error, Hashable, CustomStringConvertible {
        case unknown, malformed
        case algorithm(String)
        case signature, expired, endless, early, issuer, audience, tenant
        case claim(String)

        var description: String {
            switch self {
            case .unknown: "it is not known here"
            case .malformed: "it is no JSON Web Token"
            case .algorithm(let name): "its algorithm \"\(name)\" is not accepted"
            case .signature: "its signature does not fit"
            case .expired: "it has expired"
            case .endless: "it has no \"exp\""
            case .early: "it is not valid yet"
            case .issuer: "it is from another issuer"
            case .audience: "it is meant for another audience"
            case .tenant: "it names no tenant"
            case .claim(let name): "its claim \"\(name)\" is malformed"
            }
        }
    }

    /// What is wrong with the settings.
    struct Fault: Error, CustomStringConvertible {
        var description: String
    }

    private let settings: Settings
    private let secret: SymmetricKey?
    private let publicKeys: [PublicKey]

    /// - Parameter secret: The key of HS256 where the settings name none.
    /// - Returns: `nil` where there is no key at all.
    init?(_ settings: Settings?, secret: Secret?) throws(Fault) {
        guard settings != nil || secret != nil else { return nil }
        let settings = settings ?? Settings()
        let accepted = settings.algorithms ?? Set(Settings.Algorithm.allCases)
        let text = (settings.secret ?? secret)?.reveal() ?? ""
        // Who gives the public key as the secret of HS256 lets everybody sign.
        guard !text.hasPrefix("-----BEGIN ") else {
            throw Fault(description: "the secret of HS256 is a PEM file; name a public key under \"publicKeyFile\"")
        }
        self.secret =
            accepted.contains(.hs256) && !text.isEmpty ? SymmetricKey(data: Data(text.utf8)) : nil
        publicKeys = accepted.contains(.rs256) ? try PublicKey.read(settings) : []
        guard self.secret != nil || !publicKeys.isEmpty else {
            throw Fault(description: "\"jwt\" has no key for the algorithms that it accepts")
        }
        self.settings = settings
    }

    /// Whom a token belongs to.
    func verify(_ token: Secret, at now: Date) throws(Refusal) -> Principal {
        let parts = token.reveal().utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count > 1 else { throw .unknown }
        guard parts.count == 3, let header = Base64URL.decode(parts[0]), let payload = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2]), let head = Claims(header)
        else { throw .malformed }
        // Extensions that must be understood are not (RFC 7515, section 4.1.11).
        guard !head.has("crit") else { throw .malformed }
        let signed = Data(parts[0]) + [UInt8(ascii: ".")] + Data(parts[1])
        guard try isSigned(signed, by: signature, head) else { throw .signature }
        // Nothing of the payload has been looked at before.
        guard let claims = Claims(payload) else { throw .malformed }
        return try principal(claims, at: now.timeIntervalSince1970)
    }

    private func isSigned(_ signed: Data, by signature: [UInt8], _ head: Claims) throws(Refusal) -> Bool {
        let name = head.text("alg") ?? ""
        switch Settings.Algorithm(rawValue: name) {
        case .hs256?:
            guard let secret else { throw .algorithm(name) }
            return HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: secret)
        case .rs256?:
            guard !publicKeys.isEmpty else { throw .algorithm(name) }
            let kid = head.text("kid")
            let candidates = publicKeys.filter { $0.id == nil || kid == nil || $0.id == kid }
            return candidates.contains { $0.isSigned(signed, by: signature) }
        case nil: throw .algorithm(String(name.prefix(16)))
        }
    }

    /// The names under which issuers say for which tenant a token is, where the settings name none.
    private static let usualTenantClaims = ["tenant", "tenant_id", "tenantId"]

    private func principal(_ claims: Claims, at now: Double) throws(Refusal) -> Principal {
        let leeway = Double(settings.leewaySeconds)
        if let expires = try claims.time("exp") {
            guard now < expires + leeway else { throw .expired }
        } else if settings.requiresExpiry {
            throw .endless
        }
        if let begins = try claims.time("nbf"), now < begins - leeway { throw .early }
        if let issuer = settings.issuer, claims.text("iss") != issuer { throw .issuer }
        if let audience = settings.audience, !claims.words("aud", splitting: false).contains(audience) {
            throw .audience
        }
        var principal = Principal(name: "jwt", rights: settings.rights)
        if let subject = claims.text("sub"), !subject.isEmpty { principal.name = "jwt:\(subject.prefix(64))" }
        if let name = settings.tenantClaim {
            guard let tenant = claims.text(name), !tenant.isEmpty else { throw .tenant }
            principal.tenant = tenant
        } else if let name = Self.usualTenantClaims.first(where: claims.has) {
            // Whoever issued it for one tenant did not mean it to open all.
            guard let tenant = claims.text(name), !tenant.isEmpty else { throw .tenant }
            principal.tenant = tenant
        }
        if let name = settings.rightsClaim {
            let words = claims.words(name, splitting: true)
            principal.rights.formIntersection(words.compactMap(AccessSettings.Right.init))
        }
        return principal
    }
}

/// An RSA key that signatures are checked with.
private struct PublicKey: Sendable {
    /// Longest file with keys, in bytes.
    static let maximumFileBytes = 256 * 1024
    /// Keys of a set that are looked at.
    static let maximumKeys = 32

    /// `kid`, by which a token says whose signature it has; `nil` for a key without a name.
    var id: String?
    var key: _RSA.Signing.PublicKey

    func isSigned(_ data: Data, by signature: [UInt8]) -> Bool {
        key.isValidSignature(
            _RSA.Signing.RSASignature(rawRepresentation: signature), for: SHA256.hash(data: data),
            padding: .insecurePKCS1v1_5)
    }

    static func read(_ settings: AccessSettings.JWT) throws(JWTVerifier.Fault) -> [PublicKey] {
        var keys: [PublicKey] = []
        if let file = settings.publicKeyFile {
            let text = String(decoding: try bytes(file), as: UTF8.self)
            do {
                keys.append(PublicKey(id: nil, key: try _RSA.Signing.PublicKey(pemRepresentation: text)))
            } catch {
                throw JWTVerifier.Fault(
                    description: "\(file) is no RSA public key of 2048 bits or more in PEM form "
                        + "(openssl rsa -in private.pem -pubout)")
            }
        }
        if let file = settings.keySetFile {
            guard let set = try? JSONDecoder().decode(KeySet.self, from: Data(try bytes(file))) else {
                throw JWTVerifier.Fault(
                    description: "\(file) is no JSON Web Key Set: {\"keys\": [{\"kty\": \"RSA\", …}]}")
            }
            let found = set.keys.prefix(maximumKeys).compactMap(\.publicKey)
            guard !found.isEmpty else {
                throw JWTVerifier.Fault(description: "\(file) holds no RSA key of 2048 bits or more for signatures")
            }
            keys += found
        }
        return keys
    }

    private static func bytes(_ file: String) throws(JWTVerifier.Fault) -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: file) else {
            throw JWTVerifier.Fault(description: "\(file) cannot be read")
        }
        defer { try? handle.close() }
        guard let data = try? handle.read(upToCount: maximumFileBytes + 1), data.count <= maximumFileBytes else {
            throw JWTVerifier.Fault(description: "\(file) cannot be read, or has more than \(maximumFileBytes) bytes")
        }
        return Array(data)
    }
}

/// A JSON Web Key Set (RFC 7517, section 5), as far as RSA goes (RFC 7518, section 6.3.1).
private struct KeySet: Decodable {
    struct Key: Decodable {
        var kty: String
        var kid, use, alg, n, e: String?

        var publicKey: PublicKey? {
            guard kty == "RSA", use ?? "sig" == "sig", alg ?? "RS256" == "RS256",
                let n = n.flatMap({ Base64URL.decode($0.utf8) }), let e = e.flatMap({ Base64URL.decode($0.utf8) }),
                let key = try? _RSA.Signing.PublicKey(n: n, e: e)
            else { return nil }
            return PublicKey(id: kid, key: key)
        }
    }

    var keys: [Key]
}

/// The members of a token's header or payload. A name that stands there twice makes the token malformed: readers disagree
/// which one counts (RFC 7519, section 4).
private struct Claims {
    private let members: [String: JSONNode]

    init?(_ bytes: [UInt8]) {
        guard case .object(let members)? = try? SourceText(file: "token", bytes: bytes).readJSON().content else {
            return nil
        }
        self.members = Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        guard self.members.count == members.count else { return nil }
    }

    func has(_ name: String) -> Bool { members[name] != nil }

    func text(_ name: String) -> String? {
        if case .string(let text)? = members[name]?.content { text } else { nil }
    }

    /// Seconds since 1970 (RFC 7519, section 2, NumericDate); `nil` when it is absent.
    func time(_ name: String) throws(JWTVerifier.Refusal) -> Double? {
        guard let node = members[name] else { return nil }
        guard case .number(let text) = node.content, let seconds = Double(text), seconds.isFinite else {
            throw .claim(name)
        }
        return seconds
    }

    /// A text, or a list of texts.
    func words(_ name: String, splitting: Bool) -> [String] {
        switch members[name]?.content {
        case .string(let text)?: splitting ? text.split(separator: " ").map(String.init) : [text]
        case .array(let elements)?:
            elements.compactMap { if case .string(let text) = $0.content { text } else { nil } }
        default: []
        }
    }
}

/// Base 64 for URLs, without padding (RFC 7515, section 2). Any other byte makes it none.
enum Base64URL {
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var bits: UInt32 = 0
        var count = 0
        for byte in text {
            let value: UInt8
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - UInt8(ascii: "a") + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - UInt8(ascii: "0") + 52
            case UInt8(ascii: "-"): value = 62
            case UInt8(ascii: "_"): value = 63
            default: return nil
            }
            bits = (bits << 6 | UInt32(value)) & 0xFFFF
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        // One letter alone is no byte, and what is left over must be nothing.
        guard count < 6, bits & ((1 << UInt32(count)) - 1) == 0 else { return nil }
        return bytes
    }
}
