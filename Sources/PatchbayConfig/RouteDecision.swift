public import Foundation

/// What becomes of a call: who answers, or what is said instead.
public enum RouteDecision: Sendable {
    /// A pipeline answers: the number's own, or the one that rules lead to.
    case pipeline(Route, by: [RuleStep])
    /// The words are spoken and the call ends; the route is that of the pipeline whose rule says so.
    case say(String, Route, by: [RuleStep])

    /// The rules that were asked, in order.
    public var steps: [RuleStep] {
        switch self {
        case .pipeline(_, let steps), .say(_, _, let steps): steps
        }
    }
}

/// One rule that was asked about a call.
public struct RuleStep: Sendable, Hashable, CustomStringConvertible {
    /// The pipeline whose rule it is.
    public var pipeline: String
    /// Its place in `when`, from 0.
    public var index: Int
    /// Whether it decides.
    public var holds: Bool
    /// Why, or why not: `Wednesday 2026-12-23 19:05 is outside the hours of "outside"`.
    public var reason: String
    /// What happens when it holds.
    public var outcome: CallRule.Outcome

    /// `desk when[1] holds: … → pipeline after-hours`
    public var description: String {
        let outcome: String =
            switch self.outcome {
            case .pipeline(let name): "pipeline \(name)"
            case .say(let words): "say \(quoted(words))"
            }
        return "\(pipeline) when[\(index)] \(holds ? "holds: \(reason) → \(outcome)" : "does not hold: \(reason)")"
    }
}

extension PipelineSet {
    /// Pipelines whose rules are asked about one call. The next one is taken without asking its rules.
    public static let maximumRuleSteps = 8

    /// Decides about a call: finds the number's pipeline and asks its rules, then those of the pipeline they lead to.
    ///
    /// No pipeline is asked twice: one that is led back to, or to itself, answers. A pipeline that rules lead to needs no
    /// number of its own; the number's variables go before that pipeline's.
    ///
    /// Costs some microseconds for each rule that is asked.
    ///
    /// - Parameters:
    ///   - number: The called number.
    ///   - from: The caller's number as the carrier sends it.
    ///   - date: When the call began.
    /// - Returns: `nil` when no pipeline has the number.
    public func decide(_ number: String, from: String = "", at date: Date) -> RouteDecision? {
        decide(CallVariables(from: from, to: number), at: date)
    }

    /// The same for a call whose name is known, so that words of a rule can hold `${call.sid}`.
    public func decide(_ call: CallVariables, at date: Date) -> RouteDecision? {
        decide(call, assigned: tenants.tenant(ofNumber: call.to)?.assignment, at: date)
    }

    /// The same for a number that belongs to somebody.
    ///
    /// - Parameter assignment: Its pipeline answers, and is asked for its rules; its variables go before those of documents.
    public func decide(_ call: CallVariables, assigned assignment: NumberAssignment?, at date: Date) -> RouteDecision? {
        route(call.to, assigned: assignment).map { decide($0, call, at: date) }
    }

    /// The pipeline for a number that belongs to somebody, before any rule is asked.
    public func route(_ number: String, assigned assignment: NumberAssignment?) -> Route? {
        let route = assignment?.pipeline.map { self.route(number, by: $0) } ?? self.route(number)
        return route?.setting(assignment?.variables ?? [:])
    }

    /// Decides about a call that reaches a pipeline without a number of its own, beginning with that pipeline's rules.
    ///
    /// - Parameter call: Its called number serves only what the rules say.
    public func decide(startingAt document: PipelineDocument, _ call: CallVariables, at date: Date) -> RouteDecision {
        decide(Route(document: document, numberPattern: .any, variables: [:]), call, at: date)
    }

    private func decide(_ first: Route, _ call: CallVariables, at date: Date) -> RouteDecision {
        var route = first
        var steps: [RuleStep] = []
        var asked: Set<String> = []
        while asked.count < Self.maximumRuleSteps, asked.insert(route.document.name).inserted {
            guard let rule = route.document.firstRule(from: call.from, at: date, &steps) else { break }
            switch rule.outcome {
            case .say: return .say(route.words(of: rule, call), route, by: steps)
            case .pipeline(let name):
                // Loading has made sure that it is there.
                guard let document = document(named: name) else { return .pipeline(route, by: steps) }
                route.document = document
            }
        }
        return .pipeline(route, by: steps)
    }
}

extension PipelineDocument {
    fileprivate func firstRule(from: String, at date: Date, _ steps: inout [RuleStep]) -> CallRule? {
        for (index, rule) in rules.enumerated() {
            let (holds, reason) = rule.judge(from: from, at: date)
            steps.append(
                RuleStep(pipeline: name, index: index, holds: holds, reason: reason, outcome: rule.outcome))
            if holds { return rule }
        }
        return nil
    }
}

extension Route {
    /// What a rule says to one caller.
    fileprivate func words(of rule: CallRule, _ call: CallVariables) -> String {
        guard case .say(let asWritten) = rule.outcome else { return "" }
        switch rule.speech {
        case .literal(let text), .fromCall(let text): return text
        case .template(let template):
            let scope = ReferenceScope(call: call, variables: document.variables.merging(variables) { $1 })
            // Loading has made sure that every variable is set, and that nothing is asked for that is looked up later.
            return (try? template.text(in: scope)) ?? ""
        case nil: return asWritten
        }
    }

    /// The variables of a call on this route as they may be shown: the number's before the document's, secrets withheld.
    /// Values of the environment are shown as they are written, `${env.NAME}`.
    public var shownVariables: [String: VariableValue] {
        document.shownVariables(
            of: .init(pattern: numberPattern, variables: variables, environmentTexts: environmentTexts))
    }

    /// Words of a rule as they may be shown: with ``shownVariables``.
    func shownWords(_ asWritten: String, for call: CallVariables) -> String {
        let values = shownVariables
        var words = ""
        for piece in TemplatePiece.pieces(of: asWritten) {
            switch piece {
            case .literal(let text): words += text
            case .reference("call.from", _): words += call.from
            case .reference("call.to", _): words += call.to
            case .reference("call.sid", _): words += call.sid
            case .reference(let name, _): words += values[name]?.description ?? "${\(name)}"
            case .unclosed: return asWritten
            }
        }
        return words
    }
}

extension [String: VariableValue] {
    /// The same with what came from the environment as it is written, and without what is a credential.
    func shown(writtenAs texts: [String: String]) -> Self {
        merging(texts.mapValues { VariableValue.string($0) }) { $1 }.withSecretsWithheld
    }

    /// The same without what is, by its name or its look, a credential. For everything that is shown.
    public var withSecretsWithheld: Self {
        reduce(into: [:]) { result, entry in
            var isSecret = looksLikeCredential(entry.key)
            if case .string(let text) = entry.value {
                isSecret = isSecret || CredentialShape.first(in: text) != nil || looksRandom(text.utf8)
            }
            result[entry.key] = isSecret ? "[withheld]" : entry.value
        }
    }
}
