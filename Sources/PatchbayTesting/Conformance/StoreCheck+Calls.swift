import Foundation
import PatchbayStore

/// Calls and what happened in them.
extension StoreCheck {
    mutating func calls() async throws {
        var call = call("one", tenant: "t1")
        call.streamSid = "MZ1"
        call.backend = "script"
        call.conversationID = "conv-1"
        call.session = "s1"
        call.timeToFirstAudioMs = 12.5
        call.responseLatencyMs = 0.25
        call.interruptions = 3
        call.agentTakeovers = 1
        call.recordings = ["a b.wav", "ü\"'.wav"]
        try await store.write([.call(call), .event(event("one", 0))])
        expectSame(try await store.call("one"), call, .storeCalls, "a call by its id")
        expectSame(try await store.call("CA-one"), call, .storeCalls, "a call by the carrier's name")
        expectSame(try await store.call(conversation: "conv-1"), call, .storeCalls, "a call by its conversation")
        expectSame(try await store.call("nobody"), nil, .storeCalls, "a call that is not there")
        expectSame(try await store.call(""), nil, .storeCalls, "a call without a name")

        call.status = "failed"
        call.endedAt = date + 60
        call.endReason = "failure: \u{1F4DE} \u{0} ends"
        let recordings = call.recordings
        call.recordings = []
        call.conversationID = nil
        call.streamSid = nil
        try await store.write([
            .call(call), .recording(call: "one", path: "c.wav"), .recording(call: "one", path: "c.wav"),
            .recording(call: "nobody", path: "d.wav"),
        ])
        let kept = try await store.call("one")
        expectSame(kept?.status, "failed", .storeCalls, "the state of a call that was written again")
        expectSame(kept?.endedAt, call.endedAt, .storeCalls, "its end")
        expectSame(kept?.streamSid, nil, .storeCalls, "a value that was taken back")
        expectSame(
            kept?.recordings, recordings + ["c.wav"], .storeCalls,
            "its recordings, which the recorder's row did not know, with another")
        expectSame(kept?.conversationID, "conv-1", .storeCalls, "its conversation, which the row did not know")
        expectSame(
            try await store.events(ofCall: "one").count, 1, .storeCalls, "events of a call that was written again")

        var again = self.call("two", after: 10)
        again.callSid = "CA-one"
        try await store.write([.call(again)])
        expectSame(try await store.call("CA-one")?.id, "two", .storeCalls, "the newest call of one name at the carrier")
        try await store.write([])
    }

    mutating func parts() async throws {
        try await store.write([.call(call("one")), .call(call("two"))])
        // In no order, and both calls in one transaction.
        try await store.write([.event(event("one", 2)), .event(event("two", 0)), .event(event("one", 0, "ü\n"))])
        try await store.write([.event(event("one", 1))])
        let events = try await store.events(ofCall: "one")
        expectSame(events, [event("one", 0, "ü\n"), event("one", 1), event("one", 2)], .storeParts, "events")
        var turn = StoredTurn(
            call: "one", sequence: 1, atMs: 5, speaker: "agent", text: "Hello there", heard: "", isInterrupted: false)
        let first = StoredTurn(
            call: "one", sequence: 0, atMs: 1, speaker: "caller", text: "Hi", heard: "Hi", isInterrupted: false)
        try await store.write([.turn(turn), .turn(first)])
        turn.heard = "Hello"
        turn.isInterrupted = true
        try await store.write([.turn(turn)])
        expectSame(try await store.turns(ofCall: "one"), [first, turn], .storeParts, "turns")
        var tool = StoredToolCall(call: "one", sequence: 0, atMs: 7, name: "book", arguments: #"{"day":"Monday"}"#)
        try await store.write([.toolCall(tool)])
        expectSame(try await store.toolCalls(ofCall: "one"), [tool], .storeParts, "a tool that is awaited")
        tool.output = "no"
        tool.isError = true
        tool.milliseconds = 31
        try await store.write([.toolCall(tool)])
        expectSame(try await store.toolCalls(ofCall: "one"), [tool], .storeParts, "a tool that has answered")
        expectSame(try await store.turns(ofCall: "two"), [], .storeParts, "turns of another call")
        expectSame(try await store.events(ofCall: "nobody"), [], .storeParts, "events of a call that is not there")
    }

    mutating func atomicity() async throws {
        let good = call("good")
        await expectThrows(nil, .storeAtomic, "an event of a call that is not there") {
            [store, event = event("missing", 0)] in
            try await store.write([.call(good), .event(event)])
        }
        expectSame(try await store.call("good"), nil, .storeAtomic, "a call that was written with a step that failed")
        try await store.write([.call(good)])
        expectSame(try await store.call("good"), good, .storeAtomic, "a call after a step that failed")
    }

    mutating func queries() async throws {
        var calls: [CallChange] = []
        for index in 0..<6 {
            calls.append(
                .call(
                    call(
                        "c\(index)", from: index == 3 ? neighbour : me, to: index == 4 ? me : desk,
                        tenant: index % 2 == 0 ? "t1" : "t2", after: Double(index) * 10,
                        endsAfter: index < 4 ? Double(index) * 10 + 5 : nil)))
        }
        try await store.write(calls)
        let all = ["c5", "c4", "c3", "c2", "c1", "c0"]
        var query = CallQuery()
        expectSame(try await store.calls(query).map(\.id), all, .storeQueries, "all calls")
        query.limit = 2
        query.offset = 1
        expectSame(try await store.calls(query).map(\.id), ["c4", "c3"], .storeQueries, "the second page")
        query.offset = 100
        expectSame(try await store.calls(query).map(\.id), [], .storeQueries, "a page behind the last")
        query = CallQuery(tenant: "t1")
        expectSame(try await store.calls(query).map(\.id), ["c4", "c2", "c0"], .storeTenantFilter, "a tenant's calls")
        query = CallQuery(tenant: "t3")
        expectSame(try await store.calls(query).map(\.id), [], .storeTenantFilter, "the calls of a tenant without any")
        query = CallQuery(number: me)
        expectSame(
            try await store.calls(query).map(\.id), ["c5", "c4", "c2", "c1", "c0"], .storeQueries, "a number's calls")
        query = CallQuery()
        query.isEnded = true
        expectSame(try await store.calls(query).map(\.id), ["c3", "c2", "c1", "c0"], .storeQueries, "ended calls")
        query.isEnded = false
        expectSame(try await store.calls(query).map(\.id), ["c5", "c4"], .storeQueries, "running calls")
        query = CallQuery()
        query.createdAfter = date + 10
        query.createdBefore = date + 40
        expectSame(try await store.calls(query).map(\.id), ["c3", "c2"], .storeQueries, "calls between two times")
        var dialled = call("d", after: 100)
        dialled.session = "s9"
        try await store.write([.call(dialled)])
        expectSame(try await store.calls(CallQuery(session: "s9")), [dialled], .storeQueries, "the calls of a session")
    }

    mutating func usage() async throws {
        let now = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
        func use(_ id: String, _ tenant: String?, daysAgo: Double, seconds: Double) -> CallChange {
            var call = call(id, tenant: tenant)
            call.createdAt = now - daysAgo * 86_400
            call.endedAt = call.createdAt + seconds
            call.status = "ended"
            return .call(call)
        }
        var moved = call("u6", tenant: "t1")
        (moved.createdAt, moved.endedAt, moved.status) = (now, now + 120, "moved")
        let tool = StoredToolCall(call: "u1", sequence: 0, atMs: 0, name: "book", arguments: "{}")
        try await store.write([
            use("u1", "t1", daysAgo: 0, seconds: 30), use("u2", "t1", daysAgo: 0, seconds: 12), .toolCall(tool),
            use("u3", nil, daysAgo: 0, seconds: 5), use("u4", "t1", daysAgo: 1, seconds: 7),
            use("u5", "t1", daysAgo: 40, seconds: 7), .call(moved),
        ])
        let days = now.formatted(.iso8601.year().month().day())
        let today = try await store.usage(tenant: "t1", days: 7).filter { $0.day == days }
        expectSame(today.map(\.calls), [2], .storeUsage, "a tenant's calls of today")
        expectSame(today.map { $0.seconds.rounded() }, [42], .storeUsage, "their seconds")
        expectSame(today.map(\.toolCalls), [1], .storeUsage, "their tool calls")
        let all = try await store.usage(tenant: nil, days: 7)
        expectSame(all.map(\.calls).reduce(0, +), 4, .storeUsage, "all calls of a week")
        expectSame(all.map(\.day), all.map(\.day).sorted(by: >), .storeUsage, "the days' order")
        expect(all.contains { $0.tenant == nil && $0.calls == 1 }, .storeUsage, "calls of no tenant are not counted")
    }

    mutating func abandoned() async throws {
        try await store.write([
            .call(call("old")), .event(event("old", 0)), .call(call("done", endsAfter: 30)),
            .call(call("new", after: 100)),
        ])
        expectSame(try await store.closeAbandoned(before: date + 50), 1, .storeAbandoned, "calls that were closed")
        let old = try await store.call("old")
        expectSame(old?.status, "failed", .storeAbandoned, "the state of an abandoned call")
        expect(old?.endedAt != nil && old?.endReason?.isEmpty == false, .storeAbandoned, "it has no end or no reason")
        expectSame(
            old.flatMap { $0.endedAt?.timeIntervalSince($0.createdAt) }.map { Int64(($0 * 1000).rounded()) },
            event("old", 0).atMs, .storeAbandoned, "how long an abandoned call is known to have lasted, in ms")
        expectSame(try await store.events(ofCall: "old").count, 1, .storeAbandoned, "events of an abandoned call")
        expectSame(
            try await store.call("done"), call("done", endsAfter: 30), .storeAbandoned, "a call that had ended before")
        expectSame(try await store.call("new"), call("new", after: 100), .storeAbandoned, "a call that began later")
        expectSame(try await store.closeAbandoned(before: date + 50), 0, .storeAbandoned, "calls closed a second time")
    }
}
