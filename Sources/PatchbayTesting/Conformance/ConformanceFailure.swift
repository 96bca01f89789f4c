/// A rule that a plug-in breaks, and what was seen of it.
///
/// Plain values, so that any test framework can be used: `#expect(failures.isEmpty, "\(failures)")`.
public struct ConformanceFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The name of a rule; new ones break nobody's `switch`.
    public struct Rule: Hashable, Sendable, CustomStringConvertible {
        public let description: String
        public init(_ name: String) { self.description = name }
    }

    public var rule: Rule
    /// What was seen, with the actual values in it.
    public var seen: String

    public init(_ rule: Rule, _ seen: String) {
        self.rule = rule
        self.seen = seen
    }

    public var description: String { "\(rule): \(seen)" }
}

/// Collects failures: a few of each rule, because one fault is often seen many times.
struct ConformanceFindings {
    private(set) var all: [ConformanceFailure] = []
    let exempt: Set<ConformanceFailure.Rule>

    static let mostOfOneRule = 3

    init(exempt: Set<ConformanceFailure.Rule> = []) { self.exempt = exempt }

    mutating func add(_ rule: ConformanceFailure.Rule, _ seen: String) {
        let failure = ConformanceFailure(rule, seen)
        guard !exempt.contains(rule), !all.contains(failure),
            all.count(where: { $0.rule == rule }) < Self.mostOfOneRule
        else { return }
        all.append(failure)
    }

    /// Adds unless `holds`.
    mutating func expect(_ holds: Bool, _ rule: ConformanceFailure.Rule, _ seen: String) {
        if !holds { add(rule, seen) }
    }
}
