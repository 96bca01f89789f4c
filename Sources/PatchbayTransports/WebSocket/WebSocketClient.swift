public import NIOCore
import NIOHTTP1
import NIOPosix
public import NIOSSL

/// Opens WebSockets to other servers, each on a given event loop.
public enum WebSocketClient {
    /// Connects, and hands the connection over when the handshake is done.
    ///
    /// The future completes on `eventLoop`, where the connection's channel lives. Its callbacks run before the first
    /// message is delivered, so the delegate may still be set there.
    ///
    /// - Parameters:
    ///   - tls: Needed for `wss:`; see ``WebSocketTLS/makeContext(caFile:)``. Certificate and host name are always
    ///     checked.
    ///   - timeout: For everything together: name, TCP, TLS, handshake.
    ///   - delegate: The receiver. Without one nothing is read from the socket until
    ///     ``WebSocketConnection/setDelegate(_:)``.
    /// - Returns: Fails with ``WebSocketConnectError`` only.
    public static func makeConnection(
        to target: WebSocketTarget,
        on eventLoop: any EventLoop,
        tls: NIOSSLContext? = nil,
        timeout: TimeAmount = .seconds(10),
        configuration: WebSocketConfiguration = .client,
        delegate: (any WebSocketDelegate)? = nil
    ) -> EventLoopFuture<WebSocketConnection> {
        let promise = eventLoop.makePromise(of: WebSocketConnection.self)
        let request: WebSocketClientRequest
        do {
            request = try WebSocketClientRequest(target)
            if request.address.isSecure, tls == nil {
                throw WebSocketConnectError(.invalidTarget, "a wss:// address needs a TLS context")
            }
        } catch {
            promise.fail(error)
            return promise.futureResult
        }
        let place = request.address.place

        let timer = eventLoop.scheduleTask(in: timeout) {
            promise.fail(
                WebSocketConnectError(
                    .timedOut, "no WebSocket to \(place) within \(timeout.nanoseconds / 1_000_000) ms"))
        }
        promise.futureResult.whenComplete { _ in timer.cancel() }

        let serverName = request.address.serverName
        let isSecure = request.address.isSecure
        ClientBootstrap(group: eventLoop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    if isSecure, let tls {
                        try operations.addHandler(NIOSSLClientHandler(context: tls, serverHostname: serverName))
                    }
                    try operations.addHandler(
                        WebSocketClientHandshake(
                            request: request, configuration: configuration, delegate: delegate, promise: promise))
                }
            }
            .connect(host: request.address.host, port: request.address.port)
            .whenComplete { result in
                switch result {
                case .success(let channel):
                    // Whatever fails from here on, the time included, takes the channel with it.
                    promise.futureResult.whenFailure { _ in channel.close(promise: nil) }
                case .failure(let error):
                    promise.fail(WebSocketConnectError.connecting(to: place, error))
                }
            }
        return promise.futureResult
    }

    /// The same for async callers. When the task was cancelled meanwhile, the connection is closed again.
    ///
    /// - Throws: ``WebSocketConnectError``, or `CancellationError`.
    public static func connect(
        to target: WebSocketTarget,
        on eventLoop: any EventLoop,
        tls: NIOSSLContext? = nil,
        timeout: TimeAmount = .seconds(10),
        configuration: WebSocketConfiguration = .client,
        delegate: (any WebSocketDelegate)? = nil
    ) async throws -> WebSocketConnection {
        let connection = try await makeConnection(
            to: target, on: eventLoop, tls: tls, timeout: timeout, configuration: configuration, delegate: delegate
        ).get()
        if Task.isCancelled {
            connection.close(code: 1001)
            throw CancellationError()
        }
        return connection
    }
}

/// A checked handshake request.
struct WebSocketClientRequest: Sendable {
    let address: WebSocketAddress
    let key: String
    let subprotocols: [String]
    let head: HTTPRequestHead

    /// Headers that belong to the handshake or to the connection, in lower case.
    private static let reserved: Set<String> = [
        "host", "connection", "upgrade", "content-length", "transfer-encoding", "sec-websocket-key",
        "sec-websocket-version", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol",
    ]

    init(_ target: WebSocketTarget) throws(WebSocketConnectError) {
        address = try WebSocketAddress(target.url)
        key = WebSocketHandshake.makeKey()
        subprotocols = target.subprotocols
        var headers = HTTPHeaders([
            ("Host", address.hostHeader), ("Connection", "Upgrade"), ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", key), ("Sec-WebSocket-Version", WebSocketHandshake.version),
        ])
        if !subprotocols.isEmpty {
            guard subprotocols.allSatisfy(Self.isToken) else {
                throw WebSocketConnectError(.invalidTarget, "a subprotocol is not a token of RFC 9110")
            }
            headers.add(name: "Sec-WebSocket-Protocol", value: subprotocols.joined(separator: ", "))
        }
        for (name, value) in target.headers {
            guard Self.isToken(name), value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
                throw WebSocketConnectError(.invalidTarget, "a header holds characters that HTTP does not allow")
            }
            guard !Self.reserved.contains(name.lowercased()) else {
                throw WebSocketConnectError(.invalidTarget, "the header \(name) is set by the handshake itself")
            }
            headers.add(name: name, value: value)
        }
        head = HTTPRequestHead(version: .http1_1, method: .GET, uri: address.requestTarget, headers: headers)
    }

    /// A token of RFC 9110, section 5.6.2.
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }
}
