import Foundation
import Logging
import PatchbayCore
import PatchbayStore
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayControl

/// What happens in calls comes to the store, whatever the store does.
struct CallJournalTests {
    /// A store that fails on demand.
    private struct Fickle: ForwardingStore {
        let base: any Store
        let fault: Fault

        final class Fault: Sendable {
            let error = Mutex<StoreError?>(nil)
            let writes = Mutex(0)
        }

        func write(_ changes: [CallChange]) async throws(StoreError) {
            fault.writes.withLock { $0 += 1 }
            if let error = fault.error.withLock({ $0 }) { throw error }
            try await base.write(changes)
        }
    }

    private final class Lines: Sendable {
        let texts = Mutex<[String]>([])
        var logger: Logger { Logger(label: "test") { _ in LineHandler(lines: self) } }
    }

    private struct LineHandler: LogHandler {
        let lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) {
            let lost = event.metadata?["lost"].map { " lost \($0)" } ?? ""
            lines.texts.withLock { $0.append("\(event.message)\(lost)") }
        }
    }

    private let store: SQLiteStore
    private let fault = Fickle.Fault()
    private let lines = Lines()

    init() throws { store = try SQLiteStore() }

    private func journal(limit: Int = CallJournal.queueBytes) -> CallJournal {
        CallJournal(
            Fickle(base: store, fault: fault), feed: EventFeed(), limit: limit, retryInterval: .milliseconds(2),
            logger: lines.logger)
    }

    private func recorder(_ id: String, _ journal: CallJournal, tenant: String? = nil) -> CallRecorder {
        CallRecorder(
            CallInfo(
                id: id, callSid: "CA\(id)", from: "+15550100001", to: "+15550100002", pipeline: "desk", version: "v1",
                tenant: tenant), startedAt: Date(timeIntervalSince1970: 1_800_000_000), journal: journal)
    }

    /// Waits, a bounded time, until everything has come to the store.
    private func settle(_ journal: CallJournal) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while await !journal.flush() {
            try #require(ContinuousClock.now < deadline, "the journal does not settle")
            await Task.yield()
        }
    }

    @Test func whatWasFlushedIsThere() async throws {
        let journal = journal()
        #expect(await journal.flush(), "nothing waits")
        let one = recorder("one", journal)
        one.begin()
        #expect(await journal.flush())
        #expect(try await store.call("one")?.status == "ringing")
        for index in 0..<100 { one.enter("dtmf", "\(index)", MediaTime(milliseconds: Int64(index))) }
        #expect(await journal.flush())
        #expect(try await store.events(ofCall: "one").map(\.detail) == (0..<100).map { "\($0)" })
        #expect(fault.writes.withLock { $0 } < 10, "many steps make few transactions")
    }

    @Test func aFailingStoreCostsNothingWhileThereIsRoom() async throws {
        let journal = journal(), one = recorder("one", journal)
        one.begin()
        #expect(await journal.flush())
        fault.error.withLock { $0 = StoreError(.unavailable, "disk full") }
        for index in 0..<10 { one.enter("dtmf", "\(index)", .zero) }
        let start = ContinuousClock.now
        #expect(await !journal.flush())
        #expect(await !journal.flush(), "while it fails nobody waits")
        #expect(ContinuousClock.now - start < CallJournal.patience)
        fault.error.withLock { $0 = nil }
        try await settle(journal)
        #expect(try await store.events(ofCall: "one").count == 10)
        let texts = lines.texts.withLock { $0 }
        #expect(
            texts == [
                "records cannot be written; calls go on, and the records wait in memory",
                "records are written again lost 0",
            ])
    }

    @Test func whatHasNoRoomIsLostAndCounted() async throws {
        let journal = journal(limit: 10_000), one = recorder("one", journal)
        fault.error.withLock { $0 = StoreError(.unavailable, "disk full") }
        one.begin()
        for index in 0..<1000 { one.enter("dtmf", "\(index)", .zero) }
        one.ended(EndReason(.callerHungUp), at: Date(timeIntervalSince1970: 1_800_000_060), nil)
        #expect(await !journal.flush())
        fault.error.withLock { $0 = nil }
        try await settle(journal)
        let kept = try await store.events(ofCall: "one")
        #expect(kept.count > 20 && kept.count < 60, "as many as there was room for: \(kept.count)")
        #expect(kept.map(\.sequence) == Array(0..<kept.count), "the first ones")
        #expect(try await store.call("one")?.status == "ended", "the call itself is up to date")
        // The row that stands in line behind the events was one of the lost steps.
        let lost = 1000 - kept.count + 1
        #expect(
            lines.texts.withLock { $0.contains("records are written again lost \(lost)") },
            "\(lines.texts.withLock { $0 })")
    }

    @Test func oneCallsFaultDoesNotCostTheOthers() async throws {
        let journal = journal(), one = recorder("one", journal), two = recorder("two", journal)
        one.begin()
        two.begin()
        // An event of a call that the store does not know.
        journal.append(
            .event(StoredEvent(call: "missing", sequence: 0, atMs: 0, event: "x", detail: "")), of: one.row)
        one.enter("dtmf", "1", .zero)
        two.enter("dtmf", "2", .zero)
        #expect(await journal.flush())
        #expect(try await store.events(ofCall: "one").count == 1)
        #expect(try await store.events(ofCall: "two").count == 1)
    }

    @Test func whatWasErasedStaysErased() async throws {
        let journal = journal(), one = recorder("one", journal), two = recorder("two", journal)
        one.begin()
        one.ended(EndReason(.callerHungUp), at: Date(timeIntervalSince1970: 1_800_000_060), nil)
        two.begin()
        #expect(await journal.flush())
        #expect(try await store.erase(number: "+15550100001") == 1)
        one.recorded("/r/one.wav")
        one.enter("late", "", .zero)
        two.recorded("/r/two.wav")
        #expect(await journal.flush())
        #expect(try await store.call("one") == nil)
        #expect(try await store.forgottenRecordings(after: nil, limit: 9) == ["/r/one.wav"])
        #expect(try await store.call("two")?.recordings == ["/r/two.wav"], "a call that runs is not erased")
    }

    @Test func aRecordingOfACallOfBeforeReachesIt() async throws {
        let journal = journal()
        var call = StoredCall(
            id: "old", callSid: "CAold", direction: "inbound", from: "a", to: "b", pipeline: "p", version: "v",
            status: "ended", createdAt: Date(timeIntervalSince1970: 1_800_000_000))
        call.recordings = ["/r/1.wav"]
        try await store.write([.call(call)])
        journal.append(.recording(call: "old", path: "/r/2.wav"), of: nil)
        journal.append(.recording(call: "nobody", path: "/r/3.wav"), of: nil)
        #expect(await journal.flush())
        #expect(try await store.call("old")?.recordings == ["/r/1.wav", "/r/2.wav"])
        #expect(try await store.call("old")?.status == "ended")
    }

    /// A store that has something against one call.
    private struct Picky: ForwardingStore {
        let base: any Store
        func write(_ changes: [CallChange]) async throws(StoreError) {
            if changes.contains(where: { $0.callID == "two" }) { throw StoreError(.refused, "not two") }
            try await base.write(changes)
        }
    }

    @Test func callsThatOnlyChangedAreWrittenAloneToo() async throws {
        let journal = CallJournal(
            Picky(base: store), feed: EventFeed(), retryInterval: .milliseconds(2), logger: lines.logger)
        for id in ["one", "two", "three"] { recorder(id, journal).begin() }
        #expect(await journal.flush())
        #expect(try await Set(store.calls(CallQuery()).map(\.id)) == ["one", "three"])
        await journal.finish()
        #expect(
            lines.texts.withLock { $0.contains("records are lost; calls go on lost 1") },
            "\(lines.texts.withLock { $0 })")
    }

    @Test func batchesChangeHandsWhole() throws {
        var queue = EntryQueue(batchLimit: 3)
        func entry(_ index: Int) -> CallJournal.Entry {
            CallJournal.Entry(
                change: .event(StoredEvent(call: "c", sequence: index, atMs: 0, event: "x", detail: "")), tenant: nil)
        }
        for index in 0..<7 { queue.append(entry(index), bytes: 10 + index, ticket: UInt64(index)) }
        #expect(queue.count == 7)
        let first = queue.take()
        #expect(first.entries.count == 3 && first.bytes == 33 && first.ticket == 2 && !first.isPublished)
        #expect(queue.count == 4)
        let place = first.entries.withUnsafeBufferPointer { $0.baseAddress }
        queue.putBack(first)
        #expect(queue.count == 7)
        let again = queue.take()
        #expect(again.entries.withUnsafeBufferPointer { $0.baseAddress } == place, "no step was touched")
        #expect(again.isPublished && again.bytes == 33)
        // What comes while only a batch that was given back waits is a batch of its own: readers know nothing of it.
        while queue.count > 0 { _ = queue.take() }
        queue.putBack(EntryQueue.Batch(entries: [entry(0)], bytes: 1, ticket: 0))
        queue.append(entry(1), bytes: 1, ticket: 1)
        #expect(queue.take().entries.count == 1)
        let last = queue.take()
        #expect(!last.isPublished && last.ticket == 1 && queue.count == 0 && queue.take().entries.isEmpty)
    }

    @Test func aFullQueueIsTakenUpAgainWhole() async throws {
        let journal = journal(limit: 3_000_000)
        fault.error.withLock { $0 = StoreError(.unavailable, "disk full") }
        let recorders = (0..<20).map { recorder("c\($0)", journal) }
        for recorder in recorders { recorder.begin() }
        for index in 0..<6000 { recorders[index % 20].enter("dtmf", "\(index)", .zero) }
        #expect(await !journal.flush())
        for recorder in recorders { recorder.ended(EndReason(.callerHungUp), at: Date(), nil) }
        fault.error.withLock { $0 = nil }
        try await settle(journal)
        var count = 0
        for index in 0..<20 {
            let events = try await store.events(ofCall: "c\(index)")
            #expect(events.map(\.sequence) == Array(0..<events.count))
            #expect(try await store.call("c\(index)")?.status == "ended")
            count += events.count
        }
        #expect(count == 6000 && journal.waiting == 0)
        #expect(lines.texts.withLock { $0.contains("records are written again lost 0") })
        // All of its memory is free again: the same fits once more.
        fault.error.withLock { $0 = StoreError(.unavailable, "disk full") }
        for index in 0..<6000 { recorders[index % 20].enter("dtmf", "\(index)", .zero) }
        fault.error.withLock { $0 = nil }
        try await settle(journal)
        #expect(try await store.events(ofCall: "c0").count == 600)
    }

    @Test func theRecordFollowsTheCall() async throws {
        let journal = journal(), one = recorder("one", journal, tenant: "t1")
        let log = CallLog(logger: lines.logger, recorder: one)
        func at(_ milliseconds: Int64) -> MediaTime { MediaTime(milliseconds: 5000 + milliseconds) }
        func happens(_ event: CallEvent, _ milliseconds: Int64) {
            one.observe(event, time: at(milliseconds))
            log.observe(event, time: at(milliseconds))
        }
        func said(_ frame: TextFrame, _ milliseconds: Int64) {
            for observer: any CallObserver in [one, log] {
                observer.observe(.text(frame), at: Joint(.toCaller, 0), time: at(milliseconds))
            }
        }
        one.begin()
        happens(.agentConnecting(backend: "script"), 0)
        happens(.streamStarted(CallStart(callSid: "CAone", streamSid: "MZ1")), 100)
        happens(.agentReady(backend: "script", input: .telephony, output: .telephony), 120)
        happens(.conversationStarted(id: "conv-1"), 130)
        said(TextFrame("Good morning to you", speaker: .agent), 140)
        happens(.agentAudible(generation: 0), 150)
        said(TextFrame("Stop", speaker: .caller), 900)
        happens(
            .interrupted(
                cause: "the caller spoke", heard: Heard(text: "Good", duration: .seconds(1), isComplete: false)), 901)
        one.observe(.speechStopped, at: Joint(.toAgent, 1), time: at(950))
        happens(.toolCalled(ToolCall(id: "t", name: "book", arguments: "{}")), 960)
        happens(
            .toolAnswered(ToolResult(ToolCall(id: "t", name: "book"), output: "done"), after: .milliseconds(30)), 990)
        happens(.agentAudible(generation: 1), 1000)
        #expect(await journal.flush())
        let call = try #require(try await store.call("one"))
        #expect(call.streamSid == "MZ1" && call.backend == "script" && call.conversationID == "conv-1")
        #expect(call.status == "streaming" && call.tenant == "t1" && call.interruptions == 1)
        #expect(call.timeToFirstAudioMs == 50 && call.responseLatencyMs == 50)
        happens(.ended(EndReason(.callerHungUp)), 2000)
        one.ended(EndReason(.callerHungUp), at: call.createdAt + 2, nil)
        one.ended(EndReason(.failure, "late"), at: call.createdAt + 3, nil)
        #expect(await journal.flush())
        #expect(try await store.call("one")?.endReason == "callerHungUp")
        let events = try await store.events(ofCall: "one")
        #expect(events.map(\.sequence) == Array(0..<events.count) && events.last?.event == "call ended")
        #expect(events.first?.atMs == 0 && events.last?.atMs == 2000)
        let turns = try await store.turns(ofCall: "one").map {
            "\($0.speaker) \($0.atMs) \($0.heard) \($0.isInterrupted)"
        }
        #expect(turns == ["agent 140 Good true", "caller 900 Stop false"])
        let tools = try await store.toolCalls(ofCall: "one")
        #expect(tools.map(\.output) == ["done"] && tools.map(\.milliseconds) == [30] && tools.map(\.atMs) == [960])
    }

    @Test func whatIsSaidAndTypedInAPauseIsWithheld() async throws {
        let journal = journal(), one = recorder("one", journal)
        let log = CallLog(logger: lines.logger, recorder: one)
        func at(_ milliseconds: Int64) -> MediaTime { MediaTime(milliseconds: 5000 + milliseconds) }
        func happens(_ event: CallEvent, _ milliseconds: Int64) {
            one.observe(event, time: at(milliseconds))
            log.observe(event, time: at(milliseconds))
        }
        func passes(_ frame: Frame, _ milliseconds: Int64, _ joint: Joint = Joint(.toCaller, 0)) {
            for observer: any CallObserver in [one, log] {
                observer.observe(frame, at: joint, time: at(milliseconds))
            }
        }
        func heard(_ text: String) -> Heard { Heard(text: text, duration: .seconds(1), isComplete: true) }
        one.begin()
        passes(.dtmf("1"), 0, Joint(.toAgent, 0))
        passes(.text(TextFrame("Your card, please", speaker: .agent)), 10)
        happens(.recording(.pause), 20)
        happens(.turnHeard(heard("Your card, please")), 30)
        passes(.dtmf("4"), 40, Joint(.toAgent, 0))
        passes(.text(TextFrame("four two four two", speaker: .caller)), 50)
        passes(.text(TextFrame("You said four two", speaker: .agent, isFinal: false)), 60)
        happens(.toolCalled(ToolCall(id: "t", name: "charge", arguments: #"{"card":"four"}"#)), 70)
        happens(.recording(.resume), 100)
        #expect(one.isHeardWithheld, "what is played was said in the pause")
        passes(.text(TextFrame("You said four two. Right?", speaker: .agent)), 110)
        passes(.text(TextFrame("four two four two", speaker: .caller, isCorrection: true)), 115)
        happens(.toolAnswered(ToolResult(ToolCall(id: "t", name: "charge"), output: "four ok"), after: .zero), 120)
        happens(.interrupted(cause: "the caller spoke", heard: heard("You said four")), 130)
        passes(.text(TextFrame("four, late", speaker: .caller)), 100 + 2900)
        passes(.dtmf("2"), 3000, Joint(.toAgent, 0))
        passes(.text(TextFrame("Yes", speaker: .caller)), 4000)
        passes(.text(TextFrame("Thank you", speaker: .agent)), 4010)
        happens(.turnHeard(heard("Thank you")), 4020)
        #expect(!one.isHeardWithheld)
        #expect(await journal.flush())
        let events = try await store.events(ofCall: "one").map { "\($0.event): \($0.detail)" }
        #expect(
            events == [
                "dtmf: 1", "agent said: Your card, please", "recording: pause",
                "turn heard: 1000 ms: Your card, please", "dtmf: [withheld]", "caller said: [withheld]",
                "tool called: charge [withheld]", "recording: resume", "agent said: [withheld]",
                "caller said: [withheld]", "tool answered: charge after 0 ms: [withheld]",
                "interruption: the caller spoke; heard 1000 ms: [withheld]", "caller said: [withheld]", "dtmf: 2",
                "caller said: Yes", "agent said: Thank you", "turn heard: 1000 ms: Thank you",
            ])
        let turns = try await store.turns(ofCall: "one").map { "\($0.speaker): \($0.text) | \($0.heard)" }
        #expect(
            turns == [
                "agent: Your card, please | Your card, please", "caller: [withheld] | [withheld]",
                "agent: [withheld] | [withheld]", "caller: [withheld] | [withheld]", "caller: Yes | Yes",
                "agent: Thank you | Thank you",
            ])
        let tools = try await store.toolCalls(ofCall: "one")
        #expect(tools.map(\.arguments) == [#""[withheld]""#] && tools.map(\.output) == ["[withheld]"])
        #expect(!lines.texts.withLock { $0 }.contains { $0.contains("four") })
    }

    @Test func aSlowReaderIsSentAway() async throws {
        let feed = EventFeed(), dropped = Mutex(0)
        func entry(_ index: Int) -> CallJournal.Entry {
            CallJournal.Entry(
                change: .event(StoredEvent(call: "c", sequence: index, atMs: 0, event: "x", detail: "")),
                tenant: "t1")
        }
        let slow = try #require(feed.subscribe(to: nil, as: .local) { dropped.withLock { $0 += 1 } })
        let stranger = try #require(feed.subscribe(to: nil, as: Principal(name: "x", tenant: "t2")) {})
        let other = try #require(feed.subscribe(to: "other", as: .local) {})
        feed.publish((0...EventFeed.backlogLimit).map(entry))
        feed.publish([entry(9999)])
        feed.finish()
        #expect(dropped.withLock { $0 } == 1)
        var count = 0
        for await _ in slow.items { count += 1 }
        #expect(count == EventFeed.backlogLimit)
        for await _ in stranger.items { Issue.record("another tenant's event") }
        for await _ in other.items { Issue.record("another call's event") }
        #expect(feed.subscribe(to: nil, as: .local) {} == nil, "after the end nobody begins to read")
    }

    @Test func readersAreBounded() {
        let feed = EventFeed()
        var readings = (0..<EventFeed.readerLimit).map { _ in feed.subscribe(to: nil, as: .local) {} }
        #expect(!readings.contains { $0 == nil } && feed.subscribe(to: nil, as: .local) {} == nil)
        readings.removeAll()
        withExtendedLifetime(readings) {}
    }

    @Test func upkeepClosesAndPrunes() async throws {
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        func call(_ id: String, _ days: Double, isEnded: Bool) -> CallChange {
            var call = StoredCall(
                id: id, callSid: id, direction: "inbound", from: "a", to: "b", pipeline: "p", version: "v",
                createdAt: now - days * 86_400)
            call.endedAt = isEnded ? call.createdAt + 1 : nil
            return .call(call)
        }
        try await store.write([
            call("old", 91, isEnded: true), call("young", 89, isEnded: true), call("dead", 1, isEnded: false),
        ])
        let clock = Mutex(now)
        let rounds = Mutex(0)
        await RecordUpkeep(
            store: store, recordings: RecordingSweep(store: store, folders: { [] }, logger: lines.logger),
            retentionDays: 90, startedAt: now, clock: { clock.withLock { $0 } }, logger: lines.logger
        ).run {
            if rounds.withLock({
                $0 += 1; return $0
            }) == 2 {
                throw CancellationError()
            }
            #expect(try await store.calls(CallQuery()).map(\.id) == ["dead", "young"])
            clock.withLock { $0 += 2 * 86_400 }
        }
        #expect(try await store.calls(CallQuery()).map(\.id) == ["dead"])
        #expect(try await store.call("dead")?.status == "failed")
    }

    @Test func whatWasLookedUpGoesWhateverTheRetention() async throws {
        let now = Date()
        let clock = Mutex(now)
        try await store.keepContext("{}", key: "short", number: "+1", expires: now + 60)
        try await store.keepContext("{}", key: "long", number: "+1", expires: now + 7200)
        let rounds = Mutex(0)
        await RecordUpkeep(
            store: store, recordings: RecordingSweep(store: store, folders: { [] }, logger: lines.logger),
            retentionDays: nil, startedAt: now, clock: { clock.withLock { $0 } }, logger: lines.logger
        ).run {
            if rounds.withLock({
                $0 += 1; return $0
            }) == 2 {
                throw CancellationError()
            }
            #expect(try await store.context(key: "short", at: now) == "{}")
            clock.withLock { $0 += 3600 }
        }
        #expect(try await store.context(key: "short", at: now) == nil, "not only hidden: gone")
        #expect(try await store.context(key: "long", at: now) == "{}")
    }
}
