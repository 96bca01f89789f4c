import Foundation
import PatchbayStore
import Testing

@Suite struct SQLiteStoreTests {
    let store: SQLiteStore
    let date = Date(timeIntervalSince1970: 1_800_000_000)

    init() throws { store = try SQLiteStore() }

    private func call(_ id: String, tenant: String? = nil) -> StoredCall {
        StoredCall(
            id: id, callSid: "CA\(id)", direction: "inbound", from: "+15550100001", to: "+15550100002", tenant: tenant,
            pipeline: "desk", version: "v1", createdAt: date)
    }

    @Test func aCallComesBackAsItWasWritten() async throws {
        var call = call("call-1")
        call.conversationID = "conv_1"
        call.recordings = ["a.wav"]
        try await store.write([.call(call)])
        #expect(try await store.call("call-1") == call)
        #expect(try await store.call("CAcall-1") == call)
        #expect(try await store.call(conversation: "conv_1") == call)
        call.status = "ended"
        try await store.write([
            .call(call),
            .event(StoredEvent(call: "call-1", sequence: 0, atMs: 0, event: "stream connected", detail: "MZ1")),
            .toolCall(StoredToolCall(call: "call-1", sequence: 1, atMs: 5, name: "book", arguments: "{}")),
            .toolCall(
                StoredToolCall(
                    call: "call-1", sequence: 1, atMs: 5, name: "book", arguments: "{}", output: "done", milliseconds: 7
                )),
        ])
        #expect(try await store.call("call-1")?.status == "ended")
        #expect(try await store.events(ofCall: "call-1").map(\.event) == ["stream connected"])
        #expect(try await store.toolCalls(ofCall: "call-1").map(\.output) == ["done"])
    }

    @Test func aVoiceSessionComesBackAsItWasWritten() async throws {
        var session = VoiceSession(id: "s1", customerPhone: "+15550100003", pipeline: "desk", createdAt: date)
        session.customerID = "c1"
        session.conversationID = "conv_2"
        _ = try await store.insert(session)
        #expect(try await store.session("s1") == session)
        #expect(try await store.session(conversation: "conv_2") == session)
    }

    @Test func aStoreOnDiskIsTheSameAfterItIsOpenedAgain() async throws {
        let folder = NSTemporaryDirectory() + "store-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await SQLiteStore(directory: folder).write([.call(call("call-1"))])
        #expect(try await SQLiteStore(directory: folder).call("call-1") == call("call-1"))
    }

    @Test func aFileThatIsNoDatabaseIsRefusedInWords() throws {
        let folder = NSTemporaryDirectory() + "store-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data("no database, but long enough to be looked at as if it were one".utf8)
            .write(to: URL(fileURLWithPath: folder + "/" + SQLiteStore.fileName))
        #expect(throws: StoreError.self) { try SQLiteStore(directory: folder) }
    }

    @Test func anErasedNumberIsInNoFileAnyMore() async throws {
        let folder = NSTemporaryDirectory() + "store-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try SQLiteStore(directory: folder)
        func files(with text: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder).filter {
                try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\($0)")).range(of: Data(text.utf8)) != nil
            }
        }
        var ended = call("call-1")
        ended.from = "+15550177777"
        ended.endedAt = date + 9
        try await store.write([.call(ended), .call(call("call-2"))])
        #expect(try !files(with: "+15550177777").isEmpty)
        #expect(try await store.erase(number: "+15550177777") >= 1)
        #expect(try files(with: "+15550177777").isEmpty)
        #expect(try !files(with: "+15550100002").isEmpty, "the others are there")
    }
}
