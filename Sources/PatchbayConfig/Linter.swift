/// What the checks of a document may ask about the machine.
struct Surroundings: Sendable {
    /// The process environment.
    var variables: [String: String]
    /// Whether what is missing in it is an error.
    var isChecked: Bool
    /// The fragments there are; `nil` for those on disk.
    var fragments: [SourceText]?
    /// The folders that files lie in which components may open; `nil` for all.
    var fileFolders: [String]?

    /// The text of a fragment.
    func fragment(_ file: String) -> Result<SourceText, Diagnostic> {
        guard let fragments else { return SourceText.read(file) }
        guard let source = fragments.first(where: { $0.file == file }) else {
            return .failure(Diagnostic(file: file, .unreadableFile, "the file does not exist"))
        }
        return .success(source)
    }

    /// A variable that is set and not empty.
    func value(_ name: String) -> String? {
        guard let value = variables[name], !value.isEmpty else { return nil }
        return value
    }

    func value(_ reference: EnvironmentReference) -> String? { value(reference.name) ?? reference.fallback }
}

/// Collects the findings about one document, and prints them in its order.
///
/// Belongs to whoever checks the document, one at a time.
final class Linter {
    /// Findings listed for one document; a document with more was hardly written by hand.
    static let maximumFindings = 200

    let source: SourceText
    /// The document's text and those of the fragments it includes.
    private(set) var sources: SourceMap
    let surroundings: Surroundings
    /// What `${…}` may refer to where the reader stands now.
    var variables: VariableScope = .none
    /// Parameters of a fragment that is checked by itself, whose values are only known where it is included.
    var openParameters: Set<String> = []
    /// The names of the document's own tools, which every agent has.
    var toolNames: [String: Range<Int>] = [:]
    /// Whether an object with errors gives the settings in it that are sound, so that they can be looked at too. Only for
    /// documents that are then not used.
    var keepsSoundParts = false
    /// Whether missing credentials and variables are errors where the reader stands now.
    var checksEnvironment: Bool
    private var findings: [(range: Range<Int>, diagnostic: Diagnostic)] = []
    private var syntaxFault: Diagnostic?
    /// Stretches of the source that no excerpt shows.
    private(set) var hidden: [Range<Int>] = []
    /// Whether a warning made room for an error.
    private var hasDropped = false
    private var roots: [JSONNode] = []
    /// Where each variable of the document is first set.
    private(set) var declaredVariables: [(name: String, range: Range<Int>, path: DocumentPath)] = []
    private var declaredNames: Set<String> = []
    /// The variables that its texts refer to.
    var usedVariables: Set<String> = []
    /// Where values stand that are checked at another place: those that an `include` gives to its fragment.
    var givenValues: [Range<Int>: DocumentPath] = [:]
    private(set) var errorCount = 0

    init(_ source: SourceText, _ surroundings: Surroundings) {
        self.source = source
        self.sources = SourceMap(source)
        self.surroundings = surroundings
        self.checksEnvironment = surroundings.isChecked
    }

    private var warningCount = 0
    /// Whether so much has been found that no warning more is listed.
    private var isFull: Bool { findings.count >= Self.maximumFindings }
    /// Whether so many errors have been found that nothing more is listed.
    private var isFullOfErrors: Bool { isFull && warningCount == 0 }

    /// Adds a finding. Texts are made only while there is room for more, so that a hostile document costs linear time.
    func report(
        _ code: Diagnostic.Code, _ range: Range<Int>, _ path: @autoclosure () -> DocumentPath,
        _ message: @autoclosure () -> String, _ suggestion: @autoclosure () -> Diagnostic.Suggestion? = nil,
        severity: Diagnostic.Severity = .error, needing neededFile: String? = nil
    ) {
        if severity == .error { errorCount += 1 }
        guard !isFull || makesRoom(for: severity) else { return }
        let entry = sources.entry(of: range.lowerBound)
        let (line, column) = entry.source.position(of: range.lowerBound - entry.base)
        let diagnostic = Diagnostic(
            file: entry.source.file, line: line, column: column, code, severity: severity, message(),
            path: (givenValues[range] ?? path()).description, includedFrom: entry.includedAt.map(place),
            suggestion: suggestion(), neededFile: neededFile)
        findings.append((range, diagnostic))
        if severity == .warning { warningCount += 1 }
    }

    /// Gives up the last warning for an error.
    private func makesRoom(for severity: Diagnostic.Severity) -> Bool {
        guard severity == .error, warningCount > 0,
            let index = findings.lastIndex(where: { $0.diagnostic.severity == .warning })
        else { return false }
        findings.remove(at: index)
        warningCount -= 1
        hasDropped = true
        return true
    }

    /// Takes findings of one kind back.
    func withdraw(_ code: Diagnostic.Code) {
        findings.removeAll { $0.diagnostic.code == code }
        warningCount = findings.count { $0.diagnostic.severity == .warning }
    }

    /// Takes over a fault that was found before there was a document; it is the only finding then.
    func report(_ fault: Diagnostic) {
        errorCount += 1
        syntaxFault = fault
    }

    /// Adds the text of a fragment.
    ///
    /// - Returns: What the offsets of its nodes have to be raised by.
    func include(_ fragment: SourceText, at place: Range<Int>) -> Int { sources.add(fragment, includedAt: place) }

    /// A stretch of the document or of a fragment as it stands.
    func text(in range: Range<Int>) -> String {
        let entry = sources.entry(of: range.lowerBound)
        return entry.source.text(in: entry.local(range))
    }

    /// Takes over a fault in the syntax of a fragment.
    func report(_ fault: Diagnostic, inFragmentAt base: Int) {
        errorCount += 1
        var fault = fault
        fault.includedFrom = sources.entry(of: base).includedAt.map(place)
        findings.append((base..<(base + 1), fault))
    }

    /// Notes that the document sets a variable.
    func declare(_ variable: String, _ range: Range<Int>, _ path: DocumentPath) {
        if declaredNames.insert(variable).inserted { declaredVariables.append((variable, range, path)) }
    }

    /// Keeps a stretch of the source out of every excerpt.
    func hide(_ range: Range<Int>) { hidden.append(range) }

    /// A place for a message about another one: `line 9`, or `shared/listening.json:9` in a fragment.
    func line(of range: Range<Int>) -> String {
        let entry = sources.entry(of: range.lowerBound)
        let line = entry.source.lineIndex(of: range.lowerBound - entry.base) + 1
        return entry.includedAt == nil ? "line \(line)" : "\(entry.source.file):\(line)"
    }

    /// A place for a message in another file: `Pipelines/salon.json:4:5`.
    func place(of range: Range<Int>) -> String {
        let entry = sources.entry(of: range.lowerBound)
        let (line, column) = entry.source.position(of: range.lowerBound - entry.base)
        return "\(entry.source.file):\(line):\(column)"
    }

    /// The findings in document order, with their source lines.
    func finish() -> [Diagnostic] {
        if let syntaxFault { return [syntaxFault] }
        for root in roots { checkClearText(root) }
        roots = []
        guard !findings.isEmpty else { return [] }
        let secrets = sources.entries.map { entry in
            entry.source.credentialRanges()
                + hidden.filter { sources.entry(of: $0.lowerBound).base == entry.base }.map(entry.local)
        }
        var seen: Set<Diagnostic> = []
        var result: [Diagnostic] = findings.enumerated()
            .sorted { ($0.element.range.lowerBound, $0.offset) < ($1.element.range.lowerBound, $1.offset) }
            .compactMap { finding in
                var diagnostic = finding.element.diagnostic
                // The same stage is checked in each variant of the chain that it belongs to.
                guard seen.insert(diagnostic).inserted else { return nil }
                let range = finding.element.range
                let index = sources.entries.lastIndex { $0.base <= range.lowerBound } ?? 0
                let entry = sources.entries[index]
                // A fault of the syntax brings its own.
                diagnostic.excerpt =
                    diagnostic.excerpt ?? entry.source.excerpt(of: entry.local(range), hiding: secrets[index])
                return diagnostic.withoutCredentials(of: entry.source, at: entry.local(range), secrets[index])
            }
        if isFull || hasDropped {
            // Warnings alone keep no document from being used, however many they are.
            let errors = findings.count { $0.diagnostic.severity == .error }
            result.append(
                Diagnostic(
                    file: source.file, .limitExceeded, severity: errorCount > errors ? .error : .warning,
                    "only the first \(Self.maximumFindings) findings are shown"))
        }
        return result
    }
}

// MARK: - Checks that any document needs

extension Linter {
    /// Checks what any document must not have, anywhere in it: a key that its object has already, and, at the end,
    /// credentials in clear text.
    func checkDuplicateKeys(_ root: JSONNode) {
        roots.append(root)
        checkDuplicateKeys(root, .root)
    }

    private func checkDuplicateKeys(_ node: JSONNode, _ path: DocumentPath) {
        switch node.content {
        case .object(let members):
            var first: [String: Range<Int>] = [:]
            for member in members {
                if let earlier = first[member.key] {
                    report(
                        .duplicateKey, member.keyRange, path.key(member.key),
                        "\(quoted(member.key)) is already set at \(line(of: earlier)); readers disagree which wins",
                        .init("remove one of the two"))
                } else {
                    first[member.key] = member.keyRange
                }
                if member.value.hasElements { checkDuplicateKeys(member.value, path.key(member.key)) }
            }
        case .array(let elements):
            for (index, element) in elements.enumerated() where element.hasElements {
                checkDuplicateKeys(element, path.index(index))
            }
        case .null, .boolean, .number, .string: break
        }
    }

    /// Reports keys that `owner` does not have.
    ///
    /// - Returns: The keys that were probably meant; to call them missing as well would be two errors for one mistake.
    @discardableResult
    func checkKeys(_ members: [JSONMember], allowed: [String], owner: String, _ path: DocumentPath) -> Set<String> {
        let known = Set(allowed)
        var seen: Set<String> = []
        var meant: Set<String> = []
        for member in members where !known.contains(member.key) && seen.insert(member.key).inserted {
            let suggestion =
                isFullOfErrors ? nil : Diagnostic.Suggestion.among(allowed, for: member.key, label: "fields here")
            if let key = suggestion?.replacement { meant.insert(key) }
            report(
                .unknownField, member.keyRange, path.key(member.key), "\(owner) has no field \(quoted(member.key))",
                suggestion)
        }
        return meant
    }

    /// Reports that `node` is not what it must be.
    func reportWrongType(
        _ node: JSONNode, _ path: DocumentPath, _ name: String, expected: String, remedy: String? = nil
    ) {
        report(
            .wrongType, node.headRange, path, "\(quoted(name)) is \(node.kind); it must be \(expected)",
            remedy.map { .init($0) })
    }

    func members(_ node: JSONNode, _ path: DocumentPath, _ name: String, expected: String = "an object")
        -> [JSONMember]?
    {
        if case .object(let members) = node.content { return members }
        reportWrongType(node, path, name, expected: expected)
        return nil
    }

    /// The members without repetitions of a key.
    func distinct(_ members: [JSONMember]) -> [JSONMember] {
        var seen: Set<String> = []
        return members.filter { seen.insert($0.key).inserted }
    }
}

extension JSONNode {
    fileprivate var hasElements: Bool {
        switch content {
        case .array(let elements): !elements.isEmpty
        case .object(let members): !members.isEmpty
        case .null, .boolean, .number, .string: false
        }
    }
}
