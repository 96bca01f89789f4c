import Crypto
import Foundation
import PatchbayCore

/// Makes and checks the one-time token that a stream proves itself with.
///
/// A token is a MAC over the call it belongs to and its expiry, so every replica with the same `TWILIO_AUTH_TOKEN` can check
/// it without having made it. That it is used once is the ``CallRegistry``'s business, which knows the nonces.
struct StreamToken: Sendable {
    private let key: SymmetricKey

    /// - Parameter secret: What all replicas share. `nil`: a random key, good for this process alone.
    init(secret: String?) {
        if let secret {
            // A key of its own, so that a token never reveals anything about signatures made with the same secret.
            let code = HMAC<SHA256>.authenticationCode(
                for: Data("patchbay stream token v1".utf8), using: SymmetricKey(data: Data(secret.utf8)))
            key = SymmetricKey(data: code)
        } else {
            key = SymmetricKey(size: .bits256)
        }
    }

    /// What a token is good for. One that travels in a URL must not open a stream.
    enum Purpose: String, Sendable { case stream, next }

    /// What a token vouches for.
    struct Claim: Equatable, Sendable {
        var purpose: Purpose
        var callSid: String
        var from: String
        var to: String
        /// How often the call has been resumed.
        var resumes: Int
        /// Seconds since 1970.
        var expires: Int
        /// 128 random bits, in hexadecimal.
        var nonce: String

        init(
            _ purpose: Purpose, callSid: String, from: String, to: String, resumes: Int = 0, expires: Int,
            nonce: String = Self.makeNonce()
        ) {
            self.purpose = purpose
            self.callSid = callSid
            self.from = from
            self.to = to
            self.resumes = resumes
            self.expires = expires
            self.nonce = nonce
        }

        static func makeNonce() -> String {
            var generator = SystemRandomNumberGenerator()
            return (0..<2).map { _ in
                let word = String(generator.next() as UInt64, radix: 16)
                return String(repeating: "0", count: 16 - word.count) + word
            }.joined()
        }
    }

    enum Refusal: Error, CustomStringConvertible {
        case malformed, wrong, expired

        var description: String {
            switch self {
            case .malformed: "the stream token is malformed"
            case .wrong: "the stream token does not belong to this call"
            case .expired: "the stream token has expired"
            }
        }
    }

    /// `RESUMES.EXPIRES.NONCE.MAC`, about 120 characters.
    func make(_ claim: Claim) -> String {
        "\(claim.resumes).\(claim.expires).\(claim.nonce).\(hex(mac(claim)))"
    }

    /// - Parameter now: Seconds since 1970.
    func verify(
        _ token: String, _ purpose: Purpose, callSid: String, from: String, to: String, now: Int
    ) throws(Refusal) -> Claim {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, let resumes = Int(parts[0]), let expires = Int(parts[1]), parts[2].count == 32,
            let code = bytes(hex: parts[3])
        else { throw .malformed }
        let claim = Claim(
            purpose, callSid: callSid, from: from, to: to, resumes: resumes, expires: expires, nonce: String(parts[2]))
        // Constant time: swift-crypto compares authentication codes so.
        guard HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: message(claim), using: key) else {
            throw .wrong
        }
        guard expires >= now else { throw .expired }
        return claim
    }

    private func message(_ claim: Claim) -> Data {
        // Lengths in front, so that no two claims give the same bytes.
        Data(
            [
                claim.purpose.rawValue, claim.callSid, claim.from, claim.to, "\(claim.resumes)", "\(claim.expires)",
                claim.nonce,
            ]
            .map { "\($0.utf8.count):\($0)" }.joined().utf8)
    }

    private func mac(_ claim: Claim) -> HMAC<SHA256>.MAC {
        HMAC<SHA256>.authenticationCode(for: message(claim), using: key)
    }

    private func hex(_ mac: HMAC<SHA256>.MAC) -> String {
        mac.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private func bytes(hex text: Substring) -> [UInt8]? {
        guard text.utf8.count == 64 else { return nil }
        var bytes: [UInt8] = []
        var rest = text[...]
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
