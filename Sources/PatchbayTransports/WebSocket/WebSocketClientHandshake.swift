import NIOCore
import NIOHTTP1
import NIOSSL

/// The client's side of the opening handshake (RFC 6455, section 4.1): sends the request, judges the answer, and makes
/// way for the WebSocket. Lives on the channel's event loop.
final class WebSocketClientHandshake: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// How much of a refusal's body is kept.
    private static let maximumBody = 1_024

    private let request: WebSocketClientRequest
    private let configuration: WebSocketConfiguration
    private let delegate: (any WebSocketDelegate)?
    private let promise: EventLoopPromise<WebSocketConnection>
    private let encoder = HTTPRequestEncoder()
    private let decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
    private var response: HTTPResponseHead?
    private var body = ByteBuffer()
    /// The 101 response was right; what follows is no longer HTTP.
    private var isUpgrading = false
    private var firstBytes = ByteBuffer()
    private var place: String { request.address.place }

    init(
        request: WebSocketClientRequest, configuration: WebSocketConfiguration, delegate: (any WebSocketDelegate)?,
        promise: EventLoopPromise<WebSocketConnection>
    ) {
        self.request = request
        self.configuration = configuration
        self.delegate = delegate
        self.promise = promise
    }

    func handlerAdded(context: ChannelHandlerContext) {
        do {
            try context.pipeline.syncOperations.addHandlers([encoder, decoder], position: .before(self))
        } catch {
            fail(WebSocketConnectError(.closed, "the connection to \(place) closed at once", cause: error), context)
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        // TLS, if there is any, keeps the request back until its own handshake is done.
        context.write(wrapOutboundOut(.head(request.head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isUpgrading {
            // The decoder, as it leaves, hands on the bytes that came after the response.
            var bytes = WebSocketHandler.unwrapInboundIn(data)
            firstBytes.writeBuffer(&bytes)
            return
        }
        switch unwrapInboundIn(data) {
        case .head(let head):
            response = head
        case .body(let bytes):
            body.writeBytes(bytes.readableBytesView.prefix(Self.maximumBody - body.readableBytes))
            if body.readableBytes == Self.maximumBody { refused(context) }
        case .end:
            if response?.status == .switchingProtocols {
                upgrade(context)
            } else {
                refused(context)
            }
        }
    }

    private func upgrade(_ context: ChannelHandlerContext) {
        guard let response else { return }
        if let fault = fault(in: response) {
            fail(WebSocketConnectError(.invalidHandshake, "\(place) answered the handshake wrongly: \(fault)"), context)
            return
        }
        // Both must be gone before the first frame is written, because they take nothing but HTTP parts. The decoder
        // leaves in a later turn of the loop.
        isUpgrading = true
        let operations = context.pipeline.syncOperations
        operations.removeHandler(encoder, promise: nil)
        operations.removeHandler(decoder).assumeIsolated().whenComplete { _ in
            self.install(context, subprotocol: response.headers.first(name: "Sec-WebSocket-Protocol")?.trimmed)
        }
    }

    private func install(_ context: ChannelHandlerContext, subprotocol: String?) {
        // The time may have run out, or the peer left.
        guard context.channel.isActive else { return }
        do {
            let connection = try WebSocketConnection.install(
                on: context.channel, role: .client, configuration: configuration, subprotocol: subprotocol)
            if let delegate { connection.setDelegate(delegate) }
            promise.succeed(connection)
            if firstBytes.readableBytes > 0 {
                context.fireChannelRead(NIOAny(firstBytes))
                context.fireChannelReadComplete()
            }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            fail(WebSocketConnectError(.closed, "\(place) closed the connection", cause: error), context)
        }
    }

    /// What is wrong with a 101 response (section 4.1, the numbered list of checks), or nil.
    private func fault(in response: HTTPResponseHead) -> String? {
        let headers = response.headers
        guard WebSocketHandshake.contains("websocket", in: headers, "Upgrade") else { return "no Upgrade: websocket" }
        guard WebSocketHandshake.contains("upgrade", in: headers, "Connection") else { return "no Connection: Upgrade" }
        guard headers["Sec-WebSocket-Accept"].map(\.trimmed) == [WebSocketHandshake.accept(forKey: request.key)] else {
            return "Sec-WebSocket-Accept does not match the key"
        }
        guard !headers.contains(name: "Sec-WebSocket-Extensions") else { return "an extension that was not offered" }
        let chosen = headers["Sec-WebSocket-Protocol"].map(\.trimmed)
        guard chosen.count <= 1, chosen.allSatisfy(request.subprotocols.contains) else {
            return "a subprotocol that was not offered"
        }
        return nil
    }

    private func refused(_ context: ChannelHandlerContext) {
        guard let response else { return }
        let error = WebSocketConnectError(
            .refused, "\(place) refused the WebSocket: \(response.status.code) \(response.status.reasonPhrase)",
            status: Int(response.status.code), body: String(buffer: body))
        fail(error, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if response != nil, !isUpgrading {
            refused(context)
        } else {
            fail(
                WebSocketConnectError(.closed, "\(place) closed the connection before the handshake was done"), context)
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let description: WebSocketConnectError
        switch error {
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError:
            description = WebSocketConnectError(.tlsFailed, "no TLS connection to \(place): \(error)", cause: error)
        case is HTTPParserError:
            description = WebSocketConnectError(
                .invalidHandshake, "\(place) did not answer in HTTP: \(error)", cause: error)
        default:
            description = WebSocketConnectError(.closed, "the connection to \(place) broke: \(error)", cause: error)
        }
        fail(description, context)
    }

    /// The first failure counts; later ones find the promise completed.
    private func fail(_ error: WebSocketConnectError, _ context: ChannelHandlerContext) {
        promise.fail(error)
        context.close(promise: nil)
    }
}
