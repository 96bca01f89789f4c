public import NIOCore
public import PatchbayCore

/// One open WebSocket: a handle that may be kept anywhere and is used on its event loop.
///
/// The handle does not keep the socket open: the peer, ``close(code:reason:)`` or the end of the channel decides.
public final class WebSocketConnection: Sendable {
    public let channel: any Channel
    /// The subprotocol that both sides agreed on, if any.
    public let subprotocol: String?
    /// Completes when the connection is over, with the same value that the delegate gets. Never fails. Safe from any
    /// thread.
    public let closeFuture: EventLoopFuture<WebSocketClose>
    private let handler: NIOLoopBound<WebSocketHandler>

    public var eventLoop: any EventLoop { channel.eventLoop }

    init(handler: WebSocketHandler, channel: any Channel, subprotocol: String?) {
        self.channel = channel
        self.subprotocol = subprotocol
        self.closeFuture = handler.closeFuture
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
    }

    /// Makes a channel that carries bare bytes into a WebSocket. Call it on the channel's event loop, after the
    /// handshake.
    ///
    /// Without a delegate nothing is read from the socket until ``setDelegate(_:)``.
    public static func install(
        on channel: any Channel, role: WebSocketRole, configuration: WebSocketConfiguration, subprotocol: String? = nil
    ) throws -> WebSocketConnection {
        let handler = WebSocketHandler(role: role, configuration: configuration, eventLoop: channel.eventLoop)
        let connection = WebSocketConnection(handler: handler, channel: channel, subprotocol: subprotocol)
        handler.connection = connection
        do {
            try channel.pipeline.syncOperations.addHandler(handler)
        } catch {
            // The channel is gone already.
            handler.finish(WebSocketClose(code: 1006, initiatedLocally: false, error: error))
            handler.connection = nil
            throw error
        }
        return connection
    }

    /// Sends all messages of the batch with one write, and leaves the batch empty. On the event loop only.
    ///
    /// Sends made while the connection delivers what it has read leave together when that read is done; all others
    /// leave at once. Costs no allocation in the steady state.
    ///
    /// - Returns: False when the connection is closing, or when too much waits for the peer already, which ends the
    ///   connection. The batch is then discarded.
    @discardableResult
    public func send(_ batch: inout MessageBatch) -> Bool { handler.value.send(&batch) }

    /// Sends one text message. For the rare ones; media goes in batches that are reused.
    @discardableResult
    public func send(text: String) -> Bool {
        var batch = MessageBatch()
        batch.text { $0.writeString(text) }
        return send(&batch)
    }

    /// Begins the closing handshake. Safe from any thread; without effect when the connection is closing already.
    ///
    /// From then on nothing is delivered but the close itself. A peer that does not answer within the configured time
    /// is cut off.
    ///
    /// - Parameters:
    ///   - code: 1000–1003, 1007–1014 or 3000–4999; with any other the close frame carries neither code nor reason.
    ///   - reason: Cut to 123 bytes.
    public func close(code: UInt16 = 1000, reason: String = "") {
        if eventLoop.inEventLoop {
            handler.value.close(code: code, reason: reason)
        } else {
            eventLoop.execute { self.handler.value.close(code: code, reason: reason) }
        }
    }

    /// Sets or replaces the receiver. On the event loop only. What arrived before the first one was set is delivered to
    /// it before this returns; when the connection ended meanwhile, only the end.
    public func setDelegate(_ delegate: any WebSocketDelegate) { handler.value.setDelegate(delegate, of: self) }

    /// Counts since the handshake. On the event loop only.
    public var statistics: WebSocketStatistics { handler.value.statistics }

    /// Bytes that wait here because the peer does not read fast enough. On the event loop only.
    public var pendingBytes: Int { handler.value.pendingBytes }
}
