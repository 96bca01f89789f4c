extension SourceText {
    /// The stretches of the source that are not shown, as byte ranges: what stands under a key that looks like a
    /// credential's, and what looks like a credential itself.
    ///
    /// They are masked wherever a source line is shown: a diagnostic may be printed, logged or answered over HTTP.
    /// Works on the bare text, so that it also protects documents that cannot be read. Cost is linear.
    func credentialRanges() -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var isCredential = false
        var offset = 0
        while let word = nextWord(from: offset) {
            offset = word.range.upperBound
            if word.isPunctuation {
                // Inside a list or an object under such a key stand names, not values.
                isCredential = false
                continue
            }
            let text = self.text(of: word)
            var after = offset
            while after < bytes.count, bytes[after] <= 0x20 { after += 1 }
            let isKey =
                after < bytes.count && (bytes[after] == UInt8(ascii: ":") || bytes[after] == UInt8(ascii: "="))
            if isKey {
                offset = after + 1
                if isHidden(text) { ranges.append(word.range) }
                isCredential = looksLikeCredential(text)
                continue
            }
            if isCredential ? isValue(text, word) : isHidden(text) { ranges.append(word.range) }
            isCredential = false
        }
        return ranges
    }

    /// A telephone's key and a number are no credentials, whatever their own key is called.
    private func isValue(_ text: String, _ word: Word) -> Bool {
        if word.isQuoted { return word.range.count > 3 || text.utf8.count + 2 > word.range.count }
        return Double(text) == nil && !["true", "false", "null"].contains(text)
    }

    private func isHidden(_ text: String) -> Bool {
        text.utf8.count >= 12 && (CredentialShape.first(in: text) != nil || looksRandom(text.utf8))
    }

    // MARK: Words

    /// A string, a run of other characters, or a bracket or comma.
    private struct Word {
        var range: Range<Int>
        var isQuoted = false
        var isPunctuation = false
    }

    private func nextWord(from start: Int) -> Word? {
        var offset = start
        while offset < bytes.count, bytes[offset] <= 0x20 || ":=".utf8.contains(bytes[offset]) { offset += 1 }
        guard offset < bytes.count else { return nil }
        switch bytes[offset] {
        case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"):
            return Word(range: literalRange(from: offset), isQuoted: true)
        case UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ","):
            return Word(range: offset..<(offset + 1), isPunctuation: true)
        default: break
        }
        var end = offset + 1
        while end < bytes.count, bytes[end] > 0x20, !"\"'`{}[],:=".utf8.contains(bytes[end]) { end += 1 }
        return Word(range: offset..<end)
    }

    /// From a quote to after the next unescaped one of its kind, or to the end of the line.
    private func literalRange(from open: Int) -> Range<Int> {
        var offset = open + 1
        while offset < bytes.count, bytes[offset] != 0x0A {
            switch bytes[offset] {
            case bytes[open]: return open..<(offset + 1)
            case UInt8(ascii: "\\"): offset += 2
            default: offset += 1
            }
        }
        return open..<min(offset, bytes.count)
    }

    /// The word without its quotes and with its escapes resolved.
    private func text(of word: Word) -> String {
        guard word.isQuoted else { return text(in: word.range) }
        let inner = (word.range.lowerBound + 1)..<max(word.range.lowerBound + 1, word.range.upperBound - 1)
        let text = text(in: inner)
        return text.utf8.contains(UInt8(ascii: "\\")) ? withoutEscapes(text) : text
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
