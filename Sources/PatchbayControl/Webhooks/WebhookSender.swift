import AsyncHTTPClient
import Foundation
import Logging
import Metrics
import NIOCore
import PatchbayConfig
import PatchbayStore
import PatchbayTransports

/// Sends what lies in the outbox, at least once: every endpoint has a ``WebhookLane``, so that none waits for another.
final class WebhookSender: Sendable {
    /// Longest wait for an answer.
    static let patience = TimeAmount.seconds(10)
    /// Time between two looks for messages to endpoints that are no more.
    static let sweepInterval: TimeInterval = 3600
    /// Messages by `endpoint` and `outcome`: `sent`, `failed` or `dead`.
    static let sent = "patchbay_webhooks_sent_total"

    /// What became of one try.
    enum Outcome: Sendable, Equatable {
        case taken
        /// The receiver does not want it, now or later.
        case gone
        case failed(String, retryAfter: TimeInterval?)
        /// Nobody is there, or nobody said anything in time.
        case unanswered(String)
    }

    /// Messages in the outbox.
    static let waiting = "patchbay_webhooks_waiting"

    typealias Post = @Sendable (OutboxMessage, WebhookEndpoint, Date) async -> Outcome

    private let lanes: [String: WebhookLane]
    private let records: any OutboxRecords
    private let logger: Logger
    private let alarm = Alarm()

    /// - Parameters:
    ///   - random: 0 to 1, for the spread of pauses.
    ///   - post: Makes one request.
    init(
        _ endpoints: [WebhookEndpoint], records: any OutboxRecords, logger: Logger,
        clock: @escaping @Sendable () -> Date, random: @escaping @Sendable () -> Double = { .random(in: 0...1) },
        post: @escaping Post = WebhookSender.post
    ) {
        lanes = Dictionary(
            endpoints.map { endpoint in
                (
                    endpoint.name,
                    WebhookLane(endpoint, records: records, logger: logger, clock: clock, random: random, post: post)
                )
            }, uniquingKeysWith: { first, _ in first })
        self.records = records
        self.logger = logger
    }

    /// Says that there may be something to send.
    ///
    /// - Parameter endpoints: To whom; `nil` when that is not known.
    func wakeUp(_ endpoints: Set<String>? = nil) {
        for (name, lane) in lanes where endpoints?.contains(name) != false { lane.wakeUp() }
        if endpoints == nil { alarm.ring() }
    }

    /// Works until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for lane in lanes.values { group.addTask { await lane.run() } }
            while !Task.isCancelled {
                do {
                    try await buryStrays()
                } catch {
                    logger.error("the outbox cannot be read", metadata: ["reason": "\(error)"])
                }
                await alarm.wait(atMost: Self.sweepInterval)
            }
        }
    }

    /// Sends what is due now.
    ///
    /// - Returns: How many messages were tried.
    @discardableResult
    func sendDue() async throws(StoreError) -> Int {
        try await buryStrays()
        var count = 0
        for lane in lanes.values { count += try await lane.sendDue() }
        return count
    }

    /// Gives up what waits for endpoints that are no more.
    private func buryStrays() async throws(StoreError) {
        for name in try await records.waitingEndpoints() where lanes[name] == nil {
            let count = try await records.giveUp(
                endpoint: name, createdBefore: nil, error: "server.json has no webhook \"\(name)\" any more")
            guard count > 0 else { continue }
            logger.error(
                "webhooks given up: server.json has no such endpoint any more",
                metadata: ["endpoint": "\(name)", "count": "\(count)"])
            // An endpoint that is no more has no label of its own.
            Counter(label: Self.sent, dimensions: [("endpoint", "unknown"), ("outcome", "dead")]).increment(by: count)
        }
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
            return .unanswered(error.shortDescription)
        } catch {
            return .unanswered("the receiver cannot be reached: \(type(of: error))")
        }
    }
}
