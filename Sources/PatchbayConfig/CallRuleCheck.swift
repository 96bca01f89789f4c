import PatchbayCore

extension Diagnostic.Code {
    /// A rule leads to the pipeline that it stands in.
    public static let ruleLeadsBack = Self("rule-leads-back")
}

/// Checks what rules lead to, once all documents of a set have been read.
struct CallRuleCheck {
    /// A document with the pipelines that its rules name.
    struct Entry {
        var linter: Linter
        /// The pipeline, where it was named.
        var name: String?
        var references: [CallRule.Reference]
        /// `nil` when something in it is wrong.
        var document: PipelineDocument?
    }

    var entries: [Entry] = []

    /// - Parameters:
    ///   - names: The names of all documents that were read, sound or not.
    ///   - isComplete: Whether every document has told its name; one that has not may be the one that is missed.
    func report(names: Set<String>, isComplete: Bool) {
        if isComplete { reportUnknown(names) }
        reportSelfReferences()
        reportMissingVariables()
        withdrawUnreachableCases()
    }

    /// What a document's own numbers never choose may be chosen by numbers of a document that leads there.
    private func withdrawUnreachableCases() {
        for entry in entries {
            guard let name = entry.name else { continue }
            let isLedTo = entries.contains { other in
                other.linter !== entry.linter && other.references.contains { $0.name == name }
            }
            if isLedTo { entry.linter.withdraw(.unreachableCase) }
        }
    }

    private func reportUnknown(_ names: Set<String>) {
        for entry in entries {
            for reference in entry.references where !names.contains(reference.name) {
                var suggestion = Diagnostic.Suggestion.closest(
                    of: Array(names.prefix(200)), for: reference.name, label: "pipelines here")
                if entries.count == 1, suggestion?.replacement == nil {
                    suggestion = .init("rules lead to pipelines of the same folder; put its file there")
                }
                entry.linter.report(
                    .unknownPipeline, reference.range, reference.path, "there is no pipeline \(quoted(reference.name))",
                    suggestion)
            }
        }
    }

    /// Nobody is asked twice: the call would go through the stages of the one that has been.
    private func reportSelfReferences() {
        for entry in entries {
            for reference in entry.references where reference.name == entry.name {
                entry.linter.report(
                    .ruleLeadsBack, reference.range, reference.path,
                    "the rule leads to its own pipeline, whose rules are not asked again: its stages run",
                    .init("remove the rule, or name another pipeline"), severity: .warning)
            }
        }
    }

    /// A pipeline that is led to is called with the variables of somebody else's numbers.
    private func reportMissingVariables() {
        let documents = Dictionary(
            entries.compactMap { entry in entry.document.map { ($0.name, $0) } },
            uniquingKeysWith: { first, _ in first })
        let switched = Set(documents.values.flatMap(\.switchedVariables))
        for entry in entries where !entry.references.isEmpty {
            guard let document = entry.document else { continue }
            // Numbers differ in values; only the names count, and the values that a switch compares.
            var samples: [[String: VariableValue?]: PipelineDocument.Number] = [:]
            for number in document.numbers.reversed() {
                var key: [String: VariableValue?] = [:]
                for (name, value) in number.variables {
                    key.updateValue(switched.contains(name) ? value : nil, forKey: name)
                }
                samples[key] = number
            }
            let numbers = samples.values.sorted { $0.pattern.description < $1.pattern.description }
            for reference in entry.references {
                for number in numbers {
                    guard let (target, error) = Self.fault(from: reference.name, number.variables, documents) else {
                        continue
                    }
                    let isCase = error.code == .missingCase
                    entry.linter.report(
                        isCase ? .missingCase : .unknownVariable, reference.range, reference.path,
                        "called by \(quoted(number.pattern.description)), pipeline \(quoted(target)) cannot answer: \(error.message)",
                        .init(
                            isCase
                                ? "add that case or \"otherwise\" to the switch of pipeline \(quoted(target))"
                                : "give the variable a default in \"variables\" of pipeline \(quoted(target))"))
                    break
                }
            }
        }
    }

    /// What the pipelines that can be reached from one of them would miss.
    static func fault(
        from name: String, _ variables: [String: VariableValue], _ documents: [String: PipelineDocument]
    ) -> (pipeline: String, error: PipelineError)? {
        var waiting = [name]
        var seen: Set<String> = []
        while let next = waiting.popLast() {
            guard seen.insert(next).inserted, let document = documents[next] else { continue }
            if let error = document.fault(with: variables) { return (next, error) }
            for rule in document.rules {
                if case .pipeline(let name) = rule.outcome { waiting.append(name) }
            }
        }
        return nil
    }
}

extension PipelineDocument {
    /// What a call with these variables would fail by.
    fileprivate func fault(with variables: [String: VariableValue]) -> PipelineError? {
        do throws(PipelineError) {
            _ = try plan(for: CallVariables(), variables: variables)
            let scope = ReferenceScope(call: CallVariables(), variables: self.variables.merging(variables) { $1 })
            for rule in rules {
                if case .template(let template)? = rule.speech { _ = try template.text(in: scope) }
            }
            return nil
        } catch {
            return error
        }
    }

    /// The variables that choose between its chains.
    fileprivate var switchedVariables: [String] {
        variants.flatMap(\.conditions).flatMap { condition -> [String] in
            guard case .template(let template) = condition.on else { return [] }
            return template.parts.compactMap { part in
                if case .reference(.variable(let name)) = part { name } else { nil }
            }
        }
    }
}
