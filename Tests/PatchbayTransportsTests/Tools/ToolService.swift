import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

/// A service on a free port of this machine that answers as it is told and remembers what it was asked.
final class ToolService: Sendable {
    struct Request: Sendable {
        var method: String
        var uri: String
        var headers: HTTPHeaders
        var body: String
    }

    struct Answer: Sendable {
        var status = 200
        var headers: [(String, String)] = []
        var body = "ok"
        /// Never answers, until the peer gives up.
        var isSilent = false
        /// Closes the connection instead.
        var isBroken = false
    }

    private let channel: any Channel
    private let seen: Mutex<[Request]>
    private let closings: Mutex<Int>

    var port: Int { channel.localAddress?.port ?? 0 }
    var origin: String { "http://127.0.0.1:\(port)" }
    var requests: [Request] { seen.withLock { $0 } }

    private init(_ channel: any Channel, _ log: Log) {
        self.channel = channel
        closings = Mutex(0)
        seen = Mutex([])
        log.service.withLock { $0 = self }
    }

    private final class Log: Sendable {
        let service = Mutex<ToolService?>(nil)
    }

    /// Serves while `body` runs; `answer` gets the number of the request, from 0.
    static func run(
        _ answer: @escaping @Sendable (Request, Int) -> Answer = { _, _ in Answer() },
        _ body: (ToolService) async throws -> Void
    ) async throws {
        let log = Log()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(
                        Handler(closed: { log.service.withLock { $0 }?.closings.withLock { $0 += 1 } }) { request in
                            guard let service = log.service.withLock({ $0 }) else { return Answer(isBroken: true) }
                            let number = service.seen.withLock { seen in
                                seen.append(request)
                                return seen.count - 1
                            }
                            return answer(request, number)
                        })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let service = ToolService(channel, log)
        do { try await body(service) } catch {
            try? await channel.close()
            throw error
        }
        try await channel.close()
        log.service.withLock { $0 = nil }
    }

    /// Returns when a connection has been closed.
    func connectionClosed() async { await wait("a closed connection") { closings.withLock { $0 } > 0 } }

    /// Returns when so many requests have come.
    func received(_ count: Int) async { await wait("\(count) requests") { requests.count >= count } }

    /// Asks until a condition holds; fails after fifteen seconds.
    func wait(_ what: String, until condition: () -> Bool) async {
        let deadline = ContinuousClock.now + .seconds(15)
        while !condition() {
            guard ContinuousClock.now < deadline else {
                Issue.record("waited 15 s for \(what)")
                return
            }
            await Task.yield()
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let closed: @Sendable () -> Void
        private let answer: @Sendable (Request) -> Answer
        private var request: Request?

        init(closed: @escaping @Sendable () -> Void, _ answer: @escaping @Sendable (Request) -> Answer) {
            self.closed = closed
            self.answer = answer
        }

        func channelInactive(context: ChannelHandlerContext) {
            closed()
            context.fireChannelInactive()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                request = Request(method: head.method.rawValue, uri: head.uri, headers: head.headers, body: "")
            case .body(let part): request?.body += String(buffer: part)
            case .end:
                guard let request else { return }
                let answer = answer(request)
                if answer.isSilent { return }
                if answer.isBroken { return context.close(promise: nil) }
                var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: answer.status))
                for (name, value) in answer.headers { head.headers.add(name: name, value: value) }
                head.headers.add(name: "Content-Length", value: "\(answer.body.utf8.count)")
                context.write(wrapOutboundOut(.head(head)), promise: nil)
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: answer.body)))), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }
    }
}
