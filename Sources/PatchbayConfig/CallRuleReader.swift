/// Reads `when`: rules in a row, the first that holds decides.
struct CallRuleReader {
    private let linter: Linter
    /// The pipelines that the rules name, with their places.
    private(set) var references: [CallRule.Reference] = []

    /// Whether the document's stages only fill their place, because its rules answer every call.
    private let isAnswerOnly: Bool

    init(_ linter: Linter, stages: JSONNode? = nil) {
        self.linter = linter
        if case .array(let list)? = stages?.content, list.count == 1, case .string("echo")? = list.first?.content {
            isAnswerOnly = true
        } else {
            isAnswerOnly = false
        }
    }

    /// Reports everything that is wrong.
    ///
    /// - Returns: The rules that are right.
    mutating func read(_ node: JSONNode) -> [CallRule] {
        let path = DocumentPath.root.key("when")
        guard case .array(let elements) = node.content else {
            var remedy: String?
            if case .object = node.content { remedy = "write a list: [{ … }]" }
            linter.reportWrongType(node, path, "when", expected: "a list of rules", remedy: remedy)
            return []
        }
        var rules: [CallRule] = []
        var unconditional: Range<Int>?
        for (index, element) in elements.enumerated() {
            let place = path.index(index)
            let isLast = index == elements.count - 1
            if let unconditional {
                linter.report(
                    .unreachableRule, element.headRange, place,
                    "this rule is never asked: the one at \(linter.line(of: unconditional)) holds for every call",
                    .init("move it before that one, or give that one a condition"), severity: .warning)
            }
            guard let rule = read(element, "when[\(index)]", place) else { continue }
            rules.append(rule)
            guard rule.isUnconditional, unconditional == nil else { continue }
            unconditional = element.range
            // A rule that leads to a pipeline may lead back here, and then the stages answer.
            if isLast, references.isEmpty, !isAnswerOnly {
                linter.report(
                    .unreachableRule, element.headRange, place,
                    "this rule holds for every call, so that the stages are never reached",
                    .init(
                        "give it a condition: \"callers\", \"during\" or \"outside\"; a pipeline that only speaks has "
                            + "\"stages\": [\"echo\"]"), severity: .warning)
            }
        }
        return rules
    }

    private mutating func read(_ node: JSONNode, _ name: String, _ path: DocumentPath) -> CallRule? {
        guard let members = linter.members(node, path, name) else { return nil }
        let errorsBefore = linter.errorCount
        let misspelt = linter.checkKeys(members, allowed: CallRule.fields.map(\.name), owner: "a rule", path)
        let outcome = readOutcome(members, node, misspelt, path)
        var rule = CallRule(outcome?.0 ?? .say(""))
        rule.speech = outcome?.1
        if let callers = members["callers"] { rule.callers = readCallers(callers, path.key("callers")) }
        let hours = CallingHoursReader(linter)
        if let during = members["during"] { rule.during = hours.read(during, "during", path) }
        if let outside = members["outside"] { rule.outside = hours.read(outside, "outside", path) }
        return linter.errorCount == errorsBefore ? rule : nil
    }

    private mutating func readOutcome(
        _ members: [JSONMember], _ node: JSONNode, _ misspelt: Set<String>, _ path: DocumentPath
    ) -> (CallRule.Outcome, Settings.Text?)? {
        switch (members["pipeline"], members["say"]) {
        case (let pipeline?, nil):
            guard case .string(let name) = pipeline.content else {
                linter.reportWrongType(pipeline, path.key("pipeline"), "pipeline", expected: "the name of a pipeline")
                return nil
            }
            references.append(.init(name: name, range: pipeline.range, path: path.key("pipeline")))
            return (.pipeline(name), nil)
        case (nil, let say?):
            guard case .string(let words) = say.content else {
                linter.reportWrongType(say, path.key("say"), "say", expected: "a string")
                return nil
            }
            guard words.contains(where: { !$0.isWhitespace }) else {
                linter.report(.notAllowed, say.range, path.key("say"), "\"say\" has no words")
                return nil
            }
            guard let text = linter.text(words, say, path.key("say")) else { return nil }
            if case .template(let template) = text, let name = template.contextName {
                linter.report(
                    .unknownVariable, say.range, path.key("say"),
                    "\"say\" holds ${context.\(name)}, and rules are asked before anything is looked up",
                    .init("let a pipeline say it: its agent \"script\" may"))
                return nil
            }
            return (.say(words), text)
        case (nil, nil):
            guard misspelt.isDisjoint(with: ["pipeline", "say"]) else { return nil }
            linter.report(
                .missingField, node.headRange, path, "a rule needs \"pipeline\" or \"say\"",
                .init("add \"pipeline\": \"…\" or \"say\": \"…\""))
            return nil
        case (.some, let say?):
            linter.report(
                .notAllowed, say.headRange, path.key("say"),
                "a rule has \"pipeline\" or \"say\", not both",
                .init("remove one of them; a pipeline whose agent is \"script\" can say something and go on"))
            return nil
        }
    }

    private func readCallers(_ node: JSONNode, _ path: DocumentPath) -> [CallerPattern]? {
        guard case .array(let elements) = node.content else {
            var remedy: String?
            if case .string(let text) = node.content { remedy = "write a list: [\(quoted(text))]" }
            linter.reportWrongType(node, path, "callers", expected: "a list of strings", remedy: remedy)
            return nil
        }
        if elements.isEmpty {
            linter.report(
                .emptyList, node.headRange, path, "\"callers\" names nobody, so the rule could never hold",
                .init("leave the key out for any caller"))
        }
        var patterns: [CallerPattern] = []
        for (index, element) in elements.enumerated() {
            let place = path.index(index)
            guard case .string(let text) = element.content else {
                linter.reportWrongType(element, place, "callers[\(index)]", expected: "a string")
                continue
            }
            if let pattern = CallerPattern(text) {
                patterns.append(pattern)
            } else {
                linter.report(
                    .badNumber, element.range, place,
                    "\(quoted(text)) is no caller: a number in E.164, a prefix such as \"+4930*\", \"client:…\", \"sip:…\", "
                        + "or \"anonymous\"", suggestion(for: text))
            }
        }
        return patterns
    }

    private func suggestion(for text: String) -> Diagnostic.Suggestion? {
        if text == "*" { return .init("leave \"callers\" out for any caller") }
        if CallerPattern.isWithheld(text) {
            return .init("did you mean \"anonymous\"?", replacement: "anonymous")
        }
        if closestMatch(to: text.lowercased(), in: ["anonymous"]) != nil {
            return .init("did you mean \"anonymous\"?", replacement: "anonymous")
        }
        return NumberPattern.suggestion(for: text)
    }
}
