public import NIOCore
import NIOHTTP1

extension ChannelPipeline.SynchronousOperations {
    /// Puts an HTTP/1.1 server into the pipeline whose first request may become a WebSocket.
    ///
    /// The first request decides: one with `Upgrade: websocket` goes to the upgrader, for every other `notUpgrading`
    /// gets the channel and adds its handlers for HTTP parts (`HTTPServerRequestPart` in, `HTTPServerResponsePart`
    /// out). A request that offers some other protocol, as `curl --http2` does, is served as if it had not (RFC 9110,
    /// section 7.8).
    ///
    /// - Parameters:
    ///   - decisionTimeout: How long a connection may take to its first request and the answer to that handshake. Then,
    ///     or when it sends more than 128 KiB before it is clear what it becomes, it is closed.
    ///   - notUpgrading: Called on the event loop. Pipelined requests, protocol errors and the validation of response
    ///     headers are its business.
    /// - Returns: What the upgrader or `notUpgrading` made. Fails with ``WebSocketRefusal`` or a `ChannelError` when
    ///   the handshake was refused or the peer left; the channel is closed then.
    public func configureWebSocketServer<UpgradeResult: Sendable>(
        upgrader: WebSocketServerUpgrader<UpgradeResult>,
        decisionTimeout: TimeAmount = .seconds(15),
        notUpgrading: @escaping @Sendable (any Channel) -> EventLoopFuture<UpgradeResult>
    ) throws -> EventLoopFuture<UpgradeResult> {
        var configuration = NIOUpgradableHTTPServerPipelineConfiguration(
            upgradeConfiguration: NIOTypedHTTPServerUpgradeConfiguration(
                upgraders: [upgrader], notUpgradingCompletionHandler: notUpgrading))
        configuration.enablePipelining = false
        configuration.enableErrorHandling = false
        configuration.enableResponseHeaderValidation = false
        let limits = FirstRequestLimits(timeout: decisionTimeout)
        try addHandler(limits)
        let result = try configureUpgradableHTTPServerPipeline(configuration: configuration)
        let decoder = try handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
        try addHandler(ForeignUpgradeFilter(), position: .after(decoder))
        result.assumeIsolated().whenComplete { _ in removeHandler(limits, promise: nil) }
        return result
    }
}

/// Bounds what a connection may cost before it is decided what it becomes. Nothing else does: NIO's decoder keeps all
/// bytes that follow a handshake while the server still thinks about it.
private final class FirstRequestLimits: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// More than NIO's limits on a request's head, and room for a few early messages.
    private static let maximumBytes = 128 * 1024

    private let timeout: TimeAmount
    private var timer: Scheduled<Void>?
    private var received = 0

    init(timeout: TimeAmount) { self.timeout = timeout }

    func handlerAdded(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { context.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += unwrapInboundIn(data).readableBytes
        if received > Self.maximumBytes {
            context.close(promise: nil)
        } else {
            context.fireChannelRead(data)
        }
    }
}

/// Takes the `Upgrade` header from a first request that does not ask for a WebSocket, then leaves.
///
/// NIO's upgrade handler would otherwise look for an upgrader, find none, and pass on the request without its head.
private final class ForeignUpgradeFilter: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data) else {
            context.fireChannelRead(data)
            return
        }
        if head.headers.contains(name: "Upgrade"),
            !WebSocketHandshake.contains("websocket", in: head.headers, "Upgrade")
        {
            head.headers.remove(name: "Upgrade")
        }
        context.fireChannelRead(wrapInboundOut(.head(head)))
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
