import Foundation
import Logging
import Metrics
import PatchbayStore

/// Keeps the records in order beside the calls: closes those that a dead process left open, removes what is too
/// old, and recordings that belong to nothing any more.
struct RecordUpkeep: Sendable {
    /// Time between two rounds.
    static let interval = Duration.seconds(3600)

    let store: any Store
    /// Removes recordings that nobody knows any more.
    let recordings: RecordingSweep
    /// Days that records are kept; `nil` keeps them until somebody removes them.
    let retentionDays: Int?
    /// When the process began to take calls.
    let startedAt: Date
    let clock: @Sendable () -> Date
    let logger: Logger
    /// Who is told of calls that end.
    var webhooks: WebhookOutbox?

    /// Works until its task is cancelled.
    ///
    /// - Parameter pause: Waits for the next round.
    func run(
        pause: @Sendable () async throws -> Void = { try await Task.sleep(for: RecordUpkeep.interval) }
    ) async {
        var isClosed = false
        while !Task.isCancelled {
            // A store that fails now may be well in an hour.
            if !isClosed { isClosed = await closeAbandoned() }
            await removeContexts()
            await prune()
            await sweep()
            do {
                try await pause()
            } catch {
                return
            }
        }
    }

    /// - Returns: Whether it is done.
    private func closeAbandoned() async -> Bool {
        do {
            let count = try await store.closeAbandoned(before: startedAt) { [webhooks] in webhooks?.messages($0) ?? [] }
            guard count > 0 else { return true }
            webhooks?.wakeUp()
            logger.notice(
                "calls that a stopped process had left open are marked as failed", metadata: ["calls": "\(count)"])
            return true
        } catch {
            logger.error("calls of a stopped process could not be closed", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// What is known of callers is never kept for long, whatever is kept of their calls.
    private func removeContexts() async {
        do {
            try await store.removeContexts(expiredBy: clock())
        } catch {
            logger.error("expired contexts could not be removed", metadata: ["error": "\(error)"])
        }
    }

    private func prune() async {
        guard let retentionDays else { return }
        do {
            let count = try await store.prune(before: clock() - TimeInterval(retentionDays) * 86_400)
            guard count > 0 else { return }
            Counter(label: RecordMetrics.pruned).increment(by: count)
            logger.info("old records were removed", metadata: ["entries": "\(count)", "days": "\(retentionDays)"])
        } catch {
            logger.error("old records could not be removed", metadata: ["error": "\(error)"])
        }
    }

    private func sweep() async {
        do {
            let outcome = try await recordings.run()
            guard outcome.removed > 0 else { return }
            logger.info("recordings of forgotten calls were removed", metadata: ["files": "\(outcome.removed)"])
        } catch {
            logger.error("recordings of forgotten calls are not known", metadata: ["error": "\(error)"])
        }
    }
}
