import Foundation

/// Whether a text is so random that a person can hardly have thought it up.
///
/// The rule: it is one word of 24 to 512 letters, digits, `-`, `_`, `+`, `/` and `=`, and either
/// - has upper and lower case letters and digits, changes at least three times between letters and digits, and has a
///   Shannon entropy of at least 3.7 bits a character (24 characters drawn at random from 62 have 4.3 on average), or
/// - has at least 32 characters, changes at least six times between letters and digits, and has at least 3 bits a
///   character (32 hexadecimal digits have 3.6 on average).
///
/// Names in several short parts (`gpt-4o-realtime-preview-2024-12-17`), UUIDs and paths do not count, nor do the
/// identifiers that vendors mark as such with a word in front (`agent_…`, `voice_…`).
func looksRandom(_ bytes: some Collection<UInt8>) -> Bool {
    guard (24...512).contains(bytes.count) else { return false }
    var counts = [Int](repeating: 0, count: 128)
    var changes = 0
    var longestPart = 0
    var part = 0
    var parts = 1
    var hasUpper = false
    var hasLower = false
    var wasDigit: Bool?
    for byte in bytes {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): hasUpper = true
        case UInt8(ascii: "a")...UInt8(ascii: "z"): hasLower = true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): break
        case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "/"):
            parts += 1
            part = -1
        case UInt8(ascii: "+"), UInt8(ascii: "="): break
        default: return false
        }
        counts[Int(byte)] += 1
        part += 1
        longestPart = max(longestPart, part)
        if byte.isDigit || byte.isLetter {
            if let wasDigit, wasDigit != byte.isDigit { changes += 1 }
            wasDigit = byte.isDigit
        }
    }
    if parts > 2, longestPart <= 12 { return false }
    if bytes.first == UInt8(ascii: "/") || isMarkedIdentifier(bytes) || CredentialShape.isMadeUp(bytes) { return false }
    let length = Double(bytes.count)
    let entropy = counts.reduce(0.0) { sum, count in
        guard count > 0 else { return sum }
        let share = Double(count) / length
        return sum - share * log2(share)
    }
    if hasUpper, hasLower, changes >= 3, entropy >= 3.7 { return true }
    return bytes.count >= 32 && changes >= 6 && entropy >= 3
}

/// Identifiers that are no secrets and say so.
private let identifierPrefixes = [
    "agent_", "voice_", "conv_", "phnum_", "user_", "call_", "model_", "asst_", "proj_", "org_", "session_", "cus_",
]

private func isMarkedIdentifier(_ bytes: some Collection<UInt8>) -> Bool {
    identifierPrefixes.contains { bytes.starts(with: $0.utf8) }
}
