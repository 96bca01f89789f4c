import Foundation
import Logging
import Metrics
import PatchbayConfig
import PatchbayStore
import Synchronization

/// Sends one endpoint its messages, so that what it does to them is its own matter.
///
/// Messages are tried in the order in which they are due, some at once; one that fails waits for its time while others go on. An
/// endpoint that does not answer at all rests as a whole: its messages wait without a try, and after the rest one of them finds out
/// whether it is back.
final class WebhookLane: Sendable {
    /// Requests to one endpoint at the same time.
    static let maximumRequests = 2
    /// Messages that are taken out of the store at once.
    static let batchLimit = 64
    /// Longest time without a look at the outbox: another process may have put something there.
    static let longestPause: TimeInterval = 30
    /// After the store has failed.
    static let pauseAfterFailure: TimeInterval = 5

    private struct State {
        /// Tries in a row that nobody answered.
        var unanswered = 0
        var restsUntil: Date?
        /// Whether something was sent that could not be noted as sent.
        var isUnwritten = false
    }

    private let endpoint: WebhookEndpoint
    private let records: any OutboxRecords
    private let logger: Logger
    private let clock: @Sendable () -> Date
    private let random: @Sendable () -> Double
    private let post: WebhookSender.Post
    private let state = Mutex(State())
    private let alarm = Alarm()

    init(
        _ endpoint: WebhookEndpoint, records: any OutboxRecords, logger: Logger,
        clock: @escaping @Sendable () -> Date, random: @escaping @Sendable () -> Double,
        post: @escaping WebhookSender.Post
    ) {
        self.endpoint = endpoint
        self.records = records
        self.logger = logger
        self.clock = clock
        self.random = random
        self.post = post
    }

    /// Says that there may be something to send. A rest goes on.
    func wakeUp() { alarm.ring() }

    /// Works until the task is cancelled.
    func run() async {
        var isFailing = false
        while !Task.isCancelled {
            var pause = Self.longestPause
            do {
                while try await sendDue() > 0, rest == nil, !state.withLock({ $0.isUnwritten }), !Task.isCancelled {}
                if rest != nil { try await giveUpOld() }
                if let next = try await records.nextMessageDate(for: endpoint.name) {
                    pause = min(pause, max(0.05, next.timeIntervalSince(clock())))
                }
                if isFailing { logger.notice("the outbox can be read again") }
                isFailing = false
            } catch {
                if !isFailing { logger.error("the outbox cannot be read", metadata: ["reason": "\(error)"]) }
                isFailing = true
                pause = Self.pauseAfterFailure
            }
            // What was sent and could not be noted would be sent again at once.
            if takeUnwritten() { pause = Self.pauseAfterFailure }
            if let rest {
                try? await Task.sleep(for: .seconds(rest))
            } else {
                await alarm.wait(atMost: pause)
            }
        }
    }

    /// Seconds that the endpoint is still left alone; `nil` when it may be asked.
    private var rest: TimeInterval? {
        guard let end = state.withLock({ $0.restsUntil }) else { return nil }
        let left = end.timeIntervalSince(clock())
        return left > 0 ? left : nil
    }

    private func takeUnwritten() -> Bool {
        state.withLock { state in
            defer { state.isUnwritten = false }
            return state.isUnwritten
        }
    }

    /// Sends what is due now, as long as the endpoint answers.
    ///
    /// - Returns: How many messages were tried.
    @discardableResult
    func sendDue() async throws(StoreError) -> Int {
        guard rest == nil else { return 0 }
        // After a rest one message goes ahead.
        let isProbe = state.withLock { $0.unanswered > 0 }
        let messages = try await records.dueMessages(
            for: endpoint.name, at: clock(), limit: isProbe ? 1 : Self.batchLimit)
        let line = Line(messages)
        await withDiscardingTaskGroup { group in
            for _ in 0..<min(Self.maximumRequests, messages.count) {
                group.addTask { [self] in
                    while rest == nil, let message = line.next() { await send(message) }
                }
            }
        }
        return messages.count - line.left
    }

    /// Messages that several tasks send.
    private final class Line: Sendable {
        private let messages: Mutex<ArraySlice<OutboxMessage>>

        init(_ messages: [OutboxMessage]) { self.messages = Mutex(messages[...]) }

        var left: Int { messages.withLock { $0.count } }
        func next() -> OutboxMessage? { messages.withLock { $0.popFirst() } }
    }

    private func send(_ message: OutboxMessage) async {
        let outcome = await post(message, endpoint, clock())
        do {
            switch outcome {
            case .taken:
                answered()
                count("sent")
                try await records.delivered(message: message.id)
            case .gone:
                answered()
                try await bury(message, "the receiver answered 410 Gone")
            case .failed(let reason, let asked):
                answered()
                try await failed(message, reason, asked)
            case .unanswered(let reason):
                // The end of this process is not the endpoint's fault.
                guard !Task.isCancelled else { return }
                unanswered(reason)
                try await failed(message, reason, nil)
            }
        } catch {
            // It is still due, so it is sent once more, after a pause; receivers know it by its Idempotency-Key.
            state.withLock { $0.isUnwritten = true }
            logger.error("the outbox cannot be written", metadata: ["reason": "\(error)"])
        }
    }

    private func answered() {
        let wasSilent = state.withLock { state in
            defer { (state.unanswered, state.restsUntil) = (0, nil) }
            return state.unanswered > 0
        }
        if wasSilent {
            logger.notice("a receiver of webhooks answers again", metadata: ["endpoint": "\(endpoint.name)"])
        }
    }

    private func unanswered(_ reason: String) {
        let now = clock()
        let begun: (rest: TimeInterval, isFirst: Bool)? = state.withLock { state in
            // Of several tries that end together, one begins the rest.
            if let end = state.restsUntil, end > now { return nil }
            state.unanswered += 1
            let rest = WebhookSchedule.rest(after: state.unanswered, random: random())
            state.restsUntil = now.addingTimeInterval(rest)
            return (rest, state.unanswered == 1)
        }
        guard let begun else { return }
        logger.log(
            level: begun.isFirst ? .warning : .info,
            "a receiver of webhooks does not answer; it is left alone for a while",
            metadata: ["endpoint": "\(endpoint.name)", "reason": "\(reason)", "seconds": "\(Int(begun.rest))"])
    }

    private func failed(_ message: OutboxMessage, _ reason: String, _ asked: TimeInterval?) async throws(StoreError) {
        guard let pause = WebhookSchedule.pause(after: message.attempts + 1, asked: asked, random: random()) else {
            return try await bury(message, reason)
        }
        count("failed")
        logger.info(
            "webhook not taken; it is tried again",
            metadata: [
                "endpoint": "\(endpoint.name)", "id": "\(message.id)", "reason": "\(reason)",
                "attempt": "\(message.attempts + 1)", "seconds": "\(Int(pause))",
            ])
        try await records.failed(message: message.id, error: reason, next: clock().addingTimeInterval(pause))
    }

    private func bury(_ message: OutboxMessage, _ reason: String) async throws(StoreError) {
        count("dead")
        logger.error(
            "webhook given up",
            metadata: ["endpoint": "\(endpoint.name)", "id": "\(message.id)", "reason": "\(reason)"])
        try await records.failed(message: message.id, error: reason, next: nil)
    }

    /// What waits for an endpoint that rests has few tries of its own, and would lie there for ever.
    private func giveUpOld() async throws(StoreError) {
        let count = try await records.giveUp(
            endpoint: endpoint.name, createdBefore: clock().addingTimeInterval(-WebhookSchedule.longestWait),
            error: "the receiver did not answer in time")
        guard count > 0 else { return }
        self.count("dead", by: count)
        logger.error("webhooks given up", metadata: ["endpoint": "\(endpoint.name)", "count": "\(count)"])
    }

    private func count(_ outcome: String, by number: Int = 1) {
        Counter(label: WebhookSender.sent, dimensions: [("endpoint", endpoint.name), ("outcome", outcome)])
            .increment(by: number)
    }
}

/// A pause that somebody else may cut short.
struct Alarm: Sendable {
    private let rings: AsyncStream<Void>
    private let source: AsyncStream<Void>.Continuation

    init() { (rings, source) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func ring() { source.yield() }

    /// Returns when it rings, has rung since the last wait, or the time is over.
    func wait(atMost seconds: TimeInterval) async {
        await withTaskGroup(of: Void.self) { [rings] group in
            group.addTask { try? await Task.sleep(for: .seconds(seconds)) }
            group.addTask { for await _ in rings { return } }
            await group.next()
            group.cancelAll()
        }
    }
}
