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
    /// Longest text of an entry, in characters.
    static let textLimit = 200

    private struct State {
        var queue: [AuditEntry] = []
        var isWriting = false
        var isFailing = false
        var lost = 0
        var refusals: TokenBucket
        var unnoted = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
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
        state = Mutex(
            State(
                refusals: TokenBucket(
                    capacity: Self.refusalsPerMinute, perMinute: Self.refusalsPerMinute,
                    at: clock().timeIntervalSince1970)))
    }

    /// Notes what was done, or refused. Costs a lock.
    ///
    /// - Parameters:
    ///   - action: A stable name: `call.hangup`, `webhook.refused`.
    ///   - subject: What it was done to.
    ///   - outcome: `ok`, or why it was not done.
    ///   - tenant: Whose thing it was done to; the principal's own tenant where that is not known.
    func note(
        _ action: String, _ subject: String, by principal: Principal, from origin: RequestOrigin,
        outcome: String = "ok", tenant: String? = nil
    ) {
        note(action, subject, by: principal, peer: origin.client, outcome: outcome, tenant: tenant)
    }

    /// The same for a peer that sent no request, for instance a stream.
    func note(
        _ action: String, _ subject: String, by principal: Principal, peer: String, outcome: String = "ok",
        tenant: String? = nil
    ) {
        let now = clock()
        var entry = AuditEntry(
            at: now, actor: Self.plain(principal.name), tenant: tenant ?? principal.tenant, action: action,
            subject: Self.plain(subject), outcome: Self.plain(outcome), peer: Self.plain(peer))
        if outcome != "ok" { Counter(label: ServerMetrics.refusals, dimensions: [("action", action)]).increment() }
        let starts = state.withLock { state -> Bool in
            if outcome != "ok" {
                guard state.refusals.take(at: now.timeIntervalSince1970) == nil else {
                    state.unnoted += 1
                    return false
                }
                if state.unnoted > 0 { entry.outcome += " (\(state.unnoted) more refusals were not noted)" }
                state.unnoted = 0
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
