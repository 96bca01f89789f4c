import Foundation
import Logging
import Metrics
import PatchbayStore

/// Keeps the records in order beside the calls: closes those that a dead process left open, and removes what is too old.
struct RecordUpkeep: Sendable {
    /// Time between two rounds.
    static let interval = Duration.seconds(3600)

    let store: any Store
    /// Days that records are kept; `nil` keeps them until somebody removes them.
    let retentionDays: Int?
    /// When the process began to take calls.
    let startedAt: Date
    let clock: @Sendable () -> Date
    let logger: Logger

    /// Works until its task is cancelled.
    ///
    /// - Parameter pause: Waits for the next round.
    func run(
        pause: @Sendable () async throws -> Void = { try await Task.sleep(for: RecordUpkeep.interval) }
    ) async {
        await closeAbandoned()
        while !Task.isCancelled {
            await prune()
            do {
                try await pause()
            } catch {
                return
            }
        }
    }

    private func closeAbandoned() async {
        do {
            let count = try await store.closeAbandoned(before: startedAt)
            guard count > 0 else { return }
            logger.notice(
                "calls that a stopped process had left open are marked as failed", metadata: ["calls": "\(count)"])
        } catch {
            logger.error("calls of a stopped process could not be closed", metadata: ["error": "\(error)"])
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
}
