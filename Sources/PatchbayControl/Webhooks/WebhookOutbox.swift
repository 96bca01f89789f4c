import Foundation
import Logging
import PatchbayConfig
import PatchbayStore

/// Everything that tells others of calls: what is noted, what waits to be sent, and the tasks that work on both.
final class WebhookOutbox: Sendable {
    private let notices: CallNotices
    private let sender: WebhookSender
    private let tasks: [Task<Void, Never>]

    /// - Returns: `nil` when nobody is to be told anything.
    init?(
        _ endpoints: [WebhookEndpoint], records: any Store, registry: CallRegistry, logger: Logger,
        clock: @escaping @Sendable () -> Date
    ) {
        guard !endpoints.isEmpty else { return nil }
        let sender = WebhookSender(endpoints, records: records, logger: logger, clock: clock)
        let notices = CallNotices(
            endpoints, records: records, registry: registry, logger: logger, clock: clock
        ) { sender.wakeUp() }
        self.sender = sender
        self.notices = notices
        tasks = [Task { await notices.run() }, Task { await sender.run() }]
    }

    deinit { for task in tasks { task.cancel() } }

    func started(_ record: CallRecord) { notices.started(record) }
    func ended(_ id: String) { notices.ended(id) }
    func wakeUp() { sender.wakeUp() }
    /// Waits until everything noted so far is in the outbox; what is not sent by then is sent by the next process.
    func flush() async { await notices.flush() }
}
