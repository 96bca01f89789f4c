import ArgumentParser
import AsyncHTTPClient
import Foundation
import Glibc
import NIOCore
import NIOPosix
import Patchbay

/// The two streams a command writes to: results on one, everything else on the other.
enum Terminal {
    /// Colour only where a person looks, and never against their wish (https://no-color.org).
    static let hasColour = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
    static let isInteractive = isatty(STDERR_FILENO) == 1
    /// Whether results go to a terminal.
    static let isRead = isatty(STDOUT_FILENO) == 1

    static func result(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }
    static func note(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    /// Overwrites the current line of a terminal; silent elsewhere.
    static func progress(_ text: String) {
        if isInteractive { write("\r\u{1B}[K" + text, to: STDERR_FILENO) }
    }

    static func endProgress() {
        if isInteractive { write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}

extension Error {
    /// What happened, without the machinery's own names.
    var words: String {
        if let error = self as? IOError { return String(cString: strerror(error.errnoCode)) }
        if let error = self as? NIOConnectionError {
            return error.connectionErrors.first.map { $0.error.words }
                ?? "nobody answers at \(error.host):\(error.port)"
        }
        return "\(self)"
    }
}

extension HTTPClient {
    /// Gives a client that takes no for an answer: a refused connection is told at once instead of being tried again until
    /// the time is up.
    static func withPromptClient(_ body: (HTTPClient) async throws -> Void) async throws {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            try await body(client)
        } catch {
            try? await client.shutdown()
            throw error
        }
        try await client.shutdown()
    }
}

/// A failure with words for the person at the terminal and exit code 1.
struct CommandFailure: Error, CustomStringConvertible {
    var description: String
}

extension Sequence<Diagnostic> {
    /// The findings as a person reads them.
    var page: String {
        String(rendered(colour: Terminal.hasColour).reversed().drop { $0.isNewline }.reversed())
    }
}
