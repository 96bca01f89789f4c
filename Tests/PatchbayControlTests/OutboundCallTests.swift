import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import Patchbay
import PatchbaySimulators
import PatchbayStore
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayControl

/// Orders against a simulated carrier: what is dialled, and what never twice.
@Suite struct OutboundCallTests {
    private static let account = "AC" + String(repeating: "7", count: 32)
    private static let to = "+15550200001"
    /// Takes a refused connection for an answer, so that reports which find nobody cost no time.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    private final class Times: Sendable {
        let now = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
        let pauses = Mutex<[Duration]>([])
    }

    /// Runs `body` with outbound calls of a server that is not there: reports of the carrier find nobody.
    private func run(
        _ faults: TwilioSimulatorFaults = .init(), settings: String = "{}", times: Times = Times(),
        records: (any Store)? = nil, _ body: (OutboundCalls, TwilioSimulator, any Store) async throws -> Void
    ) async throws {
        var options = TwilioSimulatorOptions(accountSid: Self.account, authToken: TestServer.secret)
        (options.port, options.answerAfter, options.faults) = (0, 60_000, faults)
        let simulator = try TwilioSimulator(options, httpClient: Self.client)
        let address = try await simulator.start()
        let (set, _) = PipelineSet.load(
            sources: [SourceText(file: "echo.json", echoDocument)], registry: try .standard(), environment: [:])
        var rest = TwilioREST(
            client: Self.client, baseURL: "http://127.0.0.1:\(try #require(address.port))/", accountSid: Self.account,
            authToken: Secret(TestServer.secret))
        rest.createTimeout = .milliseconds(300)
        rest.pause = { duration in times.pauses.withLock { $0.append(duration) } }
        var server = ServerOptions()
        server.twilioPhoneNumber = "+15550100001"
        let store = try records ?? SQLiteStore()
        let calls = OutboundCalls(
            settings: ServerSettings.load(SourceText(file: "server.json", settings)).settings, options: server,
            pipelines: PipelineStore(try #require(set), source: nil, clock: { Date() }),
            tenants: TenantDirectory(store, logger: Self.quiet, clock: { Date() }), records: store, rest: rest,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, clock: { times.now.withLock { $0 } })
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(calls, simulator, store))
        } catch {
            outcome = .failure(error)
        }
        await simulator.stop()
        try outcome.get()
    }

    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// What a token of one tenant reaches for, and what nobody may set.
    @Test(arguments: [
        ("one", #""variables": {"tenantId": "two"}"#, 422), (nil, #""variables": {"tenantName": "Two"}"#, 422),
        ("one", #""variables": {"agentId": "agent_two"}"#, 422), ("one", #""from": "+15550100002""#, 403),
        ("one", #""pipeline": "echo""#, 403), ("one", #""agentType": "echo""#, 403),
    ])
    func anOrderStaysWithItsTenant(_ tenant: String?, _ member: String, _ status: Int) async throws {
        try await run { calls, _, _ in
            let order = try DialOrder(json: Array(#"{"to": "+15550200001", \#(member)}"#.utf8))
            let refusal = await #expect(throws: DialRefusal.self) {
                try await calls.place(order, by: Principal(name: "test", tenant: tenant)) { "http://127.0.0.1:1\($0)" }
            }
            #expect(refusal.map { Int($0.status.code) } == status)
        }
    }

    private func order(_ key: String?) -> DialOrder {
        var order = DialOrder(to: Self.to)
        order.idempotencyKey = key
        return order
    }

    private func place(_ calls: OutboundCalls, key: String? = nil, tenant: String? = nil) async throws(DialRefusal)
        -> OutboundCalls.Outcome
    {
        let order = order(key)
        // Nobody listens there: what the carrier tells is lost.
        return try await calls.place(order, by: Principal(name: "test", tenant: tenant)) { "http://127.0.0.1:1\($0)" }
    }

    @Test func anOrderIsDialledOnce() async throws {
        try await run { calls, simulator, store in
            let first = try await place(calls, key: "k")
            #expect(first.session.status == "dialing" && first.session.callSid?.hasPrefix("CA") == true)
            let again = try await place(calls, key: "k")
            #expect(again.isRepeated && again.session.id == first.session.id)
            #expect(await simulator.dialled == 1)
            #expect(try await store.session(first.session.id)?.callSid == first.session.callSid)
        }
    }

    @Test func keysOfTenantsAreTheirOwn() async throws {
        try await run(settings: #"{"outbound": {"maximumPerSecond": 9}}"#) { calls, simulator, _ in
            let one = try await place(calls, key: "k", tenant: "one")
            let two = try await place(calls, key: "k", tenant: "two")
            #expect(one.session.id != two.session.id)
            #expect(await simulator.dialled == 2)
        }
    }

    @Test func tooManyRequestsAreAskedAgainAndThenTold() async throws {
        var faults = TwilioSimulatorFaults()
        (faults.code, faults.count) = (20429, 2)
        let times = Times()
        try await run(faults, times: times) { calls, simulator, _ in
            let outcome = try await place(calls)
            #expect(outcome.session.callSid != nil)
            #expect(await simulator.dialled == 1)
            let pauses = times.pauses.withLock { $0 }
            #expect(pauses.count == 2 && pauses[0] >= .milliseconds(250) && pauses[1] >= .milliseconds(500))
        }
        faults.count = 0
        try await run(faults) { calls, simulator, store in
            let error = await #expect(throws: DialRefusal.self) { try await place(calls) }
            #expect(error?.status.code == 429 && error?.retryAfter != nil)
            #expect(await simulator.dialled == 0)
            let session = try #require(try await store.sessions(tenant: nil, limit: 1, offset: 0).first)
            #expect(session.status == "failed" && session.failure?.contains("20429") == true)
        }
    }

    @Test func anAnswerThatIsLostOrLateDialsOnce() async throws {
        var lost = TwilioSimulatorFaults()
        lost.dropsAnswer = true
        var late = TwilioSimulatorFaults()
        late.slow = 5
        for faults in [lost, late] {
            let times = Times()
            times.now.withLock { $0 = Date() }
            try await run(faults, times: times) { calls, simulator, _ in
                let outcome = try await place(calls)
                #expect(outcome.session.callSid != nil, "found by asking the carrier")
                #expect(await simulator.dialled == 1)
            }
        }
    }

    @Test func anotherCallToTheNumberIsNotTakenForALostOne() async throws {
        var faults = TwilioSimulatorFaults()
        faults.losesOrder = true
        let times = Times()
        // The carrier's calls are all older than the order.
        times.now.withLock { $0 = Date().addingTimeInterval(3600) }
        try await run(faults, times: times) { calls, simulator, store in
            let outcome = try await place(calls)
            #expect(outcome.session.status == "unknown" && outcome.session.callSid == nil)
            #expect(outcome.message.contains("not dialled again"))
            #expect(times.pauses.withLock { $0 } == OutboundCalls.searches, "no order was sent again")
            #expect(await simulator.dialled == 0)
            // It rings after all.
            let report = OutboundCalls.Report(callSid: "CA1", status: .ringing)
            let kept = try #require(try await calls.enter(report, of: outcome.session.id))
            #expect(kept.status == "ringing" && kept.callSid == "CA1" && kept.failure == nil)
            let stranger = OutboundCalls.Report(callSid: "CA2", status: .completed)
            #expect(try await calls.enter(stranger, of: outcome.session.id) == nil)
            #expect(try await store.session(outcome.session.id)?.status == "ringing")
        }
    }

    @Test func theHoursAreThoseOfTheirPlace() async throws {
        let times = Times()
        let settings =
            #"{"outbound": {"hours": {"timeZone": "Europe/Berlin", "friday": ["09:00-17:00"]}, "maximumPerSecond": 9}}"#
        try await run(settings: settings, times: times) { calls, _, _ in
            // Friday 2027-01-15, 08:00 and 16:00 UTC, 09:00 and 17:00 in Berlin.
            for (hour, isOpen) in [(7.99, false), (8.0, true), (15.99, true), (16.0, false)] {
                times.now.withLock { $0 = Date(timeIntervalSince1970: 1_799_971_200 + hour * 3600) }
                do throws(DialRefusal) {
                    _ = try await place(calls)
                    #expect(isOpen, "\(hour)")
                } catch {
                    #expect(!isOpen && error.status.code == 403 && error.words.contains("Europe/Berlin"), "\(hour)")
                }
            }
        }
    }

    @Test func aDayBeginsAtMidnightOfThePlace() async throws {
        let times = Times()
        let settings = #"{"outbound": {"maximumPerDay": 1}}"#
        try await run(settings: settings, times: times) { calls, _, _ in
            times.now.withLock { $0 = Date(timeIntervalSince1970: 1_799_971_200 + 86_340) }
            _ = try await place(calls)
            let error = await #expect(throws: DialRefusal.self) { try await place(calls) }
            #expect(error?.status.code == 429 && error?.retryAfter == 60)
            times.now.withLock { $0 += 60 }
            _ = try await place(calls)
        }
    }

    @Test func afterAStartTheCarrierIsAskedWhatBecameOfOpenCalls() async throws {
        try await run(settings: #"{"outbound": {"maximumInFlight": 1}}"#) { calls, simulator, store in
            let sid = try #require(try await place(calls).session.callSid)
            await simulator.hangUpAll()
            try await another(calls, store).resume(at: calls.clock())
            try await eventually { try await store.session(callSid: sid)?.status == "completed" }
        }
    }

    /// Those of another process, or of the next one.
    private func another(_ calls: OutboundCalls, _ store: any Store) -> OutboundCalls {
        OutboundCalls(
            settings: calls.settings, options: calls.options, pipelines: calls.pipelines, tenants: calls.tenants,
            records: store, rest: calls.rest, logger: calls.logger, clock: calls.clock)
    }

    private func eventually(_ condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while try await !condition(), ContinuousClock.now < deadline { await Task.yield() }
        #expect(try await condition())
    }

    @Test func twoProcessesOnOneStoreDialAnOrderOnce() async throws {
        let folder = NSTemporaryDirectory() + "outbound-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let gate = Gate(2)
        let store = Gated(base: try SQLiteStore(directory: folder), gate: gate)
        try await run(records: store) { calls, simulator, _ in
            let other = another(calls, Gated(base: try SQLiteStore(directory: folder), gate: gate))
            async let first = place(calls, key: "k")
            async let second = place(other, key: "k")
            let outcomes = try await [first, second]
            #expect(outcomes.count { $0.isRepeated } == 1)
            #expect(Set(outcomes.map(\.session.id)).count == 1)
            #expect(await simulator.dialled == 1)
            let inFlight = [calls, other].map { $0.state.withLock { $0.limits.inFlight } }
            #expect(inFlight.sorted() == [0, 1], "who does not dial has no call in flight")
        }
    }

    /// A session as a process leaves it that is killed between its order and the answer.
    private func cutOff(_ calls: OutboundCalls, _ store: any Store, key: String) async throws -> VoiceSession {
        var session = VoiceSession(
            id: try calls.plan(order(key), by: Principal(name: "test")).id, status: "dialing", customerPhone: Self.to,
            pipeline: "echo", createdAt: calls.clock(), idempotencyKey: key)
        session.callingNumber = "+15550100001"
        return try await store.insert(session).kept
    }

    @Test func anInterruptedOrderThatReachedTheCarrierIsTakenUp() async throws {
        let times = Times()
        times.now.withLock { $0 = Date() }
        try await run(times: times) { calls, simulator, store in
            let session = try await cutOff(calls, store, key: "k")
            let nowhere = "http://127.0.0.1:1/"
            let rest = try #require(calls.rest)
            let call = try await rest.create(
                TwilioCallOrder(
                    to: Self.to, from: "+15550100001", url: nowhere, fallbackURL: nowhere, statusCallback: nowhere))
            let later = another(calls, store)
            try await later.resume(at: calls.clock())
            try await eventually { try await store.session(session.id)?.callSid == call.sid }
            let again = try await place(later, key: "k")
            #expect(again.isRepeated && again.session.callSid == call.sid)
            try await later.hangUp(again.session)
            #expect(await simulator.dialled == 1)
        }
    }

    @Test func anInterruptedOrderThatNeverReachedTheCarrierIsToldAndBlocksNobody() async throws {
        let times = Times()
        try await run(settings: #"{"outbound": {"maximumInFlight": 1}}"#, times: times) { calls, simulator, store in
            let session = try await cutOff(calls, store, key: "k")
            let later = another(calls, store)
            try await later.resume(at: calls.clock())
            try await eventually { try await store.session(session.id)?.status == "failed" }
            #expect(times.pauses.withLock { $0.contains(.seconds(OutboundCalls.orderWindow)) }, "it may be on its way")
            let again = try await place(later, key: "k")
            #expect(again.isRepeated && again.message.contains("nothing was dialled"))
            let refusal = await #expect(throws: DialRefusal.self) { try await later.hangUp(again.session) }
            #expect(refusal?.status.code == 409 && refusal?.words.contains("nothing was dialled") == true)
            #expect(await simulator.dialled == 0)
            _ = try await place(later)
            #expect(await simulator.dialled == 1)
        }
    }

    @Test func anInterruptedOrderStaysUnknownWhileTheCarrierCannotBeAsked() async throws {
        try await run { calls, simulator, store in
            let session = try await cutOff(calls, store, key: "k")
            await simulator.stop()
            let later = another(calls, store)
            try await later.resume(at: calls.clock())
            try await eventually { try await store.session(session.id)?.status == "unknown" }
            let again = try await place(later, key: "k")
            #expect(again.isRepeated && again.message.contains("may have been dialled"))
            let refusal = await #expect(throws: DialRefusal.self) { try await later.hangUp(again.session) }
            #expect(refusal?.words.contains("may have been dialled") == true)
        }
    }

    @Test func whatIsSaidAfterAStreamBrokeStandsBehindWhatWasSaidBefore() async throws {
        let store = try SQLiteStore()
        func said() async throws -> [String] {
            let json = Data((try await store.session("s")?.transcript ?? "[]").utf8)
            let turns = try #require(try JSONSerialization.jsonObject(with: json) as? [[String: Any]])
            return turns.compactMap { ($0["text"] ?? $0["message"]) as? String }
        }
        func listen(_ words: String, _ end: EndReason) {
            let watch = SessionWatch("s", records: store, logger: Self.quiet, clock: { Date() })
            watch.observe(.text(TextFrame(words, speaker: .caller)), at: Joint(.toAgent, 0), time: .now())
            watch.observe(.ended(end), time: .now())
        }
        _ = try await store.insert(
            VoiceSession(id: "s", customerPhone: Self.to, pipeline: "echo", createdAt: Date()))
        listen("Hello?", EndReason(.streamLost))
        try await eventually { try await said() == ["Hello?"] }
        listen("I am back.", EndReason(.failure, "no agent"))
        try await eventually { try await said() == ["Hello?", "I am back."] }
        // The vendor's own stays as it is.
        _ = try await store.updateSession("s") {
            $0.transcript = #"[{"role": "user", "message": "Hello?", "atMs": 0}]"#
            $0.failure = nil
        }
        listen("Not this.", EndReason(.failure, "over"))
        try await eventually { try await store.session("s")?.failure == "failure: over" }
        #expect(try await said() == ["Hello?"])
    }

    @Test func aCallThatTheStoreDidNotTakeIsEnteredLater() async throws {
        let store = Forgetful(base: try SQLiteStore())
        try await run(records: store) { calls, _, _ in
            let outcome = try await place(calls)
            #expect(outcome.session.callSid != nil)
            try await eventually { try await store.session(outcome.session.id)?.callSid == outcome.session.callSid }
        }
    }
}

/// Lets nobody through before all are there.
private actor Gate {
    private var missing: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { missing = count }

    func pass() async {
        missing -= 1
        guard missing > 0 else {
            for continuation in waiting { continuation.resume() }
            waiting = []
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }
}

/// Orders have all been looked up when the first is entered.
private struct Gated: ForwardingStore {
    let base: any Store
    let gate: Gate

    func isBlocked(_ number: String) async throws(StoreError) -> Bool {
        await gate.pass()
        return try await base.isBlocked(number)
    }
}

/// Does not take the first two changes of a session.
private struct Forgetful: ForwardingStore {
    private final class Count: Sendable { let left = Mutex(2) }

    let base: any Store
    private let count = Count()

    init(base: any Store) { self.base = base }

    func updateSession(
        _ id: String, _ body: @escaping @Sendable (inout VoiceSession) -> Void
    ) async throws(StoreError) -> VoiceSession? {
        let fails = count.left.withLock { left in
            left -= 1
            return left >= 0
        }
        if fails { throw StoreError(.unavailable, "disk full") }
        return try await base.updateSession(id, body)
    }
}
