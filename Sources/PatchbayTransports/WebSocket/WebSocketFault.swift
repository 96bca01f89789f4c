/// A peer that broke the rules of RFC 6455, or a bound of ours.
public struct WebSocketFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// The code that our close frame carries: 1002, 1007, 1009 and so on (RFC 6455, section 7.4.1).
    public var closeCode: UInt16
    /// What was received and what is allowed. Short enough for the reason of a close frame (123 bytes).
    public var message: String

    public init(closeCode: UInt16, _ message: String) {
        self.closeCode = closeCode
        self.message = message
    }

    public var description: String { "\(message) (close code \(closeCode))" }

    static func protocolError(_ message: String) -> Self { Self(closeCode: 1002, message) }
    static func invalidText(_ message: String) -> Self { Self(closeCode: 1007, message) }
    static func messageTooBig(_ message: String) -> Self { Self(closeCode: 1009, message) }
}

/// Why a connection ended without a proper closing handshake.
public enum WebSocketAbort: Error, Hashable, Sendable, CustomStringConvertible {
    /// TCP ended, or was reset, without a close frame from the peer.
    case peerVanished
    /// Nothing at all came from the peer for the pong timeout after a ping.
    case pongTimeout
    /// The peer did not answer our close frame in time.
    case closeTimeout
    /// The peer reads too slowly: this many bytes waited for it.
    case sendQueueFull(pendingBytes: Int)

    public var description: String {
        switch self {
        case .peerVanished: "the peer closed the TCP connection without a close frame"
        case .pongTimeout: "the peer did not answer a ping in time"
        case .closeTimeout: "the peer did not answer our close frame in time"
        case .sendQueueFull(let bytes): "the peer reads too slowly: \(bytes) bytes wait for it"
        }
    }
}

/// How a connection ended. Delivered exactly once, to the delegate and to ``WebSocketConnection/closeFuture``.
public struct WebSocketClose: Sendable, CustomStringConvertible {
    /// The code of the close frame that ended the connection: the peer's, or ours when we began. 1005 when the peer's
    /// close frame had none, 1006 when there was no close frame (RFC 6455, section 7.1.5).
    public var code: UInt16
    /// The text of that close frame; of a ``WebSocketFault`` when there is one.
    public var reason: String
    /// Whether our side began: by ``WebSocketConnection/close(code:reason:)``, or because of a fault or a time limit.
    public var initiatedLocally: Bool
    /// A ``WebSocketFault``, a ``WebSocketAbort`` or an error of the socket; nil after an orderly handshake.
    public var error: (any Error)?

    public init(code: UInt16, reason: String = "", initiatedLocally: Bool, error: (any Error)? = nil) {
        self.code = code
        self.reason = reason
        self.initiatedLocally = initiatedLocally
        self.error = error
    }

    public var description: String {
        var text = "\(initiatedLocally ? "closed by us" : "closed by the peer"): \(code)"
        if !reason.isEmpty { text += " \"\(reason)\"" }
        if let error { text += " (\(error))" }
        return text
    }
}
