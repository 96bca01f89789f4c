import Foundation
import Logging
import Metrics
import PatchbayStore
import Synchronization

/// Brings what is remembered of calls from their event loop into the store.
///
/// A call only appends here: a lock for some instructions, no encoding, no waiting. A task works while something waits: it
/// takes what has come, at most ``interval`` after the batch before, and writes it in one transaction. When the store
/// fails, what waits stays, up to ``queueBytes``, and is tried again every ``retryInterval``; what comes beyond that is lost
/// and counted. Calls notice nothing of it.
///
/// Whoever answers a request awaits ``flush()`` first, so that what an answer told somebody is on disk.
final class CallJournal: Sendable {
    /// What may wait to be written, as an estimate of its memory.
    static let queueBytes = 32 << 20
    /// Steps that are written in one transaction.
    static let batchLimit = 2000
    /// Time between two transactions while nobody waits.
    static let interval = Duration.milliseconds(50)
    /// Time between two attempts while the store fails.
    static let retryInterval = Duration.seconds(1)
    /// The longest that an answer waits for the disk.
    static let patience = Duration.seconds(1)
    /// The longest that the end of the process waits for the disk.
    static let lastPatience = Duration.seconds(5)

    struct Entry: Sendable {
        var change: CallChange
        var tenant: String?
    }

    private struct Waiter {
        var ticket: UInt64
        var continuation: CheckedContinuation<Bool, Never>
    }

    private struct Batch {
        var rows: [String: StoredCall]
        /// Rows that waited twice: as an attempt before would have written them, and as they have become since.
        var rowsReplaced: Int
        var steps: EntryQueue.Batch
        /// Everything up to this step is in it, or was before.
        var ticket: UInt64

        var changes: [CallChange] { rows.values.map(CallChange.call) + steps.entries.map(\.change) }
    }

    // The event loops of calls wait for whoever holds the lock, so that nothing is done under it that takes longer the more
    // waits: what changes hands does so whole.
    private struct State {
        /// Calls that have changed since they were written, or since somebody tried to.
        var rows: [String: StoredCall] = [:]
        /// Those that the store has not taken.
        var kept: [String: StoredCall] = [:]
        /// Those that are being written: what was ``kept``, and what came since.
        var written: [[String: StoredCall]] = []
        var entries = EntryQueue(batchLimit: CallJournal.batchLimit)
        /// Of all that is not in the store.
        var bytes = 0
        var accepted: UInt64 = 0
        var settled: UInt64 = 0
        var isRunning = false
        var isHurried = false
        var isFailing = false
        /// Something was lost, or could not be written, and nothing has been written since.
        var isInTrouble = false
        /// Lost and not in the metrics yet.
        var lost = 0
        /// Lost since the trouble began.
        var lostInTrouble = 0
        var sleeper: CheckedContinuation<Void, Never>?
        var sleeps = 0
        var waiters: [UInt64: Waiter] = [:]
        var nextWaiter: UInt64 = 0

        var waiting: Int { rows.count + kept.count + entries.count }

        func knows(_ call: String) -> Bool {
            rows[call] != nil || kept[call] != nil || written.contains { $0[call] != nil }
        }

        mutating func takeSleeper() -> CheckedContinuation<Void, Never>? {
            defer { sleeper = nil }
            return sleeper
        }

        /// Whoever ends the lock lets go of them; that takes time.
        mutating func takeWritten() -> [[String: StoredCall]] {
            defer { written = [] }
            return written
        }

        mutating func lose(_ count: Int) {
            lost += count
            lostInTrouble += count
        }
    }

    private let store: any Store
    /// Who is told of calls that begin and end.
    private let webhooks: WebhookOutbox?
    private let feed: EventFeed
    private let logger: Logger
    private let limit: Int
    private let retryInterval: Duration
    private let state = Mutex(State())

    init(
        _ store: any Store, feed: EventFeed, webhooks: WebhookOutbox? = nil, limit: Int = CallJournal.queueBytes,
        retryInterval: Duration = CallJournal.retryInterval, logger: Logger
    ) {
        self.store = store
        self.webhooks = webhooks
        self.feed = feed
        self.limit = limit
        self.retryInterval = retryInterval
        self.logger = logger
    }

    // MARK: On the event loop

    /// Takes a step of a call on. Never waits.
    ///
    /// - Parameter call: The call as it is with the step; of several that wait the last is written. `nil` for a call of
    ///   before that only the store knows.
    func append(_ change: CallChange? = nil, of call: StoredCall?) {
        let starts = state.withLock { state in
            state.accepted += 1
            if let call {
                if state.rows[call.id] == nil {
                    // What is known of a call is always brought up to date.
                    guard state.bytes < limit || state.knows(call.id) else {
                        state.lose(1)
                        return false
                    }
                    state.bytes += Self.rowBytes
                }
                state.rows[call.id] = call
            }
            if let change {
                if state.bytes < limit {
                    let bytes = Self.bytes(change)
                    state.bytes += bytes
                    state.entries.append(
                        Entry(change: change, tenant: call?.tenant), bytes: bytes, ticket: state.accepted)
                } else {
                    state.lose(1)
                }
            }
            defer { state.isRunning = true }
            return !state.isRunning
        }
        if starts { Task { await run() } }
    }

    private static let rowBytes = 600

    private static func bytes(_ change: CallChange) -> Int {
        switch change {
        case .call: rowBytes
        case .event(let event): 200 + event.event.utf8.count + event.detail.utf8.count
        case .turn(let turn): 200 + turn.text.utf8.count + turn.heard.utf8.count
        case .toolCall(let call): 200 + call.arguments.utf8.count + (call.output?.utf8.count ?? 0)
        case .recording(_, let path): 200 + path.utf8.count
        }
    }

    // MARK: For those who answer

    /// Returns when everything that came before is on disk.
    ///
    /// - Returns: False when that has not happened: the store fails, or takes longer than ``patience``.
    @discardableResult
    func flush() async -> Bool {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        let timer = Task {
            try await Task.sleep(for: Self.patience)
            resume(id)
        }
        defer { timer.cancel() }
        return await withCheckedContinuation { continuation in
            let (verdict, sleeper) = state.withLock { state -> (Bool?, CheckedContinuation<Void, Never>?) in
                if state.settled == state.accepted { return (true, nil) }
                if state.isFailing { return (false, nil) }
                state.waiters[id] = Waiter(ticket: state.accepted, continuation: continuation)
                state.isHurried = true
                return (nil, state.takeSleeper())
            }
            sleeper?.resume()
            if let verdict { continuation.resume(returning: verdict) }
        }
    }

    private func resume(_ id: UInt64) {
        state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume(returning: false)
    }

    /// Writes what waits before the process ends, and gives up what the store does not take in ``lastPatience``.
    func finish() async {
        let deadline = ContinuousClock.now + Self.lastPatience
        while await !flush() {
            guard ContinuousClock.now < deadline else { break }
            try? await Task.sleep(for: .milliseconds(100))
        }
        let lost = state.withLock { state in
            state.lose(state.waiting)
            state.entries.removeAll()
            state.rows = [:]
            state.kept = [:]
            state.bytes = 0
            state.settled = state.accepted
            return state.lostInTrouble
        }
        report()
        if lost > 0 { logger.error("records were lost", metadata: ["lost": "\(lost)"]) }
    }

    /// Steps that wait to be written.
    var waiting: Int { state.withLock { $0.waiting } }

    // MARK: The task

    private func run() async {
        while true {
            await gather()
            guard let batch = take() else { return }
            await write(batch)
            report()
        }
    }

    /// Lets a batch come together, unless somebody waits for it.
    private func gather() async {
        await withCheckedContinuation { continuation in
            let pause = state.withLock { state -> (Duration, Int)? in
                if !state.isFailing, state.isHurried || state.entries.count >= Self.batchLimit { return nil }
                state.sleeper = continuation
                state.sleeps += 1
                return (state.isFailing ? retryInterval : Self.interval, state.sleeps)
            }
            guard let (span, number) = pause else {
                continuation.resume()
                return
            }
            Task {
                try? await Task.sleep(for: span)
                state.withLock { $0.sleeps == number ? $0.takeSleeper() : nil }?.resume()
            }
        }
    }

    private func take() -> Batch? {
        let taken = state.withLock { state -> (kept: [String: StoredCall], newer: [String: StoredCall], Batch)? in
            state.isHurried = false
            guard state.waiting > 0 else {
                state.isRunning = false
                return nil
            }
            let steps = state.entries.take()
            let batch = Batch(
                rows: [:], rowsReplaced: 0, steps: steps,
                ticket: state.entries.count == 0 ? state.accepted : steps.ticket)
            let (kept, newer) = (state.kept, state.rows)
            (state.kept, state.rows, state.written) = ([:], [:], [kept, newer])
            state.isHurried = state.entries.count > 0 && !state.waiters.isEmpty
            return (kept, newer, batch)
        }
        guard case (let kept, let newer, var batch)? = taken else { return nil }
        batch.rows = kept.isEmpty ? newer : kept.merging(newer) { $1 }
        batch.rowsReplaced = kept.count + newer.count - batch.rows.count
        return batch
    }

    private func write(_ batch: Batch) async {
        let start = ContinuousClock.now
        do {
            try await commit(batch.changes)
            settle(batch, lost: 0)
        } catch  where error.code == .refused {
            // The store is well, and something in the batch is not: one call's fault must not cost the others.
            settle(batch, lost: await writeEach(batch, error))
        } catch {
            keep(batch, error)
            publish(batch)
            return
        }
        Recorder(label: RecordMetrics.writeSeconds).record((ContinuousClock.now - start) / .seconds(1))
        publish(batch)
    }

    private func publish(_ batch: Batch) { if !batch.steps.isPublished { feed.publish(batch.steps.entries) } }

    /// One transaction, with what others are told of it.
    private func commit(_ changes: [CallChange]) async throws(StoreError) {
        guard let webhooks else { return try await store.write(changes) }
        let endpoints = try await store.write(changes) { webhooks.messages($0) }
        if !endpoints.isEmpty { webhooks.wakeUp(endpoints) }
    }

    /// Writes every call of a batch by itself.
    ///
    /// - Returns: How many steps were lost; a call that has changed without any is one.
    private func writeEach(_ batch: Batch, _ error: StoreError) async -> Int {
        logger.error("a batch of records was refused; every call is written alone", metadata: ["error": "\(error)"])
        var lost = 0
        let steps = Dictionary(grouping: batch.steps.entries.map(\.change), by: \.callID)
        for call in Set(batch.rows.keys).union(steps.keys) {
            let row = batch.rows[call].map { [CallChange.call($0)] } ?? []
            let steps = steps[call] ?? []
            do {
                try await commit(row + steps)
            } catch {
                lost += max(1, steps.count)
            }
        }
        return lost
    }

    /// A batch is done with.
    private func settle(_ batch: Batch, lost: Int) {
        let (waiters, recovery, written) = state.withLock { state in
            let written = state.takeWritten()
            state.settled = max(state.settled, batch.ticket)
            state.isFailing = false
            state.bytes -= (batch.rows.count + batch.rowsReplaced) * Self.rowBytes + batch.steps.bytes
            state.lose(lost)
            let done = state.waiters.filter { $0.value.ticket <= batch.ticket }
            for id in done.keys { state.waiters[id] = nil }
            // Well again is a store that has taken everything.
            guard state.isInTrouble, state.entries.count == 0, lost == 0 else { return (done, nil as Int?, written) }
            defer {
                state.isInTrouble = false
                state.lostInTrouble = 0
            }
            return (done, state.lostInTrouble, written)
        }
        withExtendedLifetime(written) {}
        if let recovery {
            logger.notice("records are written again", metadata: ["lost": "\(recovery)"])
        }
        for waiter in waiters.values { waiter.continuation.resume(returning: true) }
    }

    /// The store fails: the batch waits on, and nobody waits for it.
    private func keep(_ batch: Batch, _ error: StoreError) {
        let (waiters, isNew, written) = state.withLock { state in
            let written = state.takeWritten()
            state.kept = batch.rows
            state.bytes -= batch.rowsReplaced * Self.rowBytes
            state.entries.putBack(batch.steps)
            defer {
                state.isFailing = true
                state.isInTrouble = true
                state.waiters = [:]
            }
            return (state.waiters, !state.isInTrouble, written)
        }
        withExtendedLifetime(written) {}
        if isNew {
            logger.error(
                "records cannot be written; calls go on, and the records wait in memory",
                metadata: ["error": "\(error)", "limitBytes": "\(limit)"])
        }
        for waiter in waiters.values { waiter.continuation.resume(returning: false) }
    }

    /// Tells what was lost, and the metrics.
    private func report() {
        let (lost, isNew, waiting) = state.withLock { state in
            defer {
                if state.lost > 0 { state.isInTrouble = true }
                state.lost = 0
            }
            return (state.lost, state.lost > 0 && !state.isInTrouble, state.waiting)
        }
        // Also by nothing, so that the series is there before it grows.
        Counter(label: RecordMetrics.lost).increment(by: lost)
        if isNew { logger.error("records are lost; calls go on", metadata: ["lost": "\(lost)"]) }
        Gauge(label: RecordMetrics.waiting).record(waiting)
    }
}
