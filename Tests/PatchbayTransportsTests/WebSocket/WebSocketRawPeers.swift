import NIOCore
import NIOPosix

@testable import PatchbayTransports

/// A TCP connection whose bytes the test writes and reads itself.
struct RawPeer: Sendable {
    let channel: any Channel
    let inbox: Inbox<[UInt8]?>

    static func connect(port: Int, reads: Bool = true) async throws -> RawPeer {
        let inbox = Inbox<[UInt8]?>()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(RawReader(inbox: inbox))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return RawPeer(channel: channel, inbox: inbox)
    }

    func write(_ bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).bounded()
    }
    func write(_ text: String) async throws { try await write(Array(text.utf8)) }

    /// Everything up to the end of the connection.
    func readToEnd() async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let more = try await inbox.next() { bytes += more }
        return bytes
    }

    /// The text up to and including `mark`; what came after it is returned too.
    func read(through mark: String) async throws -> (head: String, rest: [UInt8]) {
        var bytes: [UInt8] = []
        let mark = Array(mark.utf8)
        while true {
            if let range = bytes.firstRange(of: mark) {
                return (String(decoding: bytes[..<range.upperBound], as: UTF8.self), Array(bytes[range.upperBound...]))
            }
            guard let more = try await inbox.next() else { throw ChannelError.eof }
            bytes += more
        }
    }

    /// Reads until a parser of our role has made `count` events of the bytes, or the connection ends.
    func events(_ count: Int, role: WebSocketRole = .client, after rest: [UInt8] = []) async throws -> [WebSocketEvent]
    {
        try await events(role: role, after: rest) { $0.count >= count }
    }

    /// Reads until the events satisfy the condition, or the connection ends.
    func events(
        role: WebSocketRole, after rest: [UInt8] = [], until isEnough: ([WebSocketEvent]) -> Bool
    ) async throws -> [WebSocketEvent] {
        var parser = WebSocketParser(role: role)
        parser.append(ByteBuffer(bytes: rest))
        var events: [WebSocketEvent] = []
        while true {
            while let event = try parser.next() { events.append(event) }
            if isEnough(events) { return events }
            guard let more = try await inbox.next() else { return events }
            parser.append(ByteBuffer(bytes: more))
        }
    }

    static let request = """
        GET /stream HTTP/1.1\r
        Host: 127.0.0.1\r
        Connection: keep-alive, Upgrade\r
        Upgrade: websocket\r
        Sec-WebSocket-Version: 13\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        \r\n
        """

    /// Connects and upgrades; `frames` travel in the same segment as the request.
    static func upgraded(port: Int, with frames: [UInt8] = [], reads: Bool = true) async throws -> (RawPeer, [UInt8]) {
        let peer = try await connect(port: port)
        try await peer.write(Array(request.utf8) + frames)
        let (_, rest) = try await peer.read(through: "\r\n\r\n")
        if !reads { try await peer.channel.setOption(.autoRead, value: false).get() }
        return (peer, rest)
    }
}

private final class RawReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    let inbox: Inbox<[UInt8]?>
    init(inbox: Inbox<[UInt8]?>) { self.inbox = inbox }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        inbox.put(Array(unwrapInboundIn(data).readableBytesView))
    }
    func channelInactive(context: ChannelHandlerContext) { inbox.put(nil) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// A server that accepts one TCP connection after the other and leaves the rest to the test.
struct RawServer {
    let channel: any Channel
    private let peers: Inbox<RawPeer>
    var port: Int { channel.localAddress?.port ?? 0 }
    var target: WebSocketTarget { WebSocketTarget("ws://127.0.0.1:\(port)/agent?token=secret") }

    static func start() async throws -> RawServer {
        let peers = Inbox<RawPeer>()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let inbox = Inbox<[UInt8]?>()
                    try channel.pipeline.syncOperations.addHandler(RawReader(inbox: inbox))
                    peers.put(RawPeer(channel: channel, inbox: inbox))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return RawServer(channel: channel, peers: peers)
    }

    func nextPeer() async throws -> RawPeer { try await peers.next() }

    /// Takes the next connection through the handshake; `frames` travel in the same segment as the response.
    func upgradedPeer(
        with frames: [UInt8] = [], extra: String = "", change: (String) -> String = { $0 }
    ) async throws -> (RawPeer, request: String) {
        let peer = try await nextPeer()
        let (request, _) = try await peer.read(through: "\r\n\r\n")
        let key = request.split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Key: ") }?.dropFirst(19) ?? ""
        let response = change(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Accept: \(WebSocketHandshake.accept(forKey: String(key)))\r\n\(extra)\r\n")
        try await peer.write(Array(response.utf8) + frames)
        return (peer, request)
    }
}
