import Foundation

/// Why a file gave nothing.
struct FileFault: Error {
    /// The rest of a sentence about the file: `does not exist`.
    var reason: String
    var isLimit = false
    var isMissing = false

    func diagnostic(_ file: String) -> Diagnostic {
        Diagnostic(file: file, isLimit ? .limitExceeded : .unreadableFile, "the file \(reason)")
    }
}

/// The bytes of a regular file of at most `limit` bytes.
func readFile(_ path: String, limit: Int) -> Result<[UInt8], FileFault> {
    let manager = FileManager.default
    guard
        let attributes = try? manager.attributesOfItem(
            atPath: URL(fileURLWithPath: path).resolvingSymlinksInPath().path)
    else { return .failure(FileFault(reason: "does not exist", isMissing: true)) }
    guard attributes[.type] as? FileAttributeType == .typeRegular else {
        return .failure(FileFault(reason: "is no regular file"))
    }
    guard let handle = FileHandle(forReadingAtPath: path) else { return .failure(FileFault(reason: "cannot be read")) }
    defer { try? handle.close() }
    guard let data = try? handle.read(upToCount: limit + 1) else { return .success([]) }
    guard data.count <= limit else {
        return .failure(FileFault(reason: "has more than \(limit) bytes", isLimit: true))
    }
    return .success(Array(data))
}

extension SourceText {
    /// The folder of the file, which relative paths start from.
    var directory: String {
        guard let slash = file.lastIndex(of: "/") else { return "." }
        return slash == file.startIndex ? "/" : String(file[..<slash])
    }
}
