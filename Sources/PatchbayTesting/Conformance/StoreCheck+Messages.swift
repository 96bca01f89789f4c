import Foundation
import PatchbayStore

/// Webhooks in both directions, and what was looked up for a call.
extension StoreCheck {
    mutating func deliveries() async throws {
        _ = try await store.insert(session("s1"))
        var effect = DeliveryEffect()
        effect.calls = [.call(call("one"))]
        effect.session = ("s1", { $0.variables += "!" })
        effect.outbox = [message("m1")]
        let (date, whole) = (date, effect)
        expectSame(
            try await store.deliver(source: "vendor", key: "k1", at: date, whole), true, .storeDeliveries,
            "whether a delivery was new")
        expectSame(try await store.call("one")?.id, "one", .storeDeliveries, "its call")
        expectSame(try await store.session("s1")?.variables, "{}!", .storeDeliveries, "its session")
        expectSame(try await store.dueMessages(at: date, limit: 9).map(\.id), ["m1"], .storeDeliveries, "its message")
        expectSame(
            try await store.deliver(source: "vendor", key: "k1", at: date + 5, whole), false, .storeDeliveries,
            "whether it was new the second time")
        expectSame(try await store.session("s1")?.variables, "{}!", .storeDeliveries, "its session afterwards")
        expectSame(
            try await store.deliver(source: "other", key: "k1", at: date, DeliveryEffect()), true, .storeDeliveries,
            "whether the same key of another source was new")

        var broken = effect
        broken.calls = [.call(call("two")), .event(event("missing", 0))]
        let faulty = broken
        await expectThrows(nil, .storeDeliveries, "an effect that cannot be written") { [store] in
            _ = try await store.deliver(source: "vendor", key: "k2", at: date, faulty)
        }
        expectSame(try await store.call("two"), nil, .storeDeliveries, "the call of an effect that failed")
        expectSame(
            try await store.deliver(source: "vendor", key: "k2", at: date, DeliveryEffect()), true, .storeDeliveries,
            "whether a delivery whose effect failed may come again")
        let news = try await atOnce(8) { store, _ in
            try await store.deliver(source: "vendor", key: "k3", at: date, whole)
        }
        expectSame(news.count(where: { $0 }), 1, .storeDeliveries, "new ones of eight deliveries at once")
        expectSame(try await store.session("s1")?.variables, "{}!!", .storeDeliveries, "the session after them")
    }

    mutating func outbox() async throws {
        expectSame(try await store.nextMessageDate(), nil, .storeOutbox, "when a message is due while there is none")
        try await store.enqueue([message("late", after: 50), message("b", after: 10), message("a")])
        try await store.enqueue([message("a", after: 20, body: "another")])
        expectSame(try await store.nextMessageDate(), date, .storeOutbox, "when the next message is due")
        expectSame(
            try await store.dueMessages(at: date + 20, limit: 9), [message("a"), message("b", after: 10)], .storeOutbox,
            "messages that are due")
        expectSame(
            try await store.dueMessages(at: date + 20, limit: 1).map(\.id), ["a"], .storeOutbox, "the first of them")
        try await store.delivered(message: "a")
        try await store.delivered(message: "nobody")
        try await store.failed(message: "b", error: "503", next: date + 30)
        expectSame(
            try await store.dueMessages(at: date + 29, limit: 9).map(\.id), [], .storeOutbox,
            "messages that are due while one waits for its next time")
        let again = try await store.dueMessages(at: date + 30, limit: 9).first
        expectSame(again?.id, "b", .storeOutbox, "the message when its time has come")
        expectSame(again?.attempts, 1, .storeOutbox, "its attempts")
        expectSame(again?.lastError, "503", .storeOutbox, "its last error")
    }

    mutating func deadLetters() async throws {
        try await store.enqueue([message("a", tenant: "t1"), message("b", tenant: "t2", after: 5), message("c")])
        for id in ["a", "b"] { try await store.failed(message: id, error: "gone", next: nil) }
        expectSame(
            try await store.dueMessages(at: date + 100, limit: 9).map(\.id), ["c"], .storeDeadLetters,
            "messages that are due beside dead letters")
        expectSame(
            try await store.deadLetters(tenant: nil, limit: 9).map(\.id), ["b", "a"], .storeDeadLetters, "dead letters")
        expectSame(
            try await store.deadLetters(tenant: "t1", limit: 9).map(\.id), ["a"], .storeTenantFilter,
            "a tenant's dead letters")
        expectSame(
            try await store.revive(message: "a", at: date + 60), true, .storeDeadLetters, "whether one was revived")
        expectSame(
            try await store.revive(message: "a", at: date + 60), false, .storeDeadLetters, "whether it was twice")
        expectSame(
            try await store.revive(message: "c", at: date + 60), false, .storeDeadLetters,
            "whether a message in line was revived")
        let revived = try await store.dueMessages(at: date + 60, limit: 9)
        expectSame(Set(revived.map(\.id)), ["a", "c"], .storeDeadLetters, "messages that are due after a revival")
        expectSame(
            revived.first { $0.id == "a" }?.attempts, 0, .storeDeadLetters, "attempts of a message that was revived")
    }

    mutating func contexts() async throws {
        let soon = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down) + 60)
        try await store.keepContext(#"{"name":"Ü"}"#, key: "k1", number: me, expires: soon)
        try await store.keepContext("{}", key: "k2", number: me, expires: soon + 60)
        expectSame(try await store.context(key: "k1", at: soon - 1), #"{"name":"Ü"}"#, .storeContexts, "a context")
        expectSame(try await store.context(key: "k1", at: soon + 1), nil, .storeContexts, "a context that has expired")
        expectSame(try await store.context(key: "k2", at: soon + 1), "{}", .storeContexts, "one that has not")
        expectSame(try await store.context(key: "k3", at: soon), nil, .storeContexts, "one that is not there")
        try await store.keepContext("[]", key: "k1", number: me, expires: soon + 60)
        expectSame(try await store.context(key: "k1", at: soon + 1), "[]", .storeContexts, "one that was replaced")
    }
}
