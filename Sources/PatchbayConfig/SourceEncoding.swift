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
        do {
            _ = try UTF8Span(validating: bytes.span)
        } catch {
            let offset = error.byteOffsets.lowerBound
            throw fault(.unreadableFile, offset..<(offset + 1), "the bytes here are no UTF-8", "save the file as UTF-8")
        }
    }

    /// A fault of the text itself, before there is a document to point into.
    func fault(
        _ code: Diagnostic.Code, _ range: Range<Int>, _ message: String, _ remedy: String? = nil,
        replacement: String? = nil
    ) -> Diagnostic {
        let (line, column) = position(of: range.lowerBound)
        let hidden = credentialRanges()
        return Diagnostic(
            file: file, line: line, column: column, code, message,
            suggestion: remedy.map { Diagnostic.Suggestion($0, replacement: replacement) },
            excerpt: excerpt(of: range, hiding: hidden)
        ).withoutCredentials(of: self, at: range, hidden)
    }
}
