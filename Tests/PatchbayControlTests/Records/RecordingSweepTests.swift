import Foundation
import Logging
import PatchbayStore
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayControl

/// Recordings of forgotten calls go, and nothing else does.
struct RecordingSweepTests {
    private let folder = FileManager.default.temporaryDirectory.path + "/sweep-\(UUID().uuidString)"
    private var ours: String { folder + "/ours" }

    init() throws {
        for path in ["/ours/below", "/theirs"] {
            try FileManager.default.createDirectory(atPath: folder + path, withIntermediateDirectories: true)
        }
    }

    private func file(_ path: String) -> String {
        _ = FileManager.default.createFile(atPath: folder + path, contents: Data("x".utf8))
        return folder + path
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    @Test func onlyRecordingsInOurFoldersAreRemoved() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let manager = FileManager.default
        let target = file("/theirs/target.wav")
        try manager.createSymbolicLink(atPath: ours + "/link.wav", withDestinationPath: target)
        try manager.createSymbolicLink(atPath: ours + "/away", withDestinationPath: folder + "/theirs")
        try manager.createDirectory(atPath: ours + "/folder.wav", withIntermediateDirectories: true)
        let outside = RecordingSweep.Fate.foreign("it lies outside the folders that recordings are written to")
        let named = RecordingSweep.Fate.foreign("its name is not that of a recording")
        let cases: [(String, RecordingSweep.Fate)] = [
            (file("/ours/a.wav"), .removed), (ours + "/a.wav", .gone), (file("/ours/below/b.MP3"), .removed),
            (ours + "/nowhere/c.ogg", .gone), (folder + "/missing/c.ogg", .failed("its folder is not there")),
            (file("/ours/d.json"), named), ("relative.wav", named), ("", named),
            (ours + "/link.wav", .foreign("it is no file")), (ours + "/folder.wav", .foreign("it is no file")),
            (target, outside), (ours + "/../theirs/target.wav", outside), (ours + "/away/target.wav", outside),
            (folder + "/ours.wav", outside),
        ]
        for (path, fate) in cases {
            #expect(RecordingSweep.remove(path, from: [ours, folder + "/missing"]) == fate, "\(path)")
        }
        #expect(exists(target) && exists(ours + "/d.json"))
        #expect(RecordingSweep.remove(target, from: []) == outside)
    }

    @Test func whatCannotBeRemovedIsTriedAgain() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try SQLiteStore(), date = Date(timeIntervalSince1970: 1_800_000_000)
        var call = StoredCall(
            id: "c", callSid: "CA", direction: "inbound", from: "+15550100001", to: "b", pipeline: "p", version: "v",
            createdAt: date)
        call.endedAt = date
        // More than one look at the list, and a folder in the place of a file cannot be unlinked.
        let files = (0..<RecordingSweep.batchLimit + 5).map { file("/ours/\($0).wav") }
        call.recordings = files + [folder + "/theirs/x.wav"]
        try await store.write([.call(call)])
        #expect(try await store.prune(before: date + 1) > 0)
        let isOurs = Mutex(true)
        let sweep = RecordingSweep(
            store: store, folders: { isOurs.withLock { $0 } ? [ours] : [] },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let locked = try await Self.locking(ours) { try await sweep.run() }
        if let locked {
            // The superuser may remove anything anywhere.
            #expect(locked == .init(removed: 0, left: files.count) || locked.removed == files.count)
        }
        let outcome = try await sweep.run()
        #expect(outcome.left == 0 && !files.contains(where: exists))
        #expect(try await store.forgottenRecordings(after: nil, limit: 9).isEmpty)
    }

    /// Does something while nothing can be removed from a folder.
    private static func locking<T>(_ folder: String, _ body: () async throws -> T) async throws -> T? {
        try FileManager.default.setAttributes([.posixPermissions: 0o500], ofItemAtPath: folder)
        defer { try? FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder) }
        return try await body()
    }
}
