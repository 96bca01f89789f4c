import Glibc
public import PatchbayCore

/// Where a recording goes: a folder that the document chose, and a path below it that may hold values of the call.
///
/// What the document says is judged once, by ``objection(to:)``. Values come from outside (a caller's number is whatever the
/// caller's carrier says), and no call is refused for them: after they have been put in, the path is cleaned so that it never
/// leads out of the folder and is short enough for a file system.
struct RecordingPath: Sendable, Equatable {
    /// The folder; absolute, or relative to the process.
    let directory: String
    /// Below the folder.
    let relative: String

    /// Bytes that a part of a path may have: 255 on all common file systems, less a number.
    private static let mostBytesOfPart = 240
    /// Bytes of the whole below the folder. Linux takes 4096 for all of a path.
    private static let mostBytes = 1024

    init(_ relative: String, in directory: String) {
        self.directory = directory.isEmpty ? "." : directory
        self.relative = Self.cleaned(relative)
    }

    /// The same path with everything replaced that could lead elsewhere: `..` and control characters become `_`, empty parts
    /// go, long ones are cut before their ending.
    static func cleaned(_ relative: String) -> String {
        var parts: [String] = []
        for part in relative.split(separator: "/") where part != "." {
            var text = ""
            for scalar in part.unicodeScalars {
                text.unicodeScalars.append(scalar.properties.generalCategory == .control ? "_" : scalar)
            }
            parts.append(cut(text == ".." ? "_" : text))
        }
        let name = parts.popLast() ?? "_"
        // A value may be nothing but slashes. Folders that are too many are left out, the name is not.
        var bytes = name.utf8.count
        let folders = parts.prefix {
            bytes += $0.utf8.count + 1
            return bytes <= mostBytes
        }
        return (folders + [name]).joined(separator: "/")
    }

    /// A part of a path, cut to what a file system takes; the ending of a name stays.
    private static func cut(_ part: String) -> String {
        guard part.utf8.count > mostBytesOfPart else { return part }
        let dot = part.lastIndex(of: ".") ?? part.endIndex
        let ending = part[dot...].utf8.count <= 16 ? part[dot...] : ""
        var bytes = ending.utf8.count
        let kept = part.unicodeScalars.prefix {
            bytes += String($0).utf8.count
            return bytes <= mostBytesOfPart
        }
        return String(kept) + ending
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
        if let long = parts.first(where: { $0.utf8.count > mostBytesOfPart }) {
            return "the path has a part of \(long.utf8.count) bytes; allowed are \(mostBytesOfPart)"
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
        for _ in 0..<Self.mostAttempts {
            let path = Self.numbered(whole, Self.freeNumber(whole))
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            if descriptor >= 0 { return (descriptor, path) }
            // Somebody else was quicker.
            guard errno == EEXIST else { throw RecordingFileError("create", path, errno) }
        }
        throw RecordingFileError("create", whole, EEXIST)
    }

    private static let mostAttempts = 100
    private static let mostNumbers = 1 << 30

    /// A number whose name is free: the next one where names are taken without gaps. Looks at some 20 names, however many
    /// are taken, because other recordings wait meanwhile.
    private static func freeNumber(_ path: String) -> Int {
        func isTaken(_ number: Int) -> Bool {
            var status = stat()
            return lstat(numbered(path, number), &status) == 0
        }
        var taken = 0, free = 1
        while free < mostNumbers, isTaken(free) {
            taken = free
            free *= 2
        }
        while free - taken > 1 {
            let middle = taken + (free - taken) / 2
            if isTaken(middle) { taken = middle } else { free = middle }
        }
        return free
    }

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
    /// A path for recordings that cannot be used.
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
