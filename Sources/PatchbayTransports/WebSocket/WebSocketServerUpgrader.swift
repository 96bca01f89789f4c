public import NIOCore
public import NIOHTTP1

/// A server's answer to a WebSocket handshake.
public enum WebSocketAcceptance: Sendable {
    /// Go on.
    ///
    /// - `headers`: added to the 101 response.
    /// - `subprotocol`: one of those that the client offered, or nil; a value it did not offer is left out, because the
    ///   client would have to fail the connection.
    /// - `makeDelegate`: makes the receiver, on the event loop, before anything is delivered. When it returns nil,
    ///   nothing is read from the socket until ``WebSocketConnection/setDelegate(_:)``.
    case accept(
        headers: HTTPHeaders = [:], subprotocol: String? = nil,
        makeDelegate: @Sendable (WebSocketConnection) -> (any WebSocketDelegate)?)
    /// Answer with this status, `message` as a body of plain text, and these headers; then close.
    case refuse(HTTPResponseStatus, _ message: String, headers: HTTPHeaders = [:])
}

/// The handshake was answered with something other than 101. The response is out and the channel closed.
public struct WebSocketRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public var status: HTTPResponseStatus
    public var message: String
    public var description: String { "WebSocket handshake refused with \(status.code): \(message)" }
}

/// Turns HTTP/1.1 requests with `Upgrade: websocket` into WebSockets (RFC 6455, section 4.2).
///
/// Requests that break the rules get 400, 405 or 426, requests that `accept` refuses get its status, each as a whole
/// HTTP response with a text. The upgrade future fails in these cases, when the channel is closed. No extension is ever
/// agreed, so there is no compression.
///
/// One value serves any number of channels. Use ``NIOCore/ChannelPipeline/SynchronousOperations`` with
/// `configureWebSocketServer(upgrader:notUpgrading:)` to put it into a pipeline.
public struct WebSocketServerUpgrader<UpgradeResult: Sendable>: NIOTypedHTTPServerProtocolUpgrader {
    public typealias Accept = @Sendable (any Channel, HTTPRequestHead) -> EventLoopFuture<WebSocketAcceptance>

    public let supportedProtocol = "websocket"
    /// Empty, so that handshakes with missing headers come to us, and get an answer that says what is missing.
    public let requiredUpgradeHeaders: [String] = []

    private let configuration: WebSocketConfiguration
    private let accept: Accept
    private let upgraded: @Sendable (WebSocketConnection) -> UpgradeResult

    /// - Parameters:
    ///   - accept: Decides about a well-formed handshake; may take its time. A future that fails refuses with 500.
    ///   - upgraded: Makes the upgrade future's value, on the event loop, after the delegate was made.
    public init(
        configuration: WebSocketConfiguration = .server,
        accept: @escaping Accept,
        upgraded: @escaping @Sendable (WebSocketConnection) -> UpgradeResult
    ) {
        self.configuration = configuration
        self.accept = accept
        self.upgraded = upgraded
    }

    public func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        let decision: EventLoopFuture<WebSocketAcceptance>
        if let refusal = WebSocketHandshake.refusal(of: upgradeRequest) {
            decision = channel.eventLoop.makeSucceededFuture(refusal)
        } else {
            decision = accept(channel, upgradeRequest).hop(to: channel.eventLoop).flatMapErrorThrowing { _ in
                .refuse(.internalServerError, "the server could not decide about this WebSocket")
            }
        }
        return decision.flatMap { acceptance in
            switch acceptance {
            case .accept(let headers, let subprotocol, let makeDelegate):
                return channel.eventLoop.makeCompletedFuture {
                    var response = initialResponseHeaders
                    let key = upgradeRequest.headers.first(name: "Sec-WebSocket-Key") ?? ""
                    response.add(name: "Sec-WebSocket-Accept", value: WebSocketHandshake.accept(forKey: key.trimmed))
                    let offered = WebSocketHandshake.subprotocols(in: upgradeRequest.headers)
                    let agreed = subprotocol.flatMap { offered.contains($0) ? $0 : nil }
                    if let agreed { response.add(name: "Sec-WebSocket-Protocol", value: agreed) }
                    response.add(contentsOf: headers)
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptedHandshake(subprotocol: agreed, makeDelegate: makeDelegate))
                    return response
                }
            case .refuse(let status, let message, let headers):
                return refuse(status, message, headers: headers, on: channel)
            }
        }
    }

    public func upgrade(channel: any Channel, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<UpgradeResult> {
        channel.eventLoop.makeCompletedFuture {
            let operations = channel.pipeline.syncOperations
            let handshake = try operations.handler(type: AcceptedHandshake.self)
            operations.removeHandler(handshake, promise: nil)
            let connection = try WebSocketConnection.install(
                on: channel, role: .server, configuration: configuration, subprotocol: handshake.subprotocol)
            if let delegate = handshake.makeDelegate(connection) { connection.setDelegate(delegate) }
            return upgraded(connection)
        }
    }

    /// Writes a whole response, closes, and only then fails, so that nothing else touches the channel.
    private func refuse(
        _ status: HTTPResponseStatus, _ message: String, headers: HTTPHeaders, on channel: any Channel
    ) -> EventLoopFuture<HTTPHeaders> {
        let body = ByteBuffer(string: message + "\n")
        var headers = headers
        headers.replaceOrAdd(name: "Content-Type", value: "text/plain; charset=utf-8")
        headers.replaceOrAdd(name: "Content-Length", value: String(body.readableBytes))
        headers.replaceOrAdd(name: "Connection", value: "close")
        let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        channel.write(HTTPServerResponsePart.body(.byteBuffer(body)), promise: nil)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in channel.close(promise: nil) }
        return channel.closeFuture.flatMapThrowing { throw WebSocketRefusal(status: status, message: message) }
    }
}

/// Carries the decision from the moment of the response to the moment of the upgrade, on its own channel, so that the
/// upgrader has no state. Touches no traffic.
private final class AcceptedHandshake: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Never

    let subprotocol: String?
    let makeDelegate: @Sendable (WebSocketConnection) -> (any WebSocketDelegate)?

    init(
        subprotocol: String?, makeDelegate: @escaping @Sendable (WebSocketConnection) -> (any WebSocketDelegate)?
    ) {
        self.subprotocol = subprotocol
        self.makeDelegate = makeDelegate
    }
}
