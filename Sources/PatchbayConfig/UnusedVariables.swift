extension Diagnostic.Code {
    /// A variable is set that no text refers to.
    public static let unusedVariable = Self("unused-variable")
}

extension CallRuleCheck {
    /// Warns of variables that neither their own document uses nor any that its rules can lead to.
    ///
    /// Says nothing about a document with errors, and none where a pipeline that it leads to is not there or not sound: the
    /// text that would use the variable may be the wrong one.
    func reportUnusedVariables() {
        let byName = Dictionary(
            entries.compactMap { entry in entry.document.map { ($0.name, entry) } },
            uniquingKeysWith: { first, _ in first })
        for entry in entries where !entry.linter.declaredVariables.isEmpty {
            guard let name = entry.document?.name, let used = Self.used(from: name, byName) else { continue }
            let declared = Set(entry.linter.declaredVariables.map(\.name))
            for variable in entry.linter.declaredVariables where !used.contains(variable.name) {
                let match = closestMatch(to: variable.name, in: used.intersection(declared).sorted())
                entry.linter.report(
                    .unusedVariable, variable.range, variable.path,
                    "nothing uses the variable \(quoted(variable.name))",
                    match.map { .init("did you mean \"\($0)\"?", replacement: $0) }
                        ?? .init("write ${\(variable.name)} where its value belongs, or remove it"),
                    severity: .warning)
            }
        }
    }

    /// - Returns: `nil` when not all pipelines that can be reached are known.
    private static func used(from name: String, _ entries: [String: Entry]) -> Set<String>? {
        var used: Set<String> = []
        var waiting = [name]
        var seen: Set<String> = []
        while let next = waiting.popLast() {
            guard seen.insert(next).inserted else { continue }
            guard let entry = entries[next] else { return nil }
            used.formUnion(entry.linter.usedVariables)
            waiting += entry.references.map(\.name)
        }
        return used
    }
}
