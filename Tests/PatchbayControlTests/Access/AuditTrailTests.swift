import Foundation
import Logging
import Patchbay
import Synchronization
import Testing

@testable import PatchbayControl

/// Keeps what is appended, or refuses to.
private final class Drawer: AuditRecords {
    private let state = Mutex((entries: [AuditEntry](), isStuck: false, tries: 0))

    var entries: [AuditEntry] { state.withLock { $0.entries } }
    var tries: Int { state.withLock { $0.tries } }
    func stick(_ isStuck: Bool) { state.withLock { $0.isStuck = isStuck } }

    func append(_ entries: [AuditEntry]) async throws(StoreError) {
        let isStuck = state.withLock { state in
            state.tries += 1
            if !state.isStuck { state.entries += entries }
            return state.isStuck
        }
        if isStuck { throw StoreError(.stuck, "the drawer is stuck") }
    }

    func auditTrail(tenant: String?, limit: Int) async throws(StoreError) -> [AuditEntry] { entries }
}

extension StoreError.Code {
    fileprivate static let stuck = StoreError.Code.unavailable
}

@Suite struct AuditTrailTests {
    private func trail(_ drawer: Drawer, retry: Duration = .milliseconds(1)) -> AuditTrail {
        AuditTrail(
            drawer, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            clock: { Date(timeIntervalSince1970: 0) }, retry: retry)
    }

    @Test func whatIsNotedIsWrittenInItsOrder() async {
        let drawer = Drawer(), trail = trail(drawer)
        for index in 0..<2000 { trail.note("a", "\(index)", by: .local, peer: "127.0.0.1") }
        await trail.flush()
        #expect(drawer.entries.map(\.subject) == (0..<2000).map { "\($0)" })
        #expect(drawer.entries.first?.actor == "local" && drawer.entries.first?.outcome == "ok")
    }

    @Test func textsAreOneLineOfBoundedLength() async throws {
        let drawer = Drawer(), trail = trail(drawer)
        trail.note(
            "a", "x\r\nSet-Cookie: y\u{0}\u{2028}z", by: Principal(name: String(repeating: "n", count: 500)),
            peer: "\u{1B}[2J", tenant: "t")
        await trail.flush()
        let entry = try #require(drawer.entries.first)
        #expect(entry.subject == "x??Set-Cookie: y??z" && entry.peer == "?[2J" && entry.tenant == "t")
        #expect(entry.actor.count == AuditTrail.textLimit)
    }

    @Test func aFloodOfRefusalsIsNotedAtABoundedRate() async {
        let drawer = Drawer(), trail = trail(drawer)
        for _ in 0..<5000 { trail.note("webhook.refused", "/", by: .stranger, peer: "a", outcome: "wrong") }
        trail.note("call.hangup", "1", by: .local, peer: "b")
        await trail.flush()
        #expect(drawer.entries.count == AuditTrail.refusalsPerMinute + 1)
        #expect(drawer.entries.last?.action == "call.hangup", "what was done is always noted")
    }

    @Test func refusedCallsAndOtherRefusalsTakeNoPlaceFromEachOther() async {
        let drawer = Drawer(), trail = trail(drawer)
        for _ in 0..<5000 {
            trail.note(AuditTrail.refusedCall, "CA1", by: .carrier, peer: "a", outcome: "busy")
            trail.note("webhook.refused", "/", by: .stranger, peer: "a", outcome: "wrong")
        }
        await trail.flush()
        let calls = drawer.entries.filter { $0.action == AuditTrail.refusedCall }
        #expect(calls.count == AuditTrail.refusedCallsPerMinute)
        #expect(drawer.entries.count - calls.count == AuditTrail.refusalsPerMinute)
    }

    @Test func aStoreThatFailsLosesNothingWhileTheQueueHolds() async {
        let drawer = Drawer(), trail = trail(drawer)
        drawer.stick(true)
        for index in 0..<100 { trail.note("a", "\(index)", by: .local, peer: "") }
        while drawer.tries < 2 { await Task.yield() }
        #expect(drawer.entries.isEmpty)
        drawer.stick(false)
        await trail.flush()
        #expect(drawer.entries.map(\.subject) == (0..<100).map { "\($0)" })
    }

    @Test func beyondTheQueueTheOldestGo() async {
        let drawer = Drawer(), trail = trail(drawer)
        drawer.stick(true)
        let count = AuditTrail.queueLimit + 700
        for index in 0..<count { trail.note("a", "\(index)", by: .local, peer: "") }
        drawer.stick(false)
        await trail.flush()
        #expect(drawer.entries.last?.subject == "\(count - 1)")
        #expect(drawer.entries.count <= AuditTrail.queueLimit + AuditTrail.batchLimit)
    }
}
