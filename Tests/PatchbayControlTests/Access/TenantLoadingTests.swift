import Foundation
import Logging
import Patchbay
import PatchbayTesting
import PatchbayWire
import Synchronization
import Testing

@testable import PatchbayControl

/// What holds before the store has been read: nobody is routed by half of what is known.
@Suite struct TenantLoadingTests {
    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static func filled() async throws -> SQLiteStore {
        let store = try SQLiteStore()
        try await store.put(
            kind: "tenant", id: "a", body: #"{"name": "A", "pipeline": "echo", "numbers": ["+15550100001"]}"#,
            version: nil, by: "test", at: Date())
        return store
    }

    @Test func whoeverComesWhileTheStoreIsReadWaitsForIt() async throws {
        let (opened, open) = AsyncStream<Void>.makeStream()
        let (reached, reach) = AsyncStream<Void>.makeStream()
        let store = Slow(base: try await Self.filled(), opened: opened, reach: reach)
        let directory = TenantDirectory(store, logger: Self.quiet, clock: { Date() })
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await directory.loadOnce()
                return directory.snapshot.tenants["a"] != nil
            }
            for await _ in reached { break }
            group.addTask {
                try await directory.loadOnce()
                store.isPassed.withLock { $0 = true }
                return directory.snapshot.tenants["a"] != nil
            }
            // Who does not wait is back by now.
            for _ in 0..<1000 where !store.isPassed.withLock({ $0 }) { await Task.yield() }
            open.finish()
            for try await isLoaded in group { #expect(isLoaded) }
        }
        #expect(store.reads.withLock { $0 } == 2, "each kind of entry once")
    }

    @Test func aCallBeforeTheTenantsAreKnownIsTurnedAwayAndTheNextOneIsRight() async throws {
        let store = Failing(base: try await Self.filled())
        try await TestServer.run(echoDocument, records: store) { (server: TestServer) async throws in
            // The server's own first reading.
            try await server.wait("the first reading") { store.reads.withLock { $0 } > 0 }
            func call(_ sid: String) async throws -> String {
                let form = FormFields([
                    "CallSid": sid, "From": "+15550100099", "To": "+15550100001", "CallStatus": "ringing",
                ])
                return try await server.webhook("/twilio/voice", form).body
            }
            let refused = try await call("CA1")
            #expect(refused.contains("Please try again later.") && !refused.contains("<Stream"), "\(refused)")
            #expect(try await server.get("/tenants").status == 503)
            #expect(try await server.get("/numbers/+15550100001").status == 503)
            let order = try await server.post("/calls", headers: TestServer.admin, body: #"{"to": "+15550200001"}"#)
            #expect(order.status == 503 && order.body.contains("tenants"))
            store.fails.withLock { $0 = false }
            #expect(try await call("CA2").contains("<Stream"))
            #expect(server.switchboard.registry.find("CA2")?.info.tenant == "a")
            // What was read once is kept.
            store.fails.withLock { $0 = true }
            #expect(try await call("CA3").contains("<Stream"))
            #expect(try await server.get("/tenants").status == 200)
        }
    }
}

/// Answers when it is told to.
private final class Slow: ForwardingStore {
    let base: any Store
    let opened: AsyncStream<Void>
    let reach: AsyncStream<Void>.Continuation
    let reads = Mutex(0)
    /// Whether the second who asked went on.
    let isPassed = Mutex(false)

    init(base: any Store, opened: AsyncStream<Void>, reach: AsyncStream<Void>.Continuation) {
        (self.base, self.opened, self.reach) = (base, opened, reach)
    }

    func entries(kind: String) async throws(StoreError) -> [StoredTenant] {
        reads.withLock { $0 += 1 }
        reach.yield()
        for await _ in opened {}
        return try await base.entries(kind: kind)
    }
}

/// Cannot be read until it is mended.
private final class Failing: ForwardingStore {
    let base: any Store
    let fails = Mutex(true)
    let reads = Mutex(0)

    init(base: any Store) { self.base = base }

    func entries(kind: String) async throws(StoreError) -> [StoredTenant] {
        reads.withLock { $0 += 1 }
        if fails.withLock({ $0 }) { throw StoreError(.unavailable, "disk gone") }
        return try await base.entries(kind: kind)
    }
}
