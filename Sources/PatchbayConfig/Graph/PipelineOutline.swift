public import PatchbayAudio
public import PatchbayCore

/// What a pipeline is made of, in the order in which audio passes it: what drawings and reports are made from.
///
/// Holds no credentials, and of the settings only numbers, words of a choice and yes or no: texts may hold anything.
public struct PipelineOutline: Sendable {
    /// Why a stage is there.
    public enum Mark: String, Sendable {
        /// It stands in the document.
        case written
        /// Its neighbours do not agree without it.
        case inserted
        /// It stands in the document, would change nothing, and does not run.
        case leftOut
    }

    /// One stage.
    public struct Stage: Sendable {
        public var type: String
        /// Its place in the document: `stages[2]`; `nil` when it was inserted.
        public var place: String?
        public var mark: Mark
        public var takes: AudioFormat
        public var gives: AudioFormat
        /// The format of the copy that it hears, when it only listens and the chain has another.
        public var hears: AudioFormat?
        /// Audio that it holds back.
        public var delay: TimeSpan
        /// Settings that differ from their defaults, with their values.
        public var settings: [String]
        /// What runs beside it or in it.
        public var branches: [Branch]
    }

    /// A side chain, or one case of a switch on keys.
    public struct Branch: Sendable {
        /// `side`, a key, or `otherwise`.
        public var label: String
        public var stages: [Stage]
    }

    /// One agent that may be tried.
    public struct Agent: Sendable {
        public var type: String
        /// What it may announce for this joint.
        public var formats: AgentFormats
        /// What the joint holds back to convert, both ways, at worst.
        public var delay: TimeSpan
        /// Whether one before it always answers.
        public var isUnreachable: Bool
        public var settings: [String]
    }

    /// One of the chains that the document's choices leave.
    public struct Chain: Sendable {
        /// What must hold for it to run: `${language} is de`; empty when the document has no choice.
        public var conditions: [String]
        public var before: [Stage]
        /// The format at the agent.
        public var joint: AudioFormat
        public var agents: [Agent]
        public var after: [Stage]
        public var latency: DeclaredLatency
    }

    public var name: String
    public var summary: String?
    public var file: String
    public var version: String
    /// The numbers that it answers.
    public var numbers: [String]
    /// What goes before the stages, in order.
    public var rules: [Rule]
    public var carrier: String
    public var carrierFormat: AudioFormat
    /// Never empty.
    public var chains: [Chain]
    public var latencyBudgetMs: Int?

    /// One rule of `when`.
    public struct Rule: Sendable {
        /// What must hold, in words: `caller is anonymous`.
        public var condition: String
        public var outcome: CallRule.Outcome
        /// What the pipeline of the outcome runs through, on one line; `nil` when it is not known.
        public var alternative: String?
    }
}

extension PipelineOutline {
    /// The whole document, with a chain for each of its choices.
    ///
    /// - Parameter set: Where the pipelines are that its rules lead to.
    public init(_ document: PipelineDocument, in set: PipelineSet? = nil) {
        name = document.name
        summary = document.summary
        file = document.file
        version = document.version
        numbers = document.numbers.map(\.pattern.description)
        rules = document.rules.map { rule in
            var alternative: String?
            if case .pipeline(let name) = rule.outcome, let other = set?.document(named: name) {
                let outline = PipelineOutline(other)
                alternative = outline.chains.map(outline.route).joined(separator: ", or ")
            }
            return Rule(condition: rule.condition, outcome: rule.outcome, alternative: alternative)
        }
        carrier = document.transport.component.spec.type
        carrierFormat = document.transport.component.format(document.transport.settings)
        latencyBudgetMs = document.latencyBudgetMs
        chains = document.variants.map { variant in
            let chain = variant.chain
            return Chain(
                conditions: variant.conditions.map(\.words),
                before: Stage.merged(chain.before, leftOut: chain.leftOut.before), joint: chain.agentFormat,
                agents: Agent.all(chain.backends.map { ($0.component, $0.settings) }, at: chain.agentFormat),
                after: Stage.merged(chain.after, leftOut: chain.leftOut.after),
                latency: chain.latency(over: document.transport))
        }
    }

    /// What one call runs through.
    ///
    /// - Parameter document: The document that the plan is of.
    public init(_ plan: PipelinePlan, of document: PipelineDocument) {
        name = document.name
        summary = document.summary
        file = document.file
        version = document.version
        numbers = document.numbers.map(\.pattern.description)
        rules = document.rules.map { Rule(condition: $0.condition, outcome: $0.outcome) }
        carrier = plan.transport.component.spec.type
        carrierFormat = plan.transport.component.format(plan.transport.settings)
        latencyBudgetMs = document.latencyBudgetMs
        chains = [
            Chain(
                conditions: [], before: Stage.merged(plan.stagesBefore, leftOut: plan.leftOut.before),
                joint: plan.agentFormat,
                agents: Agent.all(plan.backends.map { ($0.component, $0.settings) }, at: plan.agentFormat),
                after: Stage.merged(plan.stagesAfter, leftOut: plan.leftOut.after), latency: plan.latency)
        ]
    }
}

extension PipelineOutline.Stage {
    private init(_ stage: PlannedStage, mark: PipelineOutline.Mark? = nil) {
        self.init(
            type: stage.component.spec.type, place: stage.place,
            mark: mark ?? (stage.isInserted ? .inserted : .written), takes: stage.input, gives: stage.output,
            hears: stage.hears, delay: mark == .leftOut ? .zero : stage.delay,
            settings: stage.settings.shown(stage.component.spec.fields),
            branches: stage.branches.map { branch in
                PipelineOutline.Branch(
                    label: branch.label, stages: Self.merged(branch.stages, leftOut: branch.leftOut))
            })
    }

    /// The stages that run, with those that do not at their places.
    fileprivate static func merged(_ stages: [PlannedStage], leftOut: [PlannedStage]) -> [Self] {
        var result = stages.map { Self($0) }
        for stage in leftOut {
            let order = placeOrder(stage.place ?? "")
            let index = result.firstIndex { other in
                other.place.map { order.lexicographicallyPrecedes(placeOrder($0)) } ?? false
            }
            result.insert(Self(stage, mark: .leftOut), at: index ?? result.endIndex)
        }
        return result
    }

    /// The indices of a place, for comparison: `stages[2].stages[0]` is 2, 0.
    private static func placeOrder(_ place: String) -> [Int] {
        place.split(separator: "[").dropFirst().compactMap { Int($0.prefix { $0 != "]" }) }
    }
}

extension PipelineOutline.Agent {
    fileprivate static func all(_ choices: [(any AgentComponent, Settings)], at joint: AudioFormat) -> [Self] {
        var isSettled = false
        return choices.map { component, settings in
            let formats = component.formats(for: joint, settings: settings)
            defer { isSettled = isSettled || component.neverFails }
            return Self(
                type: component.spec.type, formats: formats, delay: formats.delay(at: joint), isUnreachable: isSettled,
                settings: settings.shown(component.spec.fields))
        }
    }
}

extension Settings {
    /// Numbers, words of a choice, and yes or no, where they differ from the default; never texts.
    func shown(_ fields: [Field]) -> [String] {
        fields.compactMap { field in
            let value: VariableValue? =
                switch field.kind {
                case .integer, .number: number(field.name).map { .number($0) }
                case .boolean: bool(field.name).map { .bool($0) }
                case .choice: string(field.name).map { .string($0) }
                default: nil
                }
            guard let value, value != field.defaultValue else { return nil }
            return "\(field.name) \(value)"
        }
    }
}

extension ValueCondition {
    /// `${language} is de`.
    fileprivate var words: String {
        switch test {
        case .equals(let value): "\(on.asWritten) is \(quoted(value))"
        case .isNone(let others): "\(on.asWritten) is not \(alternatives(others.map(quoted)))"
        }
    }
}

extension CallRule {
    /// What must hold, in words: `caller +4930*, outside Mon–Fri 09:00-17:00 (Europe/Berlin)`.
    var condition: String {
        var words: [String] = []
        if let callers { words.append("caller \(callers.map(\.description).shortList(4))") }
        if let during { words.append("during \(during.words)") }
        if let outside { words.append("outside \(outside.words)") }
        return words.isEmpty ? "always" : words.joined(separator: ", ")
    }
}

extension CallingHours {
    /// The weekdays and spans, in words: `Mon–Fri 09:00-17:00, 2 dates (Europe/Berlin)`.
    var words: String {
        let days = Self.weekdays.map { $0.prefix(3).capitalized }
        var groups: [(first: Int, last: Int, spans: [Span])] = []
        for (day, spans) in week.enumerated() where !spans.isEmpty {
            if let last = groups.last, last.last == day - 1, last.spans == spans {
                groups[groups.count - 1].last = day
            } else {
                groups.append((day, day, spans))
            }
        }
        var words = groups.map { group in
            let name = group.first == group.last ? days[group.first] : "\(days[group.first])–\(days[group.last])"
            return "\(name) \(group.spans.map(\.words).joined(separator: " "))"
        }
        if !dates.isEmpty { words.append(dates.count == 1 ? "1 date" : "\(dates.count) dates") }
        return (words.isEmpty ? "never" : words.joined(separator: ", ")) + " (\(timeZone.identifier))"
    }
}

extension CallingHours.Span {
    /// `09:00-17:30`.
    fileprivate var words: String {
        let time = { (minutes: Int) in "\(twoDigits(minutes / 60)):\(twoDigits(minutes % 60))" }
        let day = CallingHours.minutesADay
        return "\(time(begin))-\(time(end > day ? end - day : end))"
    }
}
