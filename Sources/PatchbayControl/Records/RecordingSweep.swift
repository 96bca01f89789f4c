import Foundation
import Logging
import Metrics
import PatchbayStore

/// Removes the files of recordings whose calls were erased or pruned.
///
/// The store lists such recordings in the transaction that forgets the call, so that a file outlives neither a crash nor a
/// disk that fails for a while: what is still listed is tried again with the next round of ``RecordUpkeep``.
struct RecordingSweep: Sendable {
    /// Files that are asked for at once.
    static let batchLimit = 200
    /// Files that cannot be removed and are named in the log, in one round.
    static let namedLimit = 20
    /// What recordings end in. Nothing else is ever removed.
    static let extensions: Set<String> = ["mp3", "ogg", "opus", "wav"]

    let store: any Store
    /// Where recordings are written to. Files elsewhere are nobody's to remove here, whatever the store says.
    let folders: @Sendable () -> Set<String>
    let logger: Logger
    private let thread = QuietThread()

    init(store: any Store, folders: @escaping @Sendable () -> Set<String>, logger: Logger) {
        self.store = store
        self.folders = folders
        self.logger = logger
    }

    struct Outcome: Sendable, Equatable {
        var removed = 0
        /// Files that are still there.
        var left = 0
    }

    /// Works through the list once.
    func run() async throws(StoreError) -> Outcome {
        var outcome = Outcome()
        var last: String?
        while true {
            let paths = try await store.forgottenRecordings(after: last, limit: Self.batchLimit)
            guard !paths.isEmpty else { break }
            last = paths.last
            let folders = folders()
            let fates = await Task(executorPreference: thread) { paths.map { Self.remove($0, from: folders) } }.value
            var done: [String] = []
            for (path, fate) in zip(paths, fates) {
                switch fate {
                case .removed:
                    outcome.removed += 1
                    done.append(path)
                case .gone: done.append(path)
                case .foreign(let reason):
                    outcome.left += 1
                    // Waiting does not mend it, and the path may tell the number.
                    done.append(path)
                    logger.error(
                        "a recording of a forgotten call is left to you to remove",
                        metadata: ["file": "\(path)", "reason": "\(reason)"])
                case .failed(let error):
                    outcome.left += 1
                    guard outcome.left <= Self.namedLimit else { break }
                    logger.error(
                        "a recording of a forgotten call cannot be removed; it is tried again every hour",
                        metadata: ["file": "\(path)", "error": "\(error)"])
                }
            }
            if !done.isEmpty { try await store.removedRecordings(done) }
        }
        for (name, count) in [("removed", outcome.removed), ("left", outcome.left)] {
            Counter(label: RecordMetrics.recordings, dimensions: [("outcome", name)]).increment(by: count)
        }
        return outcome
    }

    enum Fate: Sendable, Equatable {
        case removed, gone
        /// No file of ours, and why.
        case foreign(String)
        case failed(String)
    }

    /// Removes one file, if it is a recording in one of these folders or below.
    static func remove(_ path: String, from folders: Set<String>) -> Fate {
        let url = URL(fileURLWithPath: path)
        guard path.hasPrefix("/"), extensions.contains(url.pathExtension.lowercased()) else {
            return .foreign("its name is not that of a recording")
        }
        guard let folder = resolved(url.deletingLastPathComponent().path) else {
            guard errno == ENOENT else { return .failed(words(errno)) }
            // A disk that is not there just now still has the file.
            let isOurs = folders.contains { candidate in
                resolved(candidate) != nil && url.path.hasPrefix(URL(fileURLWithPath: candidate).path + "/")
            }
            return isOurs ? .gone : .failed("its folder is not there")
        }
        let isInside = folders.contains { candidate in
            guard let candidate = resolved(candidate) else { return false }
            return folder == candidate || folder.hasPrefix(candidate == "/" ? candidate : candidate + "/")
        }
        guard isInside else { return .foreign("it lies outside the folders that recordings are written to") }
        let file = folder + "/" + url.lastPathComponent
        var status = stat()
        guard lstat(file, &status) == 0 else { return errno == ENOENT ? .gone : .failed(words(errno)) }
        guard status.st_mode & S_IFMT == S_IFREG else { return .foreign("it is no file") }
        guard unlink(file) == 0 else { return errno == ENOENT ? .gone : .failed(words(errno)) }
        return .removed
    }

    /// A folder without links in its path; `nil` with `errno` when there is none.
    private static func resolved(_ folder: String) -> String? {
        guard let path = realpath(folder, nil) else { return nil }
        defer { free(path) }
        return String(cString: path)
    }

    private static func words(_ code: Int32) -> String { String(cString: strerror(code)) }
}
