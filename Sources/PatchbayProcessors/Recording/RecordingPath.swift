import Glibc
public import PatchbayCore

/// Where a recording goes: a folder that the document chose, and a path below it that may hold values of the call.
///
/// Values come from outside (a caller's number is whatever the caller's carrier says), so the path is judged after they have
/// been put in, and never leads out of the folder.
struct RecordingPath: Sendable, Equatable {
    /// The folder; absolute, or relative to the process.
    let directory: String
    /// Below the folder.
    let relative: String

    /// - Throws: ``PipelineError/Code/unsafePath`` when `relative` is absolute, climbs, names a folder or holds control
    ///   characters.
    init(_ relative: String, in directory: String) throws(PipelineError) {
        if let objection = Self.objection(to: relative) { throw PipelineError(.unsafePath, objection) }
        self.directory = directory.isEmpty ? "." : directory
        self.relative = relative
    }

    /// What is wrong with a path below the folder, or `nil`.
    static func objection(to relative: String) -> String? {
        // A control character is not repeated in a message that ends in a terminal or a log.
        if relative.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            return "the path holds a control character; paths are plain text"
        }
        if relative.isEmpty { return "the path is empty; name a file, for instance \"recordings/${call.sid}.wav\"" }
        if relative.hasPrefix("/") {
            return "the path \"\(relative)\" is absolute; name the folder in \"directory\" and a path below it here"
        }
        let parts = relative.split(separator: "/", omittingEmptySubsequences: false)
        if parts.contains("..") { return "the path \"\(relative)\" holds \"..\"; it must stay below its folder" }
        if parts.last == "" || parts.last == "." { return "the path \"\(relative)\" names a folder; name a file" }
        if let long = parts.first(where: { $0.utf8.count > 240 }) {
            return "the path has a part of \(long.utf8.count) bytes; allowed are 240"
        }
        return nil
    }

    /// Creates the file, with the folders above it. A name that is taken gets a number: `name-2.wav`.
    ///
    /// The file is readable by its owner only. Blocks; not for an event loop.
    ///
    /// - Returns: The open descriptor and the path of the file.
    func create() throws(RecordingFileError) -> (descriptor: Int32, path: String) {
        let whole = (directory.hasSuffix("/") ? directory : directory + "/") + relative
        if let slash = whole.lastIndex(of: "/"), slash > whole.startIndex {
            try Self.createFolders(String(whole[..<slash]))
        }
        for number in 1...Self.mostNumbers {
            let path = Self.numbered(whole, number)
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            if descriptor >= 0 { return (descriptor, path) }
            guard errno == EEXIST else { throw RecordingFileError("create", path, errno) }
        }
        throw RecordingFileError("create", whole, EEXIST)
    }

    private static let mostNumbers = 10_000

    /// `a/b.wav`, `a/b-2.wav`, `a/b-3.wav` …
    static func numbered(_ path: String, _ number: Int) -> String {
        guard number > 1 else { return path }
        let nameStart = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        guard let dot = path[nameStart...].lastIndex(of: "."), dot > nameStart else { return "\(path)-\(number)" }
        return "\(path[..<dot])-\(number)\(path[dot...])"
    }

    private static func createFolders(_ path: String) throws(RecordingFileError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw RecordingFileError("create the folder", path, errno)
        }
        try createFolders(String(path[..<slash]))
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw RecordingFileError("create the folder", path, errno)
        }
    }
}

extension PipelineError.Code {
    /// A path that was made of a call's values would lead out of its folder.
    public static let unsafePath = Self("unsafe-path")
}

/// Why a recording could not be put on the disk.
struct RecordingFileError: Error, CustomStringConvertible {
    let description: String

    init(_ action: String, _ path: String, _ number: Int32) {
        let reason = strerror(number).map { String(cString: $0) } ?? "error \(number)"
        description = "cannot \(action) \(path): \(reason); free some space, mend the rights, or choose another place"
    }
}
