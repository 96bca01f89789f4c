import NIOCore
import NIOPosix
import PatchbayCore
import Testing

@testable import PatchbayTransports

@Suite(.timeLimit(.minutes(1))) struct WebSocketClientTests {
    let loop = MultiThreadedEventLoopGroup.singleton.next()

    func failure(
        _ target: WebSocketTarget, timeout: TimeAmount = .seconds(8)
    ) async -> WebSocketConnectError? {
        await #expect(throws: WebSocketConnectError.self) {
            try await WebSocketClient.connect(to: target, on: loop, timeout: timeout)
        }
    }

    @Test func talksToOurServer() async throws {
        let serverSide = TestDelegate(echoes: true)
        let server = try await TestServer.start(delegate: serverSide)
        let clientSide = TestDelegate()
        let connection = try await WebSocketClient.connect(
            to: WebSocketTarget(server.url), on: loop, delegate: clientSide)
        #expect(connection.eventLoop === loop)
        #expect(connection.channel.eventLoop === loop)
        let large = [UInt8](repeating: 3, count: 200_000)
        try await loop.submit {
            var batch = MessageBatch()
            batch.text { $0.writeString("hello") }
            batch.binary { $0.writeBytes(large) }
            batch.text { $0.writeString("Grüße") }
            connection.send(&batch)
        }.get()
        #expect(try await clientSide.inbox.next() == .text("hello"))
        #expect(try await clientSide.inbox.next() == .binary(large))
        #expect(try await clientSide.inbox.next() == .text("Grüße"))
        connection.close(code: 4000, reason: "enough")
        #expect(try await clientSide.inbox.next() == .closed(4000, "enough", locally: true, error: nil))
        for expected in [Told.text("hello"), .binary(large), .text("Grüße")] {
            #expect(try await serverSide.inbox.next() == expected)
        }
        #expect(try await serverSide.inbox.next() == .closed(4000, "enough", locally: false, error: nil))
        try await connection.channel.closeFuture.bounded()
        try await server.stop()
    }

    @Test func hearsTheServersClose() async throws {
        let server = try await TestServer.start(delegate: TestDelegate())
        let delegate = TestDelegate()
        let connection = try await WebSocketClient.connect(
            to: WebSocketTarget(server.url), on: loop, delegate: delegate)
        try await server.nextConnection().close(code: 1011, reason: "agent failed")
        #expect(try await delegate.inbox.next() == .closed(1011, "agent failed", locally: false, error: nil))
        #expect(try await connection.closeFuture.bounded().reason == "agent failed")
        try await connection.channel.closeFuture.bounded()
        try await server.stop()
    }

    @Test func noticesAServerThatVanishes() async throws {
        let server = try await TestServer.start(delegate: TestDelegate())
        let delegate = TestDelegate()
        _ = try await WebSocketClient.connect(to: WebSocketTarget(server.url), on: loop, delegate: delegate)
        try await server.nextConnection().channel.close().get()
        #expect(
            try await delegate.inbox.next()
                == .closed(1006, "", locally: false, error: "\(WebSocketAbort.peerVanished)"))
        try await server.stop()
    }

    @Test func sendsTheHandshakeAsGiven() async throws {
        let server = try await RawServer.start()
        let target = WebSocketTarget(
            "ws://127.0.0.1:\(server.port)/a%20b?c=%2F&d=e", headers: [("Authorization", "Token x"), ("X-Two", "2")],
            subprotocols: ["one", "two"])
        async let connecting = WebSocketClient.connect(to: target, on: loop)
        let (peer, request) = try await server.upgradedPeer(extra: "Sec-WebSocket-Protocol: two\r\n")
        let connection = try await connecting
        #expect(connection.subprotocol == "two")
        #expect(request.hasPrefix("GET /a%20b?c=%2F&d=e HTTP/1.1\r\n"))
        for line in [
            "Host: 127.0.0.1:\(server.port)", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: one, two", "Authorization: Token x", "X-Two: 2",
        ] {
            #expect(request.contains("\r\n\(line)\r\n"), "\(line)")
        }
        #expect(!request.lowercased().contains("extensions"))
        try await peer.channel.close().get()
        try await server.channel.close().get()
    }

    @Test func deliversWhatCameWithTheResponse() async throws {
        let server = try await RawServer.start()
        let delegate = TestDelegate()
        async let connecting = WebSocketClient.connect(to: server.target, on: loop, delegate: delegate)
        let (peer, _) = try await server.upgradedPeer(
            with: TestFrame.text("metadata").bytes + TestFrame.ping([5]).bytes + TestFrame.text("audio").bytes)
        _ = try await connecting
        #expect(try await delegate.inbox.next() == .text("metadata"))
        #expect(try await delegate.inbox.next() == .text("audio"))
        #expect(try await peer.events(1, role: .server) == [.pong(ByteBuffer(bytes: [5]))])
        try await peer.channel.close().get()
        try await server.channel.close().get()
    }

    @Test func refusesMaskedFrames() async throws {
        let server = try await RawServer.start()
        let delegate = TestDelegate()
        async let connecting = WebSocketClient.connect(to: server.target, on: loop, delegate: delegate)
        let (peer, _) = try await server.upgradedPeer(with: TestFrame.text("x").sent(to: .server).bytes)
        let connection = try await connecting
        guard case .close(1002, _)? = try await peer.events(1, role: .server).first else {
            Issue.record("no 1002")
            return
        }
        try await connection.channel.closeFuture.bounded()
        try await server.channel.close().get()
    }

    /// The client leaves closing TCP to the server, but not for ever (RFC 6455, section 7.1.1).
    @Test func waitsForTheServerToCloseTCP() async throws {
        let server = try await RawServer.start()
        let delegate = TestDelegate()
        var configuration = WebSocketConfiguration.client
        configuration.closeTimeout = .milliseconds(50)
        async let connecting = WebSocketClient.connect(
            to: server.target, on: loop, configuration: configuration, delegate: delegate)
        let (peer, _) = try await server.upgradedPeer()
        let connection = try await connecting
        try await peer.write(TestFrame.close(1000, "done").bytes)
        #expect(try await delegate.inbox.next() == .closed(1000, "done", locally: false, error: nil))
        #expect(try await peer.events(1, role: .server) == [.close(code: 1000, reason: "done")])
        try await connection.channel.closeFuture.bounded()
        #expect(try await peer.readToEnd().isEmpty)
        try await server.channel.close().get()
    }

    @Test func reportsRefusals() async throws {
        let server = try await TestServer.start { _ in .refuse(.forbidden, "the token is used up") }
        let error = await failure(WebSocketTarget(server.url))
        #expect(error?.code == .refused)
        #expect(error?.status == 403)
        #expect(error?.body == "the token is used up\n")
        #expect(error?.message == "127.0.0.1:\(server.port) refused the WebSocket: 403 Forbidden")
        try await server.stop()
    }

    struct Answer: Sendable, CustomTestStringConvertible {
        var name: String
        var response: String
        var code: WebSocketConnectError.Code
        var status: Int?
        var bodyCount = 0
        var testDescription: String { name }
    }
    static let answers = [
        Answer(
            name: "large body",
            response: "HTTP/1.1 500 Oops\r\nContent-Length: 9000\r\n\r\n"
                + String(repeating: "e", count: 2_000), code: .refused, status: 500, bodyCount: 1_024),
        Answer(
            name: "chunked body",
            response: "HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwho\r\n0\r\n\r\n",
            code: .refused, status: 401, bodyCount: 3),
        Answer(name: "200", response: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", code: .refused, status: 200),
        Answer(
            name: "redirect", response: "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            code: .refused, status: 302),
        Answer(
            name: "wrong accept",
            response: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                + "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            code: .invalidHandshake),
        Answer(name: "no HTTP", response: "SSH-2.0-OpenSSH_9\r\n\r\n", code: .invalidHandshake),
    ]

    @Test(arguments: answers)
    func reportsWrongAnswers(_ answer: Answer) async throws {
        let server = try await RawServer.start()
        async let failing = failure(server.target)
        let peer = try await server.nextPeer()
        _ = try await peer.read(through: "\r\n\r\n")
        try await peer.write(answer.response)
        let error = await failing
        #expect(error?.code == answer.code)
        #expect(error?.status == answer.status)
        #expect(error?.body.utf8.count == answer.bodyCount)
        #expect(error?.message.contains("127.0.0.1:\(server.port)") == true)
        #expect(error?.description.contains("secret") == false)
        _ = try await peer.readToEnd()
        try await server.channel.close().get()
    }

    @Test(arguments: [
        ("Upgrade: websocket\r\n", ""), ("Connection: Upgrade\r\n", "Connection: close\r\n"),
        ("Connection: Upgrade\r\n", "Connection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"),
        ("Connection: Upgrade\r\n", "Connection: Upgrade\r\nSec-WebSocket-Protocol: unasked\r\n"),
    ])
    func checksTheHandshake(replace: String, with: String) async throws {
        let server = try await RawServer.start()
        async let failing = failure(server.target)
        let (peer, _) = try await server.upgradedPeer { $0.replacing(replace, with: with) }
        #expect(await failing?.code == .invalidHandshake)
        _ = try await peer.readToEnd()
        try await server.channel.close().get()
    }

    @Test func boundsTheWholeHandshakeInTime() async throws {
        let server = try await RawServer.start()
        async let failing = failure(server.target, timeout: .milliseconds(500))
        let peer = try await server.nextPeer()
        _ = try await peer.read(through: "\r\n\r\n")
        let error = await failing
        #expect(error?.code == .timedOut)
        #expect(error?.message == "no WebSocket to 127.0.0.1:\(server.port) within 500 ms")
        _ = try await peer.readToEnd()
        try await server.channel.close().get()
    }

    @Test func reportsAServerThatHangsUp() async throws {
        let server = try await RawServer.start()
        async let failing = failure(server.target)
        let peer = try await server.nextPeer()
        _ = try await peer.read(through: "\r\n\r\n")
        try await peer.channel.close().get()
        #expect(await failing?.code == .closed)
        try await server.channel.close().get()
    }

    @Test func reportsARefusedPort() async throws {
        let server = try await RawServer.start()
        let (target, port) = (server.target, server.port)
        try await server.channel.close().get()
        let error = await failure(target)
        #expect(error?.code == .unreachable)
        #expect(error?.message.contains("127.0.0.1:\(port)") == true)
    }

    /// A label of more than 63 characters has no address anywhere, and no name server is asked.
    @Test func reportsAnUnknownHost() async throws {
        let host = String(repeating: "a", count: 70) + ".invalid"
        let error = await failure(WebSocketTarget("ws://\(host):99/"))
        #expect(error?.code == .unknownHost)
        #expect(error?.message.contains("\(host):99") == true)
    }

    @Test func wantsAContextForTLS() async {
        #expect(await failure(WebSocketTarget("wss://127.0.0.1/"))?.code == .invalidTarget)
    }
}
