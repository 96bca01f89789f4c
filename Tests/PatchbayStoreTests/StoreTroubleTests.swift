import Foundation
import GRDB
import Testing

@testable import PatchbayStore

/// A folder for one test.
final class Folder: Sendable {
    let path = NSTemporaryDirectory() + "store-\(UUID().uuidString)"
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// What the disk, other processes and other releases do to the store.
@Suite struct StoreTroubleTests {
    private let folder = Folder()
    private let date = Date(timeIntervalSince1970: 1_800_000_000)
    private var file: String { folder.path + "/" + SQLiteStore.fileName }

    private func call(_ id: String) -> StoredCall {
        StoredCall(
            id: id, callSid: "CA\(id)", direction: "inbound", from: "+15550100001", to: "+15550100002",
            pipeline: "desk", version: "v1", createdAt: date)
    }

    private func event(_ sequence: Int) -> CallChange {
        .event(
            StoredEvent(
                call: "c", sequence: sequence, atMs: 0, event: "x", detail: String(repeating: "y", count: 4000)))
    }

    private func code(_ body: () async throws -> Void) async -> StoreError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    @Test func aFullDiskIsToldAndWhatWasWrittenStays() async throws {
        let store = try SQLiteStore(directory: folder.path)
        try await store.write([.call(call("c")), event(0)])
        // The system's answer for a disk without room is the same as for a file that may not grow (SQLITE_FULL).
        try await store.database.write { database in
            let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            try database.execute(sql: "PRAGMA max_page_count = \(pages + 4)")
        }
        let failure = await code { try await store.write((1...50).map(event)) }
        #expect(failure == .unavailable)
        #expect(try await store.events(ofCall: "c").map(\.sequence) == [0], "all or nothing")
        try await store.database.write { try $0.execute(sql: "PRAGMA max_page_count = 100000") }
        try await store.write((1...50).map(event))
        #expect(try await store.events(ofCall: "c").count == 51, "with room again it goes on")
    }

    @Test func aReadOnlyDiskIsTold() async throws {
        let store = try SQLiteStore(directory: folder.path)
        try await store.write([.call(call("c"))])
        try await store.database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = ON") }
        let (written, checked) = (
            await code { try await store.write([event(0)]) }, await code { try await store.check() }
        )
        #expect(written == .unavailable && checked == .unavailable)
        #expect(try await store.call("c") != nil, "it can still be read")
        try await store.database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = OFF") }
        try await store.check()
    }

    @Test func anEntryThatCannotBeIsRefusedAndTheStoreIsWell() async throws {
        let store = try SQLiteStore(directory: folder.path)
        #expect(await code { try await store.write([event(0)]) } == .refused)
        try await store.check()
    }

    @Test func aFolderThatCannotBeMadeIsTold() {
        #expect(throws: StoreError.self) { try SQLiteStore(directory: "/dev/null/store") }
    }

    @Test(arguments: [4096, 100]) func aDamagedFileIsToldNotDiedOf(place: Int) async throws {
        do {
            let store = try SQLiteStore(directory: folder.path)
            try await store.write([.call(call("c"))] + (0..<50).map(event))
        }
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        let garbage = place == 4096 ? place..<bytes.count : 0..<place
        bytes.replaceSubrange(garbage, with: Data(repeating: 0xA5, count: garbage.count))
        try bytes.write(to: URL(fileURLWithPath: file))
        let failure = await code {
            let store = try SQLiteStore(directory: folder.path)
            _ = try await store.calls(CallQuery())
            _ = try await store.events(ofCall: "c")
        }
        #expect(failure == .unavailable)
    }

    @Test func aFileOfANewerReleaseIsLeftAlone() async throws {
        do {
            let store = try SQLiteStore(directory: folder.path)
            try await store.database.write {
                try $0.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('calls 99')")
            }
        }
        #expect {
            try SQLiteStore(directory: folder.path)
        } throws: { error in
            "\(error)".contains("newer release")
        }
    }

    @Test func twoProcessesShareAFile() async throws {
        let one = try SQLiteStore(directory: folder.path), two = try SQLiteStore(directory: folder.path)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<40 {
                let (store, call) = (index % 2 == 0 ? one : two, call("c\(index)"))
                group.addTask { try await store.write([.call(call)]) }
            }
            try await group.waitForAll()
        }
        #expect(try await one.calls(CallQuery()).count == 40)
        #expect(try await two.calls(CallQuery()).count == 40)
    }

    @Test func theCallsOfALivingProcessAreNotClosed() async throws {
        let one = try SQLiteStore(directory: folder.path)
        var two: SQLiteStore? = try SQLiteStore(directory: folder.path)
        try await two?.write([.call(call("theirs"))])
        #expect(try await one.closeAbandoned(before: date + 60) == 0)
        #expect(try await one.call("theirs")?.status == "ringing")
        two = nil
        #expect(try await one.closeAbandoned(before: date + 60) == 1)
        #expect(try await one.call("theirs")?.status == "failed")
        let locks = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".lock") }
        #expect(locks.count == 1, "a dead process leaves no mark")
    }

    @Test func nobodyKnowsWhetherADeadProcessDidItsWork() async throws {
        let one = try SQLiteStore(directory: folder.path)
        var two: SQLiteStore? = try SQLiteStore(directory: folder.path)
        for key in ["open", "done"] { #expect(try await two?.claim(source: "v", key: key, at: date) == .new) }
        #expect(try await one.claim(source: "v", key: "open", at: date) == .inProgress)
        try await two?.settle(source: "v", key: "done", answer: "booked for +15550100001")
        two = nil
        #expect(try await one.claim(source: "v", key: "open", at: date) == .abandoned)
        #expect(try await one.claim(source: "v", key: "open", at: date) == .abandoned, "it is never new again")
        #expect(
            try await one.claim(source: "v", key: "done", at: date) == .settled(answer: "booked for +15550100001"))
        // Deliveries of former releases say nothing of their work.
        #expect(try await one.deliver(source: "v", key: "former", at: date, DeliveryEffect()))
        #expect(try await one.claim(source: "v", key: "former", at: date) == .abandoned)
        #expect(try await one.erase(number: "+15550100001") == 1)
        #expect(try await one.claim(source: "v", key: "done", at: date) == .settled(answer: "booked for erased"))
    }

    @Test func theFilesAreTheOwnersAlone() async throws {
        let store = try SQLiteStore(directory: folder.path)
        try await store.write([.call(call("c"))])
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let mode = try FileManager.default.attributesOfItem(atPath: "\(folder.path)/\(name)")[.posixPermissions]
            #expect(mode as? Int == 0o600, "\(name)")
        }
    }

    @Test(arguments: [
        ("+15550100001", "from +15550100001 to", "from erased to"),
        ("+15550100001", "15550100001", "erased"),
        ("+15550100001", "+155501000012", "+155501000012"),
        ("+15550100001", "215550100001", "215550100001"),
        ("+15550100001", "%2B15550100001,+15550100001", "%2Berased,erased"),
        ("+15550100001", "", ""),
        ("+1", "+1", "+1"),
        ("anonymous", "anonymous 1234567", "anonymous 1234567"),
    ]) func numbersAreTakenOutOfTexts(number: String, text: String, expected: String) {
        #expect(Mentions.erasing(number, from: text) == expected)
    }
}
