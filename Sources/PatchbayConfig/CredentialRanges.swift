extension SourceText {
    /// The stretches of the source that are not shown, as byte ranges: what stands under a key that looks like a
    /// credential's, and what looks like a credential itself.
    ///
    /// They are masked wherever a source line is shown: a diagnostic may be printed, logged or answered over HTTP.
    /// Works on the bare text, so that it also protects documents that cannot be read. Cost is linear.
    func credentialRanges() -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var offset = 0
        // In a document that cannot be read, a credential may stand anywhere.
        while let finding = CredentialShape.first(in: bytes, from: offset) {
            ranges.append(finding.range)
            offset = finding.range.upperBound
        }
        var found = ranges[...]
        var isCredential = false
        offset = 0
        while let word = nextWord(from: offset) {
            offset = word.range.upperBound
            if word.isPunctuation {
                // Inside a list or an object under such a key stand names, not values.
                isCredential = false
                continue
            }
            found = found.drop { $0.upperBound <= word.range.lowerBound }
            let holdsFinding = found.first.map { $0.lowerBound < word.range.upperBound } ?? false
            let content = content(of: word)
            var after = offset
            while after < bytes.count, bytes[after] <= 0x20 { after += 1 }
            let isKey =
                after < bytes.count && (bytes[after] == UInt8(ascii: ":") || bytes[after] == UInt8(ascii: "="))
            let isHidden =
                holdsFinding || self.isHidden(content, word)
                || (isCredential && !isKey && isValue(word) && !namesVariable(content))
            if isHidden { ranges.append(word.range) }
            isCredential = isKey && looksLikeCredential(content)
            if isKey { offset = after + 1 }
        }
        return ranges
    }

    /// A telephone's key and a number are no credentials, whatever their own key is called.
    private func isValue(_ word: Word) -> Bool {
        if word.isQuoted {
            return word.range.count > 3 || bytes[word.range.upperBound - 1] != bytes[word.range.lowerBound]
        }
        let text = text(in: word.range)
        return Double(text) == nil && !["true", "false", "null"].contains(text)
    }

    /// Whether it is `${env.NAME}` or `$NAME`, which says where the credential is and not what.
    private func namesVariable(_ content: ArraySlice<UInt8>) -> Bool {
        content.count <= 80 && Linter.namedVariable(String(decoding: content, as: UTF8.self)) != nil
    }

    /// Whether it gives itself away: by randomness, or in a form that escapes have hidden so far.
    private func isHidden(_ content: ArraySlice<UInt8>, _ word: Word) -> Bool {
        guard content.count >= 12 else { return false }
        return looksRandom(content) || (word.hasEscapes && CredentialShape.first(in: Array(content)) != nil)
    }

    // MARK: Words

    /// A string, a run of other characters, or a bracket or comma.
    private struct Word {
        var range: Range<Int>
        var isQuoted = false
        var hasEscapes = false
        var isPunctuation = false
    }

    private func nextWord(from start: Int) -> Word? {
        var offset = start
        while offset < bytes.count, bytes[offset].wordRole == .space { offset += 1 }
        guard offset < bytes.count else { return nil }
        switch bytes[offset].wordRole {
        case .quote:
            let (range, hasEscapes) = literal(from: offset)
            return Word(range: range, isQuoted: true, hasEscapes: hasEscapes)
        case .punctuation: return Word(range: offset..<(offset + 1), isPunctuation: true)
        case .space, .other: break
        }
        var end = offset + 1
        while end < bytes.count, bytes[end].wordRole == .other { end += 1 }
        return Word(range: offset..<end)
    }

    /// From a quote to after the next unescaped one of its kind, or to the end of the line.
    private func literal(from open: Int) -> (range: Range<Int>, hasEscapes: Bool) {
        var offset = open + 1
        var hasEscapes = false
        while offset < bytes.count, bytes[offset] != 0x0A {
            if bytes[offset] == bytes[open] { return (open..<(offset + 1), hasEscapes) }
            if bytes[offset] == UInt8(ascii: "\\") {
                hasEscapes = true
                offset += 1
            }
            offset += 1
        }
        return (open..<min(offset, bytes.count), hasEscapes)
    }

    /// The word without its quotes and with its escapes resolved.
    private func content(of word: Word) -> ArraySlice<UInt8> {
        guard word.isQuoted else { return bytes[word.range] }
        let inner = (word.range.lowerBound + 1)..<max(word.range.lowerBound + 1, word.range.upperBound - 1)
        return word.hasEscapes ? Array(withoutEscapes(text(in: inner)).utf8)[...] : bytes[inner]
    }
}

/// What a byte is between the words of a document, or of something that was meant to be one.
private enum WordRole { case space, quote, punctuation, other }

extension UInt8 {
    fileprivate var wordRole: WordRole {
        switch self {
        case 0...0x20, UInt8(ascii: ":"), UInt8(ascii: "="): .space
        case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"): .quote
        case UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ","): .punctuation
        default: .other
        }
    }
}

/// A text with the escapes of JSON resolved as far as they can be (RFC 8259 §7); never fails.
///
/// Somebody might write a key as `sk\u002d…`, and what is looked for here may stand in a document that cannot be read.
private func withoutEscapes(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    var rest = text.unicodeScalars[...]
    while let scalar = rest.popFirst() {
        guard scalar == "\\", let escape = rest.popFirst() else {
            result.append(scalar)
            continue
        }
        if escape == "u", let value = UInt32(String(rest.prefix(4)), radix: 16), let meant = Unicode.Scalar(value) {
            rest = rest.dropFirst(4)
            result.append(meant)
        } else {
            result.append(escape)
        }
    }
    return String(result)
}
