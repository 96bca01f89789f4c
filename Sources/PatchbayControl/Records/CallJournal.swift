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
        /// Which step it was, of all that ever came.
        var ticket: UInt64
        /// Readers have been told.
        var isPublished = false
    }

    private struct Waiter {
        var ticket: UInt64
        var continuation: CheckedContinuation<Bool, Never>
    }

    private struct Batch {
        var rows: [String: StoredCall]
        var entries: [Entry]
        /// Everything up to this step is in it, or was before.
        var ticket: UInt64

        var changes: [CallChange] { rows.values.map(CallChange.call) + entries.map(\.change) }
    }

    private struct State {
        /// Calls that have changed since they were written.
        var rows: [String: StoredCall] = [:]
        var entries: [Entry] = []
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

        mutating func takeSleeper() -> CheckedContinuation<Void, Never>? {
            defer { sleeper = nil }
            return sleeper
        }

        mutating func lose(_ count: Int) {
            lost += count
            lostInTrouble += count
        }
    }

    private let store: any Store
    private let feed: EventFeed
    private let logger: Logger
    private let limit: Int
    private let retryInterval: Duration
    private let state = Mutex(State())

    init(
        _ store: any Store, feed: EventFeed, limit: Int = CallJournal.queueBytes,
        retryInterval: Duration = CallJournal.retryInterval, logger: Logger
    ) {
        self.store = store
        self.feed = feed
        self.limit = limit
        self.retryInterval = retryInterval
        self.logger = logger
    }

    // MARK: On the event loop

    /// Takes a step of a call on. Never waits.
    ///
    /// - Parameter call: The call as it is with the step; of several that wait the last is written.
    func append(_ change: CallChange? = nil, of call: StoredCall) {
        let starts = state.withLock { state in
            state.accepted += 1
            if state.rows[call.id] == nil {
                guard state.bytes < limit else {
                    state.lose(1)
                    return false
                }
                state.bytes += Self.rowBytes
            }
            state.rows[call.id] = call
            if let change {
                if state.bytes < limit {
                    state.bytes += Self.bytes(change)
                    state.entries.append(Entry(change: change, tenant: call.tenant, ticket: state.accepted))
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
            let lost = state.entries.count
            state.lose(lost)
            state.entries = []
            state.rows = [:]
            state.bytes = 0
            state.settled = state.accepted
            return state.lostInTrouble
        }
        report()
        if lost > 0 { logger.error("records were lost", metadata: ["lost": "\(lost)"]) }
    }

    /// Steps that wait to be written.
    var waiting: Int { state.withLock { $0.rows.count + $0.entries.count } }

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
        state.withLock { state in
            state.isHurried = false
            guard !state.rows.isEmpty || !state.entries.isEmpty else {
                state.isRunning = false
                return nil
            }
            let rows = state.rows
            state.rows = [:]
            let entries = Array(state.entries.prefix(Self.batchLimit))
            state.entries.removeFirst(entries.count)
            state.bytes -= rows.count * Self.rowBytes + entries.reduce(0) { $0 + Self.bytes($1.change) }
            state.isHurried = !state.entries.isEmpty && !state.waiters.isEmpty
            return Batch(
                rows: rows, entries: entries,
                ticket: state.entries.isEmpty ? state.accepted : entries.last?.ticket ?? state.settled)
        }
    }

    private func write(_ batch: Batch) async {
        let start = ContinuousClock.now
        do {
            try await store.write(batch.changes)
            settle(batch, lost: 0)
        } catch  where error.code == .refused {
            // The store is well, and something in the batch is not: one call's fault must not cost the others.
            settle(batch, lost: await writeEach(batch, error))
        } catch {
            keep(batch, error)
            feed.publish(batch.entries)
            return
        }
        Recorder(label: RecordMetrics.writeSeconds).record((ContinuousClock.now - start) / .seconds(1))
        feed.publish(batch.entries)
    }

    /// Writes every call of a batch by itself.
    ///
    /// - Returns: How many steps were lost.
    private func writeEach(_ batch: Batch, _ error: StoreError) async -> Int {
        logger.error("a batch of records was refused; every call is written alone", metadata: ["error": "\(error)"])
        var lost = 0
        for (call, entries) in Dictionary(grouping: batch.entries, by: \.change.callID) {
            let row = batch.rows[call].map { [CallChange.call($0)] } ?? []
            do {
                try await store.write(row + entries.map(\.change))
            } catch {
                lost += entries.count
            }
        }
        return lost
    }

    /// A batch is done with.
    private func settle(_ batch: Batch, lost: Int) {
        let (waiters, recovery) = state.withLock { state in
            state.settled = max(state.settled, batch.ticket)
            state.isFailing = false
            state.lose(lost)
            let done = state.waiters.filter { $0.value.ticket <= batch.ticket }
            for id in done.keys { state.waiters[id] = nil }
            // Well again is a store that has taken everything.
            guard state.isInTrouble, state.entries.isEmpty, lost == 0 else { return (done, nil as Int?) }
            defer {
                state.isInTrouble = false
                state.lostInTrouble = 0
            }
            return (done, state.lostInTrouble)
        }
        if let recovery {
            logger.notice("records are written again", metadata: ["lost": "\(recovery)"])
        }
        for waiter in waiters.values { waiter.continuation.resume(returning: true) }
    }

    /// The store fails: the batch waits on, and nobody waits for it.
    private func keep(_ batch: Batch, _ error: StoreError) {
        let (waiters, isNew) = state.withLock { state in
            state.rows.merge(batch.rows) { newer, _ in newer }
            var entries = batch.entries
            for index in entries.indices { entries[index].isPublished = true }
            state.entries = entries + state.entries
            state.bytes =
                state.rows.count * Self.rowBytes + state.entries.reduce(0) { $0 + Self.bytes($1.change) }
            defer {
                state.isFailing = true
                state.isInTrouble = true
                state.waiters = [:]
            }
            return (state.waiters, !state.isInTrouble)
        }
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
            return (state.lost, state.lost > 0 && !state.isInTrouble, state.rows.count + state.entries.count)
        }
        // Also by nothing, so that the series is there before it grows.
        Counter(label: RecordMetrics.lost).increment(by: lost)
        if isNew { logger.error("records are lost; calls go on", metadata: ["lost": "\(lost)"]) }
        Gauge(label: RecordMetrics.waiting).record(waiting)
    }
}

/// Every metric of the records.
enum RecordMetrics {
    /// Steps of calls that were never written.
    static let lost = "patchbay_records_lost_total"
    /// Steps of calls that wait to be written.
    static let waiting = "patchbay_records_waiting"
    /// How long a transaction took, in seconds.
    static let writeSeconds = "patchbay_records_write_seconds"
    /// Readers of `…/events` that were too slow and were sent away.
    static let readersDropped = "patchbay_event_readers_dropped_total"
    /// Entries that were removed because they were older than the retention.
    static let pruned = "patchbay_records_pruned_total"
}

extension CallChange {
    /// Which call it belongs to.
    var callID: String {
        switch self {
        case .call(let call): call.id
        case .event(let event): event.call
        case .turn(let turn): turn.call
        case .toolCall(let toolCall): toolCall.call
        }
    }
}
