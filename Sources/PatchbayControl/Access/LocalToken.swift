public import PatchbayConfig
import Foundation
import Glibc

/// The token that a server makes at its first start, in a file that only its own user can read. Whoever can read the file may
/// ask everything; our own commands look for it there.
public struct LocalToken: Sendable {
    /// Why the file is of no use.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        public var description: String
    }

    /// Longest token that is read, in bytes.
    private static let maximumBytes = 4096

    /// Where it lies.
    public let file: String

    /// - Parameters:
    ///   - store: The folder with the server's records; the token lies there where there is one.
    ///   - environment: Says where else: `$XDG_STATE_HOME/patchbay`, or `~/.local/state/patchbay`
    ///     (https://specifications.freedesktop.org/basedir-spec/latest/).
    /// - Returns: `nil` where the environment names no place.
    public init?(store: String?, environment: [String: String]) {
        if let store {
            file = "\(store)/token"
        } else if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") {
            file = "\(state)/patchbay/token"
        } else if let home = environment["HOME"], home.hasPrefix("/") {
            file = "\(home)/.local/state/patchbay/token"
        } else {
            return nil
        }
    }

    /// Reads the token.
    ///
    /// - Returns: `nil` when there is no such file.
    /// - Throws: When others can read or write the file: what it holds is no secret then.
    public func read() throws(Failure) -> Secret? {
        let descriptor = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("cannot be read")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw failure("is no regular file")
        }
        guard status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
            throw failure("can be read by others; delete it, and restart the server to have another made")
        }
        var bytes = [UInt8](repeating: 0, count: Self.maximumBytes)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count > 0 else { throw failure("is empty; delete it, and restart the server to have another made") }
        let text = String(decoding: bytes.prefix(count), as: UTF8.self)
        return Secret(String(text.prefix { !$0.isWhitespace }))
    }

    /// Reads the token, and makes one where there is none. Of several servers that start at once, all have the same.
    public func readOrMake() throws(Failure) -> Secret {
        if let token = try read() { return token }
        let folder = (file as NSString).deletingLastPathComponent
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw failure("cannot be made: \(error.localizedDescription)")
        }
        // Whole at once, under a name of its own first: nobody ever reads half a token.
        var generator = SystemRandomNumberGenerator()
        let draft = "\(file).\(getpid()).\(generator.next() as UInt64)"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("cannot be made: \(String(cString: strerror(errno)))") }
        defer { unlink(draft) }
        let text = Self.make(&generator) + "\n"
        let written = text.utf8.withContiguousStorageIfAvailable { write(descriptor, $0.baseAddress, $0.count) }
        let isWritten = written == text.utf8.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten else { throw failure("cannot be written: \(String(cString: strerror(errno)))") }
        guard link(draft, file) == 0 || errno == EEXIST else {
            throw failure("cannot be made: \(String(cString: strerror(errno)))")
        }
        guard let token = try read() else { throw failure("is gone again") }
        return token
    }

    /// 256 random bits, in hexadecimal.
    private static func make(_ generator: inout SystemRandomNumberGenerator) -> String {
        (0..<4).map { _ in
            let word = String(generator.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - word.count) + word
        }.joined()
    }

    private func failure(_ reason: String) -> Failure { Failure(description: "\(file) \(reason)") }
}
