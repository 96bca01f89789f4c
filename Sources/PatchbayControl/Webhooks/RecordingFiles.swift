import Crypto
import Foundation
import NIOCore

/// Recordings that an agent's vendor sends, as files below the folder of the records.
struct RecordingFiles: Sendable {
    private let directory: String
    private let thread = QuietThread()

    /// - Parameter data: The folder of the records.
    init(_ data: String) { directory = Self.directory(below: data) }

    /// The folder that they lie in, with a path that holds wherever the next process starts.
    static func directory(below data: String) -> String { URL(fileURLWithPath: data).path + "/recordings" }

    /// Writes a recording so that it is there whole or not at all, for the owner alone. The same conversation has the same file.
    ///
    /// - Returns: The path.
    func write(_ audio: ByteBuffer, conversation: String) async throws -> String {
        let path = "\(directory)/\(Self.name(conversation)).mp3"
        let directory = directory
        return try await Task(executorPreference: thread) {
            let manager = FileManager.default
            try manager.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            let draft = path + ".part-\(UInt32.random(in: .min ... .max))"
            guard manager.createFile(atPath: draft, contents: nil, attributes: [.posixPermissions: 0o600]),
                let handle = FileHandle(forWritingAtPath: draft)
            else { throw CocoaError(.fileWriteUnknown) }
            do {
                try handle.write(contentsOf: Data(audio.readableBytesView))
                try handle.synchronize()
                try handle.close()
                guard rename(draft, path) == 0 else { throw CocoaError(.fileWriteUnknown) }
            } catch {
                try? manager.removeItem(atPath: draft)
                throw error
            }
            return path
        }.value
    }

    /// A name that leads nowhere else, whatever the conversation is called; two conversations never share one.
    static func name(_ conversation: String) -> String {
        let plain = conversation.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "-"): true
            default: false
            }
        }
        if plain, (1...100).contains(conversation.utf8.count), !conversation.hasPrefix("hash-") { return conversation }
        let hash = SHA256.hash(data: Data(conversation.utf8)).prefix(16)
        return "hash-" + hash.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
