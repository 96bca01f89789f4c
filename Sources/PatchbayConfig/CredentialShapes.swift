/// What gives a credential away: the forms that vendors give their keys, and randomness.
enum CredentialShape {
    /// A part of a text that looks like a credential.
    struct Finding: Equatable {
        /// What it looks like, with its article: `an API key`.
        var what: String
        /// UTF-8 offsets in the text.
        var range: Range<Int>
        /// Whether hardly anything else looks so. What only might be one is a warning.
        var isCertain: Bool
    }

    /// The first credential in a text.
    ///
    /// Only what is written counts: `Bearer ${env.TOKEN}` holds none. Something that says itself that it is made up
    /// (`sk_your_key_here`, `xxxx`, `example`) is none. Cost is linear.
    static func first(in text: some StringProtocol) -> Finding? { first(in: Array(text.utf8)) }

    static func first(in bytes: [UInt8], from start: Int = 0) -> Finding? {
        guard bytes.count >= 12 else { return nil }
        var isBoundary = start == 0 || !bytes[start - 1].isNameByte
        return roles.withUnsafeBufferPointer { roles in
            for offset in start..<max(start, bytes.count - 4) {
                let role = roles[Int(bytes[offset])]
                if role & Role.begins != 0 {
                    if isBoundary, let finding = prefixed(bytes, offset) { return finding }
                } else if role & Role.address != 0 {
                    let finding =
                        bytes[offset] == UInt8(ascii: ":") ? userInfo(bytes, offset) : queryParameter(bytes, offset)
                    if let finding { return finding }
                }
                isBoundary = role & Role.inName == 0
            }
            return nil
        }
    }

    /// What a byte can be in a credential. Most bytes of most texts are none of it, and are passed quickly.
    private enum Role {
        static let inName: UInt8 = 1
        /// A form of ``prefixed(_:_:)`` begins so.
        static let begins: UInt8 = 2
        /// A form in an address turns on it.
        static let address: UInt8 = 4
    }

    private static let roles: [UInt8] = (0...255).map { (byte: UInt8) in
        var role = byte.isNameByte ? Role.inName : 0
        if "ASBb-e".utf8.contains(byte) || prefixes.contains(where: { $0.text[0] == byte }) { role |= Role.begins }
        if ":?&".utf8.contains(byte) { role |= Role.address }
        return role
    }

    /// Longest word that is looked at, in bytes. It keeps the cost linear.
    private static let maximumLength = 512

    // MARK: Prefixes

    private struct Prefix {
        var text: [UInt8]
        /// Letters, digits, `-` and `_` that follow at least.
        var length: Int
        var what: String

        init(_ text: String, _ length: Int, _ what: String) {
            self.text = Array(text.utf8)
            self.length = length
            self.what = what
        }
    }

    /// As the vendors' pages on their keys, and GitHub's list of the tokens it scans for, give them.
    private static let prefixes = [
        Prefix("sk-", 12, "an API key"), Prefix("sk_", 12, "an API key"), Prefix("xi-", 16, "an API key"),
        Prefix("xi_", 16, "an API key"), Prefix("rk_live_", 12, "an API key"), Prefix("gsk_", 20, "an API key"),
        Prefix("AIza", 30, "a Google API key"), Prefix("hf_", 20, "an access token"),
        Prefix("whsec_", 12, "a webhook's secret"), Prefix("wsec_", 12, "a webhook's secret"),
        Prefix("ghp_", 20, "an access token"), Prefix("gho_", 20, "an access token"),
        Prefix("ghs_", 20, "an access token"), Prefix("github_pat_", 20, "an access token"),
        Prefix("glpat-", 16, "an access token"), Prefix("xoxb-", 12, "an access token"),
        Prefix("xoxp-", 12, "an access token"), Prefix("AKIA", 16, "an access key"),
    ]

    private static func prefixed(_ bytes: [UInt8], _ offset: Int) -> Finding? {
        switch bytes[offset] {
        case UInt8(ascii: "A"), UInt8(ascii: "S"):
            if let finding = twilioIdentifier(bytes, offset) { return finding }
        case UInt8(ascii: "B"), UInt8(ascii: "b"): return authorization(bytes, offset)
        case UInt8(ascii: "-"): return privateKey(bytes, offset)
        case UInt8(ascii: "e"): return jsonWebToken(bytes, offset)
        default: break
        }
        for prefix in prefixes where bytes[offset] == prefix.text[0] && bytes[offset...].starts(with: prefix.text) {
            let tail = (offset + prefix.text.count)..<endOfToken(bytes, offset + prefix.text.count)
            guard tail.count >= prefix.length, isGenuine(bytes[tail]) else { continue }
            return Finding(what: prefix.what, range: offset..<tail.upperBound, isCertain: true)
        }
        return nil
    }

    /// `AC` or `SK` and 32 hexadecimal digits: half of a pair, and no secret alone, but nothing that a document needs
    /// (https://www.twilio.com/docs/glossary/what-is-a-sid).
    private static func twilioIdentifier(_ bytes: [UInt8], _ offset: Int) -> Finding? {
        guard bytes[offset...].starts(with: "AC".utf8) || bytes[offset...].starts(with: "SK".utf8) else { return nil }
        let end = endOfToken(bytes, offset)
        guard end - offset == 34, bytes[(offset + 2)..<end].allSatisfy(\.isHexDigit), isGenuine(bytes[offset..<end])
        else { return nil }
        return Finding(what: "the SID of a Twilio account or key", range: offset..<end, isCertain: false)
    }

    /// `Bearer …` and `Basic …` (RFC 6750 §2.1, RFC 7617 §2).
    private static func authorization(_ bytes: [UInt8], _ offset: Int) -> Finding? {
        for scheme in ["bearer ", "basic "] {
            let start = offset + scheme.utf8.count
            guard start < bytes.count, bytes[offset..<start].elementsEqual(scheme.utf8, by: { $0 | 0x20 == $1 }) else {
                continue
            }
            var end = start
            let limit = min(bytes.count, start + maximumLength)
            while end < limit, bytes[end].isNameByte || "-._~+/=".utf8.contains(bytes[end]) { end += 1 }
            guard end - start >= 16, isGenuine(bytes[start..<end]) else { continue }
            return Finding(what: "the credentials of an Authorization header", range: start..<end, isCertain: true)
        }
        return nil
    }

    /// The first line of a private key in PEM (RFC 7468); all that follows in the text belongs to it.
    private static func privateKey(_ bytes: [UInt8], _ offset: Int) -> Finding? {
        guard bytes[offset...].starts(with: "-----BEGIN ".utf8) else { return nil }
        let label = bytes[offset...].prefix(60)
        guard String(decoding: label, as: UTF8.self).contains("PRIVATE KEY") else { return nil }
        let end = bytes[offset...].firstIndex(of: UInt8(ascii: "\"")) ?? bytes.count
        return Finding(what: "a private key", range: offset..<end, isCertain: true)
    }

    /// Three parts of base64url with points between them, the first an object (RFC 7519 §3).
    private static func jsonWebToken(_ bytes: [UInt8], _ offset: Int) -> Finding? {
        guard bytes[offset...].starts(with: "eyJ".utf8) else { return nil }
        var end = offset
        for part in 0..<3 {
            let start = end
            end = endOfToken(bytes, start, limit: 4096)
            guard end - start >= 8 else { return nil }
            if part < 2 {
                guard end < bytes.count, bytes[end] == UInt8(ascii: ".") else { return nil }
                end += 1
            }
        }
        while end < bytes.count, bytes[end].isNameByte || bytes[end] == UInt8(ascii: "-") { end += 1 }
        return Finding(what: "a JSON Web Token", range: offset..<end, isCertain: true)
    }

    // MARK: Addresses

    /// At the colon of `scheme://user:password@host` (RFC 3986 §3.2.1).
    private static func userInfo(_ bytes: [UInt8], _ offset: Int) -> Finding? {
        guard bytes[offset...].starts(with: "://".utf8) else { return nil }
        let start = offset + 3
        var colon: Int?
        for index in start..<min(bytes.count, start + 300) {
            switch bytes[index] {
            case UInt8(ascii: ":") where colon == nil: colon = index
            case UInt8(ascii: "@"):
                guard let colon, index - colon > 3 else { return nil }
                let password = bytes[(colon + 1)..<index]
                guard !holdsReference(password), !isMadeUp(password) else { return nil }
                return Finding(what: "a password in an address", range: (colon + 1)..<index, isCertain: true)
            case UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#"), UInt8(ascii: "\""), 0...0x20: return nil
            default: break
            }
        }
        return nil
    }

    private static let secretParameters: Set<String> = [
        "key", "apikey", "api_key", "api-key", "xi-api-key", "token", "access_token", "auth_token", "auth", "secret",
        "client_secret", "password", "signature", "sig",
    ]

    /// At the `?` or `&` before `api_key=…`.
    private static func queryParameter(_ bytes: [UInt8], _ offset: Int) -> Finding? {
        guard let equals = bytes[offset...].prefix(32).firstIndex(of: UInt8(ascii: "=")) else { return nil }
        let name = String(decoding: bytes[(offset + 1)..<equals], as: UTF8.self).lowercased()
        guard secretParameters.contains(name) else { return nil }
        var end = equals + 1
        let limit = min(bytes.count, end + maximumLength)
        while end < limit, bytes[end] > 0x20, !"&#\"'<>".utf8.contains(bytes[end]) { end += 1 }
        let value = bytes[(equals + 1)..<end]
        guard value.count >= 8, isGenuine(value), !holdsReference(value) else { return nil }
        return Finding(what: "a credential in an address", range: (equals + 1)..<end, isCertain: true)
    }

    // MARK: Parts

    private static func endOfToken(_ bytes: [UInt8], _ start: Int, limit: Int = maximumLength) -> Int {
        var end = start
        let limit = min(bytes.count, start + limit)
        while end < limit, bytes[end].isNameByte || bytes[end] == UInt8(ascii: "-") { end += 1 }
        return end
    }

    /// Keys have digits among their letters; words of prose and of identifiers mostly do not.
    private static func isGenuine(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.contains(where: \.isDigit) && !isMadeUp(bytes)
    }

    private static func holdsReference(_ bytes: ArraySlice<UInt8>) -> Bool {
        String(decoding: bytes, as: UTF8.self).contains("${")
    }

    /// Whether it says of itself that it stands for something else.
    static func isMadeUp(_ bytes: some Sequence<UInt8>) -> Bool {
        let text = String(decoding: Array(bytes), as: UTF8.self).lowercased()
        return ["xxxx", "example", "placeholder", "your", "...", "…", "<", "****"].contains { text.contains($0) }
    }
}

extension UInt8 {
    fileprivate var isHexDigit: Bool { isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self | 0x20) }
}
