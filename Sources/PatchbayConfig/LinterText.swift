/// Where `${name}` finds its values.
enum VariableScope {
    /// Nothing is substituted here; the text says why.
    case refused(String)
    /// Only `${env.NAME}`.
    case environment
    /// Everything.
    case document(DocumentVariables)
    /// Whatever the document that will include this has.
    case includer

    static let none = refused("nothing is substituted here")
}

/// The variables of a document: its own, and those of each number.
struct DocumentVariables {
    private let own: [String: VariableValue]
    private let numbers: [PipelineDocument.Number]
    /// How many numbers set a variable; a document may have thousands of numbers, and as many references.
    private let counts: [String: Int]

    init(own: [String: VariableValue], numbers: [PipelineDocument.Number]) {
        self.own = own
        self.numbers = numbers
        var counts: [String: Int] = [:]
        for number in numbers { for name in number.variables.keys { counts[name, default: 0] += 1 } }
        self.counts = counts
    }

    enum Lookup {
        case set
        case unknown
        /// Some numbers set it; this one and others do not.
        case lacking(NumberPattern, others: Int)
    }

    func lookUp(_ name: String) -> Lookup {
        if own[name] != nil { return .set }
        guard let count = counts[name] else { return .unknown }
        if count == numbers.count { return .set }
        guard let first = numbers.first(where: { $0.variables[name] == nil }) else { return .set }
        return .lacking(first.pattern, others: numbers.count - count - 1)
    }

    /// What a variable can be, as far as the document says: sorted, each value once.
    func values(of name: String) -> [String] {
        var values = Set(numbers.compactMap { ($0.variables[name] ?? own[name])?.description })
        if numbers.isEmpty, let value = own[name] { values.insert(value.description) }
        return values.sorted()
    }

    var names: [String] { Set(own.keys).union(counts.keys).union(Reference.callNames).sorted() }
}

/// The reading of texts with `${…}`.
extension Linter {
    /// Takes a text apart and checks each reference.
    ///
    /// - Parameter fallback: What holds when the text is one reference to a context value that the call lacks.
    /// - Returns: `nil` when something was wrong.
    func text(_ string: String, _ node: JSONNode, _ path: DocumentPath, fallback: String? = nil) -> Settings.Text? {
        guard string.contains("${") else { return .literal(string) }
        var parts: [Template.Part] = []
        var isSound = true
        func append(_ literal: String) {
            if case .literal(let last)? = parts.last {
                parts[parts.count - 1] = .literal(last + literal)
            } else {
                parts.append(.literal(literal))
            }
        }
        for piece in TemplatePiece.pieces(of: string) {
            switch piece {
            case .literal(let literal): append(literal)
            case .unclosed(let range):
                isSound = false
                report(
                    .unknownVariable, place(range, in: string, node), path, "\"${\" is never closed",
                    .init("close it with \"}\", or write $${ for the characters themselves"))
            case .reference(let name, let range):
                switch reference(name, place(range, in: string, node), path) {
                case .part(.literal(let literal)): append(literal)
                case .part(let part): parts.append(part)
                case .wrong: isSound = false
                }
            }
        }
        guard isSound else { return nil }
        if parts.isEmpty { return .literal("") }
        if parts.count == 1, case .literal(let literal)? = parts.first { return .literal(literal) }
        return .template(
            Template(
                source: string, parts: parts, fallback: fallback, isFromStranger: surroundings.fileFolders != nil))
    }

    /// Where in the source a stretch of a string stands: exactly when the string has no escapes, else the whole string.
    private func place(_ range: Range<Int>, in string: String, _ node: JSONNode) -> Range<Int> {
        guard string.utf8.count + 2 == node.range.count else { return node.range }
        let start = node.range.lowerBound + 1
        return (start + range.lowerBound)..<(start + range.upperBound)
    }

    private enum Resolution {
        case part(Template.Part)
        case wrong
    }

    private func reference(_ name: String, _ range: Range<Int>, _ path: DocumentPath) -> Resolution {
        if case .refused(let reason) = variables {
            report(.unknownVariable, range, path, reason, .init("write $${ for the characters \"${\" themselves"))
            return .wrong
        }
        if name.hasPrefix("env.") {
            return environmentReference(EnvironmentReference(String(name.dropFirst(4))), range, path)
        }
        let scope: DocumentVariables?
        switch variables {
        case .document(let variables): scope = variables
        case .includer: scope = nil
        case .environment, .refused:
            report(.unknownVariable, range, path, "only ${env.NAME} is substituted here")
            return .wrong
        }
        switch name {
        case "call.from": return .part(.reference(.caller))
        case "call.to": return .part(.reference(.called))
        case "call.sid": return .part(.reference(.callSid))
        default: break
        }
        if name.hasPrefix("context."), isVariableName(name.dropFirst(8)) {
            return .part(.reference(.context(String(name.dropFirst(8)))))
        }
        usedVariables.insert(name)
        guard let scope else { return .part(.reference(.variable(name))) }
        switch scope.lookUp(name) {
        case .set: return .part(.reference(.variable(name)))
        case .lacking(let number, let others):
            report(
                .unknownVariable, range, path,
                "variable \(quoted(name)) is not set for number \(quoted(number.description))"
                    + (others > 0 ? " and \(others) more" : ""),
                .init("set it there, or give it a default in \"variables\""))
        case .unknown:
            report(
                .unknownVariable, range, path, "there is no variable \(quoted(name))",
                .among(scope.names + ["context.NAME", "env.NAME"], for: name, label: "variables here"))
        }
        return .wrong
    }

    private func environmentReference(
        _ reference: EnvironmentReference, _ range: Range<Int>, _ path: DocumentPath
    ) -> Resolution {
        let name = reference.name
        guard isVariableName(Substring(name)) else {
            report(.unknownVariable, range, path, "\(quoted(name)) is no name of an environment variable")
            return .wrong
        }
        if let value = surroundings.value(reference) { return .part(.literal(value)) }
        guard checksEnvironment else { return .part(.literal("")) }
        report(
            .missingEnvironment, range, path, "the environment variable \(name) is not set",
            .init(
                "set that variable, for instance in .env, or give it a default: ${env.\(name):-DEFAULT}; to check the file "
                    + "alone: patchbay lint --no-environment"))
        return .wrong
    }
}

/// Letters, digits, `_`, `-` and `.`, not empty.
func isVariableName(_ name: Substring) -> Bool {
    !name.isEmpty && name.utf8.allSatisfy { $0.isNameByte || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
}
