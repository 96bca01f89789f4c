import PatchbayCore

/// What came of one test.
public struct ScenarioResult: Sendable {
    public var file: String
    public var scenario: Scenario
    public var trace: ScenarioTrace
    /// In the order of the file.
    public var checks: [ExpectationCheck]
    /// How long it took to run, by a real clock.
    public var took: Duration

    init(file: String, _ scenario: Scenario, _ trace: ScenarioTrace, took: Duration) {
        self.file = file
        self.scenario = scenario
        self.trace = trace
        self.took = took
        checks = scenario.expectations.map { ExpectationCheck($0, trace) }
    }

    /// Whether everything came as expected, and nothing else went wrong.
    public var isPassed: Bool { trace.problems.isEmpty && checks.allSatisfy(\.isMet) }
}
