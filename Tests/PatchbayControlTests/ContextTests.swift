import Foundation
import GRDB
import Hummingbird
import Logging
import Patchbay
import PatchbayStore
import PatchbayWire
import Testing

@testable import PatchbayControl

/// What is found out about a caller before the agent is chosen.
@Suite struct ContextTests {
    private static let number = "+15550100001"

    private func document(_ context: String) -> String {
        """
        {"name": "debts", "numbers": ["\(Self.number)"], "transport": "twilio", \(context)
         "stages": [{"type": "switch", "on": "${context.kind}",
           "cases": {"debtor": ["echo"]}, "otherwise": ["echo"]}]}
        """
    }

    private func switchboard(
        _ context: String, environment: [String: String] = [:], records: (any Store)? = nil,
        provider: ContextProvider? = nil
    ) throws -> Switchboard {
        let text = document(context)
        let (set, findings) = PipelineSet.load(
            sources: [SourceText(file: "debts.json", text)], registry: try .standard(), environment: environment)
        return try Switchboard(
            try #require(set, "\(findings.rendered())"), records: records,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, context: provider)
    }

    /// What the call knows of its caller.
    private func context(
        of switchboard: Switchboard, from: String = "+491701", key: String? = nil
    ) async throws -> [String: VariableValue] {
        var order = CallOrder(callSid: "CA1", from: from, to: Self.number)
        order.contextKey = key
        let record = try await switchboard.take(order)
        await record.call.cancel(EndReason(.operatorHungUp))
        #expect(record.agentPlace?.call.context == record.context, "the plan has it too")
        return record.context
    }

    private func serve(_ body: (Int) async throws -> Void) async throws {
        let router = Router()
        router.get("customers") { request, _ -> Response in
            switch request.uri.queryParameters.get("phone") ?? "" {
            case "+491701":
                #expect(request.headers[.authorization] == "Bearer k-1")
                return try json(["name": "Ann", "kind": "debtor"])
            case "+491702": return Response(status: .internalServerError)
            case "+491703":
                await waitUntilCancelled()
                return Response(status: .ok)
            case "+491704": return Response(status: .ok, body: .init(byteBuffer: .init(string: "<html>")))
            case "+491705": return Response(status: .found, headers: [.location: "/customers?phone=+491701"])
            case "+491706":
                return Response(
                    status: .ok, body: .init(byteBuffer: .init(repeating: 0x20, count: ContextLookup.maximumAnswer + 1))
                )
            case "+491707": return Response(status: .ok, body: .init(byteBuffer: .init(string: "[]")))
            default: return Response(status: .notFound)
            }
        }
        let (ports, source) = AsyncStream<Int>.makeStream()
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { source.yield($0.localAddress?.port ?? 0) },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await application.run() }
        let port = try #require(await ports.first { _ in true })
        do { try await body(port) } catch {
            running.cancel()
            throw error
        }
        running.cancel()
        _ = await running.result
    }

    @Test func aServiceIsAskedAndMayFailInAnyWay() async throws {
        try await serve { port in
            let switchboard = try switchboard(
                #"""
                "context": {"url": "${env.CRM}/customers?phone=${call.from}", "timeoutMs": 400,
                  "headers": {"Authorization": {"env": "KEY"}}, "default": {"name": "Valued Customer", "open": false}},
                """#, environment: ["CRM": "http://127.0.0.1:\(port)", "KEY": "Bearer k-1"])
            #expect(
                try await context(of: switchboard) == ["name": "Ann", "kind": "debtor", "open": false],
                "what the answer leaves out is as by default")
            for number in ["+491702", "+491703", "+491704", "+491705", "+491706", "+491707", "+491799", "anonymous"] {
                #expect(
                    try await context(of: switchboard, from: number) == ["name": "Valued Customer", "open": false],
                    "\(number)")
            }
        }
    }

    @Test func nobodyThereIsNoReasonToTurnACallAway() async throws {
        let switchboard = try switchboard(
            #""context": {"url": "http://127.0.0.1:1/", "default": {"name": "Valued Customer"}},"#)
        #expect(try await context(of: switchboard) == ["name": "Valued Customer"])
    }

    @Test func aDatabaseIsAskedWithBoundValues() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-context-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("customers.db").path
        let database = try DatabaseQueue(path: file)
        try await database.write { database in
            try database.execute(
                sql: """
                    CREATE TABLE customers (phone TEXT, name TEXT, balance REAL, id INTEGER, photo BLOB, city TEXT);
                    INSERT INTO customers VALUES ('+491701', 'Ann', 12.5, 9007199254740993, x'00', NULL)
                    """)
        }
        let switchboard = try switchboard(
            #"""
            "context": {"sqlite": "\#(file)",
              "query": "SELECT name, balance, id, photo, city, :to AS number FROM customers WHERE phone = :from",
              "default": {"name": "Valued Customer", "city": "nowhere"}},
            """#)
        #expect(
            try await context(of: switchboard) == [
                "name": "Ann", "balance": 12.5, "id": "9007199254740993", "city": "nowhere", "number": "+15550100001",
            ])
        let unknown: [String: VariableValue] = ["name": "Valued Customer", "city": "nowhere"]
        #expect(try await context(of: switchboard, from: "' OR 1=1 --") == unknown)
        let endless = try self.switchboard(
            #"""
            "context": {"sqlite": "\#(file)", "timeoutMs": 100, "default": {"name": "Valued Customer"},
              "query": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS c FROM n"},
            """#)
        #expect(try await context(of: endless) == ["name": "Valued Customer"], "a query that never ends is given up")
        let wrong = try self.switchboard(
            #""context": {"sqlite": "\#(file)", "query": "SELECT x FROM y", "default": {"name": "V"}},"#)
        #expect(try await context(of: wrong) == ["name": "V"])
    }

    @Test func aHostMayFindOut() async throws {
        let provider: ContextProvider = { request in
            switch request.call.from {
            case "+491701": return ["kind": "debtor", "pipeline": .string(request.pipeline)]
            case "+491702": throw CancellationError()
            case "+491703":
                await waitUntilCancelled()
                return [:]
            default: return nil
            }
        }
        let switchboard = try switchboard("", provider: provider)
        #expect(try await context(of: switchboard) == ["kind": "debtor", "pipeline": "debts"])
        for number in ["+491702", "+491703", "+491704"] {
            #expect(try await context(of: switchboard, from: number).isEmpty)
        }
    }

    @Test func aWholeServerMayBeGivenItsOwnWayOfFindingOut() async throws {
        let provider: ContextProvider = { ["kind": "debtor", "caller": .string($0.call.from)] }
        try await TestServer.run(document(""), context: provider) { (server: TestServer) async throws in
            let form = FormFields(["CallSid": "CA1", "From": "+491701", "To": Self.number, "CallStatus": "ringing"])
            #expect(try await server.webhook("/twilio/voice", form).status == 200)
            #expect(
                server.switchboard.registry.running(callSid: "CA1")?.context == ["kind": "debtor", "caller": "+491701"])
        }
    }

    @Test func anotherProcessFindsWhatWasKept() async throws {
        let records = try SQLiteStore()
        let text = #""context": {"url": "http://127.0.0.1:1/", "default": {"name": "Valued Customer"}},"#
        let first = try switchboard(text, records: records, provider: { _ in ["name": "Ann", "visits": 3] })
        let record = try await first.take(CallOrder(callSid: "CA1", from: "+491701", to: Self.number))
        await first.keepContext(of: record, nonce: "n1")
        await record.call.cancel(EndReason(.operatorHungUp))
        let second = try switchboard(text, records: records)
        #expect(try await context(of: second, key: "n1") == ["name": "Ann", "visits": 3])
        #expect(try await context(of: second, key: "n2") == ["name": "Valued Customer"], "looked up again")
        #expect(try await records.context(key: "n1", at: Date().addingTimeInterval(3601)) == nil)
        #expect(try await records.erase(number: "+491701") >= 1)
        #expect(try await context(of: second, key: "n1") == ["name": "Valued Customer"])
    }

    @Test func whatIsKeptOfADialledPersonIsErasedWithThem() async throws {
        let records = try SQLiteStore()
        let text = #""context": {"url": "http://127.0.0.1:1/", "default": {"name": "Valued Customer"}},"#
        let switchboard = try switchboard(text, records: records, provider: { _ in ["name": "Ann"] })
        var order = CallOrder(callSid: "CA1", from: Self.number, to: "+491701")
        order.direction = .outbound
        order.pipeline = "debts"
        let record = try await switchboard.take(order)
        await switchboard.keepContext(of: record, nonce: "n1")
        await record.call.cancel(EndReason(.operatorHungUp))
        #expect(try await records.context(key: "n1", at: Date()) != nil)
        try await records.erase(number: "+491701")
        #expect(try await records.context(key: "n1", at: Date()) == nil)
    }
}
