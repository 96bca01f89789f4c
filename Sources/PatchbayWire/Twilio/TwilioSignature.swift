import Crypto

/// Makes and checks the `X-Twilio-Signature` of webhooks and WebSocket handshakes.
///
/// The signature is the HMAC of the requested URL, followed by the sorted form fields of a POST, in base64
/// (twilio.com/docs/usage/webhooks/webhooks-security). The fields must come from the raw body: a parser that trims,
/// merges or drops blank values breaks it.
///
/// Twilio does not say whether a port is part of what it signs, so its own libraries accept the URL with and without
/// one, and this does the same. Every comparison takes constant time. Without a secret nothing verifies.
public struct TwilioSignature: Sendable {
    public enum Algorithm: Sendable, Equatable { case hmacSHA1, hmacSHA256 }

    /// The content of the header `X-Twilio-Webhooks-Signature-Settings`, by which newer webhooks name key and
    /// algorithm.
    public struct Settings: Sendable, Equatable {
        /// Which shared key; `nil` for the account's auth token.
        public var keyID: String?
        public var algorithm: Algorithm

        /// Parses `key=…,algorithm=HMAC_SHA256`. Absent or empty means auth token and HMAC-SHA1.
        ///
        /// - Throws: ``WireError/Code/unsupported`` for an unknown algorithm: such a request must be refused.
        public init(header: String?) throws(WireError) {
            self.keyID = nil
            self.algorithm = .hmacSHA1
            for part in (header ?? "").split(separator: ",") {
                let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                let name = Self.trim(pair[0]).lowercased(), value = pair.count > 1 ? Self.trim(pair[1]) : ""
                switch (name, value.uppercased()) {
                case ("key", _): keyID = value.isEmpty ? nil : value
                case ("algorithm", "HMAC_SHA1"): algorithm = .hmacSHA1
                case ("algorithm", "HMAC_SHA256"): algorithm = .hmacSHA256
                case ("algorithm", _):
                    throw WireError(
                        .unsupported, "signature algorithm \"\(value.prefix(32))\"; known are HMAC_SHA1 and HMAC_SHA256"
                    )
                default: break
                }
            }
        }

        private static func trim(_ text: Substring) -> String {
            var text = text.drop { $0 == " " || $0 == "\t" }
            while text.last == " " || text.last == "\t" { text.removeLast() }
            return String(text)
        }
    }

    public let algorithm: Algorithm
    private let keys: [SymmetricKey]

    /// - Parameters:
    ///   - secrets: The auth token, or several while one is being replaced; the first signs, any verifies. Empty ones
    ///     are ignored.
    ///   - algorithm: HMAC-SHA1 unless a request says otherwise.
    public init(secrets: [String], algorithm: Algorithm = .hmacSHA1) {
        self.algorithm = algorithm
        self.keys = secrets.filter { !$0.isEmpty }.map { SymmetricKey(data: Array($0.utf8)) }
    }

    /// For a request with these settings; `secrets` finds those of a key (`nil`: the auth token).
    public init(settings: Settings, secrets: (_ keyID: String?) -> [String]) {
        self.init(secrets: secrets(settings.keyID), algorithm: settings.algorithm)
    }

    /// Signs a request; `nil` when there is no secret.
    ///
    /// - Parameters:
    ///   - url: The URL as requested. A handshake is signed with `wss://`.
    ///   - form: The fields of a form POST; `nil` for everything else.
    public func sign(url: String, form: FormFields? = nil) -> String? {
        guard let key = keys.first else { return nil }
        let code = authenticationCode(key, SplitURL(url)?.text ?? url, Self.signedTail(form))
        return String(unsafeUninitializedCapacity: Base64.encodedCount(of: code.count)) { room in
            code.withUnsafeBytes { Base64.encode($0, into: UnsafeMutableRawBufferPointer(room)) }
        }
    }

    /// Checks a webhook.
    ///
    /// - Parameters:
    ///   - signature: The header's value.
    ///   - url: The URL that Twilio requested, from the configured public address and the raw request target.
    ///   - form: The fields of a form POST; `nil` for a GET.
    public func verify(signature: String, url: String, form: FormFields? = nil) -> Bool {
        guard let url = SplitURL(url) else { return false }
        let tail = Self.signedTail(form)
        return verify(signature, candidates: Self.portVariants(of: url).map { ($0.text, tail) })
    }

    /// Checks a webhook with a JSON body, whose SHA-256 must stand in the URL as `bodySHA256`.
    public func verify(signature: String, url: String, jsonBody: some Collection<UInt8>) -> Bool {
        guard let query = SplitURL(url)?.query, let fields = try? FormFields(parsing: query.utf8),
            let expected = fields["bodySHA256"]
        else { return false }
        let digits = Array("0123456789abcdef".utf8)
        let hash = SHA256.hash(data: Array(jsonBody)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return Self.isEqual(hash, Array(expected.utf8)) && verify(signature: signature, url: url)
    }

    /// Checks a WebSocket handshake.
    ///
    /// Twilio signs the URL that the TwiML gave, with its `ws` scheme, so `https` and `http` are read as `wss` and
    /// `ws`. One trailing slash more or less in the path is accepted, and a query counts as part of the URL or as
    /// fields.
    /// - Parameter url: The configured stream URL, or public address and request target of the upgrade.
    public func verifyHandshake(signature: String, url: String) -> Bool {
        guard var url = SplitURL(url) else { return false }
        switch url.scheme.lowercased() {
        case "https": url.scheme = "wss"
        case "http": url.scheme = "ws"
        case "wss", "ws": break
        default: return false
        }
        var slashed = url
        if url.path.hasSuffix("/") { slashed.path.removeLast() } else { slashed.path += "/" }
        var candidates: [(String, [UInt8])] = []
        for variant in [url, slashed].flatMap(Self.portVariants) {
            candidates.append((variant.text, []))
            if let query = variant.query, let fields = try? FormFields(parsing: query.utf8) {
                var bare = variant
                bare.query = nil
                candidates.append((bare.text, Self.signedTail(fields)))
            }
        }
        return verify(signature, candidates: candidates)
    }

    // MARK: Inner parts

    private func verify(_ signature: String, candidates: [(url: String, tail: [UInt8])]) -> Bool {
        var signature = signature
        guard let given = signature.withUTF8({ Self.decode(UnsafeRawBufferPointer($0)) }) else { return false }
        var isValid = false
        for key in keys {
            for (url, tail) in candidates where Self.isEqual(authenticationCode(key, url, tail), given) {
                isValid = true
            }
        }
        return isValid
    }

    private func authenticationCode(_ key: SymmetricKey, _ url: String, _ tail: [UInt8]) -> [UInt8] {
        let text = Array(url.utf8) + tail
        return switch algorithm {
        case .hmacSHA1: Array(HMAC<Insecure.SHA1>.authenticationCode(for: text, using: key))
        case .hmacSHA256: Array(HMAC<SHA256>.authenticationCode(for: text, using: key))
        }
    }

    /// Names in byte order, each followed by its value; of a repeated name the distinct values in byte order.
    private static func signedTail(_ form: FormFields?) -> [UInt8] {
        guard let form else { return [] }
        let sorted = form.fields.sorted { first, second in
            first.nameBytes == second.nameBytes
                ? first.valueBytes.lexicographicallyPrecedes(second.valueBytes)
                : first.nameBytes.lexicographicallyPrecedes(second.nameBytes)
        }
        var tail: [UInt8] = []
        var last: FormFields.Field?
        for field in sorted where field != last {
            tail += field.nameBytes + field.valueBytes
            last = field
        }
        return tail
    }

    /// The URL as it is, without a port, and with the scheme's default port where it has none.
    private static func portVariants(of url: SplitURL) -> [SplitURL] {
        var other = url
        if url.port != nil {
            other.port = nil
        } else {
            switch url.scheme.lowercased() {
            case "https", "wss": other.port = "443"
            case "http", "ws": other.port = "80"
            default: return [url]
            }
        }
        return [url, other]
    }

    private static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        guard text.count <= 64 else { return nil }
        var count: Int? = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Base64.decodedCount(of: text)) { room, written in
            count = Base64.decodeIfValid(text, into: UnsafeMutableRawBufferPointer(room))
            written = count ?? 0
        }
        return count == nil ? nil : bytes
    }

    /// Compares in a time that depends on the lengths alone.
    private static func isEqual(_ first: [UInt8], _ second: [UInt8]) -> Bool {
        guard first.count == second.count else { return false }
        var difference: UInt8 = 0
        for (left, right) in zip(first, second) { difference |= left ^ right }
        return difference == 0
    }
}
