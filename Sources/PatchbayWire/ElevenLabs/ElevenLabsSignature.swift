import Crypto
public import NIOCore

/// Makes and checks the signatures of ElevenLabs' webhooks.
///
/// `ElevenLabs-Signature: t=<seconds>,v0=<hex>`, where `v0` is the HMAC-SHA256 of `t`, a point and the raw body
/// (elevenlabs.io/docs/overview/administration/webhooks#authentication). The key is the secret as it was given out, prefix
/// included. Every comparison takes constant time. Without a secret nothing verifies.
public struct ElevenLabsSignature: Sendable {
    /// The name of the header.
    public static let header = "ElevenLabs-Signature"
    /// The name of the older header, whose value is the HMAC alone.
    public static let legacyHeader = "X-ElevenLabs-Signature"
    /// Seconds that a signature may be old; the vendor's own libraries allow as many.
    public static let tolerance = 1800
    /// Seconds that the vendor's clock may be ahead of ours.
    public static let clockSkew = 300
    /// Signatures of one header that are looked at.
    static let maximumSignatures = 8

    /// Why a request is not the vendor's.
    public enum Refusal: Error, Sendable, Equatable, CustomStringConvertible {
        case noSecret, missing, malformed, expired, fromTheFuture, wrong

        public var description: String {
            switch self {
            case .noSecret: "there is no secret, so no signature can be checked"
            case .missing: "\(ElevenLabsSignature.header) is missing"
            case .malformed: "\(ElevenLabsSignature.header) is not of the form t=SECONDS,v0=HEX"
            case .expired: "the signature is older than \(ElevenLabsSignature.tolerance) seconds"
            case .fromTheFuture:
                "the signature was made more than \(ElevenLabsSignature.clockSkew) seconds ahead of this clock"
            case .wrong: "the signature does not fit the body"
            }
        }
    }

    private let keys: [SymmetricKey]

    /// - Parameter secrets: The webhook's secret, or several while one is being replaced; the first signs, any verifies.
    public init(secrets: [String]) {
        keys = secrets.filter { !$0.isEmpty }.map { SymmetricKey(data: Array($0.utf8)) }
    }

    /// The header for a body; `nil` when there is no secret.
    ///
    /// - Parameter time: Seconds since 1970.
    public func sign(_ body: ByteBuffer, at time: Int) -> String? {
        keys.first.map { "t=\(time),v0=\(Self.hex(Self.code(of: body, at: time, $0)))" }
    }

    /// Checks a webhook.
    ///
    /// - Parameters:
    ///   - body: The bytes as they came, before anything reads them.
    ///   - now: Seconds since 1970.
    public func verify(_ header: String?, _ body: ByteBuffer, now: Int) throws(Refusal) {
        let (time, codes) = try checked(header, now: now)
        var isValid = false
        for key in keys {
            let expected = Self.code(of: body, at: time, key)
            for code in codes where expected == code { isValid = true }
        }
        guard isValid else { throw .wrong }
    }

    /// Checks what of a webhook's signature does not depend on the body: its form and its time.
    public func checkForm(_ header: String?, now: Int) throws(Refusal) { _ = try checked(header, now: now) }

    private func checked(_ header: String?, now: Int) throws(Refusal) -> (time: Int, codes: [[UInt8]]) {
        guard !keys.isEmpty else { throw .noSecret }
        guard let header, !header.isEmpty else { throw .missing }
        let (time, codes) = try Self.parse(header)
        guard time >= now - Self.tolerance else { throw .expired }
        guard time <= now + Self.clockSkew else { throw .fromTheFuture }
        return (time, codes)
    }

    /// The older header for a body, or for the query of a GET.
    public func legacySign(_ message: ByteBuffer) -> String? {
        keys.first.map { Self.hex(Self.code(of: message, $0)) }
    }

    /// Checks a request by its older header, hexadecimal with or without `sha256=` before it. It has no time in it, so whoever
    /// recorded a request can repeat it.
    ///
    /// - Parameter message: The raw body, or the query of a GET as it was sent.
    public func verifyLegacy(_ header: String?, _ message: ByteBuffer) throws(Refusal) {
        let code = try checkedLegacy(header)
        var isValid = false
        for key in keys where Self.code(of: message, key) == code { isValid = true }
        guard isValid else { throw .wrong }
    }

    /// Checks the form of the older header.
    public func checkLegacyForm(_ header: String?) throws(Refusal) { _ = try checkedLegacy(header) }

    private func checkedLegacy(_ header: String?) throws(Refusal) -> [UInt8] {
        guard !keys.isEmpty else { throw .noSecret }
        guard let header, !header.isEmpty else { throw .missing }
        let text = header.hasPrefix("sha256=") ? header.dropFirst(7) : header[...]
        guard let code = Self.bytes(text.lowercased()) else { throw .malformed }
        return code
    }

    // MARK: Inner parts

    /// The last time counts, as in the vendor's Python library; every signature does.
    private static func parse(_ header: String) throws(Refusal) -> (time: Int, codes: [[UInt8]]) {
        var time: Int?
        var codes: [[UInt8]] = []
        for part in header.utf8.split(separator: UInt8(ascii: ",")).prefix(maximumSignatures + 2) {
            let text = String(decoding: part.drop { $0 == UInt8(ascii: " ") }, as: UTF8.self)
            if text.hasPrefix("t=") {
                let digits = text.utf8.dropFirst(2)
                guard (1...12).contains(digits.count), digits.allSatisfy({ 0x30...0x39 ~= $0 }) else {
                    throw .malformed
                }
                time = Int(text.dropFirst(2))
            } else if text.hasPrefix("v0="), codes.count < maximumSignatures,
                let code = bytes(String(text.dropFirst(3)))
            {
                codes.append(code)
            }
        }
        guard let time, !codes.isEmpty else { throw .malformed }
        return (time, codes)
    }

    private static func code(of body: ByteBuffer, at time: Int? = nil, _ key: SymmetricKey) -> HMAC<SHA256>.MAC {
        var code = HMAC<SHA256>(key: key)
        if let time { code.update(data: Array("\(time).".utf8)) }
        body.withUnsafeReadableBytes { code.update(data: $0) }
        return code.finalize()
    }

    private static func hex(_ code: HMAC<SHA256>.MAC) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: code.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Small letters alone, as the vendor writes them.
    private static func bytes(_ text: String) -> [UInt8]? {
        guard text.utf8.count == 64 else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in text.utf8 {
            let value: UInt8
            switch digit {
            case 0x30...0x39: value = digit - 0x30
            case 0x61...0x66: value = digit - 0x57
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return bytes
    }
}
