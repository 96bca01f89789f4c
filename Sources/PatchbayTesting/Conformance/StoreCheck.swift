import Foundation
import PatchbayStore

/// One group's examination of a fresh store.
struct StoreCheck {
    typealias Rule = ConformanceFailure.Rule

    /// Rules that are examined together.
    struct Group: Sendable {
        /// What the group is about.
        var rule: Rule
        /// What it examines beside.
        var others: Set<Rule> = []
        var body: @Sendable (inout StoreCheck) async throws -> Void

        var rules: Set<Rule> { others.union([rule]) }

        init(
            _ rule: Rule, _ others: Set<Rule> = [], _ body: @escaping @Sendable (inout StoreCheck) async throws -> Void
        ) {
            self.rule = rule
            self.others = others
            self.body = body
        }
    }

    static let groups = [
        Group(.storeCalls) { try await $0.calls() },
        Group(.storeParts) { try await $0.parts() },
        Group(.storeAtomic) { try await $0.atomicity() },
        Group(.storeQueries, [.storeTenantFilter]) { try await $0.queries() },
        Group(.storeUsage) { try await $0.usage() },
        Group(.storeAbandoned) { try await $0.abandoned() },
        Group(.storeSessions, [.storeTenantFilter]) { try await $0.sessions() },
        Group(.storeIdempotency) { try await $0.idempotency() },
        Group(.storeSessionChanges) { try await $0.sessionChanges() },
        Group(.storeDialled, [.storeTenantFilter]) { try await $0.dialled() },
        Group(.storeBlocks) { try await $0.blocks() },
        Group(.storeDeliveries) { try await $0.deliveries() },
        Group(.storeAdditions) { try await $0.additions() },
        Group(.storeClaims) { try await $0.claims() },
        Group(.storeNews) { try await $0.news() },
        Group(.storeOutbox) { try await $0.outbox() },
        Group(.storeDeadLetters, [.storeTenantFilter]) { try await $0.deadLetters() },
        Group(.storeContexts) { try await $0.contexts() },
        Group(.storeTenants) { try await $0.tenants() },
        Group(.storeTenants) { try await $0.tenantChecks() },
        Group(.storeAudit, [.storeTenantFilter]) { try await $0.audit() },
        Group(.storePrune) { try await $0.pruning() },
        Group(.storeErase) { try await $0.erasure() },
    ]

    /// A whole second in the past, so that no store's precision matters.
    let date = Date(timeIntervalSince1970: (Date().timeIntervalSince1970 - 7200).rounded(.down))
    let me = "+15550100001"
    let desk = "+15550100002"
    /// Begins as ``me`` does.
    let neighbour = "+155501000012"
    let store: any Store
    var findings = ConformanceFindings()

    init(_ store: any Store) { self.store = store }

    mutating func expect(_ holds: Bool, _ rule: Rule, _ seen: String) { findings.expect(holds, rule, seen) }

    mutating func expectSame<Value: Equatable>(
        _ seen: Value, _ expected: Value, _ rule: Rule, _ what: String
    ) {
        if seen != expected { findings.add(rule, "\(what): \(seen) rather than \(expected)") }
    }

    /// What is expected to be refused, with this code or any.
    mutating func expectThrows(
        _ code: StoreError.Code? = nil, _ rule: Rule, _ what: String, _ body: () async throws -> Void
    ) async {
        do {
            try await body()
            findings.add(rule, "\(what) is accepted")
        } catch let error as StoreError {
            if let code, error.code != code { findings.add(rule, "\(what) throws \(error.code) rather than \(code)") }
        } catch {
            findings.add(rule, "\(what) throws \(error)")
        }
    }

    func call(
        _ id: String, from: String? = nil, to: String? = nil, tenant: String? = nil, after seconds: Double = 0,
        endsAfter: Double? = nil
    ) -> StoredCall {
        var call = StoredCall(
            id: id, callSid: "CA-\(id)", direction: "inbound", from: from ?? me, to: to ?? desk, tenant: tenant,
            pipeline: "desk", version: "v1", createdAt: date + seconds)
        if let endsAfter {
            call.endedAt = date + endsAfter
            call.status = "ended"
        }
        return call
    }

    func session(
        _ id: String, phone: String? = nil, tenant: String? = nil, after seconds: Double = 0, key: String? = nil
    ) -> VoiceSession {
        VoiceSession(
            id: id, tenant: tenant, customerPhone: phone ?? me, pipeline: "desk", createdAt: date + seconds,
            idempotencyKey: key)
    }

    func message(
        _ id: String, tenant: String? = nil, after seconds: Double = 0, body: String = #"{"event":"call.ended"}"#,
        to endpoint: String = "crm"
    ) -> OutboxMessage {
        OutboxMessage(
            id: id, event: "call.ended", tenant: tenant, endpoint: endpoint, body: body, createdAt: date + seconds)
    }

    func event(_ call: String, _ sequence: Int, _ detail: String = "") -> StoredEvent {
        StoredEvent(call: call, sequence: sequence, atMs: Int64(sequence) * 10, event: "dtmf", detail: detail)
    }

    /// Does the same several times at once.
    func atOnce<Answer: Sendable>(
        _ count: Int, _ body: @escaping @Sendable (any Store, Int) async throws -> Answer
    ) async throws -> [Answer] {
        let store = store
        return try await withThrowingTaskGroup(of: Answer.self) { group in
            for index in 0..<count { group.addTask { try await body(store, index) } }
            var answers: [Answer] = []
            for try await answer in group { answers.append(answer) }
            return answers
        }
    }
}
