import Foundation
import Logging
import NIOCore
import NIOPosix
import Patchbay
import PatchbayStore
import PatchbayTesting
import PatchbayWire
import Synchronization
import Testing

@testable import PatchbayControl

/// Two servers behind one address: the webhook of a call meets one of them, its stream the other.
@Suite(.serialized) struct ReplicaTests {
    private static let number = "+15550100001"
    private static let caller = "+15550100099"

    private func form(_ status: String = "in-progress", dialled: String? = nil) -> FormFields {
        FormFields([
            "CallSid": "CA1", "From": Self.caller, "To": Self.number, "CallStatus": status,
            dialled == nil ? "Other" : "DialCallStatus": dialled ?? "",
        ])
    }

    /// What the webhook answers: the stream's token, and where the next step is asked for.
    private func answer(_ server: TestServer) async throws -> (token: String, next: String) {
        let body = try await server.webhook("/twilio/voice", form("ringing")).body
        return try read(body)
    }

    private func read(_ body: String) throws -> (token: String, next: String) {
        (
            String(try #require(body.firstMatch(of: /name="token" value="([^"]+)"/)).output.1),
            String(try #require(body.firstMatch(of: /action="[^"]*(\/twilio\/next\?ticket=[^"]+)"/)).output.1)
        )
    }

    private func openStream(_ server: TestServer, token: String) async throws -> WebSocketConnection {
        let connection = try await WebSocketClient.connect(
            to: WebSocketTarget("ws://127.0.0.1:\(server.port)/twilio/stream"),
            on: MultiThreadedEventLoopGroup.singleton.next(), delegate: Mute())
        let start = TwilioStart(
            streamSid: "MZ1", callSid: "CA1", accountSid: "AC1",
            customParameters: ["token": token, "from": Self.caller, "to": Self.number])
        try await connection.eventLoop.submit {
            var writer = TwilioPhoneWriter(start: start)
            var batch = MessageBatch()
            batch.text { writer.connected(into: &$0) }
            batch.text { writer.start(into: &$0) }
            connection.send(&batch)
        }.get()
        return connection
    }

    private func streaming(_ server: TestServer) async throws -> CallRecord {
        try await server.wait("the stream") {
            server.switchboard.registry.running(callSid: "CA1")?.hadStream == true
        }
        return try #require(server.switchboard.registry.running(callSid: "CA1"))
    }

    private func pair(
        _ document: String = echoDocument, records: (any Store, any Store), settings: String? = nil,
        clock: @escaping @Sendable () -> Date = { Date() },
        _ body: @Sendable (TestServer, TestServer) async throws -> Void
    ) async throws {
        let environment = ["HOOK_SECRET": "s"]
        try await TestServer.run(
            document, environment: environment, settings: settings, records: records.0, clock: clock
        ) { one in
            try await TestServer.run(
                document, environment: environment, settings: settings, records: records.1, clock: clock
            ) { two in
                try await body(one, two)
            }
        }
    }

    // MARK: The next step

    @Test func aCallWhoseStreamNeverCameHereIsConnectedAgain() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let (_, next) = try await answer(server)
            let record = try #require(server.switchboard.registry.running(callSid: "CA1"))
            await record.call.cancel(EndReason(.noStream))
            let body = try await server.webhook(next, form()).body
            #expect(body.contains("<Stream") && !body.contains("<Say>"), "its stream may have been elsewhere")
        }
    }

    @Test(
        arguments: [
            (EndReason(.agentHungUp), "<Hangup"), (EndReason(.operatorHungUp), "<Hangup"),
            (EndReason(.maximumDuration, "60 s"), "<Hangup"), (EndReason(.transferred, "+4930123456"), "<Dial"),
            (EndReason(.failure, "broken: in two"), "<Say>Sorry.</Say>"), (EndReason(.shutdown), "<Stream"),
            (EndReason(.streamLost), "<Stream"), (EndReason(.noStream), "<Stream"),
        ]) func theStoreTellsHowACallEndedElsewhere(reason: EndReason, answered: String) async throws
    {
        let document = """
            {"name": "echo", "numbers": ["\(Self.number)"], "transport": "twilio", "stages": ["echo"],
             "messages": {"failure": "Sorry."}}
            """
        let store = try SQLiteStore()
        try await pair(document, records: (store, store)) { one, two in
            let (token, next) = try await answer(one)
            let stream = try await openStream(two, token: token)
            let record = try await streaming(two)
            await record.call.cancel(reason)
            _ = try await stream.closeFuture.get()
            if !reason.isConclusive { #expect(await two.switchboard.journal.flush()) }
            let body = try await one.webhook(next, form()).body
            #expect(body.contains(answered), "\(reason): \(body)")
            #expect(body.contains("<Stream") == (answered == "<Stream"), "\(body)")
            let first = try #require(one.switchboard.registry.all().past.last)
            #expect(first.end == EndReason(.moved, record.info.id), "the half of the call that rang here is given up")
            guard reason.kind == .transferred else { return }
            #expect(body.contains(">+4930123456</Dial>"))
            for server in [one, two] {
                let again = try await server.webhook(next, form()).body
                #expect(again.contains("<Hangup") && !again.contains("<Dial"), "once, whoever is asked")
            }
        }
    }

    @Test func aTransferIsGivenOutOnceAlsoWhereItEnded() async throws {
        let store = try SQLiteStore()
        try await pair(records: (store, store)) { one, two in
            let (token, next) = try await answer(one)
            let stream = try await openStream(two, token: token)
            await (try await streaming(two)).call.cancel(EndReason(.transferred, "+4930123456"))
            _ = try await stream.closeFuture.get()
            #expect(try await two.webhook(next, form()).body.contains("<Dial"))
            let again = try await one.webhook(next, form()).body
            #expect(again.contains("<Hangup") && !again.contains("<Dial"))
            let unreached = try await one.webhook(next, form(dialled: "busy")).body
            #expect(unreached.contains("<Say>We encountered an error."))
        }
    }

    @Test func aStoreThatFailsLeavesEverythingAsWithoutOne() async throws {
        let store = BrokenStore(base: try SQLiteStore())
        try await pair(records: (store, store)) { one, two in
            let (token, next) = try await answer(one)
            let stream = try await openStream(two, token: token)
            await (try await streaming(two)).call.cancel(EndReason(.agentHungUp))
            _ = try await stream.closeFuture.get()
            #expect(try await one.webhook(next, form()).body.contains("<Stream"))
        }
    }

    // MARK: The half that rings

    @Test(arguments: ["watch", "status"])
    func aCallThatMovedIsNoFailureAndCountsOnce(way: String) async throws {
        let store = try SQLiteStore()
        let settings = """
            {"webhooks": [{"name": "crm", "url": "http://127.0.0.1:9/", "secret": {"env": "HOOK_SECRET"},
              "events": ["call.started", "call.ended"]}]}
            """
        try await pair(records: (store, store), settings: settings) { one, two in
            let (token, _) = try await answer(one)
            let half = try #require(one.switchboard.registry.running(callSid: "CA1"))
            await one.switchboard.releaseMovedCalls()
            #expect(one.switchboard.registry.activeCount == 1, "nobody else has it yet")
            let stream = try await openStream(two, token: token)
            let record = try await streaming(two)
            #expect(await two.switchboard.journal.flush())
            if way == "watch" {
                await one.switchboard.releaseMovedCalls()
                await two.switchboard.releaseMovedCalls()
                #expect(two.switchboard.registry.activeCount == 1, "the one with the stream goes on")
            } else {
                _ = try await one.webhook("/twilio/status", form("completed"))
            }
            #expect(one.switchboard.registry.find(half.info.id)?.end == EndReason(.moved, record.info.id))
            await record.call.cancel(EndReason(.agentHungUp))
            _ = try await stream.closeFuture.get()
            #expect(await one.switchboard.journal.flush())
            #expect(try await store.call(half.info.id)?.status == "moved")
            #expect(try await one.get("/calls/\(half.info.id)").json["state"] as? String == "moved")
            #expect(try await store.usage(tenant: nil, days: 2).map(\.calls) == [1])
            let messages = try await store.dueMessages(at: Date() + 3600, limit: 10)
            #expect(messages.filter { $0.event == "call.ended" }.map(\.call) == [record.info.id])
        }
    }

    // MARK: Tokens

    @Test(arguments: [true, false]) func aTokenWorksOnceInAllProcessesOfAStore(here: Bool) async throws {
        let store = NotingStore(base: try SQLiteStore())
        try await pair(records: (store, store)) { one, two in
            let (token, _) = try await answer(one)
            // Where the call rings, or where it has to be made.
            let (first, second) = here ? (one, two) : (two, one)
            let stream = try await openStream(first, token: token)
            _ = try await streaming(first)
            try await first.wait("the note of it") { store.sources.withLock { $0 } == ["stream"] }
            let close = try await openStream(second, token: token).closeFuture.get()
            #expect(close.code == 1008 && close.reason == "the stream token was used before", "\(close)")
            #expect(first.switchboard.registry.running(callSid: "CA1") != nil, "the first goes on")
            stream.close()
        }
    }

    @Test func withoutAWordFromTheStoreATokenIsGood() async throws {
        let store = BrokenStore(base: try SQLiteStore())
        try await pair(records: (store, store)) { one, two in
            let (token, _) = try await answer(one)
            let stream = try await openStream(two, token: token)
            _ = try await streaming(two)
            stream.close()
        }
    }

    @Test func aFullTableOfTokensSaysSo() throws {
        let registry = CallRegistry()
        for index in 0..<CallRegistry.nonceLimit { try registry.use(nonce: "\(index)", expires: 100, now: 50) }
        #expect(throws: CallRegistry.NonceFault.used) { try registry.use(nonce: "7", expires: 100, now: 50) }
        #expect(throws: CallRegistry.NonceFault.full) { try registry.use(nonce: "x", expires: 100, now: 50) }
        #expect(CallRegistry.NonceFault.full.description.contains("100000 are remembered"))
        try registry.use(nonce: "x", expires: 200, now: 101)
    }

    // MARK: Calls that go on

    private static let shop = """
        {"name": "shop", "numbers": ["\(number)"], "transport": "twilio", "stages": ["echo"],
         "when": [{"outside": {"timeZone": "UTC", "wednesday": ["09:00-17:00"]}, "say": "Closed."}]}
        """

    /// - Parameter isShared: Whether both servers have one store.
    @Test(arguments: [true, false]) func rulesAreAskedOncePerCall(isShared: Bool) async throws {
        let opening = try Date("2026-12-23T16:59:00Z", strategy: .iso8601)
        let closing = try Date("2026-12-23T17:00:00Z", strategy: .iso8601)
        let now = Mutex(opening)
        let store = try SQLiteStore()
        let other = isShared ? store : try SQLiteStore()
        try await pair(Self.shop, records: (store, other), clock: { now.withLock { $0 } }) { one, two in
            let (token, next) = try await answer(one)
            now.withLock { $0 = closing }
            let stream = try await openStream(two, token: token)
            if isShared {
                #expect(try await streaming(two).info.pipeline == "shop", "the other server had decided")
                stream.close()
            } else {
                #expect(try await stream.closeFuture.get().code == 1000)
                let body = try await two.webhook(next, form()).body
                #expect(body.contains("<Say>Closed.</Say><Hangup"), "a rule's words are heard: \(body)")
            }
        }
    }

    @Test func aStreamThatIsTakenUpAgainAsksNoRules() async throws {
        let opening = try Date("2026-12-23T16:59:00Z", strategy: .iso8601)
        let closing = try Date("2026-12-23T17:00:00Z", strategy: .iso8601)
        let now = Mutex(opening)
        try await TestServer.run(Self.shop, clock: { now.withLock { $0 } }) { (server: TestServer) async throws in
            let (_, next) = try await answer(server)
            let (token, _) = try read(try await server.webhook(next, form()).body)
            now.withLock { $0 = closing }
            // As if the server had lost it meanwhile.
            await server.switchboard.registry.running(callSid: "CA1")?.call.cancel(EndReason(.noStream))
            let stream = try await openStream(server, token: token)
            #expect(try await streaming(server).info.pipeline == "shop")
            stream.close()
        }
    }

    @Test func aServerThatDrainsTakesUpItsOwnCalls() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let (token, next) = try await answer(server)
            let stream = try await openStream(server, token: token)
            _ = try await streaming(server)
            async let drained: Void = server.switchboard.drain(timeout: .seconds(20))
            try await server.wait("the drain") { server.switchboard.registry.isDraining }
            stream.close()
            try await server.wait("the loss") { server.switchboard.registry.activeCount == 0 }
            let (again, _) = try read(try await server.webhook(next, form()).body)
            let resumed = try await openStream(server, token: again)
            await (try await streaming(server)).call.cancel(EndReason(.agentHungUp))
            _ = try await resumed.closeFuture.get()
            let turnedAway = FormFields([
                "CallSid": "CA2", "From": Self.caller, "To": Self.number, "CallStatus": "ringing",
            ])
            #expect(try await server.webhook("/twilio/voice", turnedAway).body.contains("<Say>We cannot take"))
            await drained
            #expect(try await server.webhook(next, form()).body.contains("<Hangup"))
        }
    }

    @Test func aDialledCallStaysOneWhileTheStoreFails() async throws {
        let set = PipelineSet.load(
            sources: [SourceText(file: "e.json", echoDocument)], registry: try .standard(), environment: [:]
        ).set
        let server = try Switchboard(
            try #require(set), records: BrokenStore(base: try SQLiteStore()),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        var order = CallOrder(callSid: "CA1", from: Self.number, to: Self.caller)
        (order.direction, order.pipeline, order.tenant, order.session) = (.outbound, "echo", "t1", "s1")
        order.variables = ["name": .string("Ann")]
        let record = try await server.take(order)
        await record.call.streamLost()
        var again = CallOrder(callSid: "CA1", from: Self.number, to: Self.caller)
        again.isResumed = true
        again = await server.completed(again, former: nil)
        #expect(again.direction == .outbound && again.pipeline == "echo" && again.tenant == "t1")
        #expect(again.session == "s1" && again.variables == ["name": .string("Ann")])
        let resumed = try await server.take(again)
        #expect(resumed.info.direction == .outbound && resumed.info.session == "s1")
        await resumed.call.cancel(EndReason(.agentHungUp))
    }

    // MARK: Ends as text

    @Test(
        arguments: [
            EndReason(.agentHungUp), EndReason(.transferred, "+4930123456"), EndReason(.failure, "a: b: c"),
            EndReason(.moved, "call-1"),
        ]) func anEndIsReadFromItsText(reason: EndReason)
    {
        #expect(EndReason(reason.description) == reason)
    }

    @Test(arguments: ["", "the server stopped in mid-call", "failure:x", "Failure", "unknown: x"])
    func anotherTextIsNoEnd(text: String) {
        #expect(EndReason(text) == nil)
    }
}

/// A store that can be written to by the journal alone.
private struct BrokenStore: ForwardingStore {
    let base: any Store
    private static let fault = StoreError(.unavailable, "out of order")

    func call(_ id: String) async throws(StoreError) -> StoredCall? { throw Self.fault }
    func session(callSid: String) async throws(StoreError) -> VoiceSession? { throw Self.fault }
    func deliver(
        source: String, key: String, at date: Date, _ effect: DeliveryEffect
    ) async throws(StoreError) -> Bool { throw Self.fault }
}

/// Tells what has been noted in it.
private final class NotingStore: ForwardingStore {
    let base: any Store
    let sources = Mutex<[String]>([])

    init(base: any Store) { self.base = base }

    func deliver(
        source: String, key: String, at date: Date, _ effect: DeliveryEffect
    ) async throws(StoreError) -> Bool {
        let isNew = try await base.deliver(source: source, key: key, at: date, effect)
        if isNew { sources.withLock { $0.append(source) } }
        return isNew
    }
}

private final class Mute: WebSocketDelegate {
    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {}
    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {}
}
