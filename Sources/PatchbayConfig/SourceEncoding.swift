extension SourceText {
    /// Checks that the bytes are UTF-8 without a byte order mark.
    func checkEncoding() throws(Diagnostic) {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            throw fault(.syntax, 0..<3, "the file begins with a byte order mark", "save it as UTF-8 without BOM")
        }
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw fault(
                .unreadableFile, 0..<2, "the file is UTF-16; JSON is read as UTF-8", "save it as UTF-8 without BOM")
        }
        if let offset = firstMalformedUTF8(bytes) {
            throw fault(.unreadableFile, offset..<(offset + 1), "the bytes here are no UTF-8", "save the file as UTF-8")
        }
    }

    /// A fault of the text itself, before there is a document to point into.
    func fault(
        _ code: Diagnostic.Code, _ range: Range<Int>, _ message: String, _ remedy: String? = nil,
        replacement: String? = nil
    ) -> Diagnostic {
        let (line, column) = position(of: range.lowerBound)
        return Diagnostic(
            file: file, line: line, column: column, code, message,
            suggestion: remedy.map { Diagnostic.Suggestion($0, replacement: replacement) },
            excerpt: excerpt(of: range, hiding: credentialRanges()))
    }
}

/// Offset of the first byte that is not part of well-formed UTF-8 (RFC 3629 §4), or `nil`.
private func firstMalformedUTF8(_ bytes: [UInt8]) -> Int? {
    var offset = 0
    while offset < bytes.count {
        let byte = bytes[offset]
        if byte < 0x80 {
            offset += 1
            continue
        }
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch byte {
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: length = 4
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return offset
        }
        guard offset + length <= bytes.count, second.contains(bytes[offset + 1]),
            bytes[(offset + 2)..<(offset + length)].allSatisfy(\.isUTF8Continuation)
        else { return offset }
        offset += length
    }
    return nil
}
