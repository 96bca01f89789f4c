/// How a call stands at one moment.
public struct CallStatus: Sendable {
    public var state: CallCore.State
    public var backend: String
    public var counters: CallCounters
    /// Audio the caller has heard of the agent.
    public var played: TimeSpan
    public var unplayed: TimeSpan
    /// What the stages hold back, both ways.
    public var delay: TimeSpan
    /// Times the carrier ran dry in the middle of what the agent said.
    public var underruns: Int
    /// What the caller has heard of the agent's turn that is played, or of its last one.
    public var heard: Heard?

    init(_ core: CallCore, at now: MediaTime) {
        // What had not been played when the call ended never was.
        let now = core.counters.endedAt.map { min($0, now) } ?? now
        state = core.state
        backend = core.backend
        counters = core.counters
        played = core.ledger.played(at: now)
        unplayed = core.ledger.unplayed(at: now)
        delay = core.toAgent.delay + core.agent.delay + core.toCaller.delay
        underruns = core.ledger.underruns
        heard = core.heardNow(at: now) ?? core.counters.heard
    }
}
