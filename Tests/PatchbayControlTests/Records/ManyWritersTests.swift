import Foundation
import Logging
import NIOCore
import PatchbayCore
import PatchbayStore
import PatchbayWire
import Testing

@testable import PatchbayControl

/// A call's end and the vendor's webhooks come at the same moment: what each of them knows is kept.
struct ManyWritersTests {
    private static let date = Date(timeIntervalSince1970: 1_800_000_000)

    private static func webhook(_ type: String, _ data: String) throws -> ElevenLabsWebhook {
        var audio = ByteBuffer()
        return try ElevenLabsWebhook(
            ByteBuffer(string: #"{"type": "\#(type)", "event_timestamp": 1, "data": {\#(data)}}"#), audio: &audio,
            maximumAudio: 1024)
    }

    private static func report(_ conversation: String, _ more: String = "") throws -> ElevenLabsWebhook {
        try webhook(
            "post_call_transcription",
            #"""
            "agent_id": "a", "conversation_id": "\#(conversation)", "status": "done", "transcript": [
            {"role": "user", "message": "four two", "time_in_call_secs": 2}], "analysis": {"transcript_summary": "paid"}\#(more)
            """#)
    }

    private static func audio(_ conversation: String) throws -> ElevenLabsWebhook {
        try webhook(
            "post_call_audio", #""agent_id": "a", "conversation_id": "\#(conversation)", "full_audio": "SUQzBAAA""#)
    }

    private static func deliver(
        _ webhook: ElevenLabsWebhook, _ key: String, _ store: any Store, recording: String? = nil
    ) async throws {
        let effect = try await ElevenLabsEffect(of: webhook, in: store, at: date, recording: recording)
        _ = try await store.deliver(source: "elevenlabs", key: key, at: date, effect.delivery)
    }

    private static let phone =
        #", "metadata": {"start_time_unix_secs": 1799999990, "call_duration_secs": 5, "phone_call": {"direction": "inbound", "agent_number": "+15550100002", "external_number": "+15550100001", "call_sid": "CAnative"}}"#

    @Test func nothingIsLostWhenAllComeAtOnce() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/writers-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try SQLiteStore(directory: folder), other = try SQLiteStore(directory: folder)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let journal = CallJournal(store, feed: EventFeed(), logger: logger)
        for round in 0..<25 {
            let id = "call-\(round)", conversation = "conv-\(round)"
            let recorder = CallRecorder(
                CallInfo(id: id, callSid: "CA\(round)", from: "+1", to: "+2", pipeline: "desk"), startedAt: Self.date,
                journal: journal)
            recorder.begin()
            recorder.observe(.conversationStarted(id: conversation), time: .zero)
            recorder.enter("stream connected", "", .zero)
            #expect(await journal.flush())
            let (report, audio) = (try Self.report(conversation), try Self.audio(conversation))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await Self.deliver(report, "r\(round)", other) }
                group.addTask { try await Self.deliver(audio, "a\(round)", store, recording: "/r/\(round).mp3") }
                group.addTask {
                    for index in 0..<5 { recorder.enter("dtmf", "\(index)", .zero) }
                    recorder.recorded("/r/\(round).wav")
                    await journal.flush()
                    recorder.ended(EndReason(.callerHungUp), at: Self.date + 5, nil)
                    recorder.enter("call ended", "", .zero, isLast: true)
                    await journal.flush()
                }
                try await group.waitForAll()
            }
            let call = try #require(try await store.call(id))
            #expect(Set(call.recordings) == ["/r/\(round).mp3", "/r/\(round).wav"] && call.recordings.count == 2)
            #expect(call.status == "ended" && call.endReason == "callerHungUp" && call.conversationID == conversation)
            let events = try await store.events(ofCall: id)
            #expect(events.map(\.sequence) == Array(0..<8), "round \(round)")
            #expect(
                Set(events.map(\.detail)) == ["", "0", "1", "2", "3", "4", #"{ "transcript_summary": "paid" }"#],
                "\(events)")
        }
        #expect(try await other.closeAbandoned(before: Self.date + 60) == 0)
    }

    @Test func aRunningCallStaysItsProcesssOwn() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/writers-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try SQLiteStore(directory: folder)
        var call = StoredCall(
            id: "c", callSid: "CA", direction: "inbound", from: "+1", to: "+2", pipeline: "p", version: "v",
            createdAt: Self.date)
        call.conversationID = "conv"
        try await store.write([.call(call)])
        var other: SQLiteStore? = try SQLiteStore(directory: folder)
        if let other { try await Self.deliver(try Self.report("conv"), "k", other) }
        other = nil
        // The process that took the webhook is gone; the call's is not.
        let third = try SQLiteStore(directory: folder)
        #expect(try await third.closeAbandoned(before: Self.date + 60) == 0)
    }

    @Test(arguments: [true, false]) func aCallOfTheVendorsIsOneWhateverComesFirst(isAudioFirst: Bool) async throws {
        let store = try SQLiteStore()
        let webhooks = [(try Self.audio("conv"), "/r/conv.mp3"), (try Self.report("conv", Self.phone), nil)]
        for (index, (webhook, recording)) in (isAudioFirst ? webhooks : webhooks.reversed()).enumerated() {
            try await Self.deliver(webhook, "\(index)", store, recording: recording)
        }
        let calls = try await store.calls(CallQuery())
        let call = try #require(calls.first)
        #expect(calls.count == 1 && call.from == "+15550100001" && call.callSid == "CAnative")
        #expect(call.recordings == ["/r/conv.mp3"] && call.conversationID == "conv" && call.status == "ended")
        #expect(try await store.turns(ofCall: call.id).map(\.text) == ["four two"])
        #expect(try await store.erase(number: "+15550100001") == 1)
        #expect(try await store.forgottenRecordings(after: nil, limit: 9) == ["/r/conv.mp3"])
        // The vendor sends both again, with another time in them.
        for (index, (webhook, recording)) in webhooks.enumerated() {
            try await Self.deliver(webhook, "again \(index)", store, recording: recording.map { $0 + ".2.mp3" })
        }
        #expect(try await store.calls(CallQuery()).isEmpty)
        #expect(try await store.forgottenRecordings(after: nil, limit: 9) == ["/r/conv.mp3", "/r/conv.mp3.2.mp3"])
    }

    @Test func theVendorsWordsOfAPausedCallAreNotKept() async throws {
        let store = try SQLiteStore()
        var call = StoredCall(
            id: "c", callSid: "CA", direction: "outbound", from: "+1", to: "+2", pipeline: "p", version: "v",
            createdAt: Self.date)
        call.conversationID = "conv"
        call.session = "s"
        _ = try await store.insert(VoiceSession(id: "s", customerPhone: "+2", pipeline: "p", createdAt: Self.date))
        try await store.write([
            .call(call), .event(StoredEvent(call: "c", sequence: 0, atMs: 0, event: "recording", detail: "pause")),
            .turn(
                StoredTurn(
                    call: "c", sequence: 0, atMs: 7, speaker: "caller", text: "[withheld]", heard: "[withheld]",
                    isInterrupted: false)),
        ])
        try await Self.deliver(try Self.report("conv"), "k", store)
        let session = try #require(try await store.session("s"))
        #expect(session.transcript == #"[{ "atMs": 7, "speaker": "caller", "text": "[withheld]" }]"#)
        #expect(session.status == "completed")
        #expect(try await store.turns(ofCall: "c").map(\.text) == ["[withheld]"])
    }
}
