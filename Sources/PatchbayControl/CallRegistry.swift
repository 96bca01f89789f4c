import Foundation
import PatchbayConfig
import PatchbayCore
import Synchronization

/// All calls of this process: those that run, those whose stream is awaited, and the last ones that ended.
final class CallRegistry: Sendable {
    /// Ended calls that stay listed.
    static let pastLimit = 1000
    /// How long after the loss of its stream a call may come back: the carrier asks for the next step within a second or two.
    static let resumption = Duration.seconds(5)
    /// Stream tokens remembered as used. They also expire; the limit only bounds what a flood could occupy.
    static let nonceLimit = 100_000

    private struct State {
        var running: [String: CallRecord] = [:]
        var runningBySid: [String: String] = [:]
        var past: [CallRecord] = []
        var usedNonces: [String: Int] = [:]
        var isDraining = false
        /// No call is taken any more, not even one that goes on.
        var isClosed = false
        /// Until when calls may come back whose streams broke while the server drained, by the carrier's names.
        var resumable: [String: ContinuousClock.Instant] = [:]
        var idleWaiters: [CheckedContinuation<Void, Never>] = []

        mutating func enter(_ record: CallRecord, ended reason: EndReason) {
            var record = record
            record.end = reason
            record.endedAt = Date()
            past.append(record)
            if past.count > CallRegistry.pastLimit { past.removeFirst() }
        }
    }

    private let state = Mutex(State())

    var activeCount: Int { state.withLock { $0.running.count } }

    /// Whether new calls are turned away because the server is going down.
    var isDraining: Bool { state.withLock { $0.isDraining } }

    func startDraining() { state.withLock { $0.isDraining = true } }

    /// From now on no call is taken, not even one that goes on.
    func close() { state.withLock { $0.isClosed = true } }

    enum Admission {
        case admitted
        /// The call runs already.
        case exists(CallRecord)
        case full, draining
        /// The call's tenant has all the calls it may have.
        case tenantIsFull
    }

    /// How many calls may run at the same time.
    struct Limits {
        var calls: Int
        var callsOfTenant: Int
    }

    /// Enters a call, in one step with every question that decides about it.
    ///
    /// One that goes on after its stream broke is a running call, which draining lets finish.
    func admit(_ record: CallRecord, _ limits: Limits) -> Admission {
        state.withLock { state in
            if let id = state.runningBySid[record.info.callSid], let known = state.running[id] { return .exists(known) }
            if state.isClosed || state.isDraining && !record.order.isResumed { return .draining }
            if state.running.count >= limits.calls { return .full }
            if let tenant = record.info.tenant,
                state.running.values.count(where: { $0.info.tenant == tenant }) >= limits.callsOfTenant
            {
                return .tenantIsFull
            }
            state.running[record.info.id] = record
            state.runningBySid[record.info.callSid] = record.info.id
            state.resumable[record.info.callSid] = nil
            return .admitted
        }
    }

    func running(callSid: String) -> CallRecord? {
        state.withLock { state in state.runningBySid[callSid].flatMap { state.running[$0] } }
    }

    /// The newest call of that name, running or past.
    func latest(callSid: String) -> CallRecord? {
        state.withLock { state in
            state.runningBySid[callSid].flatMap { state.running[$0] } ?? state.past.last { $0.info.callSid == callSid }
        }
    }

    /// By Patchbay's own id or by the carrier's.
    func find(_ id: String) -> CallRecord? {
        state.withLock { state in
            state.running[id] ?? state.runningBySid[id].flatMap { state.running[$0] }
                ?? state.past.last { $0.info.id == id || $0.info.callSid == id }
        }
    }

    /// Running calls first, then past ones, newest first.
    func all() -> (running: [CallRecord], past: [CallRecord]) {
        let (running, past) = state.withLock { ($0.running, $0.past) }
        return (running.values.sorted { $0.startedAt > $1.startedAt }, past.reversed())
    }

    func ended(_ id: String, _ reason: EndReason) {
        let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            guard let record = state.running.removeValue(forKey: id) else { return [] }
            if state.runningBySid[record.info.callSid] == id { state.runningBySid[record.info.callSid] = nil }
            state.enter(record, ended: reason)
            if state.isDraining, reason.kind == .streamLost {
                state.resumable[record.info.callSid] = .now + Self.resumption
            }
            guard state.running.isEmpty else { return [] }
            defer { state.idleWaiters = [] }
            return state.idleWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Connects the caller of a call that ended in a transfer.
    ///
    /// - Returns: Whether that is to be done: once.
    func takeTransfer(callSid: String) -> Bool {
        state.withLock { state in
            guard let index = state.past.lastIndex(where: { $0.info.callSid == callSid }),
                state.past[index].end?.kind == .transferred, !state.past[index].isTransferred
            else { return false }
            state.past[index].isTransferred = true
            return true
        }
    }

    /// Forgets ended calls from or to a number.
    ///
    /// - Returns: How many.
    func erase(number: String) -> Int {
        state.withLock { state in
            let count = state.past.count
            state.past.removeAll { $0.info.from == number || $0.info.to == number }
            return count - state.past.count
        }
    }

    /// Enters a call that was over before it began.
    func enter(_ record: CallRecord, ended reason: EndReason) { state.withLock { $0.enter(record, ended: reason) } }

    /// How many calls run with each version of each pipeline.
    func runningVersions() -> [String: [String: Int]] {
        state.withLock { state in
            state.running.values.reduce(into: [:]) {
                $0[$1.info.pipeline, default: [:]][$1.info.version, default: 0] += 1
            }
        }
    }

    /// Returns when no call runs and none may come back; early when its task is cancelled and no call runs.
    func waitUntilFinished() async {
        await waitUntilIdle()
        while !Task.isCancelled, state.withLock({ $0.resumable.values.contains { $0 > .now } }) {
            try? await Task.sleep(for: .milliseconds(100))
            await waitUntilIdle()
        }
    }

    private func waitUntilIdle() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if !state.running.isEmpty { state.idleWaiters.append(continuation) }
                return state.running.isEmpty
            }
            if isIdle { continuation.resume() }
        }
    }

    /// Why a token's nonce cannot be used.
    enum NonceFault: Error, CustomStringConvertible {
        case used, full

        var description: String {
            switch self {
            case .used: "the stream token was used before"
            case .full: "too many stream tokens are in use: \(CallRegistry.nonceLimit) are remembered until they expire"
            }
        }
    }

    /// Uses a token's nonce up.
    func use(nonce: String, expires: Int, now: Int) throws(NonceFault) {
        try state.withLock { state throws(NonceFault) in
            guard state.usedNonces[nonce] == nil else { throw .used }
            if state.usedNonces.count >= Self.nonceLimit {
                state.usedNonces = state.usedNonces.filter { $0.value >= now }
            }
            guard state.usedNonces.count < Self.nonceLimit else { throw .full }
            state.usedNonces[nonce] = expires
        }
    }
}

extension Spoken {
    /// What a transport says before the stream begins; `nil` when it says nothing.
    init?(welcome settings: Settings) {
        guard let text = settings.string("say"), !text.isEmpty else { return nil }
        self.init(text, CarrierVoice(settings))
    }
}

/// One call as the control plane lists it.
struct CallRecord: Sendable {
    /// What it was taken by, for when it goes on.
    var order: CallOrder
    var info: CallInfo
    var call: Call
    var recorder: CallRecorder
    /// How long the call may last, for what is signed on its behalf.
    var maximumDuration: TimeSpan
    var startedAt = Date()
    var endedAt: Date?
    var end: EndReason?
    /// What the carrier says before the stream begins.
    var welcome: Spoken?
    /// What its stream carries beside the token.
    var parameters = StreamParameters()
    /// What is said when the call ended by a failure; of a call that a rule answered, the rule's words.
    var failureWords: Spoken
    /// The rules that were asked about it.
    var rules: [RuleStep] = []
    /// What was looked up about the caller.
    var context: [String: VariableValue] = [:]
    /// Where another agent would stand; `nil` for a call that never had one.
    var agentPlace: AgentPlace?
    /// Its spans, where somebody traces.
    var trace: CallTrace?
    /// The caller has been connected with a person.
    var isTransferred = false

    /// Whether the caller's stream has been here.
    var hadStream: Bool { recorder.row.streamSid != nil }
}
