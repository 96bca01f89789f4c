/// One entry of a list of stages as it was declared, before anything is known about formats.
struct StageEntry: Sendable {
    indirect enum Kind: Sendable {
        case stage(PipelineDocument.Choice<any StageComponent>)
        /// The agents, in the order in which they are tried; `nil` when one of them is wrong.
        case agent(backends: [PipelineDocument.Choice<any AgentComponent>]?, settings: Settings)
        /// A side chain.
        case tee([StageEntry])
        /// Chains that the caller's keys choose between.
        case keySwitch(cases: [(key: Character, stages: [StageEntry])], otherwise: [StageEntry])
        /// Chains that a text of the call chooses between.
        case valueSwitch(ValueSwitch)
        /// What it is has been reported as wrong; the walk of formats stops here.
        case wrong
    }

    /// A choice that is made when the call begins.
    struct ValueSwitch: Sendable {
        /// What is compared.
        var on: Settings.Text
        var cases: [(value: String, stages: [StageEntry])]
        /// `nil` when the cases are all there is.
        var otherwise: [StageEntry]?
    }

    var kind: Kind
    /// As the document names it: `resampler`.
    var type: String
    /// Where in the whole pipeline it stands: `stages[2].stages[0]`.
    var place: String
    /// Where in its own file it stands.
    var path: DocumentPath
    /// What declares it; `nil` for one that was declared in Swift.
    var node: JSONNode?

    var isAgent: Bool { if case .agent = kind { true } else { false } }
    var isWrong: Bool { if case .wrong = kind { true } else { false } }
}

/// What a value must be for a variant of a pipeline to run.
struct ValueCondition: Sendable {
    enum Test: Sendable, Equatable {
        case equals(String)
        case isNone(of: [String])
    }

    var on: Settings.Text
    var test: Test

    func holds(for value: String) -> Bool {
        switch test {
        case .equals(let wanted): value == wanted
        case .isNone(let others): !others.contains(value)
        }
    }
}

/// One of the chains that the switches on values of a document leave: a list without such switches.
struct StageVariant {
    /// Most variants of one document.
    static let limit = 64

    var conditions: [ValueCondition] = []
    var entries: [StageEntry] = []

    /// All variants of a list, in the order of the cases. Two switches on one text are taken to choose together.
    ///
    /// - Returns: `nil` when there are more than ``limit``.
    static func all(of entries: [StageEntry]) -> [StageVariant]? {
        expand(entries, [StageVariant()])
    }

    private static func expand(_ entries: [StageEntry], _ partial: [StageVariant]) -> [StageVariant]? {
        var variants = partial
        for entry in entries {
            var next: [StageVariant] = []
            for variant in variants {
                guard let continued = variant.followed(by: entry) else { return nil }
                next += continued
                guard next.count <= limit else { return nil }
            }
            variants = next
        }
        return variants
    }

    private func followed(by entry: StageEntry) -> [StageVariant]? {
        switch entry.kind {
        case .stage, .agent, .wrong:
            return [adding(entry)]
        case .tee(let stages):
            return inner(stages)?.map { adding(entry, .tee($0.entries), $0.conditions) }
        case .keySwitch(let cases, let otherwise):
            var partial: [(conditions: [ValueCondition], lists: [[StageEntry]])] = [(conditions, [])]
            for list in cases.map(\.stages) + [otherwise] {
                var next: [(conditions: [ValueCondition], lists: [[StageEntry]])] = []
                for known in partial {
                    guard let inner = StageVariant(conditions: known.conditions).inner(list) else { return nil }
                    next += inner.map { ($0.conditions, known.lists + [$0.entries]) }
                }
                guard next.count <= Self.limit else { return nil }
                partial = next
            }
            return partial.map { known in
                let chosen = zip(cases, known.lists).map { (key: $0.key, stages: $1) }
                return adding(entry, .keySwitch(cases: chosen, otherwise: known.lists.last ?? []), known.conditions)
            }
        case .valueSwitch(let choice):
            var result: [StageVariant] = []
            for (test, stages) in choice.branches {
                guard let conditions = conditions.adding(ValueCondition(on: choice.on, test: test)) else { continue }
                guard let continued = Self.expand(stages, [StageVariant(conditions: conditions, entries: entries)])
                else { return nil }
                result += continued
            }
            return result
        }
    }

    /// The variants of a list inside this one, under what is already settled.
    private func inner(_ stages: [StageEntry]) -> [StageVariant]? {
        Self.expand(stages, [StageVariant(conditions: conditions)])
    }

    private func adding(
        _ entry: StageEntry, _ kind: StageEntry.Kind? = nil, _ conditions: [ValueCondition]? = nil
    ) -> StageVariant {
        var result = self
        var entry = entry
        entry.kind = kind ?? entry.kind
        result.conditions = conditions ?? self.conditions
        result.entries.append(entry)
        return result
    }
}

extension StageEntry.ValueSwitch {
    /// The cases in order, then the rest.
    fileprivate var branches: [(ValueCondition.Test, [StageEntry])] {
        cases.map { (.equals($0.value), $0.stages) }
            + (otherwise.map { [(.isNone(of: cases.map(\.value)), $0)] } ?? [])
    }
}

extension [ValueCondition] {
    /// Together with one more, or `nil` when they contradict each other.
    fileprivate func adding(_ condition: ValueCondition) -> [ValueCondition]? {
        guard let index = firstIndex(where: { $0.on.asWritten == condition.on.asWritten }) else {
            return self + [condition]
        }
        var result = self
        switch (self[index].test, condition.test) {
        case (.equals(let known), .equals(let value)): return known == value ? self : nil
        case (.equals(let known), .isNone(let others)): return others.contains(known) ? nil : self
        case (.isNone(let others), .equals(let value)):
            guard !others.contains(value) else { return nil }
            result[index].test = condition.test
        case (.isNone(let known), .isNone(let others)): result[index].test = .isNone(of: known + others)
        }
        return result
    }
}
