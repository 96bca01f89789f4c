import Foundation
import Glibc

/// Tells a store's process apart from others that share the folder, and whether those still run.
///
/// Each process holds a lock on a file of its own (flock(2)). The system gives the lock up when the process ends, however it
/// ends, so a file that can be locked is that of a dead process.
struct ProcessMark: Sendable {
    private static let prefix = "process-"
    private static let suffix = ".lock"

    let id: String
    private let directory: String?
    private let lock: FileLock?

    /// The one process of a store in memory.
    init() {
        id = UUID().uuidString
        directory = nil
        lock = nil
    }

    /// Marks this process in a folder, and clears the marks of dead ones away.
    init(directory: String) throws {
        id = UUID().uuidString
        self.directory = directory
        guard let lock = FileLock(path: Self.path(directory, id), creates: true) else {
            throw StoreError(.unavailable, "the folder of the store may not be written to: \(directory)")
        }
        self.lock = lock
    }

    /// Whether the process of that name is gone.
    func isGone(_ id: String) -> Bool {
        guard id != self.id else { return false }
        guard let directory else { return true }
        let path = Self.path(directory, id)
        guard access(path, F_OK) == 0 else { return true }
        guard FileLock(path: path, creates: false) != nil else { return false }
        unlink(path)
        return true
    }

    private static func path(_ directory: String, _ id: String) -> String {
        // The name comes from a file that others may write.
        let name = id.filter { $0.isLetter || $0.isNumber || $0 == "-" }
        return "\(directory)/\(prefix)\(name)\(suffix)"
    }
}

/// An exclusive lock on a file, until it is released or the process ends.
private final class FileLock: Sendable {
    private let descriptor: Int32
    private let path: String?

    /// - Returns: `nil` when somebody else has it, or the file cannot be opened.
    init?(path: String, creates: Bool) {
        descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (creates ? O_CREAT : 0), 0o600)
        guard descriptor >= 0 else { return nil }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            // Before everything is set, so that `deinit` does not close it once more.
            close(descriptor)
            return nil
        }
        self.path = creates ? path : nil
    }

    deinit {
        if let path { unlink(path) }
        close(descriptor)
    }
}
