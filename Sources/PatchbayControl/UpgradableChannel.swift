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
    /// Whose limits hold; `nil` for none.
    var switchboard: Switchboard?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let limits = switchboard?.settings.limits
        return channel.eventLoop.makeCompletedFuture {
            try count(channel)
            let unused = UnusedConnection()
            try channel.pipeline.syncOperations.addHandler(unused)
            let upgrade = try channel.pipeline.syncOperations.configureWebSocketServer(upgrader: upgrader) { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let limits { _ = try RequestArrival(channel, limits) }
                    try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
                    try channel.pipeline.syncOperations.addHandler(
                        HTTPConnectionStateHandler(idleTimeout: Self.idleTimeout, logger: logger))
                    return .http(
                        try NIOAsyncChannel(
                            wrappingChannelSynchronously: channel,
                            configuration: .init(isOutboundHalfClosureEnabled: true)))
                }
            }
            upgrade.assumeIsolated().whenComplete { _ in
                channel.pipeline.syncOperations.removeHandler(unused, promise: nil)
            }
            return Value(upgrade: upgrade, channel: channel)
        }
    }

    /// Counts the connection among those of its address.
    ///
    /// - Throws: When that has too many; the connection is closed then.
    private func count(_ channel: any Channel) throws {
        guard let switchboard else { return }
        let address = RequestOrigin.plain(channel.remoteAddress?.ipAddress ?? "")
        guard !switchboard.options.believes(address) else { return }
        guard switchboard.traffic.openSocket(address) else {
            channel.close(promise: nil)
            throw ChannelError.ioOnClosedChannel
        }
        channel.closeFuture.whenComplete { [traffic = switchboard.traffic] _ in traffic.closeSocket(address) }
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

/// Ends a connection on which nothing has been asked when the server stops or the peer leaves. As soon as it is known what a
/// connection becomes, its own handlers do so.
private final class UnusedConnection: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent || event as? ChannelEvent == .inputClosed {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
