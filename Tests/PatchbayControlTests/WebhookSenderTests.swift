import Crypto
import Foundation
import Logging
import Patchbay
import PatchbayStore
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayControl

/// Webhooks on their way out, on a clock that does not run by itself.
@Suite struct WebhookSenderTests {
    private final class Desk: Sendable {
        let now = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
        let posts = Mutex<[String]>([])
        let outcomes: Mutex<[WebhookSender.Outcome]>
        init(_ outcomes: [WebhookSender.Outcome]) { self.outcomes = Mutex(outcomes) }

        func post(_ message: OutboxMessage) -> WebhookSender.Outcome {
            posts.withLock { $0.append(message.id) }
            return outcomes.withLock { $0.count > 1 ? $0.removeFirst() : $0.first ?? .taken }
        }
        func advance(_ seconds: TimeInterval) { now.withLock { $0 += seconds } }
        var date: Date { now.withLock { $0 } }
        var count: Int { posts.withLock { $0.count } }
    }

    private static let endpoint = endpoint("crm")

    private static func endpoint(_ name: String) -> WebhookEndpoint {
        WebhookEndpoint(name: name, url: "http://127.0.0.1:1/", events: [.callEnded], secret: Secret("s3"))
    }

    private func sender(_ desk: Desk, _ records: any Store) -> WebhookSender {
        WebhookSender(
            [Self.endpoint], records: records, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            clock: { desk.date }, random: { 0.5 }, post: { message, _, _ in desk.post(message) })
    }

    private func message(_ id: String, _ desk: Desk, endpoint: String = "crm") -> OutboxMessage {
        OutboxMessage(id: id, event: "call.ended", endpoint: endpoint, body: "{}", createdAt: desk.date)
    }

    @Test func whatIsTakenIsGone() async throws {
        let desk = Desk([.taken])
        let records = try SQLiteStore()
        try await records.enqueue((0..<20).map { message("m\($0)", desk) })
        #expect(try await sender(desk, records).sendDue() == 20)
        #expect(desk.count == 20)
        #expect(try await records.nextMessageDate() == nil)
        #expect(try await sender(desk, records).sendDue() == 0)
    }

    @Test func whatFailsIsTriedForADayAndThenDead() async throws {
        let desk = Desk([.failed("the receiver answered 500", retryAfter: nil)])
        let records = try SQLiteStore()
        let sender = sender(desk, records)
        try await records.enqueue([message("m", desk)])
        var pauses: [Double] = []
        while let next = try await records.nextMessageDate() {
            pauses.append(next.timeIntervalSince(desk.date).rounded())
            desk.advance(next.timeIntervalSince(desk.date))
            try await sender.sendDue()
        }
        #expect(pauses.prefix(9) == [0, 1, 4, 16, 64, 256, 1024, 3600, 3600])
        #expect(desk.count == WebhookSchedule.maximumAttempts)
        #expect((80_000...90_000).contains(pauses.reduce(0, +)), "about a day")
        let dead = try await records.deadLetters(tenant: nil, limit: 10)
        #expect(dead.map(\.id) == ["m"] && dead.first?.lastError == "the receiver answered 500")
        #expect(try await records.revive(message: "m", at: desk.date))
        desk.outcomes.withLock { $0 = [.taken] }
        #expect(try await sender.sendDue() == 1)
        #expect(try await records.deadLetters(tenant: nil, limit: 10).isEmpty)
    }

    @Test func goneIsGoneAndSoIsAnEndpointThatIsNoMore() async throws {
        let desk = Desk([.gone])
        let records = try SQLiteStore()
        try await records.enqueue([message("a", desk), message("b", desk, endpoint: "former")])
        try await sender(desk, records).sendDue()
        let dead = try await records.deadLetters(tenant: nil, limit: 10)
        #expect(Set(dead.map(\.id)) == ["a", "b"] && desk.posts.withLock { $0 } == ["a"])
        #expect(dead.first { $0.id == "b" }?.lastError?.contains("former") == true)
    }

    @Test func aReceiverMayAskForTime() {
        #expect(WebhookSchedule.pause(after: 1, asked: 120, random: 0.5) == 120)
        #expect(WebhookSchedule.pause(after: 1, asked: 1e9, random: 0.5) == 3600)
        #expect(WebhookSchedule.pause(after: 3, random: 0) == 12.8)
        #expect(WebhookSchedule.pause(after: 3, random: 1) == 19.2)
        #expect(WebhookSchedule.pause(after: 30, random: 0.5) == nil)
        #expect(WebhookSchedule.pause(after: 0, random: 0.5) == 1)
    }

    @Test func nobodyIsAskedMoreThanAFewTimesAtOnce() async throws {
        let records = try SQLiteStore()
        let desk = Desk([])
        let running = Mutex((now: 0, most: 0))
        let sender = WebhookSender(
            [Self.endpoint], records: records, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            clock: { desk.date },
            post: { _, _, _ in
                running.withLock {
                    $0.now += 1
                    $0.most = max($0.most, $0.now)
                }
                for _ in 0..<20 { await Task.yield() }
                running.withLock { $0.now -= 1 }
                return .taken
            })
        try await records.enqueue((0..<60).map { message("m\($0)", desk) })
        try await sender.sendDue()
        #expect(running.withLock { $0.most } <= WebhookLane.maximumRequests)
        #expect(try await records.nextMessageDate() == nil)
    }

    /// A receiver that says nothing until it is let.
    private final class Silence: Sendable {
        private let state = Mutex((isOver: false, now: 0, most: 0, waiting: [CheckedContinuation<Void, Never>]()))
        var most: Int { state.withLock { $0.most } }

        func wait() async {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    state.now += 1
                    state.most = max(state.most, state.now)
                    if !state.isOver { state.waiting.append(continuation) }
                    return state.isOver
                }
                if isOver { continuation.resume() }
            }
            state.withLock { $0.now -= 1 }
        }

        func end() {
            let waiting = state.withLock { state in
                defer { (state.isOver, state.waiting) = (true, []) }
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
    }

    @Test(.timeLimit(.minutes(1))) func oneDeadReceiverKeepsNobodyWaiting() async throws {
        let desk = Desk([.taken]), silence = Silence()
        let records = try SQLiteStore()
        let (good, goodSource) = AsyncStream<String>.makeStream()
        let sender = WebhookSender(
            [Self.endpoint("crm"), Self.endpoint("dead")], records: records,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, clock: { desk.date }, random: { 0.5 },
            post: { message, endpoint, _ in
                guard endpoint.name == "crm" else {
                    await silence.wait()
                    return .unanswered("no answer in time")
                }
                goodSource.yield(message.id)
                return .taken
            })
        // The dead one's are older.
        try await records.enqueue((0..<20).map { message("d\($0)", desk, endpoint: "dead") })
        desk.advance(1)
        try await records.enqueue((0..<20).map { message("g\($0)", desk) })
        let task = Task { await sender.run() }
        var taken: Set<String> = []
        for await id in good where taken.insert(id).inserted && taken.count == 20 { break }
        #expect(silence.most <= WebhookLane.maximumRequests)
        let waiting = try await records.dueMessages(for: "dead", at: desk.date, limit: 99)
        #expect(waiting.count == 20 && waiting.allSatisfy { $0.attempts == 0 }, "none has had an answer yet")
        task.cancel()
        silence.end()
        await task.value
    }

    @Test func aReceiverThatSaysNothingRestsAsAWhole() async throws {
        let desk = Desk([.unanswered("no answer in time")])
        let records = try SQLiteStore()
        let sender = sender(desk, records)
        try await records.enqueue((0..<20).map { message("m\($0)", desk) })
        #expect((1...WebhookLane.maximumRequests).contains(try await sender.sendDue()))
        let tried = desk.count
        #expect(try await sender.sendDue() == 0, "it rests")
        var rests: [Int] = []
        for _ in 0..<6 {
            var rest = 0
            while try await sender.sendDue() == 0 {
                desk.advance(1)
                rest += 1
            }
            rests.append(rest)
        }
        #expect(rests == [1, 4, 16, 64, 256, 300])
        #expect(desk.count == tried + 6, "after a rest one message goes ahead")
        desk.outcomes.withLock { $0 = [.taken] }
        desk.advance(300)
        #expect(try await sender.sendDue() == 1)
        #expect(try await sender.sendDue() > 1, "it is back, and all are sent")
        // An answer that is a refusal is the message's matter alone.
        desk.outcomes.withLock { $0 = [.failed("the receiver answered 500", retryAfter: nil), .taken] }
        try await records.enqueue((0..<3).map { message("n\($0)", desk) })
        desk.advance(7200)
        try await sender.sendDue()
        #expect(try await records.dueMessages(at: desk.date + 7200, limit: 99).count == 1)
    }

    @Test func theSignatureIsThatOfTimeAndBody() {
        let date = Date(timeIntervalSince1970: 1_739_537_300)
        let code = HMAC<SHA256>.authenticationCode(
            for: Data(#"1739537300.{"a":1}"#.utf8), using: SymmetricKey(data: Data("s3".utf8)))
        let hex = code.map { String(format: "%02x", $0) }.joined()
        #expect(WebhookMessage.signature(of: #"{"a":1}"#, at: date, Secret("s3")) == "t=1739537300,v1=\(hex)")
    }

    @Test func everybodyIsToldOfTheirOwn() async throws {
        let records = try SQLiteStore()
        var other = Self.endpoint
        (other.name, other.tenant) = ("other", "t2")
        var started = Self.endpoint
        (started.name, started.events) = ("started", [.callStarted])
        let set = PipelineSet.load(
            sources: [SourceText(file: "e.json", echoDocument)], registry: try .standard(), environment: [:]
        ).set
        let server = try Switchboard(
            try #require(set), records: records, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        var order = CallOrder(callSid: "CA1", from: "+15550100099", to: "+15550100001")
        order.tenant = "t1"
        let record = try await server.take(order)
        await record.call.cancel(EndReason(.operatorHungUp))
        await server.flushRecords()
        let row = try #require(try await records.call(record.info.id))
        let all = [Self.endpoint, other, started]
        let call = WebhookMessage.CallData(row)
        let ended = try WebhookMessage.messages(.callEnded, call, to: all, at: Date(timeIntervalSince1970: 0))
        #expect(ended.map(\.endpoint) == ["crm"] && ended.first?.tenant == "t1")
        let body = try #require(
            try JSONSerialization.jsonObject(with: Data((ended.first?.body ?? "").utf8)) as? [String: Any])
        #expect(body["type"] as? String == "call.ended" && body["id"] as? String == ended.first?.id)
        #expect(body["at"] as? String == "1970-01-01T00:00:00Z")
        let data = try #require((body["data"] as? [String: Any])?["call"] as? [String: Any])
        #expect(data["callSid"] as? String == "CA1" && data["state"] as? String == "ended")
        let again = try WebhookMessage.messages(.callEnded, call, to: all, at: Date(timeIntervalSince1970: 9))
        #expect(again.map(\.id) == ended.map(\.id), "the same event has the same id")
        let began = try WebhookMessage.messages(.callStarted, call, to: all, at: Date(timeIntervalSince1970: 0))
        #expect(began.map(\.endpoint) == ["started"] && began.first?.id != ended.first?.id)
    }

    private func makeOutbox(_ records: any Store) -> WebhookOutbox? {
        var endpoint = Self.endpoint
        endpoint.events = [.callStarted, .callEnded, .transcriptReady]
        return WebhookOutbox(
            [endpoint], records: records, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            clock: { Date(timeIntervalSince1970: 1_800_000_000) })
    }

    private func call(_ id: String) -> StoredCall {
        StoredCall(
            id: id, callSid: "CA\(id)", direction: "inbound", from: "+15550100001", to: "+15550100002",
            pipeline: "desk", version: "v1", createdAt: Date(timeIntervalSince1970: 1_800_000_000))
    }

    @Test func theNextProcessTellsOfCallsThatDiedWithTheirs() async throws {
        let records = try SQLiteStore()
        let turn = StoredTurn(
            call: "one", sequence: 0, atMs: 0, speaker: "caller", text: "hello", heard: "hello", isInterrupted: false)
        try await records.write([.call(call("one")), .turn(turn), .call(call("two"))])
        let outbox = try #require(makeOutbox(records))
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        for _ in 0..<2 {
            await RecordUpkeep(
                store: records, recordings: RecordingSweep(store: records, folders: { [] }, logger: logger),
                retentionDays: nil, startedAt: Date(timeIntervalSince1970: 1_800_000_060),
                clock: { Date() }, logger: logger, webhooks: outbox
            ).run { throw CancellationError() }
        }
        // Nobody listens, so they are there still, whether tried or not.
        let later = Date(timeIntervalSince1970: 1_800_100_000)
        let messages = try await records.dueMessages(at: later, limit: 99)
        #expect(
            messages.map { "\($0.call ?? "") \($0.event)" }.sorted() == [
                "one call.ended", "one transcript.ready", "two call.ended",
            ])
        let ended = JSONValue(parsing: messages.first { $0.event == "call.ended" }?.body ?? "")?["data"]?["call"]
        #expect(ended?["state"] == "failed" && ended?["endReason"] == "the server stopped in mid-call")
    }

    /// A store whose writes fail as long as it is told so.
    private struct Fickle: ForwardingStore {
        let base: any Store
        let isFailing: @Sendable () -> Bool
        func write(
            _ changes: [CallChange], telling messages: @escaping @Sendable (CallNews) -> [OutboxMessage]
        ) async throws(StoreError) -> Set<String> {
            if isFailing() { throw StoreError(.unavailable, "disk full") }
            return try await base.write(changes, telling: messages)
        }
    }

    private final class Switch: Sendable {
        let isOn = Mutex(false)
    }

    @Test func endsAreToldWhenTheStoreIsWellAgain() async throws {
        let records = try SQLiteStore(), failing = Switch()
        let store = Fickle(base: records) { failing.isOn.withLock { $0 } }
        let journal = CallJournal(
            store, feed: EventFeed(), webhooks: makeOutbox(records), retryInterval: .milliseconds(2),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        func recorder(_ index: Int) -> CallRecorder {
            CallRecorder(
                CallInfo(
                    id: "c\(index)", callSid: "CA\(index)", from: "+15550100001", to: "+15550100002", pipeline: "p",
                    version: "v"), startedAt: Date(timeIntervalSince1970: 1_800_000_000), journal: journal)
        }
        let first = recorder(0)
        first.begin()
        #expect(await journal.flush())
        failing.isOn.withLock { $0 = true }
        first.ended(EndReason(.callerHungUp), at: Date(), nil)
        // More than the registry remembers.
        for index in 1...1500 {
            let recorder = recorder(index)
            recorder.begin()
            recorder.ended(EndReason(.callerHungUp), at: Date(), nil)
        }
        #expect(await !journal.flush())
        failing.isOn.withLock { $0 = false }
        await journal.finish()
        let messages = try await records.dueMessages(at: Date(timeIntervalSince1970: 1_900_000_000), limit: 9999)
        #expect(messages.count { $0.event == "call.ended" } == 1501, "none is lost")
        #expect(
            messages.count { $0.event == "call.started" } == 1, "one that was over before it was on record only ends")
    }
}
