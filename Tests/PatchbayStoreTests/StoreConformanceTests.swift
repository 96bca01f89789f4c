import Foundation
import PatchbayStore
import PatchbayTesting
import Testing

/// Our own store keeps every promise, and the examination finds those that others break.
@Suite struct StoreConformanceTests {
    @Test func theStoreInMemoryConforms() async {
        let failures = await StoreConformance.check { try SQLiteStore() }
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    @Test func theStoreOnDiskConforms() async {
        let folder = Folder()
        let failures = await StoreConformance.check {
            try SQLiteStore(directory: "\(folder.path)/\(UUID().uuidString)")
        }
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    @Test(arguments: Self.faults) fileprivate func findsA(fault: Fault) async {
        let failures = await StoreConformance.check(only: [fault.rule]) { fault.plant(try SQLiteStore()) }
        #expect(failures.contains { $0.rule == fault.rule }, "\(fault.name) is not found")
        #expect(failures.allSatisfy { $0.rule == fault.rule })
    }

    @Test func aStoreThatCannotBeMadeFailsEveryRule() async {
        let failures = await StoreConformance.check { throw StoreError(.unavailable, "no disk") }
        #expect(Set(failures.map(\.rule)).isSuperset(of: [.storeCalls, .storeErase, .storeTenants]))
    }

    private static let faults = [
        Fault("forgets the carrier's name", .storeCalls) { ForgetsCarrierNames(base: $0) },
        Fault("turns events round", .storeParts) { TurnsRound(base: $0) },
        Fault("writes step by step", .storeAtomic) { StepByStep(base: $0) },
        Fault("shows the first page only", .storeQueries) { FirstPage(base: $0) },
        Fault("shows every tenant's calls", .storeTenantFilter) { EveryTenant(base: $0) },
        Fault("counts one too many", .storeUsage) { OneTooMany(base: $0) },
        Fault("leaves calls open", .storeAbandoned) { LeavesOpen(base: $0) },
        Fault("forgets a session's call", .storeSessions) { ForgetsCarrierNames(base: $0) },
        Fault("ignores keys", .storeIdempotency) { IgnoresKeys(base: $0) },
        Fault("takes every order for new", .storeIdempotency) { AlwaysNew(base: $0) },
        Fault("changes a copy", .storeSessionChanges) { ChangesCopies(base: $0) },
        Fault("counts from the beginning", .storeDialled) { FromTheBeginning(base: $0) },
        Fault("blocks by prefix", .storeBlocks) { BlocksByPrefix(base: $0) },
        Fault("takes every delivery for new", .storeDeliveries) { AlwaysNew(base: $0) },
        Fault("writes whole rows", .storeAdditions) { WholeRows(base: $0) },
        Fault("does everything again", .storeClaims) { ForgetsClaims(base: $0) },
        Fault("tells every end again", .storeNews) { TellsAlways(base: $0) },
        Fault("sends the newest first", .storeOutbox) { TurnsRound(base: $0) },
        Fault("mixes endpoints", .storeOutbox) { MixesEndpoints(base: $0) },
        Fault("revives anything", .storeDeadLetters) { RevivesAnything(base: $0) },
        Fault("never forgets a context", .storeContexts) { FromTheBeginning(base: $0) },
        Fault("ignores versions", .storeTenants) { IgnoresKeys(base: $0) },
        Fault("checks before it enters", .storeTenants) { ChecksBefore(base: $0) },
        Fault("turns the trail round", .storeAudit) { TurnsRound(base: $0) },
        Fault("prunes nothing", .storePrune) { LeavesOpen(base: $0) },
        Fault("erases calls alone", .storeErase) { LeavesOpen(base: $0) },
    ]
}

private struct Fault: Sendable, CustomTestStringConvertible {
    var name: String
    var rule: ConformanceFailure.Rule
    var plant: @Sendable (any Store) -> any Store
    var testDescription: String { name }

    init(
        _ name: String, _ rule: ConformanceFailure.Rule, _ plant: @escaping @Sendable (any Store) -> any Store
    ) {
        self.name = name
        self.rule = rule
        self.plant = plant
    }
}

private struct ForgetsCarrierNames: ForwardingStore {
    let base: any Store
    func call(_ id: String) async throws(StoreError) -> StoredCall? {
        id.hasPrefix("CA") ? nil : try await base.call(id)
    }
    func session(callSid: String) async throws(StoreError) -> VoiceSession? { nil }
}

private struct TurnsRound: ForwardingStore {
    let base: any Store
    func events(ofCall id: String) async throws(StoreError) -> [StoredEvent] {
        try await base.events(ofCall: id).reversed()
    }
    func dueMessages(
        for endpoint: String?, at date: Date, limit: Int
    ) async throws(StoreError) -> [OutboxMessage] {
        try await base.dueMessages(for: endpoint, at: date, limit: limit).reversed()
    }
    func auditTrail(tenant: String?, limit: Int) async throws(StoreError) -> [AuditEntry] {
        try await base.auditTrail(tenant: tenant, limit: limit).reversed()
    }
}

private struct StepByStep: ForwardingStore {
    let base: any Store
    func write(_ changes: [CallChange]) async throws(StoreError) {
        for change in changes { try await base.write([change]) }
    }
}

private struct FirstPage: ForwardingStore {
    let base: any Store
    func calls(_ query: CallQuery) async throws(StoreError) -> [StoredCall] {
        var query = query
        query.offset = 0
        return try await base.calls(query)
    }
}

private struct EveryTenant: ForwardingStore {
    let base: any Store
    func calls(_ query: CallQuery) async throws(StoreError) -> [StoredCall] {
        var query = query
        query.tenant = nil
        return try await base.calls(query)
    }
}

private struct OneTooMany: ForwardingStore {
    let base: any Store
    func usage(tenant: String?, days: Int) async throws(StoreError) -> [StoredUsage] {
        var usage = try await base.usage(tenant: tenant, days: days)
        for index in usage.indices { usage[index].calls += 1 }
        return usage
    }
}

private struct LeavesOpen: ForwardingStore {
    let base: any Store
    func closeAbandoned(
        before date: Date, telling messages: @escaping @Sendable (CallNews) -> [OutboxMessage]
    ) async throws(StoreError) -> Int { 0 }
    func prune(before date: Date) async throws(StoreError) -> Int { 9 }
    func erase(number: String) async throws(StoreError) -> Int { 9 }
}

private struct IgnoresKeys: ForwardingStore {
    let base: any Store
    func insert(_ session: VoiceSession) async throws(StoreError) -> (kept: VoiceSession, isNew: Bool) {
        var session = session
        session.idempotencyKey = nil
        return try await base.insert(session)
    }
    func put(
        kind: String, id: String, body: String, version: Int?, by: String, at date: Date,
        check: @escaping @Sendable ([String: [StoredTenant]]) throws(StoreError) -> Void
    ) async throws(StoreError) -> Int {
        try await base.put(kind: kind, id: id, body: body, version: nil, by: by, at: date, check: check)
    }
}

private struct ChecksBefore: ForwardingStore {
    let base: any Store
    func put(
        kind: String, id: String, body: String, version: Int?, by: String, at date: Date,
        check: @escaping @Sendable ([String: [StoredTenant]]) throws(StoreError) -> Void
    ) async throws(StoreError) -> Int {
        var entries: [String: [StoredTenant]] = [:]
        for kind in ["tenant", "number"] { entries[kind] = try await base.entries(kind: kind) }
        // All others look meanwhile.
        for _ in 0..<50 { _ = try await base.entries(kind: kind) }
        try check(entries)
        return try await base.put(kind: kind, id: id, body: body, version: version, by: by, at: date) { _ in }
    }
}

private struct ChangesCopies: ForwardingStore {
    let base: any Store
    func updateSession(
        _ id: String, _ body: @escaping @Sendable (inout VoiceSession) -> Void
    ) async throws(StoreError) -> VoiceSession? {
        guard var copy = try await base.session(id) else { return nil }
        body(&copy)
        // All others read meanwhile.
        for _ in 0..<50 { _ = try await base.session(id) }
        let changed = copy
        return try await base.updateSession(id) { $0 = changed }
    }
}

private struct FromTheBeginning: ForwardingStore {
    let base: any Store
    func dialledSessions(since date: Date, tenant: String?) async throws(StoreError) -> Int {
        try await base.dialledSessions(since: .distantPast, tenant: tenant)
    }
    func context(key: String, at date: Date) async throws(StoreError) -> String? {
        try await base.context(key: key, at: .distantPast)
    }
}

private struct BlocksByPrefix: ForwardingStore {
    let base: any Store
    func isBlocked(_ number: String) async throws(StoreError) -> Bool {
        try await base.blockedNumbers().contains { number.hasPrefix($0.number) }
    }
}

private struct AlwaysNew: ForwardingStore {
    let base: any Store
    /// As a process knows it that only looks at what it has entered itself.
    func insert(_ session: VoiceSession) async throws(StoreError) -> (kept: VoiceSession, isNew: Bool) {
        let kept = try await base.insert(session).kept
        return (kept, kept.id == session.id)
    }
    func deliver(
        source: String, key: String, at date: Date, _ effect: DeliveryEffect
    ) async throws(StoreError) -> Bool {
        _ = try await base.deliver(source: source, key: key, at: date, effect)
        return true
    }
}

/// Reads a call, changes it and writes it: what others wrote between is gone.
private struct WholeRows: ForwardingStore {
    let base: any Store
    func deliver(
        source: String, key: String, at date: Date, _ effect: DeliveryEffect
    ) async throws(StoreError) -> Bool {
        guard let addition = effect.call, var call = try await base.call(addition.id) ?? addition.new else {
            return try await base.deliver(source: source, key: key, at: date, effect)
        }
        addition.change(&call)
        call.recordings += addition.recordings
        let next = (try await base.events(ofCall: call.id).last?.sequence ?? -1) + 1
        var changes: [CallChange] = [.call(call)]
        if let event = addition.event {
            changes.append(
                .event(StoredEvent(call: call.id, sequence: next, atMs: 0, event: event.name, detail: event.detail)))
        }
        try await base.write(changes)
        return true
    }
}

private struct ForgetsClaims: ForwardingStore {
    let base: any Store
    func claim(source: String, key: String, at date: Date) async throws(StoreError) -> DeliveryClaim {
        let claim = try await base.claim(source: source, key: key, at: date)
        return claim == .inProgress ? .new : claim
    }
}

private struct TellsAlways: ForwardingStore {
    let base: any Store
    func write(
        _ changes: [CallChange], telling messages: @escaping @Sendable (CallNews) -> [OutboxMessage]
    ) async throws(StoreError) -> Set<String> {
        try await base.write(changes)
        var told: [OutboxMessage] = []
        for case .call(let call) in changes where call.endedAt != nil { told += messages(.ended(call, turns: [])) }
        try await base.enqueue(told)
        return Set(told.map(\.endpoint))
    }
}

private struct MixesEndpoints: ForwardingStore {
    let base: any Store
    func dueMessages(
        for endpoint: String?, at date: Date, limit: Int
    ) async throws(StoreError) -> [OutboxMessage] {
        try await base.dueMessages(for: nil, at: date, limit: limit)
    }
}

private struct RevivesAnything: ForwardingStore {
    let base: any Store
    func revive(message id: String, at date: Date) async throws(StoreError) -> Bool {
        _ = try await base.revive(message: id, at: date)
        return true
    }
}
