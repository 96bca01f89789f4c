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
            guard text.utf8.count >= 8, !known.contains(node.range.lowerBound) else { return }
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
        switch KeyMeaning(key) {
        case .identifier: return
        case .credential where isWordWithDigits(text) && !CredentialShape.isMadeUp(text.utf8):
            report(
                .init(what: "a credential", range: 0..<0, isCertain: false), range, path,
                because: "\(quoted(key)) has a value")
        case .credential, .other:
            guard looksRandom(text.utf8) else { return }
            report(.init(what: "a credential", range: 0..<0, isCertain: false), range, path)
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
                ? "\(finding.what) stands here in clear text"
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
        var secrets: [String] = []
        for stretch in hidden.filter({ $0.overlaps(range) || $0.contains(range.lowerBound) }).prefix(8) {
            var secret = source.text(in: stretch)
            secret = String(secret.drop { "\"'`".contains($0) })
            if secret.hasSuffix("\"") || secret.hasSuffix("'") { secret.removeLast() }
            if secret.utf8.count >= 3 { secrets.append(secret) }
        }
        func clean(_ text: String) -> String {
            var text = text
            for secret in secrets {
                text = text.replacing(secret, with: "…")
                // Messages cut long words.
                if secret.unicodeScalars.count > 60 {
                    text = text.replacing(String(String.UnicodeScalarView(secret.unicodeScalars.prefix(60))), with: "…")
                }
            }
            return text.withoutCredentials
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
