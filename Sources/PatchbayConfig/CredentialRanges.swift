extension SourceText {
    /// The strings that stand under a key which looks like a credential's, as byte ranges with their quotes.
    ///
    /// They are masked wherever a source line is shown: a diagnostic may be printed, logged or answered over HTTP.
    /// Works on the bare text, so that it also protects documents that cannot be read. Cost is linear.
    func credentialRanges() -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var isCredential = false
        var offset = 0
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte == UInt8(ascii: "\"") {
                let literal = literalRange(from: offset)
                offset = literal.upperBound
                if isCredential { ranges.append(literal) }
                var after = offset
                while after < bytes.count, bytes[after] <= 0x20 { after += 1 }
                let isKey = after < bytes.count && bytes[after] == UInt8(ascii: ":")
                isCredential = isKey && looksLikeCredential(text(in: literal))
                if isKey { offset = after + 1 }
            } else {
                if byte > 0x20 { isCredential = false }
                offset += 1
            }
        }
        return ranges
    }

    /// From a quote to after the next unescaped one, or to the end of the line.
    private func literalRange(from open: Int) -> Range<Int> {
        var offset = open + 1
        while offset < bytes.count, bytes[offset] != 0x0A {
            switch bytes[offset] {
            case UInt8(ascii: "\""): return open..<(offset + 1)
            case UInt8(ascii: "\\"): offset += 2
            default: offset += 1
            }
        }
        return open..<min(offset, bytes.count)
    }
}

/// Whether a key's name says that its value is a secret: `apiKey`, `auth_token`, `clientSecret`, `password`.
func looksLikeCredential(_ key: String) -> Bool {
    // Longer keys are prose; nobody names a credential so.
    guard key.utf8.count <= 80 else { return false }
    let word = key.lowercased()
    return ["key", "token", "secret", "password", "credential", "authorization"].contains { word.contains($0) }
}
