import AsyncHTTPClient
import Foundation
import Logging
import Metrics
import NIOCore
import PatchbayConfig
import PatchbayStore
import PatchbayTransports
import Synchronization

/// Sends what lies in the outbox, at least once.
///
/// Messages are tried in the order in which they are due, several at once; one that fails waits for its time while others go on.
final class WebhookSender: Sendable {
    /// Requests at the same time.
    static let maximumRequests = 8
    /// Messages that are taken out of the store at once.
    static let batchLimit = 64
    /// Longest wait for an answer.
    static let patience = TimeAmount.seconds(10)
    /// Longest time without a look at the outbox: another process may have put something there.
    static let longestRest: TimeInterval = 30
    /// After the store has failed.
    static let restAfterFailure: TimeInterval = 5
    /// Messages by `endpoint` and `outcome`: `sent`, `failed` or `dead`.
    static let sent = "patchbay_webhooks_sent_total"

    /// What became of one try.
    enum Outcome: Sendable, Equatable {
        case taken
        /// The receiver does not want it, now or later.
        case gone
        case failed(String, retryAfter: TimeInterval?)
    }

    typealias Post = @Sendable (OutboxMessage, WebhookEndpoint, Date) async -> Outcome

    private let endpoints: [String: WebhookEndpoint]
    private let records: any OutboxRecords
    private let logger: Logger
    /// Whether something was sent that could not be noted as sent.
    private let isUnwritten = Mutex(false)
    private let clock: @Sendable () -> Date
    private let random: @Sendable () -> Double
    private let post: Post
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - random: 0 to 1, for the spread of pauses.
    ///   - post: Makes one request.
    init(
        _ endpoints: [WebhookEndpoint], records: any OutboxRecords, logger: Logger,
        clock: @escaping @Sendable () -> Date, random: @escaping @Sendable () -> Double = { .random(in: 0...1) },
        post: @escaping Post = WebhookSender.post
    ) {
        self.endpoints = Dictionary(endpoints.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.records = records
        self.logger = logger
        self.clock = clock
        self.random = random
        self.post = post
        (wakes, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Says that there may be something to send.
    func wakeUp() { wake.yield() }

    /// Works until the task is cancelled.
    func run() async {
        var isFailing = false
        while !Task.isCancelled {
            var rest = Self.longestRest
            do {
                while try await sendDue() == Self.batchLimit, !isUnwritten.withLock({ $0 }), !Task.isCancelled {}
                if let next = try await records.nextMessageDate() {
                    rest = min(rest, max(0.05, next.timeIntervalSince(clock())))
                }
                if isFailing { logger.notice("the outbox can be read again") }
                isFailing = false
                // What was sent and could not be noted would be sent again at once.
                if takeUnwritten() { rest = Self.restAfterFailure }
            } catch {
                if !isFailing { logger.error("the outbox cannot be read", metadata: ["reason": "\(error)"]) }
                isFailing = true
                rest = Self.restAfterFailure
            }
            await pause(rest)
        }
    }

    private func takeUnwritten() -> Bool {
        isUnwritten.withLock { isUnwritten in
            defer { isUnwritten = false }
            return isUnwritten
        }
    }

    private func pause(_ seconds: TimeInterval) async {
        await withTaskGroup(of: Void.self) { [wakes] group in
            group.addTask { try? await Task.sleep(for: .seconds(seconds)) }
            group.addTask { for await _ in wakes { return } }
            await group.next()
            group.cancelAll()
        }
    }

    /// Sends what is due now.
    ///
    /// - Returns: How many messages were tried.
    @discardableResult
    func sendDue() async throws(StoreError) -> Int {
        let messages = try await records.dueMessages(at: clock(), limit: Self.batchLimit)
        await withDiscardingTaskGroup { group in
            var slots = Slots(count: Self.maximumRequests)
            for message in messages {
                await slots.take()
                group.addTask { [self, slots] in
                    await send(message)
                    slots.give()
                }
            }
        }
        return messages.count
    }

    /// Places for requests, taken by one task and given back by many.
    private struct Slots: Sendable {
        private var free: Int
        private let returns: AsyncStream<Void>
        private let back: AsyncStream<Void>.Continuation

        init(count: Int) {
            free = count
            (returns, back) = AsyncStream<Void>.makeStream()
        }

        mutating func take() async {
            if free > 0 {
                free -= 1
                return
            }
            for await _ in returns { return }
        }

        func give() { back.yield() }
    }

    private func send(_ message: OutboxMessage) async {
        let outcome: Outcome
        if let endpoint = endpoints[message.endpoint] {
            outcome = await post(message, endpoint, clock())
        } else {
            outcome = .gone
        }
        do {
            switch outcome {
            case .taken:
                count(message, "sent")
                try await records.delivered(message: message.id)
            case .gone:
                let reason =
                    endpoints[message.endpoint] == nil
                    ? "server.json has no webhook \"\(message.endpoint)\" any more" : "the receiver answered 410 Gone"
                try await bury(message, reason)
            case .failed(let reason, let asked):
                guard
                    let pause = WebhookSchedule.pause(after: message.attempts + 1, asked: asked, random: random())
                else { return try await bury(message, reason) }
                count(message, "failed")
                logger.info(
                    "webhook not taken; it is tried again",
                    metadata: [
                        "endpoint": "\(message.endpoint)", "id": "\(message.id)", "reason": "\(reason)",
                        "attempt": "\(message.attempts + 1)", "seconds": "\(Int(pause))",
                    ])
                try await records.failed(
                    message: message.id, error: reason, next: clock().addingTimeInterval(pause))
            }
        } catch {
            // It is still due, so it is sent once more, after a rest; receivers know it by its Idempotency-Key.
            isUnwritten.withLock { $0 = true }
            logger.error("the outbox cannot be written", metadata: ["reason": "\(error)"])
        }
    }

    private func bury(_ message: OutboxMessage, _ reason: String) async throws(StoreError) {
        count(message, "dead")
        logger.error(
            "webhook given up",
            metadata: ["endpoint": "\(message.endpoint)", "id": "\(message.id)", "reason": "\(reason)"])
        try await records.failed(message: message.id, error: reason, next: nil)
    }

    private func count(_ message: OutboxMessage, _ outcome: String) {
        // An endpoint that is no more has no label of its own.
        let name = endpoints[message.endpoint] == nil ? "unknown" : message.endpoint
        Counter(label: Self.sent, dimensions: [("endpoint", name), ("outcome", outcome)]).increment()
    }

    /// One request. No redirect is followed: what is said in calls goes to the address that was checked.
    static func post(_ message: OutboxMessage, _ endpoint: WebhookEndpoint, _ date: Date) async -> Outcome {
        var request = HTTPClientRequest(url: endpoint.url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "patchbay")
        request.headers.add(name: "Idempotency-Key", value: message.id)
        request.headers.add(
            name: "Patchbay-Signature", value: WebhookMessage.signature(of: message.body, at: date, endpoint.secret))
        request.body = .bytes(ByteBuffer(string: message.body))
        do {
            let response = try await HTTPClient.tools.execute(request, timeout: patience)
            let status = response.status.code
            if (200..<300).contains(status) { return .taken }
            if status == 410 { return .gone }
            let asked = response.headers.first(name: "Retry-After").flatMap(TimeInterval.init)
            return .failed("the receiver answered \(status)", retryAfter: asked.map { max(0, $0) })
        } catch let error as HTTPClientError {
            return .failed(error.shortDescription, retryAfter: nil)
        } catch {
            return .failed("the receiver cannot be reached: \(type(of: error))", retryAfter: nil)
        }
    }
}
