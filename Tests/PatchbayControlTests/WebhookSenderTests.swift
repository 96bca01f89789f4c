import Crypto
import Foundation
import Logging
import Patchbay
import PatchbayStore
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

    private static let endpoint = WebhookEndpoint(
        name: "crm", url: "http://127.0.0.1:1/", events: [.callEnded], secret: Secret("s3"))

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
        #expect(running.withLock { $0.most } <= WebhookSender.maximumRequests)
        #expect(try await records.nextMessageDate() == nil)
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
        let call = await WebhookMessage.CallData(server.registry.find(record.info.id) ?? record)
        let all = [Self.endpoint, other, started]
        let ended = try WebhookMessage.messages(.callEnded, call, to: all, at: Date(timeIntervalSince1970: 0))
        #expect(ended.map(\.endpoint) == ["crm"] && ended.first?.tenant == "t1")
        let body = try #require(
            try JSONSerialization.jsonObject(with: Data((ended.first?.body ?? "").utf8)) as? [String: Any])
        #expect(body["type"] as? String == "call.ended" && body["id"] as? String == ended.first?.id)
        #expect(body["at"] as? String == "1970-01-01T00:00:00Z")
        let data = try #require((body["data"] as? [String: Any])?["call"] as? [String: Any])
        #expect(data["callSid"] as? String == "CA1" && data["state"] as? String == "ended")
    }
}
