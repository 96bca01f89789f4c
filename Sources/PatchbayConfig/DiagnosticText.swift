extension Diagnostic: CustomStringConvertible {
    /// The whole finding as people read it, without colour.
    public var description: String { rendered() }

    /// The finding as people read it: header, path, source line with carets, remedy.
    ///
    /// - Parameter colour: Whether to set the severity and the carets off with ANSI escape sequences.
    public func rendered(colour: Bool = false) -> String {
        let style = Style(isOn: colour)
        var place = file.visible
        if line > 0 { place += ":\(line):\(column)" }
        let label = style.severity("\(severity.rawValue)[\(code)]", severity)
        let headline = "\(label): \(message.visible)"
        var lines = [place.isEmpty ? headline : "\(style.bold(place + ":")) \(headline)"]
        if !path.isEmpty { lines.append("  at \(path.visible)") }
        if let includedFrom { lines.append("  included from \(includedFrom.visible)") }
        if let excerpt {
            let number = String(line)
            lines.append("  \(number) |" + (excerpt.text.isEmpty ? "" : " \(excerpt.text)"))
            // Tabs of the line are repeated, so that the carets stand under it whatever the terminal's tab width is.
            let padding = String(
                String.UnicodeScalarView(
                    excerpt.text.unicodeScalars.prefix(excerpt.leading).map { $0 == "\t" ? $0 : " " }))
            let carets = String(repeating: "^", count: excerpt.length)
            lines.append(
                "  \(String(repeating: " ", count: number.count)) | \(padding)\(style.severity(carets, severity))")
        }
        if let suggestion { lines.append("  \(suggestion.text.visible)") }
        return lines.joined(separator: "\n")
    }

    private struct Style {
        var isOn: Bool

        func bold(_ text: String) -> String { isOn ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
        func severity(_ text: String, _ severity: Severity) -> String {
            guard isOn else { return text }
            return "\u{1B}[1;\(severity == .error ? 31 : 33)m\(text)\u{1B}[0m"
        }
    }
}

extension Sequence<Diagnostic> {
    /// All findings for people, ended by the summary; empty when there are none.
    ///
    /// - Parameter colour: Whether to use ANSI escape sequences.
    public func rendered(colour: Bool = false) -> String {
        var text = ""
        var isEmpty = true
        for diagnostic in self {
            isEmpty = false
            let block = diagnostic.rendered(colour: colour)
            text += block + "\n"
            if block.utf8.contains(UInt8(ascii: "\n")) { text += "\n" }
        }
        return isEmpty ? "" : text + summary + "\n"
    }

    /// `5 errors, 1 warning`.
    public var summary: String {
        var errors = 0
        var warnings = 0
        for diagnostic in self {
            switch diagnostic.severity {
            case .error: errors += 1
            case .warning: warnings += 1
            }
        }
        func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
        if warnings == 0 { return count(errors, "error") }
        if errors == 0 { return count(warnings, "warning") }
        return "\(count(errors, "error")), \(count(warnings, "warning"))"
    }

    /// The findings as JSON for tools: a list of objects with `file`, `line`, `column`, `code`, `severity`, `message`,
    /// `path` and `suggestion` (a string or `null`); in a fragment also `includedFrom`.
    public var json: String {
        let objects = map { diagnostic in
            let suggestion = diagnostic.suggestion.map { jsonQuoted($0.replacement ?? $0.text) } ?? "null"
            let includedFrom = diagnostic.includedFrom.map { ["\"includedFrom\": \(jsonQuoted($0))"] } ?? []
            return "  {"
                + ([
                    "\"file\": \(jsonQuoted(diagnostic.file))",
                    "\"line\": \(diagnostic.line)",
                    "\"column\": \(diagnostic.column)",
                    "\"code\": \(jsonQuoted(diagnostic.code.description))",
                    "\"severity\": \(jsonQuoted(diagnostic.severity.rawValue))",
                    "\"message\": \(jsonQuoted(diagnostic.message))",
                    "\"path\": \(jsonQuoted(diagnostic.path))",
                    "\"suggestion\": \(suggestion)",
                ] + includedFrom).joined(separator: ", ") + "}"
        }
        return objects.isEmpty ? "[]" : "[\n" + objects.joined(separator: ",\n") + "\n]"
    }
}
