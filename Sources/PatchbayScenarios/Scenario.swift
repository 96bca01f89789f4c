/// A call that is written down: who says what and when, and what must be heard.
public struct Scenario: Sendable {}
