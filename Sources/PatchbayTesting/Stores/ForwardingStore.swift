public import Foundation
public import PatchbayStore

/// A store in front of another: everything goes on to ``base`` unless it says otherwise.
///
/// For tests that need a store which fails, or counts, in one place:
///
/// ```swift
/// struct FullDisk: ForwardingStore {
///     let base: any Store
///     func write(_ changes: [CallChange]) async throws(StoreError) { throw StoreError(.unavailable, "disk full") }
/// }
/// ```
public protocol ForwardingStore: Store {
    var base: any Store { get }
}

// Calls.
extension ForwardingStore {
    public func write(_ changes: [CallChange]) async throws(StoreError) { try await base.write(changes) }
    public func call(_ id: String) async throws(StoreError) -> StoredCall? { try await base.call(id) }
    public func call(conversation id: String) async throws(StoreError) -> StoredCall? {
        try await base.call(conversation: id)
    }
    public func calls(_ query: CallQuery) async throws(StoreError) -> [StoredCall] { try await base.calls(query) }
    public func events(ofCall id: String) async throws(StoreError) -> [StoredEvent] {
        try await base.events(ofCall: id)
    }
    public func turns(ofCall id: String) async throws(StoreError) -> [StoredTurn] { try await base.turns(ofCall: id) }
    public func toolCalls(ofCall id: String) async throws(StoreError) -> [StoredToolCall] {
        try await base.toolCalls(ofCall: id)
    }
    public func usage(tenant: String?, days: Int) async throws(StoreError) -> [StoredUsage] {
        try await base.usage(tenant: tenant, days: days)
    }
    public func forgottenRecordings(after path: String?, limit: Int) async throws(StoreError) -> [String] {
        try await base.forgottenRecordings(after: path, limit: limit)
    }
    public func removedRecordings(_ paths: [String]) async throws(StoreError) {
        try await base.removedRecordings(paths)
    }
    public func write(
        _ changes: [CallChange], telling messages: @escaping @Sendable (CallNews) -> [OutboxMessage]
    ) async throws(StoreError) -> Set<String> { try await base.write(changes, telling: messages) }
    public func closeAbandoned(
        before date: Date, telling messages: @escaping @Sendable (CallNews) -> [OutboxMessage]
    ) async throws(StoreError) -> Int { try await base.closeAbandoned(before: date, telling: messages) }
}

// Voice sessions.
extension ForwardingStore {
    public func insert(_ session: VoiceSession) async throws(StoreError) -> (kept: VoiceSession, isNew: Bool) {
        try await base.insert(session)
    }
    public func updateSession(
        _ id: String, _ body: @escaping @Sendable (inout VoiceSession) -> Void
    ) async throws(StoreError) -> VoiceSession? { try await base.updateSession(id, body) }
    public func session(_ id: String) async throws(StoreError) -> VoiceSession? { try await base.session(id) }
    public func session(callSid: String) async throws(StoreError) -> VoiceSession? {
        try await base.session(callSid: callSid)
    }
    public func session(conversation id: String) async throws(StoreError) -> VoiceSession? {
        try await base.session(conversation: id)
    }
    public func sessions(tenant: String?, limit: Int, offset: Int) async throws(StoreError) -> [VoiceSession] {
        try await base.sessions(tenant: tenant, limit: limit, offset: offset)
    }
    public func dialledSessions(since date: Date, tenant: String?) async throws(StoreError) -> Int {
        try await base.dialledSessions(since: date, tenant: tenant)
    }
    public func block(_ number: String, reason: String, at date: Date) async throws(StoreError) {
        try await base.block(number, reason: reason, at: date)
    }
    public func unblock(_ number: String) async throws(StoreError) -> Bool { try await base.unblock(number) }
    public func isBlocked(_ number: String) async throws(StoreError) -> Bool { try await base.isBlocked(number) }
    public func blockedNumbers() async throws(StoreError) -> [BlockedNumber] { try await base.blockedNumbers() }
}

// Deliveries, messages that go out, and what was looked up.
extension ForwardingStore {
    public func deliver(
        source: String, key: String, at date: Date, _ effect: DeliveryEffect
    ) async throws(StoreError) -> Bool { try await base.deliver(source: source, key: key, at: date, effect) }
    public func claim(source: String, key: String, at date: Date) async throws(StoreError) -> DeliveryClaim {
        try await base.claim(source: source, key: key, at: date)
    }
    public func settle(source: String, key: String, answer: String) async throws(StoreError) {
        try await base.settle(source: source, key: key, answer: answer)
    }
    public func enqueue(_ messages: [OutboxMessage]) async throws(StoreError) { try await base.enqueue(messages) }
    public func dueMessages(
        for endpoint: String?, at date: Date, limit: Int
    ) async throws(StoreError) -> [OutboxMessage] {
        try await base.dueMessages(for: endpoint, at: date, limit: limit)
    }
    public func nextMessageDate(for endpoint: String?) async throws(StoreError) -> Date? {
        try await base.nextMessageDate(for: endpoint)
    }
    public func waitingEndpoints() async throws(StoreError) -> Set<String> { try await base.waitingEndpoints() }
    public func giveUp(endpoint: String, createdBefore date: Date?, error: String) async throws(StoreError) -> Int {
        try await base.giveUp(endpoint: endpoint, createdBefore: date, error: error)
    }
    public func delivered(message id: String) async throws(StoreError) { try await base.delivered(message: id) }
    public func failed(message id: String, error: String, next: Date?) async throws(StoreError) {
        try await base.failed(message: id, error: error, next: next)
    }
    public func waitingMessages() async throws(StoreError) -> Int { try await base.waitingMessages() }
    public func deadLetters(tenant: String?, limit: Int) async throws(StoreError) -> [OutboxMessage] {
        try await base.deadLetters(tenant: tenant, limit: limit)
    }
    public func revive(message id: String, at date: Date) async throws(StoreError) -> Bool {
        try await base.revive(message: id, at: date)
    }
    public func removeContexts(expiredBy date: Date) async throws(StoreError) -> Int {
        try await base.removeContexts(expiredBy: date)
    }
    public func keepContext(
        _ values: String, key: String, number: String, expires: Date
    ) async throws(StoreError) { try await base.keepContext(values, key: key, number: number, expires: expires) }
    public func context(key: String, at date: Date) async throws(StoreError) -> String? {
        try await base.context(key: key, at: date)
    }
}

// Tenants, the trail, and the whole.
extension ForwardingStore {
    public func entries(kind: String) async throws(StoreError) -> [StoredTenant] { try await base.entries(kind: kind) }
    public func put(
        kind: String, id: String, body: String, version: Int?, by: String, at date: Date,
        check: @escaping @Sendable ([String: [StoredTenant]]) throws(StoreError) -> Void
    ) async throws(StoreError) -> Int {
        try await base.put(kind: kind, id: id, body: body, version: version, by: by, at: date, check: check)
    }
    public func remove(kind: String, id: String, by: String, at date: Date) async throws(StoreError) -> Bool {
        try await base.remove(kind: kind, id: id, by: by, at: date)
    }
    public func history(kind: String, id: String) async throws(StoreError) -> [StoredTenant] {
        try await base.history(kind: kind, id: id)
    }
    public func append(_ entries: [AuditEntry]) async throws(StoreError) { try await base.append(entries) }
    public func auditTrail(tenant: String?, limit: Int) async throws(StoreError) -> [AuditEntry] {
        try await base.auditTrail(tenant: tenant, limit: limit)
    }
    public func prune(before date: Date) async throws(StoreError) -> Int { try await base.prune(before: date) }
    public func erase(number: String) async throws(StoreError) -> Int { try await base.erase(number: number) }
    public func check() async throws(StoreError) { try await base.check() }
}
