/// When the caller began to speak and fell silent: where waiting for an answer, or for silence, begins.
package struct CallerSpeech: Sendable {
    private var startedAt: MediaTime?
    private var stoppedAt: MediaTime?
    /// The answer came before the VAD had called the speech over.
    private var isAnswered = false

    package init() {}

    package mutating func started(at now: MediaTime) {
        self = CallerSpeech()
        startedAt = now
    }

    package mutating func paused(at now: MediaTime) { stoppedAt = now }

    package mutating func resumed() {
        stoppedAt = nil
        isAnswered = false
    }

    package mutating func stopped(at now: MediaTime) {
        if !isAnswered { stoppedAt = stoppedAt ?? now }
    }

    /// - Parameter isMarked: Whether a stage marks speech; where none does, only this tells.
    package mutating func turnEnded(_ end: TurnEnd, isMarked: Bool, at now: MediaTime) {
        guard !isMarked || !isAnswered else { return }
        stoppedAt = end.speechStoppedAt ?? stoppedAt ?? now
    }

    /// The agent can be heard.
    ///
    /// - Returns: Where the caller fell silent, once.
    package mutating func answered() -> MediaTime? {
        // Whoever spoke before this did not interrupt it.
        startedAt = nil
        isAnswered = isAnswered || stoppedAt != nil
        defer { stoppedAt = nil }
        return stoppedAt
    }

    /// The agent was cut.
    ///
    /// - Returns: Where the caller began to speak, once.
    package mutating func interrupted() -> MediaTime? {
        defer { startedAt = nil }
        return startedAt
    }
}
