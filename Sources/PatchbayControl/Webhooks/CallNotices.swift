import Foundation
import Logging
import Metrics
import PatchbayConfig
import PatchbayCore
import PatchbayStore
import Synchronization

/// Puts what somebody is to be told of calls into the outbox.
///
/// Whoever notes something never waits; it may be a call's event loop. One task writes to the store, and goes on trying while the
/// store fails.
final class CallNotices: Sendable {
    /// Notices that may wait; further ones are dropped and counted.
    static let queueLimit = 10_000
    /// How often the records are looked at for what was said in a call that has ended, from the first time on in doubling
    /// distances of ``firstLook``: about 13 seconds in all.
    static let maximumLooks = 7
    static let firstLook = Duration.milliseconds(100)
    /// Calls whose transcripts are waited for at once; those of further ones are looked for without waiting.
    static let maximumWaiting = 256
    /// Notices that were dropped, by `reason`: `full` or `store`.
    static let lost = "patchbay_webhooks_lost_total"

    private enum Notice: Sendable { case started(CallRecord), ended(id: String) }

    private let endpoints: [WebhookEndpoint]
    private let records: any Store
    private let registry: CallRegistry
    private let logger: Logger
    private let clock: @Sendable () -> Date
    private let enqueued: @Sendable () -> Void
    private let queue: AsyncStream<Notice>
    private let source: AsyncStream<Notice>.Continuation
    private let waiting = Mutex(0)
    /// Notices and transcripts that are not in the outbox yet.
    private let open = Mutex(0)

    /// - Parameter enqueued: Told that there is something new in the outbox.
    init(
        _ endpoints: [WebhookEndpoint], records: any Store, registry: CallRegistry, logger: Logger,
        clock: @escaping @Sendable () -> Date, enqueued: @escaping @Sendable () -> Void
    ) {
        self.endpoints = endpoints
        self.records = records
        self.registry = registry
        self.logger = logger
        self.clock = clock
        self.enqueued = enqueued
        (queue, source) = AsyncStream<Notice>.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimit))
    }

    func started(_ record: CallRecord) { note(.started(record)) }
    func ended(_ id: String) { note(.ended(id: id)) }

    private func note(_ notice: Notice) {
        guard !endpoints.isEmpty else { return }
        open.withLock { $0 += 1 }
        if case .enqueued = source.yield(notice) { return }
        open.withLock { $0 -= 1 }
        Counter(label: Self.lost, dimensions: [("reason", "full")]).increment()
    }

    /// Works until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await notice in queue {
                switch notice {
                case .started(let record):
                    await enqueue(.callStarted, await WebhookMessage.CallData(record))
                case .ended(let id):
                    guard let record = registry.find(id) else { break }
                    let call = await WebhookMessage.CallData(record)
                    await enqueue(.callEnded, call)
                    guard endpoints.contains(where: { $0.takes(.transcriptReady, of: call.tenant) }) else { break }
                    open.withLock { $0 += 1 }
                    let waits = waiting.withLock { waiting in
                        guard waiting < Self.maximumWaiting else { return false }
                        waiting += 1
                        return true
                    }
                    group.addTask { [self] in
                        await transcript(of: call, waits: waits)
                        if waits { waiting.withLock { $0 -= 1 } }
                        open.withLock { $0 -= 1 }
                    }
                }
                open.withLock { $0 -= 1 }
            }
            group.cancelAll()
        }
    }

    /// Waits until everything noted so far is in the outbox, but not for ever.
    func flush(limit: Duration = .seconds(5)) async {
        let deadline = ContinuousClock.now + limit
        while open.withLock({ $0 > 0 }), ContinuousClock.now < deadline {
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { return }
        }
        let left = open.withLock { $0 }
        if left > 0 { logger.error("webhooks lost: the outbox could not take them", metadata: ["count": "\(left)"]) }
    }

    private func enqueue(
        _ event: WebhookEndpoint.Event, _ call: WebhookMessage.CallData, turns: [StoredTurn]? = nil
    ) async {
        let messages: [OutboxMessage]
        do {
            messages = try WebhookMessage.messages(event, call, turns: turns, to: endpoints, at: clock())
        } catch {
            logger.error("a webhook cannot be written", metadata: ["event": "\(event.rawValue)", "error": "\(error)"])
            return
        }
        guard !messages.isEmpty else { return }
        var isFirst = true
        while !Task.isCancelled {
            do {
                try await records.enqueue(messages)
                return enqueued()
            } catch {
                if isFirst { logger.error("webhooks wait for the store", metadata: ["reason": "\(error)"]) }
                isFirst = false
                try? await Task.sleep(for: .seconds(1))
            }
        }
        Counter(label: Self.lost, dimensions: [("reason", "store")]).increment(by: messages.count)
    }

    /// What was said is on record a moment after the call has ended. A call in which nothing was said has no transcript.
    private func transcript(of call: WebhookMessage.CallData, waits: Bool) async {
        var pause = Self.firstLook
        for look in 1...Self.maximumLooks {
            do {
                let isOver = try await records.call(call.id)?.endedAt != nil
                if isOver || look == Self.maximumLooks || !waits {
                    let turns = try await records.turns(ofCall: call.id)
                    if !turns.isEmpty { await enqueue(.transcriptReady, call, turns: turns) }
                    return
                }
            } catch {
                guard waits else { return }
            }
            guard (try? await Task.sleep(for: pause)) != nil else { return }
            pause = pause * 2
        }
    }
}
