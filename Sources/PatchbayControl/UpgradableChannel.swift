import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOExtras
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import PatchbayTransports

/// A connection that speaks HTTP unless its first request makes it a WebSocket.
struct UpgradableChannel: ServerChildChannel, HTTPChannelHandler {
    /// Seconds a kept-alive connection may be idle.
    static let idleTimeout = Duration.seconds(30)

    enum Upgrade: Sendable {
        case webSocket
        case http(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>)
    }

    struct Value: ServerChildChannelValue {
        let upgrade: EventLoopFuture<Upgrade>
        let channel: any Channel
    }

    let responder: HTTPChannelHandler.Responder
    let upgrader: WebSocketServerUpgrader<Upgrade>

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let upgrade = try channel.pipeline.syncOperations.configureWebSocketServer(upgrader: upgrader) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
                    try channel.pipeline.syncOperations.addHandler(
                        HTTPConnectionStateHandler(idleTimeout: Self.idleTimeout, logger: logger))
                    return .http(
                        try NIOAsyncChannel(
                            wrappingChannelSynchronously: channel,
                            configuration: .init(isOutboundHalfClosureEnabled: true)))
                }
            }
            return Value(upgrade: upgrade, channel: channel)
        }
    }

    func handle(value: Value, logger: Logger) async {
        switch try? await value.upgrade.get() {
        case .http(let http): await handleHTTP(asyncChannel: http, logger: logger)
        // The handlers do the work; waiting only keeps the connection's task.
        case .webSocket: try? await value.channel.closeFuture.get()
        case nil: break
        }
    }
}
