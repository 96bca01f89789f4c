import Synchronization

/// Which agents are not worth a try just now, over all calls of a process.
///
/// An agent that fails several calls in a row when they connect is avoided: new calls begin with the next of their list. After
/// a pause one call tries it again; if that fails, the next pause is twice as long. What another try cannot mend (a key that is
/// refused, an agent that does not exist, a quota that is used up) needs no second call to show it.
///
/// The state of a circuit breaker, kept for each ``AgentIdentity``. Asked when an agent is chosen and told when it is ready or
/// has failed, so its lock is never near a packet of audio. It knows no clock.
public final class AgentHealth: Sendable {
    /// When an agent is avoided, and for how long.
    public struct Policy: Sendable {
        /// Failures at connect within ``window`` after which an agent is avoided.
        public var failures = 3
        public var window = TimeSpan.seconds(60)
        /// The first pause; each further one without a success between is twice as long, up to ``longestPause``.
        public var firstPause = TimeSpan.seconds(30)
        public var longestPause = TimeSpan.seconds(300)
        /// An agent that nobody has tried for this long is forgotten.
        public var memory = TimeSpan.seconds(900)
        /// A call that tries the agent again and tells nothing for this long does not keep others from trying.
        public var probePatience = TimeSpan.seconds(30)

        public init() {}
    }

    /// How an agent stands.
    public enum State: Sendable, Equatable {
        /// It has failed lately, not often enough to be avoided.
        case suspect
        case avoided(until: MediaTime)
        /// One call is trying it.
        case probing
    }

    /// An agent that is not simply well.
    public struct Report: Sendable {
        public var identity: AgentIdentity
        public var state: State
        /// Since when it is avoided or suspect.
        public var since: MediaTime
        /// Failures since the last success.
        public var failures: Int
        public var lastError: PipelineError
    }

    /// A change that an operator should hear of.
    public enum Change: Sendable {
        case avoided(AgentIdentity, pause: TimeSpan, PipelineError)
        case recovered(AgentIdentity)
        /// Nobody has tried it for ``Policy/memory``; whether it is well is not known.
        case forgotten(AgentIdentity)
    }

    /// Agents remembered; the one that failed longest ago is forgotten first.
    public static let capacity = 1000

    private struct Entry {
        var failures: [MediaTime] = []
        var failureCount = 0
        var pauses = 0
        var state = State.suspect
        var since: MediaTime
        var last: MediaTime
        var error: PipelineError
        var probeEnds = MediaTime.zero
    }

    private let entries = Mutex<[AgentIdentity: Entry]>([:])
    private let policy: Policy
    private let changed: @Sendable (Change) -> Void

    /// - Parameter changed: Told when an agent begins to be avoided, and when it is well again.
    public init(_ policy: Policy = Policy(), changed: @escaping @Sendable (Change) -> Void = { _ in }) {
        self.policy = policy
        self.changed = changed
    }

    /// How a call may use an agent.
    public enum Admission: Sendable {
        case normal
        /// As the one call that finds out whether it is well again.
        case probe
        case avoided
    }

    /// Asks whether an agent may be tried. A ``Admission/probe`` must be followed by one of the three reports below.
    public func admit(_ identity: AgentIdentity, at now: MediaTime) -> Admission {
        entries.withLock { entries in
            guard var entry = entries[identity] else { return .normal }
            switch entry.state {
            case .suspect: return .normal
            case .avoided(let until): if now < until { return .avoided }
            case .probing: if now < entry.probeEnds { return .avoided }
            }
            entry.state = .probing
            entry.probeEnds = now + policy.probePatience
            entries[identity] = entry
            return .probe
        }
    }

    /// The agent has become ready.
    public func ready(_ identity: AgentIdentity) {
        guard let entry = entries.withLock({ $0.removeValue(forKey: identity) }), entry.state != .suspect else {
            return
        }
        changed(.recovered(identity))
    }

    /// The agent has failed.
    ///
    /// - Parameters:
    ///   - isConnecting: Whether it had not become ready. A failure in mid-call counts only where it shows that the next call
    ///     will fare no better.
    ///   - isProbe: Whether the call was admitted as the one that finds out. Of an agent that is avoided only that one's word
    ///     counts: others began before, or had nobody else.
    public func failed(
        _ identity: AgentIdentity, _ error: PipelineError, isConnecting: Bool, isProbe: Bool = false, at now: MediaTime
    ) {
        guard isConnecting || error.code.isLasting else { return }
        let pause = entries.withLock { entries -> TimeSpan? in
            var entry = entries[identity] ?? Entry(since: now, last: now, error: error)
            entry.failures.removeAll { now - $0 >= policy.window }
            entry.failures.append(now)
            entry.failureCount += 1
            entry.last = now
            entry.error = error
            defer {
                if entries[identity] == nil, entries.count >= Self.capacity,
                    let oldest = entries.min(by: { $0.value.last < $1.value.last })?.key
                {
                    entries[oldest] = nil
                }
                entries[identity] = entry
            }
            switch entry.state {
            case .suspect: guard entry.failures.count >= policy.failures || error.code.isLasting else { return nil }
            case .avoided, .probing: guard isProbe else { return nil }
            }
            let isNew = entry.state == .suspect
            if isNew { entry.since = now }
            let pause = policy.pause(entry.pauses)
            entry.pauses += 1
            entry.failures = []
            entry.state = .avoided(until: now + pause)
            return isNew ? pause : nil
        }
        if let pause { changed(.avoided(identity, pause: pause, error)) }
    }

    /// The call that was admitted to find out has ended, or taken another agent, before it could tell.
    public func abandoned(_ identity: AgentIdentity, at now: MediaTime) {
        entries.withLock { entries in
            guard entries[identity]?.state == .probing else { return }
            entries[identity]?.state = .avoided(until: now)
        }
    }

    /// Forgets agents that nobody has tried for a while: those that no pipeline names any more would stay for ever.
    public func forgetStale(at now: MediaTime) {
        let gone = entries.withLock { entries in
            let gone = entries.filter { now - $0.value.last >= policy.memory }
            for identity in gone.keys { entries[identity] = nil }
            return gone.filter { $0.value.state != .suspect }.map(\.key)
        }
        for identity in gone { changed(.forgotten(identity)) }
    }

    /// All agents that are not simply well, the latest trouble first.
    public var reports: [Report] {
        entries.withLock { entries in
            entries.sorted { ($0.value.last, $0.key.settings) > ($1.value.last, $1.key.settings) }.map {
                Report(
                    identity: $0.key, state: $0.value.state, since: $0.value.since, failures: $0.value.failureCount,
                    lastError: $0.value.error)
            }
        }
    }
}

/// What makes two agents of two calls the same: an agent that fails the one will fail the other.
public struct AgentIdentity: Hashable, Sendable {
    public var type: String
    /// The pipeline document's name.
    public var pipeline: String
    /// Stands for its settings, without what depends on the single call.
    public var settings: UInt64

    public init(type: String, pipeline: String, settings: UInt64 = 0) {
        self.type = type
        self.pipeline = pipeline
        self.settings = settings
    }
}

extension AgentHealth.Policy {
    fileprivate func pause(_ number: Int) -> TimeSpan {
        min(longestPause, TimeSpan(nanoseconds: firstPause.nanoseconds << min(number, 20)))
    }
}

extension PipelineError.Code {
    /// Whether the next call will fail in the same way.
    var isLasting: Bool {
        [.agentUnauthorized, .agentUnknown, .agentMissing, .agentNotConfigured, .agentQuota].contains(self)
    }
}
