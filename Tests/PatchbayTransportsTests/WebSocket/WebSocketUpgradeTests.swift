import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@testable import PatchbayTransports

@Suite(.timeLimit(.minutes(1))) struct WebSocketUpgradeTests {
    struct BadRequest: Sendable, CustomTestStringConvertible {
        var name: String
        var replace: String
        var with: String
        var status: String
        var contains = ""
        var testDescription: String { name }
    }

    static let badRequests = [
        BadRequest(
            name: "no key", replace: "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", with: "", status: "400",
            contains: "Sec-WebSocket-Key"),
        BadRequest(name: "short key", replace: "dGhlIHNhbXBsZSBub25jZQ==", with: "c2hvcnQ=", status: "400"),
        BadRequest(name: "key is no base64", replace: "dGhlIHNhbXBsZSBub25jZQ==", with: "!!!", status: "400"),
        BadRequest(
            name: "version 8", replace: "Version: 13", with: "Version: 8", status: "426",
            contains: "Sec-WebSocket-Version: 13"),
        BadRequest(
            name: "no version", replace: "Sec-WebSocket-Version: 13\r\n", with: "", status: "426",
            contains: "Sec-WebSocket-Version: 13"),
        BadRequest(name: "no Connection token", replace: "keep-alive, Upgrade", with: "keep-alive", status: "400"),
        BadRequest(name: "POST", replace: "GET", with: "POST", status: "405", contains: "Allow: GET"),
        BadRequest(name: "HTTP/1.0", replace: "HTTP/1.1", with: "HTTP/1.0", status: "400"),
        BadRequest(
            name: "POST with a body", replace: "GET /stream HTTP/1.1\r\n",
            with: "POST /stream HTTP/1.1\r\nContent-Length: 3\r\n", status: "405"),
        BadRequest(name: "GET with a body", replace: "Host:", with: "Content-Length: 3\r\nHost:", status: "400"),
        BadRequest(name: "chunked", replace: "Host:", with: "Transfer-Encoding: chunked\r\nHost:", status: "400"),
        BadRequest(name: "no Host", replace: "Host: 127.0.0.1\r\n", with: "", status: "400"),
        BadRequest(
            name: "refused by the application", replace: "/stream", with: "/forbidden", status: "403",
            contains: "not for you"),
        BadRequest(name: "unknown path", replace: "/stream", with: "/elsewhere", status: "404", contains: "no such"),
    ]

    static func startServer() async throws -> TestServer {
        try await TestServer.start { head in
            switch head.uri {
            case "/stream":
                .accept(headers: ["X-Server": "test"], subprotocol: "audio.v1", makeDelegate: { _ in TestDelegate() })
            case "/forbidden": .refuse(.forbidden, "not for you")
            default: .refuse(.notFound, "no such stream")
            }
        }
    }

    /// A refusal is a whole HTTP response, then the end of the connection.
    @Test(arguments: badRequests)
    func refusesInHTTP(_ bad: BadRequest) async throws {
        let server = try await Self.startServer()
        let peer = try await RawPeer.connect(port: server.port)
        try await peer.write(RawPeer.request.replacing(bad.replace, with: bad.with) + "abc")
        let response = String(decoding: try await peer.readToEnd(), as: UTF8.self)
        #expect(response.hasPrefix("HTTP/1.1 \(bad.status) "))
        #expect(bad.contains.isEmpty || response.contains(bad.contains))
        let parts = response.split(separator: "\r\n\r\n", maxSplits: 1)
        try #require(parts.count == 2)
        #expect(parts[0].lowercased().contains("content-length: \(parts[1].utf8.count)"))
        try await server.stop()
    }

    @Test func acceptsTheStandardsExample() async throws {
        let server = try await Self.startServer()
        let peer = try await RawPeer.connect(port: server.port)
        try await peer.write(RawPeer.request)
        let (head, _) = try await peer.read(through: "\r\n\r\n")
        #expect(head.hasPrefix("HTTP/1.1 101 "))
        // The example of RFC 6455, section 1.3.
        #expect(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
        #expect(head.contains("X-Server: test\r\n"))
        #expect(!head.lowercased().contains("sec-websocket-protocol"), "a subprotocol that was not offered")
        #expect(!head.lowercased().contains("sec-websocket-extensions"))
        try await peer.channel.close().get()
        try await server.stop()
    }

    @Test func echoesAnOfferedSubprotocolAndNoExtension() async throws {
        let server = try await Self.startServer()
        let peer = try await RawPeer.connect(port: server.port)
        let offers = "Sec-WebSocket-Protocol: other, audio.v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\nHost:"
        try await peer.write(RawPeer.request.replacing("Host:", with: offers))
        let (head, _) = try await peer.read(through: "\r\n\r\n")
        #expect(head.hasPrefix("HTTP/1.1 101 "))
        #expect(head.contains("Sec-WebSocket-Protocol: audio.v1\r\n"))
        #expect(!head.lowercased().contains("sec-websocket-extensions"))
        try await peer.channel.close().get()
        try await server.stop()
    }

    /// Ordinary requests, and offers of other protocols, go to the HTTP handlers, whole.
    @Test(arguments: [
        "GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            + "HTTP2-Settings: AAMAAABk\r\n\r\n",
    ])
    func leavesOtherRequestsAlone(_ request: String) async throws {
        let server = try await Self.startServer()
        let peer = try await RawPeer.connect(port: server.port)
        try await peer.write(request)
        let (head, rest) = try await peer.read(through: "plain")
        #expect(head.hasPrefix("HTTP/1.1 200 "))
        #expect(String(decoding: rest, as: UTF8.self) == " /health")
        try await peer.channel.close().get()
        try await server.stop()
    }

    @Test func closesAConnectionThatSaysNothing() async throws {
        let server = try await TestServer.start(decisionTimeout: .seconds(1)) { _ in
            .accept(makeDelegate: { _ in nil })
        }
        let peer = try await RawPeer.connect(port: server.port)
        #expect(try await peer.readToEnd().isEmpty)
        // One that decides in time stays.
        let (upgraded, _) = try await RawPeer.upgraded(port: server.port)
        let connection = try await server.nextConnection()
        let later = connection.eventLoop.scheduleTask(in: .milliseconds(1_300)) { connection.channel.isActive }
        #expect(try await later.futureResult.bounded())
        try await upgraded.channel.close().get()
        try await server.stop()
    }

    /// While the server thinks about a handshake, what follows it is bounded.
    @Test func boundsWhatFollowsAnUndecidedHandshake() async throws {
        let undecided = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: WebSocketAcceptance.self)
        let upgrader = WebSocketServerUpgrader<Void>(accept: { _, _ in undecided.futureResult }, upgraded: { _ in })
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    _ = try channel.pipeline.syncOperations.configureWebSocketServer(upgrader: upgrader) { channel in
                        channel.close()
                    }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let peer = try await RawPeer.connect(port: server.localAddress?.port ?? 0)
        let flood = [UInt8](repeating: 0x82, count: 300_000)
        peer.channel.writeAndFlush(ByteBuffer(bytes: Array(RawPeer.request.utf8) + flood), promise: nil)
        #expect(try await peer.readToEnd().isEmpty)
        undecided.succeed(.refuse(.forbidden, "too late"))
        try await server.close().get()
    }
}
