public import NIOCore

/// Who receives what a peer sends. Every method is called on the connection's event loop, and nothing is called after
/// ``webSocketDidClose(_:of:)``.
///
/// ``WebSocketConnection/send(_:)`` and ``WebSocketConnection/close(code:reason:)`` never call back before they return, whatever
/// happens to the socket, so they may be called while the receiver's own state is held exclusively.
public protocol WebSocketDelegate: AnyObject, Sendable {
    /// A whole text message. Valid UTF-8. Let go of the buffer before returning where you can: its storage is used
    /// again.
    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection)

    /// A whole binary message. By default the connection is closed with 1003, "unsupported data".
    func webSocketDidReceive(binary: ByteBuffer, from connection: WebSocketConnection)

    /// Everything that one read of the socket brought has been delivered. The place to send what was gathered
    /// meanwhile.
    func webSocketDidFinishReading(from connection: WebSocketConnection)

    /// The kernel's buffer is full and bytes wait here, or it takes bytes again.
    func webSocketDidBecomeWritable(_ isWritable: Bool, on connection: WebSocketConnection)

    /// The connection is over. Called exactly once, as soon as the outcome is known; TCP may live a little longer.
    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection)
}

extension WebSocketDelegate {
    public func webSocketDidReceive(binary: ByteBuffer, from connection: WebSocketConnection) {
        connection.close(code: 1003, reason: "binary messages are not supported here")
    }
    public func webSocketDidFinishReading(from connection: WebSocketConnection) {}
    public func webSocketDidBecomeWritable(_ isWritable: Bool, on connection: WebSocketConnection) {}
}
