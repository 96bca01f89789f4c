/// What a check of files found.
public struct LintReport: Sendable {
    /// Files that were checked, each counted once.
    public private(set) var fileCount = 0
    /// In the order of the files; what concerns no file, first.
    public var diagnostics: [Diagnostic] {
        var order: [String: Int] = [:]
        for (index, file) in files.enumerated() { order[file] = index }
        return found.enumerated()
            .sorted { one, other in
                (order[one.element.file] ?? -1, one.offset) < (order[other.element.file] ?? -1, other.offset)
            }
            .map(\.element)
    }

    private var files: [String] = []
    private var found: [Diagnostic] = []
    private var known: Set<Diagnostic> = []

    mutating func add(_ diagnostics: [Diagnostic], of file: String? = nil) {
        if let file {
            files.append(file)
            fileCount += 1
        }
        for diagnostic in diagnostics {
            // A fragment is checked by itself and by each pipeline that includes it.
            var mistake = diagnostic
            mistake.includedFrom = nil
            if known.insert(mistake).inserted { found.append(diagnostic) }
        }
    }

    /// `3 files, 2 errors, 1 warning`; `1 file, no errors`.
    public var summary: String {
        let diagnostics = diagnostics
        let files = "\(fileCount) file\(fileCount == 1 ? "" : "s")"
        guard !diagnostics.isEmpty else { return "\(files), no errors" }
        return diagnostics.hasErrors
            ? "\(files), \(diagnostics.summary)" : "\(files), no errors, \(diagnostics.summary)"
    }

    /// Everything for people, ended by the summary.
    ///
    /// - Parameter colour: Whether to use ANSI escape sequences.
    public func rendered(colour: Bool = false) -> String {
        var text = ""
        for diagnostic in diagnostics { text += diagnostic.rendered(colour: colour) + "\n\n" }
        return text + summary
    }

    /// Everything as annotations of a pull request, one line each
    /// (https://docs.github.com/actions/reference/workflow-commands-for-github-actions).
    public var annotations: String {
        func escaped(_ text: String, inProperty: Bool = false) -> String {
            var result = text.replacing("%", with: "%25").replacing("\r", with: "%0D").replacing("\n", with: "%0A")
            if inProperty { result = result.replacing(":", with: "%3A").replacing(",", with: "%2C") }
            return result
        }
        return diagnostics.map { diagnostic in
            var properties = ["file=\(escaped(diagnostic.file, inProperty: true))"]
            if diagnostic.line > 0 { properties += ["line=\(diagnostic.line)", "col=\(diagnostic.column)"] }
            properties.append("title=\(escaped(diagnostic.code.description, inProperty: true))")
            let remedy = diagnostic.suggestion.map { "\n\($0.text)" } ?? ""
            return "::\(diagnostic.severity.rawValue) \(properties.joined(separator: ","))::"
                + escaped(diagnostic.message + remedy)
        }.joined(separator: "\n")
    }
}
