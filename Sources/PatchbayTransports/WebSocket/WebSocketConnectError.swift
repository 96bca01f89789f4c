import Foundation
import NIOCore
import NIOPosix

/// Why a WebSocket could not be opened. The message names host and port, never path, query or headers.
public struct WebSocketConnectError: Error, Sendable, CustomStringConvertible {
    /// A stable name for the kind of failure; new codes break nobody's `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String
        public init(_ name: String) { self.description = name }

        /// The address or a header cannot be used. Trying again does not help.
        public static let invalidTarget = Code("invalid-target")
        /// The host has no address.
        public static let unknownHost = Code("unknown-host")
        /// No TCP connection.
        public static let unreachable = Code("unreachable")
        /// No TLS connection: an untrusted certificate, a wrong name, no common version.
        public static let tlsFailed = Code("tls-failed")
        /// The time ran out, wherever it stood.
        public static let timedOut = Code("timed-out")
        /// The server answered the handshake with a status other than 101.
        public static let refused = Code("refused")
        /// The server's answer is not a valid handshake.
        public static let invalidHandshake = Code("invalid-handshake")
        /// The server closed the connection before it answered.
        public static let closed = Code("closed")
    }

    public var code: Code
    public var message: String
    /// The HTTP status of a refusal.
    public var status: Int?
    /// The first 1,024 bytes of a refusal's body. May quote what was sent: do not log it unseen.
    public var body: String
    public var cause: (any Error)?

    public init(_ code: Code, _ message: String, status: Int? = nil, body: String = "", cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.status = status
        self.body = body
        self.cause = cause
    }

    public var description: String { "\(message) [\(code)]" }

    /// Puts the errors of `ClientBootstrap` into words.
    static func connecting(to place: String, _ error: any Error) -> Self {
        guard let error = error as? NIOConnectionError else {
            // Its own description has a parenthesis too many.
            let text = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            return Self(.unreachable, "cannot connect to \(place): \(text)", cause: error)
        }
        if error.connectionErrors.isEmpty, let lookup = error.dnsAError ?? error.dnsAAAAError {
            return Self(.unknownHost, "cannot find the host of \(place): \(lookup)", cause: error)
        }
        let reasons = error.connectionErrors.map { failure in
            (failure.error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(failure.error)"
        }
        let text = reasons.isEmpty ? "no address answered" : Set(reasons).sorted().joined(separator: "; ")
        return Self(.unreachable, "cannot connect to \(place): \(text)", cause: error)
    }
}
