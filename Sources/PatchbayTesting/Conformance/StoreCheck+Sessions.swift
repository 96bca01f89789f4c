import Foundation
import PatchbayStore

/// Sessions of outbound calls, and who must not be dialled.
extension StoreCheck {
    mutating func sessions() async throws {
        var first = session("s1", tenant: "t1")
        first.agentName = "reminder"
        first.callingNumber = desk
        first.customerID = "c-1"
        first.variables = #"{"name":"Ü \"quoted\""}"#
        first.callSid = "CA1"
        first.conversationID = "conv-1"
        first.answeredBy = "human"
        first.transcript = "[]"
        first.extractedIntent = "pay"
        first.extractedData = "{}"
        first.failure = "none"
        expectSame(try await store.insert(first).kept, first, .storeSessions, "a session that was entered")
        expectSame(try await store.session("s1"), first, .storeSessions, "a session by its id")
        expectSame(try await store.session(callSid: "CA1"), first, .storeSessions, "a session by its call")
        expectSame(
            try await store.session(conversation: "conv-1"), first, .storeSessions, "a session by its conversation")
        expectSame(try await store.session("s0"), nil, .storeSessions, "a session that is not there")
        for index in 2...4 {
            _ = try await store.insert(
                session("s\(index)", tenant: index == 4 ? "t1" : "t2", after: Double(index)))
        }
        expectSame(
            try await store.sessions(tenant: nil, limit: 2, offset: 1).map(\.id), ["s3", "s2"], .storeSessions,
            "the second page of sessions")
        expectSame(
            try await store.sessions(tenant: "t1", limit: 10, offset: 0).map(\.id), ["s4", "s1"], .storeTenantFilter,
            "a tenant's sessions")
    }

    mutating func idempotency() async throws {
        let first = try await store.insert(session("s1", tenant: "t1", key: "order-1"))
        expectSame(first.isNew, true, .storeIdempotency, "whether a first order is new")
        // The second may have been given the same name.
        for id in ["s2", "s1"] {
            let second = try await store.insert(session(id, tenant: "t1", after: 1, key: "order-1"))
            expectSame(second.kept, first.kept, .storeIdempotency, "the session of a second order")
            expectSame(second.isNew, false, .storeIdempotency, "whether a second order is new")
        }
        expectSame(try await store.session("s2"), nil, .storeIdempotency, "a second order's own session")
        for (id, tenant, key) in [("s3", "t2", "order-1"), ("s4", nil, "order-1"), ("s5", "t1", "order-2")] {
            expectSame(
                try await store.insert(session(id, tenant: tenant, key: key)).kept.id, id, .storeIdempotency,
                "the session of an order of \(tenant ?? "nobody") with key \(key)")
        }
        expectSame(
            try await store.insert(session("s6", tenant: nil, key: "order-1")).kept.id, "s4", .storeIdempotency,
            "a second order of nobody's")
        for id in ["s7", "s8"] {
            expectSame(
                try await store.insert(session(id)).isNew, true, .storeIdempotency, "whether one without a key is new")
        }
        let named = session("at-once", tenant: "t1", key: "order-3")
        let alike = session("alike", tenant: "t1", key: "order-4")
        for (session, isNamedAnew) in [(named, true), (alike, false)] {
            let entered = try await atOnce(8) { store, index in
                var session = session
                if isNamedAnew { session.id += "-\(index)" }
                return try await store.insert(session)
            }
            expectSame(Set(entered.map(\.kept.id)).count, 1, .storeIdempotency, "sessions of eight orders at once")
            expectSame(entered.count { $0.isNew }, 1, .storeIdempotency, "of eight orders at once those that are new")
        }
    }

    mutating func sessionChanges() async throws {
        _ = try await store.insert(session("s1"))
        let changed = try await store.updateSession("s1") { session in
            session.status = "completed"
            session.id = "other"
        }
        expectSame(changed?.status, "completed", .storeSessionChanges, "a changed session")
        expectSame(
            try await store.session("s1")?.status, "completed", .storeSessionChanges, "the session as it is kept")
        expectSame(try await store.session("other"), nil, .storeSessionChanges, "a session under a name it was given")
        let nobody = try await store.updateSession("s9") { $0.status = "completed" }
        expectSame(nobody, nil, .storeSessionChanges, "a changed session that is not there")
        _ = try await store.updateSession("s1") { $0.variables = "0" }
        _ = try await atOnce(20) { store, _ in
            try await store.updateSession("s1") { $0.variables = "\((Int($0.variables) ?? 0) + 1)" }
        }
        expectSame(
            try await store.session("s1")?.variables, "20", .storeSessionChanges, "what twenty changes at once counted")
    }

    mutating func dialled() async throws {
        for (index, status) in ["created", "simulated", "dialing", "completed", "failed"].enumerated() {
            var session = session("s\(index)", tenant: index < 4 ? "t1" : "t2", after: Double(index))
            session.status = status
            _ = try await store.insert(session)
        }
        expectSame(
            try await store.dialledSessions(since: date, tenant: nil), 3, .storeDialled, "sessions that were dialled")
        expectSame(
            try await store.dialledSessions(since: date + 3, tenant: nil), 2, .storeDialled, "those since a time")
        expectSame(
            try await store.dialledSessions(since: date, tenant: "t1"), 2, .storeTenantFilter, "those of a tenant")
    }

    mutating func blocks() async throws {
        expectSame(try await store.isBlocked(me), false, .storeBlocks, "a number that nobody blocked")
        try await store.block(me, reason: "asked", at: date)
        try await store.block(me, reason: "asked twice", at: date + 5)
        try await store.block(desk, reason: "asked", at: date + 1)
        expectSame(try await store.isBlocked(me), true, .storeBlocks, "a blocked number")
        expectSame(try await store.isBlocked(neighbour), false, .storeBlocks, "a number that begins like it")
        expectSame(
            try await store.blockedNumbers(),
            [
                BlockedNumber(number: me, reason: "asked twice", since: date + 5),
                BlockedNumber(number: desk, reason: "asked", since: date + 1),
            ], .storeBlocks, "the blocked numbers")
        expectSame(try await store.unblock(me), true, .storeBlocks, "whether a blocked number was")
        expectSame(try await store.unblock(me), false, .storeBlocks, "whether it was the second time")
        expectSame(try await store.isBlocked(me), false, .storeBlocks, "a number that was let go")
    }
}
