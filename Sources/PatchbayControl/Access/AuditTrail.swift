import Foundation
import Logging
import Metrics
import PatchbayCore
import PatchbayStore
import Synchronization

/// Writes down who did what to this server, and who tried.
///
/// Whoever notes something never waits: entries stand in a bounded queue, and one task writes them in batches. While the store
/// fails the queue waits with it; what no longer fits is counted. Refusals are noted at a bounded rate, so that a stranger
/// cannot fill the disk with them.
final class AuditTrail: Sendable {
    /// Entries that may wait; the oldest is dropped beyond it.
    static let queueLimit = 10_000
    /// Entries of one transaction.
    static let batchLimit = 500
    /// Refusals that are noted in a minute; the rest is only counted.
    static let refusalsPerMinute = 120
    /// The same for calls that were refused, which take no place from strangers' requests, and have none taken by them.
    static let refusedCallsPerMinute = 60
    /// What a call that was not taken is noted as.
    static let refusedCall = "call.refused"
    /// Longest text of an entry, in characters.
    static let textLimit = 200

    private struct State {
        var queue: [AuditEntry] = []
        var isWriting = false
        var isFailing = false
        var lost = 0
        var refusals: Quota
        var refusedCalls: Quota
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    /// How many entries of a kind may still be noted.
    private struct Quota {
        private var bucket: TokenBucket
        private var unnoted = 0

        init(perMinute: Int, at now: Double) {
            bucket = TokenBucket(capacity: perMinute, perMinute: perMinute, at: now)
        }

        /// How many were not noted before this one; `nil` when it is one of them.
        mutating func take(at now: Double) -> Int? {
            guard bucket.take(at: now) == nil else {
                unnoted += 1
                return nil
            }
            defer { unnoted = 0 }
            return unnoted
        }
    }

    private let records: any AuditRecords
    private let logger: Logger
    private let clock: @Sendable () -> Date
    private let retry: Duration
    private let state: Mutex<State>

    /// - Parameters:
    ///   - clock: What time it is.
    ///   - retry: The pause after a failure of the store.
    init(
        _ records: any AuditRecords, logger: Logger, clock: @escaping @Sendable () -> Date,
        retry: Duration = .seconds(1)
    ) {
        self.records = records
        self.logger = logger
        self.clock = clock
        self.retry = retry
        let now = clock().timeIntervalSince1970
        state = Mutex(
            State(
                refusals: Quota(perMinute: Self.refusalsPerMinute, at: now),
                refusedCalls: Quota(perMinute: Self.refusedCallsPerMinute, at: now)))
    }

    /// Notes what was done, or refused. Costs a lock.
    ///
    /// - Parameters:
    ///   - action: A stable name: `call.hangup`, `webhook.refused`.
    ///   - subject: What it was done to.
    ///   - outcome: `ok`, or why it was not done.
    ///   - tenant: Whose thing it was done to; the principal's own tenant where that is not known.
    ///   - isRefusal: Whether the server did not do it. `nil`: when the outcome is not `ok`.
    func note(
        _ action: String, _ subject: String, by principal: Principal, from origin: RequestOrigin,
        outcome: String = "ok", tenant: String? = nil, isRefusal: Bool? = nil
    ) {
        note(
            action, subject, by: principal, peer: origin.client, outcome: outcome, tenant: tenant, isRefusal: isRefusal)
    }

    /// The same for a peer that sent no request, for instance a stream.
    func note(
        _ action: String, _ subject: String, by principal: Principal, peer: String, outcome: String = "ok",
        tenant: String? = nil, isRefusal: Bool? = nil
    ) {
        let isRefusal = isRefusal ?? (outcome != "ok")
        let now = clock()
        var entry = AuditEntry(
            at: now, actor: Self.plain(principal.name), tenant: tenant ?? principal.tenant, action: action,
            subject: Self.plain(subject), outcome: Self.plain(outcome), peer: Self.plain(peer))
        if isRefusal { Counter(label: ServerMetrics.refusals, dimensions: [("action", action)]).increment() }
        let starts = state.withLock { state -> Bool in
            if isRefusal {
                let quota = action == Self.refusedCall ? \State.refusedCalls : \State.refusals
                guard let unnoted = state[keyPath: quota].take(at: now.timeIntervalSince1970) else { return false }
                if unnoted > 0 { entry.outcome += " (\(unnoted) more refusals were not noted)" }
            }
            state.queue.append(entry)
            if state.queue.count > Self.queueLimit {
                state.queue.removeFirst(state.queue.count - Self.queueLimit)
                state.lost += 1
                Counter(label: ServerMetrics.lostAudits).increment()
            }
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if starts { Task { await write() } }
    }

    /// Waits until everything is written, or the time is over.
    func flush(within limit: Duration = .seconds(5)) async {
        let deadline = Task {
            try await Task.sleep(for: limit)
            release()
        }
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.isWriting { state.waiting.append(continuation) }
                return !state.isWriting
            }
            if isIdle { continuation.resume() }
        }
        deadline.cancel()
    }

    private func release() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    private func write() async {
        while true {
            let batch = state.withLock { state in
                if state.queue.isEmpty { state.isWriting = false }
                let batch = Array(state.queue.prefix(Self.batchLimit))
                state.queue.removeFirst(batch.count)
                return batch
            }
            guard !batch.isEmpty else { return release() }
            do {
                try await records.append(batch)
                wrote()
            } catch {
                failed(batch, error)
                try? await Task.sleep(for: retry)
            }
        }
    }

    private func wrote() {
        let lost: Int? = state.withLock { state in
            guard state.isFailing else { return nil }
            defer { (state.isFailing, state.lost) = (false, 0) }
            return state.lost
        }
        if let lost { logger.notice("the audit trail is written again", metadata: ["lost": "\(lost)"]) }
    }

    private func failed(_ batch: [AuditEntry], _ error: StoreError) {
        let begins = state.withLock { state in
            let room = max(0, Self.queueLimit - state.queue.count)
            let kept = batch.suffix(room)
            state.queue.insert(contentsOf: kept, at: 0)
            state.lost += batch.count - kept.count
            if kept.count < batch.count {
                Counter(label: ServerMetrics.lostAudits).increment(by: batch.count - kept.count)
            }
            defer { state.isFailing = true }
            return !state.isFailing
        }
        if begins { logger.error("the audit trail cannot be written", metadata: ["error": "\(error)"]) }
    }

    /// One line of bounded length.
    private static func plain(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(textLimit) {
            let isControl =
                scalar.properties.generalCategory == .control || scalar == "\u{2028}" || scalar == "\u{2029}"
            result.unicodeScalars.append(isControl ? "?" : scalar)
        }
        return result
    }
}
