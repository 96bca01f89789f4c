import Foundation
import PatchbayStore

/// Webhooks in both directions, and what was looked up for a call.
extension StoreCheck {
    mutating func deliveries() async throws {
        _ = try await store.insert(session("s1"))
        var effect = DeliveryEffect()
        effect.call = CallAddition(id: "one", new: call("one"))
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
        broken.call = CallAddition(id: "two", new: call("two"))
        broken.call?.turns = [
            StoredTurn(
                call: "missing", sequence: 0, atMs: 0, speaker: "agent", text: "", heard: "", isInterrupted: false)
        ]
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

    /// What several write of one call at once is all there afterwards.
    mutating func additions() async throws {
        try await store.write([.call(call("one")), .event(event("one", 0))])
        let (row, date) = (call("one"), date)
        _ = try await atOnce(12) { store, index in
            var recorded = row
            recorded.interruptions = index
            var effect = DeliveryEffect()
            effect.call = CallAddition(id: "one", new: recorded)
            effect.call?.recordings = ["\(index).wav"]
            effect.call?.event = ("told", "\(index)")
            effect.call?.change = { $0.agentTakeovers += 1 }
            let whole = effect
            _ = try await store.deliver(source: "vendor", key: "\(index)", at: date, whole)
            try await store.write([
                .call(recorded),
                .event(StoredEvent(call: "one", sequence: 1 + index, atMs: 5, event: "dtmf", detail: "\(index)")),
                .recording(call: "one", path: "own-\(index).wav"),
            ])
            return index
        }
        let kept = try await store.call("one")
        let paths = (0..<12).flatMap { ["\($0).wav", "own-\($0).wav"] }
        expectSame(kept?.recordings.sorted(), paths.sorted(), .storeAdditions, "recordings that several added")
        let events = try await store.events(ofCall: "one")
        expectSame(events.map(\.sequence), Array(0..<25), .storeAdditions, "numbers of events that several added")
        expectSame(
            events.filter { $0.event == "told" }.map(\.detail).sorted(), (0..<12).map(String.init).sorted(),
            .storeAdditions, "events of deliveries")
        expectSame(
            events[min(1, events.count)..<min(13, events.count)].map(\.detail), (0..<12).map(String.init),
            .storeAdditions, "the recorder's events under their own numbers")
        var effect = DeliveryEffect()
        effect.call = CallAddition(id: "two", new: call("two"))
        let turn = StoredTurn(
            call: "two", sequence: 0, atMs: 0, speaker: "agent", text: "told", heard: "told", isInterrupted: false)
        effect.call?.turns = [turn]
        effect.call?.toolCalls = [StoredToolCall(call: "two", sequence: 0, atMs: 0, name: "look", arguments: "{}")]
        for key in ["t1", "t2"] {
            let whole = effect
            _ = try await store.deliver(source: "vendor", key: key, at: date, whole)
            effect.call?.turns[0].text = "another"
        }
        expectSame(try await store.turns(ofCall: "two"), [turn], .storeAdditions, "turns of a call that has its own")
        expectSame(try await store.toolCalls(ofCall: "two").count, 1, .storeAdditions, "tools of such a call")
        effect.call = CallAddition(id: "nobody")
        effect.call?.recordings = ["x.wav"]
        let idle = effect
        _ = try await store.deliver(source: "vendor", key: "t3", at: date, idle)
        expectSame(try await store.call("nobody"), nil, .storeAdditions, "a call that nobody enters")
    }

    mutating func claims() async throws {
        let (store, date, rule) = (store, date, Rule.storeClaims)
        func claim(_ key: String, _ source: String = "vendor") async throws -> DeliveryClaim {
            try await store.claim(source: source, key: key, at: date)
        }
        expectSame(try await claim("k1"), .new, rule, "work that nobody has asked for")
        expectSame(try await claim("k1"), .inProgress, rule, "work that is being done")
        expectSame(try await claim("k1", "other"), .new, rule, "the same key of another source")
        try await store.settle(source: "vendor", key: "k1", answer: #"{"ok":"Ü"}"#)
        expectSame(try await claim("k1"), .settled(answer: #"{"ok":"Ü"}"#), rule, "work that is done")
        expectSame(try await claim("k1", "other"), .inProgress, rule, "what another source asked for")
        try await store.settle(source: "vendor", key: "nobody", answer: "{}")
        expectSame(try await claim("nobody"), .new, rule, "work that was settled before it was asked for")
        let answers = try await atOnce(8) { store, _ in try await store.claim(source: "vendor", key: "k2", at: date) }
        expectSame(answers.count { $0 == .new }, 1, rule, "those of eight at once that are to do the work")
        expectSame(
            try await store.deliver(source: "vendor", key: "k2", at: date, DeliveryEffect()), false, rule,
            "whether a delivery that was claimed is new")
    }

    mutating func news() async throws {
        let (store, date, rule) = (store, date, Rule.storeNews)
        @Sendable func tell(_ news: CallNews) -> [OutboxMessage] {
            switch news {
            case .began(let call): [told("began", call, to: "crm")]
            case .ended(let call, let turns): [told("ended \(turns.map(\.text))", call, to: "bill")]
            }
        }
        @Sendable func told(_ what: String, _ call: StoredCall, to endpoint: String) -> OutboxMessage {
            // Names of their own each time: a store that tells twice is seen.
            OutboxMessage(
                id: UUID().uuidString, event: what, call: call.id, endpoint: endpoint, body: call.status,
                createdAt: date)
        }
        func waiting() async throws -> [String] {
            try await store.dueMessages(at: date + 100, limit: 99).map { "\($0.call ?? "") \($0.event) \($0.body)" }
                .sorted()
        }
        let turn = StoredTurn(
            call: "one", sequence: 0, atMs: 0, speaker: "caller", text: "hello", heard: "hello", isInterrupted: false)
        expectSame(
            try await store.write([.call(call("one")), .call(call("one"))], telling: tell), ["crm"], rule,
            "endpoints that are told of a beginning")
        expectSame(
            try await store.write([.call(call("one")), .turn(turn)], telling: tell), [], rule,
            "endpoints that are told of what is no news")
        let ended = call("one", endsAfter: 30)
        expectSame(
            try await store.write([.call(ended)], telling: tell), ["bill"], rule, "endpoints that are told of an end")
        expectSame(
            try await store.write([.call(ended)], telling: tell), [], rule, "endpoints that are told of it again")
        _ = try await store.write([.call(call("two", endsAfter: 1)), .call(call("three"))], telling: tell)
        var known = [
            #"one began ringing"#, #"one ended ["hello"] ended"#, "three began ringing", "two ended [] ended",
        ]
        expectSame(try await waiting(), known, rule, "the outbox")
        let faulty: [CallChange] = [.call(call("four")), .event(event("missing", 0))]
        await expectThrows(nil, rule, "a batch that cannot be written") {
            _ = try await store.write(faulty, telling: tell)
        }
        expectSame(try await waiting(), known, rule, "the outbox after a batch that was refused")
        _ = try await store.closeAbandoned(before: date + 50, telling: tell)
        _ = try await store.closeAbandoned(before: date + 50, telling: tell)
        known.insert("three ended [] failed", at: 3)
        expectSame(try await waiting(), known, rule, "the outbox after abandoned calls were closed")
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

        try await store.enqueue([message("x", to: "bill"), message("y", after: 5, to: "bill")])
        let bill = try await store.dueMessages(for: "bill", at: date + 40, limit: 9).map(\.id)
        expectSame(bill, ["x", "y"], .storeOutbox, "an endpoint's messages")
        expectSame(
            try await store.nextMessageDate(for: "crm"), date + 30, .storeOutbox, "when an endpoint's next one is due")
        expectSame(try await store.nextMessageDate(for: "no"), nil, .storeOutbox, "when nobody's next one is due")
        expectSame(
            try await store.waitingEndpoints(), ["bill", "crm"], .storeOutbox, "endpoints that messages wait for")
    }

    mutating func deadLetters() async throws {
        try await store.enqueue([message("a", tenant: "t1"), message("b", tenant: "t2", after: 5), message("c")])
        for id in ["a", "b"] { try await store.failed(message: id, error: "gone", next: nil) }
        expectSame(
            try await store.dueMessages(at: date + 100, limit: 9).map(\.id), ["c"], .storeDeadLetters,
            "messages that are due beside dead letters")
        expectSame(try await store.waitingMessages(), 1, .storeOutbox, "messages that wait beside dead letters")
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

        // "b" is dead, "a" was revived.
        try await store.enqueue([message("d", after: 50), message("e", to: "bill")])
        let old = try await store.giveUp(endpoint: "crm", createdBefore: date + 50, error: "too old")
        expectSame(old, 1, .storeDeadLetters, "messages that were too old")
        let left = try await store.dueMessages(at: date + 100, limit: 9)
        expectSame(Set(left.map(\.id)), ["a", "d", "e"], .storeDeadLetters, "messages that are left then")
        let all = try await store.giveUp(endpoint: "crm", createdBefore: nil, error: "no endpoint")
        expectSame(all, 2, .storeDeadLetters, "messages to an endpoint that is no more")
        expectSame(
            try await store.waitingEndpoints(), ["bill"], .storeDeadLetters, "endpoints that are waited for then")
        let dead = try await store.deadLetters(tenant: nil, limit: 9).first { $0.id == "c" }
        expectSame(dead?.lastError, "too old", .storeDeadLetters, "why a message was given up")
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
        try await store.keepContext("{}", key: "k4", number: me, expires: soon)
        expectSame(
            try await store.removeContexts(expiredBy: soon + 1), 1, .storeContexts, "contexts that had expired")
        expectSame(try await store.context(key: "k4", at: soon - 1), nil, .storeContexts, "one that was removed")
        expectSame(try await store.context(key: "k2", at: soon + 1), "{}", .storeContexts, "one that was to stay")
    }
}
