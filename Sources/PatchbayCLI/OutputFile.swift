import ArgumentParser
import Foundation

/// Files that commands write when their work is done.
enum OutputFile {
    /// Finds out before the work whether a file could be written: its folder is there, and both may be written to.
    ///
    /// - Throws: `ValidationError`, which names the option.
    static func check(_ path: String, option: String) throws {
        let files = FileManager.default
        let folder = (path as NSString).deletingLastPathComponent
        let place = folder.isEmpty ? "." : folder
        var isFolder: ObjCBool = false
        if files.fileExists(atPath: path, isDirectory: &isFolder) {
            guard !isFolder.boolValue else { throw ValidationError("\(option) is \"\(path)\", which is a folder") }
            guard files.isWritableFile(atPath: path) else {
                throw ValidationError("\(option) is \"\(path)\", which may not be written to; choose another place")
            }
            return
        }
        guard files.fileExists(atPath: place, isDirectory: &isFolder), isFolder.boolValue else {
            throw ValidationError("\(option) is \"\(path)\", but there is no folder \"\(place)\"; make it first")
        }
        guard files.isWritableFile(atPath: place) else {
            throw ValidationError(
                "\(option) is \"\(path)\", but the folder may not be written to; choose another place")
        }
    }
}
