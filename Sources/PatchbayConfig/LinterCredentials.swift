/// The search for credentials that stand where none belongs, and their removal from what is said about a document.
extension Linter {
    /// Reports every text below `node` that is a credential, or may be one.
    ///
    /// The forms that vendors give their keys are errors. What only looks random, or only stands under a key such as
    /// `token`, is a warning: it may be something else.
    func checkClearText(_ node: JSONNode) {
        // What a secret's own field found is not found again.
        let known = Set(hidden.map(\.lowerBound))
        checkClearText(node, key: "", .root, known)
    }

    private func checkClearText(_ node: JSONNode, key: String, _ path: DocumentPath, _ known: Set<Int>) {
        switch node.content {
        case .string(let text):
            guard text.utf8.count >= 8, !known.contains(node.range.lowerBound), Self.namedVariable(text) == nil else {
                return
            }
            reportClearText(text, key: key, node.range, path)
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                checkClearText(element, key: key, path.index(index), known)
            }
        case .object(let members):
            for member in members {
                if member.key.utf8.count >= 12, let finding = CredentialShape.first(in: member.key) {
                    report(finding, member.keyRange, path)
                }
                checkClearText(member.value, key: member.key, path.key(member.key), known)
            }
        case .null, .boolean, .number: break
        }
    }

    private func reportClearText(_ text: String, key: String, _ range: Range<Int>, _ path: DocumentPath) {
        if let finding = CredentialShape.first(in: text) { return report(finding, range, path) }
        let isRandom = looksRandom(text.utf8)
        guard isRandom || isWordWithDigits(text) else { return }
        let finding = CredentialShape.Finding(what: "a credential", range: 0..<0, isCertain: false)
        switch KeyMeaning(key) {
        case .identifier: return
        case .credential where !CredentialShape.isMadeUp(text.utf8):
            report(finding, range, path, because: "\(quoted(key)) has a value")
        case .credential, .other: if isRandom { report(finding, range, path) }
        }
    }

    /// One word with letters and digits in it, as people choose passwords.
    private func isWordWithDigits(_ text: String) -> Bool {
        text.utf8.contains(where: \.isDigit) && text.utf8.contains(where: \.isLetter)
            && text.utf8.allSatisfy { $0 > 0x20 } && !text.contains("${")
    }

    private func report(
        _ finding: CredentialShape.Finding, _ range: Range<Int>, _ path: DocumentPath, because reason: String? = nil
    ) {
        report(
            .plainSecret, range, path,
            finding.isCertain
                ? "\(finding.what) in clear text"
                : "\(reason ?? "a text") that looks like \(finding.what), in clear text",
            .init(
                finding.isCertain
                    ? "write ${env.NAME} in a text, or { \"env\": \"NAME\" } where a secret is taken, and change the secret: "
                        + "it has been written down"
                    : "if it is secret, write ${env.NAME} or { \"env\": \"NAME\" }, and change it: it has been written down"
            ), severity: finding.isCertain ? .error : .warning)
    }
}

extension Diagnostic {
    /// The finding without any credential that its words repeat.
    ///
    /// - Parameters:
    ///   - range: What in the source the finding is about.
    ///   - hidden: What in the source is not shown.
    func withoutCredentials(of source: SourceText, at range: Range<Int>, _ hidden: [Range<Int>]) -> Diagnostic {
        let secrets = hidden.filter { $0.overlaps(range) || $0.contains(range.lowerBound) }.prefix(8)
            .map { source.unquoted($0) }.filter { $0.utf8.count >= 3 }
        func clean(_ text: String) -> String {
            guard !secrets.isEmpty else { return text.withoutCredentials }
            // What a message repeats stands in quotes, whole or in part; long words are cut.
            let parts = text.split(separator: "\"", omittingEmptySubsequences: false).map { part in
                let word = part.hasSuffix("…") ? part.dropLast() : part
                let isRepeated = word.utf8.count >= 6 && secrets.contains { $0.contains(word) }
                return isRepeated ? "…" : part
            }
            return secrets.reduce(parts.joined(separator: "\"")) { $0.replacing($1, with: "…") }.withoutCredentials
        }
        var result = self
        result.message = clean(message)
        result.path = clean(path)
        if let suggestion {
            result.suggestion = Suggestion(clean(suggestion.text), replacement: suggestion.replacement.map(clean))
        }
        return result
    }
}

extension SourceText {
    /// A stretch of the source without quotes around it.
    fileprivate func unquoted(_ range: Range<Int>) -> String {
        let quotes: Set<Character> = ["\"", "'", "`"]
        let text = text(in: range).drop { quotes.contains($0) }
        return text.last.map(quotes.contains) == true ? String(text.dropLast()) : String(text)
    }
}

extension String {
    /// The text with every credential whose form gives it away replaced by `…`. Cost is linear where there is none.
    public var withoutCredentials: String {
        var bytes = Array(utf8)
        var start = 0
        while let finding = CredentialShape.first(in: bytes, from: start) {
            bytes.replaceSubrange(finding.range, with: "…".utf8)
            start = finding.range.lowerBound + 3
        }
        return start == 0 ? self : String(decoding: bytes, as: UTF8.self)
    }
}
