import PatchbayCore

/// Checks what rules lead to, once all documents of a set have been read.
struct CallRuleCheck {
    /// A document with the pipelines that its rules name.
    struct Entry {
        var linter: Linter
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
        reportMissingVariables()
    }

    private func reportUnknown(_ names: Set<String>) {
        for entry in entries {
            for reference in entry.references where !names.contains(reference.name) {
                var suggestion = Diagnostic.Suggestion.closest(
                    of: Array(names.prefix(200)), for: reference.name, label: "pipelines here")
                if entries.count == 1, suggestion?.replacement == nil {
                    suggestion = .init("name the folder of both, so that the other pipeline is read too")
                }
                entry.linter.report(
                    .unknownPipeline, reference.range, reference.path, "there is no pipeline \(quoted(reference.name))",
                    suggestion)
            }
        }
    }

    /// A pipeline that is led to is called with the variables of somebody else's numbers.
    private func reportMissingVariables() {
        let documents = Dictionary(
            entries.compactMap { entry in entry.document.map { ($0.name, $0) } },
            uniquingKeysWith: { first, _ in first })
        for entry in entries where !entry.references.isEmpty {
            guard let document = entry.document else { continue }
            // Numbers differ in the values of their variables, rarely in the names.
            var samples: [Set<String>: PipelineDocument.Number] = [:]
            for number in document.numbers.reversed() { samples[Set(number.variables.keys)] = number }
            for reference in entry.references {
                for number in samples.values.sorted(by: { $0.pattern.description < $1.pattern.description }) {
                    guard let (target, message) = Self.fault(from: reference.name, number.variables, documents) else {
                        continue
                    }
                    entry.linter.report(
                        .unknownVariable, reference.range, reference.path,
                        "called by \(quoted(number.pattern.description)), pipeline \(quoted(target)) cannot answer: \(message)",
                        .init("give the variable a default in \"variables\" of pipeline \(quoted(target))"))
                    break
                }
            }
        }
    }

    /// What the pipelines that can be reached from one of them would miss.
    static func fault(
        from name: String, _ variables: [String: VariableValue], _ documents: [String: PipelineDocument]
    ) -> (pipeline: String, message: String)? {
        var waiting = [name]
        var seen: Set<String> = []
        while let next = waiting.popLast() {
            guard seen.count < PipelineSet.maximumRuleSteps * 4, seen.insert(next).inserted,
                let document = documents[next]
            else { continue }
            if let message = document.missing(variables) { return (next, message) }
            for rule in document.rules {
                if case .pipeline(let name) = rule.outcome { waiting.append(name) }
            }
        }
        return nil
    }
}

extension PipelineDocument {
    /// What a call with these variables would fail by.
    fileprivate func missing(_ variables: [String: VariableValue]) -> String? {
        do throws(PipelineError) {
            _ = try plan(for: CallVariables(), variables: variables)
            let scope = ReferenceScope(call: CallVariables(), variables: self.variables.merging(variables) { $1 })
            for rule in rules {
                if case .template(let template)? = rule.speech { _ = try template.text(in: scope) }
            }
            return nil
        } catch {
            return error.message
        }
    }
}
