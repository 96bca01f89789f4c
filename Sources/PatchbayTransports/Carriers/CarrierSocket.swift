public import NIOCore
public import PatchbayCore

/// Hands a carrier's messages to its call. Both live on one event loop, so nothing waits and nothing hops.
public final class CarrierSocket: WebSocketDelegate {
    private let call: Call

    public init(_ call: Call) { self.call = call }

    public func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        call.carrierReceived(text)
    }

    public func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) { call.carrierClosed() }
}

extension WebSocketConnection: MessageSocket {}
