import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import PatchbayCore
import Synchronization

@testable import PatchbayTransports

/// Nothing came in time.
struct TestTimeout: Error {}

extension EventLoopFuture where Value: Sendable {
    /// Waits for the value, but not for ever.
    func bounded(_ limit: TimeAmount = .seconds(30)) async throws -> Value {
        let promise = eventLoop.makePromise(of: Value.self)
        let timer = eventLoop.scheduleTask(in: limit) { promise.fail(TestTimeout()) }
        cascade(to: promise)
        promise.futureResult.whenComplete { _ in timer.cancel() }
        return try await promise.futureResult.get()
    }
}

/// Values that arrive on an event loop, waited for one by one.
final class Inbox<Value: Sendable>: Sendable {
    private struct State {
        var values: [Value] = []
        var waiters: [EventLoopPromise<Value>] = []
    }
    private let state = Mutex(State())
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    func put(_ value: Value) {
        let waiter = state.withLock { state -> EventLoopPromise<Value>? in
            if state.waiters.isEmpty {
                state.values.append(value)
                return nil
            }
            return state.waiters.removeFirst()
        }
        waiter?.succeed(value)
    }

    func next() async throws -> Value {
        let promise = loop.makePromise(of: Value.self)
        let ready = state.withLock { state -> Value? in
            if state.values.isEmpty {
                state.waiters.append(promise)
                return nil
            }
            return state.values.removeFirst()
        }
        if let ready { promise.succeed(ready) }
        return try await promise.futureResult.bounded()
    }

    /// What has arrived and was not taken yet.
    var waiting: [Value] { state.withLock { $0.values } }
}

/// What a delegate was told.
enum Told: Equatable, Sendable {
    case text(String)
    case binary([UInt8])
    case readFinished
    case writable(Bool)
    case closed(UInt16, String, locally: Bool, error: String?)
}

/// Writes down what it is told; echoes if asked to.
final class TestDelegate: WebSocketDelegate {
    let inbox = Inbox<Told>()
    let echoes: Bool
    let notesReads: Bool
    private let batch = Mutex(MessageBatch())

    init(echoes: Bool = false, notesReads: Bool = false) {
        self.echoes = echoes
        self.notesReads = notesReads
    }

    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        inbox.put(.text(String(buffer: text)))
        guard echoes else { return }
        batch.withLock { batch in
            batch.text { $0.writeImmutableBuffer(text) }
            _ = connection.send(&batch)
        }
    }
    func webSocketDidReceive(binary: ByteBuffer, from connection: WebSocketConnection) {
        inbox.put(.binary(Array(binary.readableBytesView)))
        guard echoes else { return }
        batch.withLock { batch in
            batch.binary { $0.writeImmutableBuffer(binary) }
            _ = connection.send(&batch)
        }
    }
    func webSocketDidFinishReading(from connection: WebSocketConnection) {
        if notesReads { inbox.put(.readFinished) }
    }
    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {
        let error = close.error.map { ($0 as? WebSocketFault)?.message ?? "\($0)" }
        inbox.put(.closed(close.code, close.reason, locally: close.initiatedLocally, error: error))
    }
}

/// Hears only text.
final class TextOnlyDelegate: WebSocketDelegate {
    let inbox = Inbox<Told>()
    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {}
    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {
        inbox.put(.closed(close.code, close.reason, locally: close.initiatedLocally, error: nil))
    }
}

/// Needs its lock for whatever it is told, as an owner that keeps state does. A call from inside `send` would trap.
final class LockingDelegate: WebSocketDelegate {
    let inbox = Inbox<Told>()
    let batch = Mutex(MessageBatch())
    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        batch.withLock { _ in inbox.put(.text(String(buffer: text))) }
    }
    func webSocketDidBecomeWritable(_ isWritable: Bool, on connection: WebSocketConnection) {
        batch.withLock { _ in inbox.put(.writable(isWritable)) }
    }
    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {
        batch.withLock { _ in
            inbox.put(.closed(close.code, close.reason, locally: close.initiatedLocally, error: nil))
        }
    }
}

/// Counts writes and flushes on their way to the socket.
final class WriteCounter: ChannelOutboundHandler, Sendable {
    typealias OutboundIn = ByteBuffer
    let counts = Mutex((writes: 0, flushes: 0))
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        counts.withLock { $0.writes += 1 }
        context.write(data, promise: promise)
    }
    func flush(context: ChannelHandlerContext) {
        counts.withLock { $0.flushes += 1 }
        context.flush()
    }
}

/// Closes the channel at the first flush, as a failing system call does.
final class BreakingSocket: ChannelOutboundHandler, Sendable {
    typealias OutboundIn = ByteBuffer
    func flush(context: ChannelHandlerContext) { context.close(promise: nil) }
}

/// Does what NIO does with a socket whose write fails: reads out what the peer has sent, then closes it.
final class DrainingSocket: ChannelOutboundHandler, Sendable {
    typealias OutboundIn = ByteBuffer
    let bytes: ByteBuffer

    init(_ bytes: ByteBuffer) { self.bytes = bytes }

    func flush(context: ChannelHandlerContext) {
        context.fireChannelRead(NIOAny(bytes))
        context.fireChannelReadComplete()
        context.close(promise: nil)
    }
}

/// A server on a port of its own; `/plain` requests and all without `Upgrade` get 200 and "plain".
struct TestServer {
    let channel: any Channel
    private let connections: Inbox<WebSocketConnection>
    var port: Int { channel.localAddress?.port ?? 0 }
    var url: String { "ws://127.0.0.1:\(port)/stream" }

    static func start(
        configuration: WebSocketConfiguration = .server, tls: NIOSSLContext? = nil, counter: WriteCounter? = nil,
        allowsHalfClosure: Bool = true, decisionTimeout: TimeAmount = .seconds(15),
        accept: @escaping @Sendable (HTTPRequestHead) -> WebSocketAcceptance
    ) async throws -> TestServer {
        let connections = Inbox<WebSocketConnection>()
        let upgrader = WebSocketServerUpgrader<Bool>(
            configuration: configuration,
            accept: { channel, head in channel.eventLoop.makeSucceededFuture(accept(head)) },
            upgraded: { connection in
                connections.put(connection)
                return true
            })
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: allowsHalfClosure)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    if let counter { try operations.addHandler(counter) }
                    if let tls { try operations.addHandler(NIOSSLServerHandler(context: tls)) }
                    _ = try operations.configureWebSocketServer(upgrader: upgrader, decisionTimeout: decisionTimeout) {
                        channel in
                        channel.eventLoop.makeCompletedFuture {
                            try channel.pipeline.syncOperations.addHandler(PlainResponder())
                            return false
                        }
                    }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return TestServer(channel: channel, connections: connections)
    }

    static func start(
        configuration: WebSocketConfiguration = .server, tls: NIOSSLContext? = nil, counter: WriteCounter? = nil,
        allowsHalfClosure: Bool = true, delegate: any WebSocketDelegate
    ) async throws -> TestServer {
        try await start(
            configuration: configuration, tls: tls, counter: counter, allowsHalfClosure: allowsHalfClosure
        ) { _ in .accept(makeDelegate: { _ in delegate }) }
    }

    private init(channel: any Channel, connections: Inbox<WebSocketConnection>) {
        self.channel = channel
        self.connections = connections
    }

    func nextConnection() async throws -> WebSocketConnection { try await connections.next() }
    func stop() async throws { try await channel.close().get() }
}

private final class PlainResponder: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart
    private var uri: String?

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): uri = head.uri
        case .body: break
        case .end:
            let body = ByteBuffer(string: "plain \(uri ?? "without a head")")
            let head = HTTPResponseHead(
                version: .http1_1, status: .ok, headers: ["Content-Length": "\(body.readableBytes)"])
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}
