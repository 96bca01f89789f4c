/// What the name of a key says about its value.
enum KeyMeaning {
    /// A credential: `apiKey`, `auth_token`, `clientSecret`, `password`.
    case credential
    /// Something random that is no secret: `agentId`, `callSid`, `version`.
    case identifier
    case other

    init(_ key: String) {
        // Longer keys are prose; nobody names a credential so.
        guard key.utf8.count <= 80 else {
            self = .other
            return
        }
        let words = Self.words(of: key)
        if words.contains(where: Self.credentialWords.contains) || Self.namesKey(words) {
            self = .credential
        } else if let last = words.last, Self.identifierWords.contains(last) {
            self = .identifier
        } else {
            self = .other
        }
    }

    private static let credentialWords: Set<String> = [
        "token", "secret", "password", "passwd", "passphrase", "credential", "credentials", "authorization", "apikey",
    ]
    private static let keyAdjectives: Set<String> = [
        "api", "access", "auth", "private", "secret", "account", "signing", "encryption", "license",
    ]
    private static let identifierWords: Set<String> = [
        "id", "ids", "sid", "uuid", "guid", "hash", "sha", "digest", "checksum", "version", "fingerprint", "voice",
        "model", "file", "path", "schema", "name", "type",
    ]

    /// A key that opens something; `goodbyeKey` and `keys` are those of a telephone.
    private static func namesKey(_ words: [String]) -> Bool {
        for (index, word) in words.enumerated() where word == "key" && index > 0 {
            if keyAdjectives.contains(words[index - 1]) { return true }
        }
        return false
    }

    /// The words of `apiKey`, `api_key`, `API-KEY`, in small letters.
    static func words(of key: String) -> [String] {
        var words: [String] = []
        var word = ""
        var wasSmall = false
        for scalar in key.unicodeScalars {
            let isLetter = scalar.properties.isAlphabetic
            let isCapital = scalar.properties.isUppercase
            if !isLetter || (isCapital && wasSmall) {
                if !word.isEmpty { words.append(word.lowercased()) }
                word = ""
            }
            if isLetter { word.unicodeScalars.append(scalar) }
            wasSmall = isLetter && !isCapital
        }
        if !word.isEmpty { words.append(word.lowercased()) }
        return words
    }
}

/// Whether a key's name might say that its value is a secret, generously: what is only hidden may be too much.
func looksLikeCredential(_ key: String) -> Bool { looksLikeCredential(Array(key.utf8)[...]) }

func looksLikeCredential(_ key: ArraySlice<UInt8>) -> Bool {
    // Longer keys are prose; nobody names a credential so.
    guard key.count <= 80 else { return false }
    for index in key.indices {
        let words: [String]
        switch key[index] | 0x20 {
        case UInt8(ascii: "k"): words = ["key"]
        case UInt8(ascii: "t"): words = ["token"]
        case UInt8(ascii: "s"): words = ["secret"]
        case UInt8(ascii: "p"): words = ["passw", "passphrase"]
        case UInt8(ascii: "c"): words = ["credential"]
        case UInt8(ascii: "a"): words = ["authorization"]
        default: continue
        }
        let rest = key[index...]
        for word in words where rest.count >= word.utf8.count && zip(rest, word.utf8).allSatisfy({ $0 | 0x20 == $1 }) {
            return true
        }
    }
    return false
}
