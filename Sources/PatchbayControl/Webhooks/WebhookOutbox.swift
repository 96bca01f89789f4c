import Foundation
import Logging
import PatchbayConfig
import PatchbayStore

/// Tells others of calls: makes the messages that the store keeps with each call's beginning and end, and has them sent.
///
/// A message is in the outbox when its call's step is on record, and not otherwise: whatever ends this process, the next one finds both
/// or neither.
final class WebhookOutbox: Sendable {
    private let endpoints: [WebhookEndpoint]
    private let sender: WebhookSender
    private let logger: Logger
    private let clock: @Sendable () -> Date
    private let task: Task<Void, Never>

    /// - Returns: `nil` when nobody is to be told anything.
    init?(
        _ endpoints: [WebhookEndpoint], records: any Store, logger: Logger, clock: @escaping @Sendable () -> Date
    ) {
        guard !endpoints.isEmpty else { return nil }
        let sender = WebhookSender(endpoints, records: records, logger: logger, clock: clock)
        self.endpoints = endpoints
        self.sender = sender
        self.logger = logger
        self.clock = clock
        task = Task { await sender.run() }
    }

    deinit { task.cancel() }

    /// What everybody is told.
    func messages(_ news: CallNews) -> [OutboxMessage] {
        do {
            switch news {
            case .began(let call):
                return try WebhookMessage.messages(.callStarted, .init(call), to: endpoints, at: clock())
            case .ended(let call, let turns):
                // The process that has the caller tells how it went.
                if CallEnding.reason(call)?.kind == .moved { return [] }
                let data = WebhookMessage.CallData(call)
                var messages = try WebhookMessage.messages(.callEnded, data, to: endpoints, at: clock())
                // A call in which nothing was said has no transcript.
                if !turns.isEmpty {
                    messages += try WebhookMessage.messages(
                        .transcriptReady, data, turns: turns, to: endpoints, at: clock())
                }
                return messages
            }
        } catch {
            logger.error("a webhook cannot be written", metadata: ["error": "\(error)"])
            return []
        }
    }

    /// Says that there may be something new in the outbox.
    ///
    /// - Parameter endpoints: For whom; `nil` when that is not known.
    func wakeUp(_ endpoints: Set<String>? = nil) { sender.wakeUp(endpoints) }
}
