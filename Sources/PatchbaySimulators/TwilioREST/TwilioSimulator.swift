public import AsyncHTTPClient
public import NIOCore
import NIOHTTP1
import NIOPosix
public import NIOSSL
import PatchbayCore

/// Twilio's REST API for calls on a local port, with telephones behind it that ring, answer and speak with whoever ordered the
/// call: for work without an account, and against anybody's server.
public final class TwilioSimulator: Sendable {
    private let options: TwilioSimulatorOptions
    private let account: TwilioSimulatedAccount
    private let eventLoop: any EventLoop
    private let server: NIOLoopBoundBox<(any Channel)?>

    /// - Parameters:
    ///   - progress: Told what happens, a line at a time.
    /// - Throws: Everything that is wrong with the options, at once.
    public init(
        _ options: TwilioSimulatorOptions, httpClient: HTTPClient, tls: NIOSSLContext? = nil,
        progress: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(SimulatorOptionFault) {
        try options.checked()
        self.options = options
        eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        server = .makeEmptyBox(valueType: (any Channel).self, eventLoop: eventLoop)
        account = TwilioSimulatedAccount(
            options, phone: Phone(httpClient: httpClient, on: eventLoop, tls: tls), progress: progress)
    }

    /// Opens the port.
    ///
    /// - Returns: The address that was bound.
    public func start() async throws -> SocketAddress {
        let account = account
        let channel = try await ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(
                        TwilioSimulatorHandler { await account.answer($0) })
                }
            }
            .bind(host: options.host, port: options.port).get()
        let server = server
        try await eventLoop.submit { server.value = channel }.get()
        guard let address = channel.localAddress else { throw ChannelError.unknownLocalAddress }
        return address
    }

    /// Closes the port and hangs up every call.
    public func stop() async {
        let server = server
        try? await eventLoop.flatSubmit { [eventLoop] in
            server.value?.close() ?? eventLoop.makeSucceededVoidFuture()
        }.get()
        await account.stop()
    }

    /// Has everybody who was called hang up, and returns when the calls are over.
    public func hangUpAll() async { await account.stop() }

    /// Calls that were dialled since the start.
    public var dialled: Int { get async { await account.dialled } }
}

/// Answers one request of the REST API, and closes the connection.
private final class TwilioSimulatorHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    typealias Answer = @Sendable (SimulatorRequest) async -> TwilioSimulatedAccount.Reply

    private let answer: Answer
    private var request: SimulatorRequest?
    private var isOver = false

    init(answer: @escaping Answer) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        switch unwrapInboundIn(data) {
        case .head(let head): request = SimulatorRequest(head, address: context.localAddress)
        case .body(let part):
            guard let size = request?.body.readableBytes, size + part.readableBytes <= SimulatorRequest.maximumBody
            else {
                isOver = true
                return Self.send(SimulatorResponse(.payloadTooLarge, body: "{}"), on: context.channel)
            }
            request?.body.writeImmutableBuffer(part)
        case .end:
            guard let request else { return }
            isOver = true
            Self.reply(to: request, by: answer, on: context.channel)
        }
    }

    private static func reply(to request: SimulatorRequest, by answer: @escaping Answer, on channel: any Channel) {
        Task {
            let reply = await answer(request)
            if case .response(let response) = reply {
                send(response, on: channel)
            } else {
                channel.close(promise: nil)
            }
        }
    }

    private static func send(_ response: SimulatorResponse, on channel: any Channel) {
        let body = ByteBuffer(string: response.body)
        let head = HTTPResponseHead(
            version: .http1_1, status: response.status,
            headers: [
                "Content-Type": "application/json", "Content-Length": "\(body.readableBytes)", "Connection": "close",
            ])
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        channel.write(HTTPServerResponsePart.body(.byteBuffer(body)), promise: nil)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in channel.close(promise: nil) }
    }

    /// A request that is no HTTP.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
