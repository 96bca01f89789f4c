import Foundation
import PatchbayStore

/// Tenants, the trail, and what concerns every kind of entry.
extension StoreCheck {
    mutating func tenants() async throws {
        let (store, date) = (store, date)
        func put(_ id: String, _ body: String, _ version: Int?, kind: String = "tenant") async throws -> Int {
            try await store.put(kind: kind, id: id, body: body, version: version, by: "admin", at: date)
        }
        expectSame(try await put("t1", "{}", 0), 1, .storeTenants, "the version of a new entry")
        expectSame(try await put("t1", "{\"a\":1}", 1), 2, .storeTenants, "the version of a changed one")
        await expectThrows(.conflict, .storeTenants, "a change of an old version") { _ = try await put("t1", "x", 1) }
        await expectThrows(.conflict, .storeTenants, "a new entry of a name that is taken") {
            _ = try await put("t1", "x", 0)
        }
        await expectThrows(.conflict, .storeTenants, "a change of an entry that is not there") {
            _ = try await put("t2", "x", 4)
        }
        expectSame(try await put("t1", "{\"a\":2}", nil), 3, .storeTenants, "the version of a change of any")
        expectSame(try await put("t1", "number", 0, kind: "number"), 1, .storeTenants, "the version of another kind")
        let current = StoredTenant(id: "t1", body: "{\"a\":2}", version: 3, updatedAt: date, updatedBy: "admin")
        expectSame(try await store.entries(kind: "tenant"), [current], .storeTenants, "the current entries")
        expectSame(
            try await store.history(kind: "tenant", id: "t1").map(\.version), [3, 2, 1], .storeTenants, "all versions")
        let removed = try await store.remove(kind: "tenant", id: "t1", by: "admin", at: date)
        expectSame(removed, true, .storeTenants, "whether an entry was removed")
        let again = try await store.remove(kind: "tenant", id: "t1", by: "admin", at: date)
        expectSame(again, false, .storeTenants, "whether it was twice")
        expectSame(try await store.entries(kind: "tenant").map(\.id), [], .storeTenants, "entries after a removal")
        expectSame(try await store.entries(kind: "number").map(\.id), ["t1"], .storeTenants, "those of another kind")
        expectSame(
            try await store.history(kind: "tenant", id: "t1").first?.body, "", .storeTenants, "the text of a removal")
        expectSame(try await put("t1", "{}", 0), 5, .storeTenants, "the version of an entry that came back")
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    (try? await store.put(kind: "tenant", id: "t1", body: "z", version: 5, by: "x", at: date)) != nil
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        expectSame(outcomes, 1, .storeTenants, "changes of one version at once that were taken")
    }

    mutating func tenantChecks() async throws {
        let (store, date) = (store, date)
        _ = try await store.put(kind: "tenant", id: "t1", body: "1", version: nil, by: "admin", at: date)
        _ = try await store.put(kind: "number", id: "n1", body: "2", version: nil, by: "admin", at: date)
        _ = try await store.put(kind: "tenant", id: "t2", body: "3", version: nil, by: "admin", at: date)
        _ = try await store.remove(kind: "tenant", id: "t2", by: "admin", at: date)
        let current = ["tenant:t1=1", "number:n1=2"]
        func put(_ id: String, unless taken: @escaping @Sendable ([String]) -> Bool) async throws -> Int {
            try await store.put(kind: "tenant", id: id, body: "wanted", version: 0, by: "admin", at: date) {
                (entries) throws(StoreError) in
                let seen = entries.flatMap { kind, entries in entries.map { "\(kind):\($0.id)=\($0.body)" } }
                if taken(seen) { throw StoreError(.taken, "somebody has it") }
            }
        }
        await expectThrows(.taken, .storeTenants, "an entry whose check saw all current ones and refused") {
            _ = try await put("t3") { Set($0) == Set(current) }
        }
        expectSame(
            try await store.entries(kind: "tenant").map(\.id), ["t1"], .storeTenants, "entries after a refused one")
        let taken = await withTaskGroup(of: Bool.self) { group in
            for index in 0..<8 {
                group.addTask {
                    (try? await put("at-once-\(index)") { $0.contains { $0.hasSuffix("=wanted") } }) != nil
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        expectSame(taken, 1, .storeTenants, "of eight entries at once that exclude each other those that were taken")
    }

    mutating func audit() async throws {
        let entries = (0..<4).map {
            AuditEntry(
                at: date + Double($0), actor: "admin", tenant: $0 == 1 ? "t1" : nil, action: "call.hangup",
                subject: "call-\($0)", outcome: "ok", peer: "127.0.0.1")
        }
        try await store.append(Array(entries[0...1]))
        try await store.append(Array(entries[2...3]))
        try await store.append([])
        expectSame(try await store.auditTrail(tenant: nil, limit: 9), entries.reversed(), .storeAudit, "the trail")
        expectSame(
            try await store.auditTrail(tenant: nil, limit: 1), [entries[3]], .storeAudit, "the newest of the trail")
        expectSame(
            try await store.auditTrail(tenant: "t1", limit: 9), [entries[1]], .storeTenantFilter, "a tenant's trail")
    }

    mutating func pruning() async throws {
        try await store.write([
            .call(call("old", endsAfter: 10)), .event(event("old", 0)), .call(call("new", endsAfter: 200)),
            .call(call("running")),
        ])
        _ = try await store.insert(session("s-old"))
        _ = try await store.insert(session("s-new", after: 200))
        try await store.enqueue([message("dead"), message("waiting")])
        try await store.failed(message: "dead", error: "gone", next: nil)
        try await store.append([
            AuditEntry(at: date, actor: "a", action: "b", subject: "old", outcome: "ok", peer: ""),
            AuditEntry(at: date + 200, actor: "a", action: "b", subject: "new", outcome: "ok", peer: ""),
        ])
        _ = try await store.put(kind: "tenant", id: "t1", body: "{}", version: 0, by: "admin", at: date)
        _ = try await store.deliver(source: "v", key: "k", at: date, DeliveryEffect())
        try await store.write([
            .recording(call: "old", path: "/r/old.wav"), .recording(call: "new", path: "/r/new.wav"),
        ])
        let count = try await store.prune(before: date + 100)
        expectSame(
            try await store.forgottenRecordings(after: nil, limit: 9), ["/r/old.wav"], .storePrune,
            "recordings whose calls went")
        expect(count >= 5, .storePrune, "it says that \(count) entries went; at least 5 were old")
        expectSame(try await store.call("old"), nil, .storePrune, "a call that ended before")
        expectSame(try await store.events(ofCall: "old"), [], .storePrune, "its events")
        expectSame(try await store.call("new")?.id, "new", .storePrune, "a call that ended later")
        expectSame(try await store.call("running")?.id, "running", .storePrune, "a call that runs")
        expectSame(try await store.session("s-old"), nil, .storePrune, "a session from before")
        expectSame(try await store.session("s-new")?.id, "s-new", .storePrune, "a later session")
        expectSame(try await store.deadLetters(tenant: nil, limit: 9).map(\.id), [], .storePrune, "an old dead letter")
        expectSame(
            try await store.dueMessages(at: date + 9, limit: 9).map(\.id), ["waiting"], .storePrune,
            "an old message that still waits")
        expectSame(
            try await store.auditTrail(tenant: nil, limit: 9).map(\.subject), ["new"], .storePrune, "the trail")
        expectSame(try await store.entries(kind: "tenant").map(\.id), ["t1"], .storePrune, "tenants")
    }

    mutating func erasure() async throws {
        let soon = Date() + 600
        try await store.write([
            .call(call("mine", endsAfter: 10)), .event(event("mine", 0)),
            .call(call("to-me", from: desk, to: me, endsAfter: 10)),
            .call(call("near", from: neighbour, endsAfter: 10)),
            .event(event("near", 0, "transferred to \(me).")), .event(event("near", 1, "transferred to \(neighbour)")),
            .turn(
                StoredTurn(
                    call: "near", sequence: 0, atMs: 0, speaker: "caller", text: "call \(me)", heard: "call \(me)",
                    isInterrupted: false)),
            .toolCall(
                StoredToolCall(
                    call: "near", sequence: 0, atMs: 0, name: "look", arguments: #"{"phone":"\#(me)"}"#, output: me)),
            .call(call("running")), .event(event("running", 0, me)),
        ])
        var mine = session("s-mine")
        mine.conversationID = "conv-mine"
        _ = try await store.insert(mine)
        var near = session("s-near", phone: neighbour)
        near.transcript = "[\"call \(me)\"]"
        near.variables = "{\"friend\":\(me.dropFirst())}"
        near.extractedIntent = "call \(me)"
        _ = try await store.insert(near)
        try await store.write([
            .recording(call: "mine", path: "/r/2.wav"), .recording(call: "mine", path: "/r/1.wav"),
            .recording(call: "near", path: "/r/3.wav"),
        ])
        try await store.enqueue([
            message("m-mine", body: #"{"from":"\#(me)"}"#), message("m-near", body: #"{"from":"\#(neighbour)"}"#),
        ])
        try await store.keepContext("{}", key: "k-mine", number: me, expires: soon)
        try await store.keepContext("{}", key: "k-near", number: neighbour, expires: soon)
        try await store.block(me, reason: "asked", at: date)
        try await store.append([
            AuditEntry(at: date, actor: "admin", action: "call.dial", subject: me, outcome: "ok", peer: ""),
            AuditEntry(at: date, actor: "admin", action: "call.dial", subject: neighbour, outcome: "ok", peer: ""),
        ])
        let count = try await store.erase(number: me)
        expect(count >= 5, .storeErase, "it says that \(count) entries were touched; at least 5 were")
        for id in ["mine", "to-me"] {
            expectSame(try await store.call(id), nil, .storeErase, "the person's call \(id)")
        }
        expectSame(try await store.events(ofCall: "mine"), [], .storeErase, "its events")
        expectSame(try await store.call("near")?.from, neighbour, .storeErase, "the call of a longer number")
        let events = try await store.events(ofCall: "near").map(\.detail)
        expect(!(events.first ?? me).contains(me), .storeErase, "another call's event still tells the number")
        expectSame(events.last, "transferred to \(neighbour)", .storeErase, "an event with a longer number")
        let turn = try await store.turns(ofCall: "near").first
        expect(
            turn.map { !$0.text.contains(me) && !$0.heard.contains(me) } ?? false, .storeErase,
            "another call's turn still tells the number, or is gone")
        let tool = try await store.toolCalls(ofCall: "near").first
        expect(
            tool.map { !$0.arguments.contains(me) && $0.output?.contains(me) == false } ?? false, .storeErase,
            "another call's tool still tells the number, or is gone")
        expectSame(try await store.call("running")?.from, me, .storeErase, "the person's call that runs")
        expectSame(try await store.events(ofCall: "running").map(\.detail), [me], .storeErase, "its events")
        expectSame(try await store.session("s-mine"), nil, .storeErase, "the person's session")
        let kept = try await store.session("s-near")
        expectSame(kept?.customerPhone, neighbour, .storeErase, "the session of a longer number")
        let texts = [kept?.transcript, kept?.variables, kept?.extractedIntent].compactMap(\.self)
        expect(
            texts.count == 3 && !texts.contains { $0.contains(me.dropFirst()) }, .storeErase,
            "another's session still tells the number, or lost more than that")
        expectSame(
            try await store.dueMessages(at: date + 9, limit: 9).map(\.id), ["m-near"], .storeErase,
            "messages that wait")
        expectSame(try await store.context(key: "k-mine", at: Date()), nil, .storeErase, "the person's context")
        expectSame(try await store.context(key: "k-near", at: Date()), "{}", .storeErase, "that of a longer number")
        expectSame(try await store.isBlocked(me), true, .storeErase, "whether the number is still blocked")
        expectSame(
            try await store.auditTrail(tenant: nil, limit: 9).map(\.subject.count).sorted(), [6, neighbour.count],
            .storeErase, "lengths of the trail's subjects, \"erased\" and the longer number")
        expectSame(try await store.erase(number: "+19998887777"), 0, .storeErase, "entries of a number nobody knows")
        try await afterErasure()
        try await store.check()
    }

    /// Nothing that comes late brings the person of ``erasure()`` back.
    private func lateSteps() async throws {
        try await store.write([
            .call(call("mine", endsAfter: 10)), .event(event("mine", 1, "late")),
            .recording(call: "mine", path: "/r/4.wav"), .event(event("near", 2)),
        ])
        var message = message("m-late")
        message.call = "to-me"
        try await store.enqueue([message])
        for (key, name) in [("1", "mine"), ("2", "CA-to-me"), ("3", "conv-mine"), ("4", "s-mine")] {
            var effect = DeliveryEffect()
            effect.names = ["", "nobody", name]
            effect.call = CallAddition(id: "made-\(key)", new: call("made-\(key)"))
            effect.call?.recordings = ["/r/late-\(key).mp3"]
            effect.session = ("s-near", { $0.failure = "late" })
            let whole = effect
            _ = try await store.deliver(source: "vendor", key: key, at: date, whole)
        }
    }

    private mutating func afterErasure() async throws {
        try await lateSteps()
        for id in ["mine", "made-1", "made-2", "made-3", "made-4"] {
            expectSame(try await store.call(id), nil, .storeErase, "a call that came back as \(id)")
        }
        expectSame(try await store.session("s-near")?.failure, nil, .storeErase, "a session that a late delivery names")
        expectSame(
            try await store.events(ofCall: "near").count, 3, .storeErase, "other calls' events of the same write")
        expectSame(
            try await store.dueMessages(at: date + 9, limit: 9).map(\.id), ["m-near"], .storeErase,
            "messages about an erased call that came late")
        var paths = ["/r/1.wav", "/r/2.wav", "/r/4.wav"] + (1...4).map { "/r/late-\($0).mp3" }
        expectSame(
            try await store.forgottenRecordings(after: nil, limit: 99), paths, .storeErase, "forgotten recordings")
        expectSame(
            try await store.forgottenRecordings(after: paths[0], limit: 2), Array(paths[1...2]), .storeErase,
            "those behind the first")
        try await store.removedRecordings([paths.removeFirst(), "/r/nobody.wav"])
        expectSame(
            try await store.forgottenRecordings(after: nil, limit: 99), paths, .storeErase, "those that are left")
    }
}
