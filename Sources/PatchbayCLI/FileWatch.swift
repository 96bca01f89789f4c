import Foundation
import Glibc

/// Tells when the JSON files of a folder change: its own and those of folders in it, where fragments lie.
///
/// Asks for the files' times twice a second, which works wherever files can be read: on network drives, in containers, and
/// where a deployment exchanges a symbolic link. A thousand files cost some milliseconds each time.
struct FileWatch {
    /// Time between two looks.
    private static let interval = Duration.milliseconds(500)
    /// What changes is left alone until it has not changed for this long: editors and copies write in several steps.
    private static let settleTime = Duration.milliseconds(300)
    /// Looks after which changes are told although they go on.
    private static let patience = 20
    /// Folders within each other.
    private static let maximumDepth = 8

    /// What tells two states of a file from each other.
    private struct Stamp: Equatable {
        var device, inode: UInt
        var size, seconds, nanoseconds: Int
    }

    private let path: String
    private var known: [String: Stamp]
    private var others: Set<String> = []
    /// The file whose changes need a restart.
    let serverSettings: String

    /// - Parameter path: A folder, or a file, whose folder is watched then.
    init(_ path: String) {
        let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        var isFolder: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        self.path = isFolder.boolValue ? trimmed : (trimmed as NSString).deletingLastPathComponent
        serverSettings = isFolder.boolValue ? "\(trimmed)/server.json" : ""
        known = [:]
        known = look()
    }

    /// Watches these files too, and no longer those that were named so before: fragments, wherever they lie.
    ///
    /// What is known of a file stays known, so that a change during a load is told by the next ``next()``. A file that is new
    /// here counts as it is now.
    ///
    /// - Parameter missing: Files that could not be read. One that is there in the meantime is told by the next ``next()``.
    mutating func watch(also files: Set<String>, missing: Set<String> = []) {
        let former = others
        let files = files.union(missing)
        others = files
        let below = look(withOthers: false)
        for file in former.subtracting(files) where below[file] == nil { known[file] = nil }
        for file in files.subtracting(former) where known[file] == nil && !missing.contains(file) {
            known[file] = Self.stamp(of: file)
        }
    }

    /// Waits for changes and gives the files that are new, gone or other than before; `nil` when the task is cancelled.
    mutating func next() async -> Set<String>? {
        while true {
            guard (try? await Task.sleep(for: Self.interval)) != nil else { return nil }
            var now = look()
            guard now != known else { continue }
            for _ in 0..<Self.patience {
                guard (try? await Task.sleep(for: Self.settleTime)) != nil else { return nil }
                let last = now
                now = look()
                if now == last { break }
            }
            let before = known
            known = now
            let changes = Set(now.keys).union(before.keys).filter { now[$0] != before[$0] }
            if !changes.isEmpty { return changes }
        }
    }

    /// Whether a change of the file can change a pipeline.
    func isPipeline(_ file: String) -> Bool { file != serverSettings && !file.hasSuffix(".test.json") }

    private func look(withOthers: Bool = true) -> [String: Stamp] {
        var files: [String: Stamp] = [:]
        look(in: path.isEmpty ? "." : path, depth: 1, &files)
        if withOthers { for file in others { files[file] = Self.stamp(of: file) } }
        return files
    }

    /// Through symbolic links: what they lead to is what is read. `nil` for anything but a regular file.
    private static func stamp(of file: String) -> Stamp? {
        var status = stat()
        guard stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Stamp(
            device: status.st_dev, inode: status.st_ino, size: status.st_size, seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec)
    }

    private func look(in folder: String, depth: Int, _ files: inout [String: Stamp]) {
        guard depth <= Self.maximumDepth, let stream = opendir(folder) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: tuple.pointee)) {
                    String(cString: $0)
                }
            }
            guard !name.hasPrefix(".") else { continue }
            let file = "\(folder)/\(name)"
            var status = stat()
            if name.hasSuffix(".json") {
                files[file] = Self.stamp(of: file)
            } else if lstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
                look(in: file, depth: depth + 1, &files)
            }
        }
    }
}
