public import NIOCore
import NIOHTTP1
import NIOPosix
import PatchbayCore
import PatchbayTransports

/// A simulated vendor on a local port.
public protocol Simulator: Sendable {
    associatedtype ConversationStatistics: SimulatedConversationStatistics

    /// Speaks the scripts and opens the port. Up to 50 ms for each line that was never spoken before.
    ///
    /// - Returns: The address that was bound.
    /// - Throws: `PipelineError` when a script cannot be spoken; `ChannelError` when it runs already; otherwise what the
    ///   socket reports, such as a port in use.
    func start() async throws -> SocketAddress

    /// Closes the port and ends all conversations with 1001.
    func stop() async

    /// Counts since the last start.
    func statistics() async -> SimulatorStatistics<ConversationStatistics>
}

/// What happened since a simulator's start.
public struct SimulatorStatistics<Conversation: SimulatedConversationStatistics>: Sendable {
    /// Finished conversations whose details are kept; with more the oldest are forgotten.
    public static var maximumConversations: Int { 1000 }

    public var startedConversations = 0
    public var runningConversations = 0
    /// Handshakes that were answered with an HTTP error.
    public var refusedConversations = 0
    /// Plain HTTP requests that were answered with success.
    public var answeredRequests = 0
    /// Over all conversations.
    public var messagesReceived = 0
    /// Bytes of those messages.
    public var bytesReceived = 0
    /// Finished ones in the order they ended, then running ones in the order they began.
    public var conversations: [Conversation] = []

    public init() {}
}

/// The port of a simulated vendor: plain requests and WebSockets, given to its account. Everything runs on one event
/// loop, so the statistics of all conversations fit together.
final class SimulatorServer<Account: SimulatedAccount>: Sendable {
    typealias Statistics = SimulatorStatistics<Account.Conversation.Statistics>

    private struct Running {
        /// `nil` once it was stopped.
        var server: (any Channel)?
        var exchange: SimulatorExchange<Account>
    }

    private let host: String
    private let port: Int
    private let makeAccount: @Sendable () throws -> Account
    private let eventLoop: any EventLoop
    private let running: NIOLoopBoundBox<Running?>

    /// - Parameters:
    ///   - port: 0 takes any free one.
    ///   - makeAccount: Speaks the scripts, which blocks.
    init(host: String, port: Int, makeAccount: @escaping @Sendable () throws -> Account) {
        self.host = host
        self.port = port
        self.makeAccount = makeAccount
        eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        running = NIOLoopBoundBox.makeEmptyBox(valueType: Running.self, eventLoop: eventLoop)
    }

    func start() async throws -> SocketAddress {
        let account = try await NIOThreadPool.singleton.runIfActive(makeAccount)
        let (host, port, eventLoop, running) = (host, port, eventLoop, running)
        let server = try await eventLoop.flatSubmit { () -> EventLoopFuture<any Channel> in
            guard running.value?.server == nil else {
                return eventLoop.makeFailedFuture(ChannelError.inappropriateOperationForState)
            }
            let exchange = NIOLoopBound(SimulatorExchange(account, eventLoop: eventLoop), eventLoop: eventLoop)
            return Self.bind(host: host, port: port, exchange: exchange, on: eventLoop).map { server in
                running.value = Running(server: server, exchange: exchange.value)
                return server
            }
        }.get()
        guard let address = server.localAddress else { throw ChannelError.unknownLocalAddress }
        return address
    }

    func stop() async {
        let running = running
        let eventLoop = eventLoop
        // Closing a port that is closed already is no failure.
        try? await eventLoop.flatSubmit { () -> EventLoopFuture<Void> in
            guard let stopping = running.value, let server = stopping.server else {
                return eventLoop.makeSucceededVoidFuture()
            }
            running.value?.server = nil
            let conversations = stopping.exchange.stop()
            return server.close().flatMapError { _ in eventLoop.makeSucceededVoidFuture() }
                .flatMap { conversations }
        }.get()
    }

    func statistics() async -> Statistics {
        let running = running
        return (try? await eventLoop.submit { running.value?.exchange.statistics }.get()) ?? Statistics()
    }

    private static func bind(
        host: String, port: Int, exchange: NIOLoopBound<SimulatorExchange<Account>>, on eventLoop: any EventLoop
    ) -> EventLoopFuture<any Channel> {
        var webSocket = WebSocketConfiguration.server
        // A message of the caller's audio is small, but one of the agent's may have 2 MiB.
        webSocket.maximumPendingBytes = 8 << 20
        webSocket.maximumMessageBytes = 16 << 20
        let upgrader = WebSocketServerUpgrader<Void>(
            configuration: webSocket,
            accept: { channel, head in
                let request = SimulatorRequest(head, address: channel.localAddress)
                return channel.eventLoop.makeSucceededFuture(exchange.value.accept(request))
            },
            upgraded: { _ in })
        return ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    _ = try channel.pipeline.syncOperations.configureWebSocketServer(upgrader: upgrader) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            let handler = SimulatorHTTPHandler { exchange.value.answer($0) }
                            try channel.pipeline.syncOperations.addHandler(handler)
                        }
                    }
                }
            }
            .bind(host: host, port: port)
    }
}

/// An account with its running conversations. Lives on one event loop.
final class SimulatorExchange<Account: SimulatedAccount> {
    typealias Conversation = Account.Conversation
    typealias Statistics = SimulatorStatistics<Conversation.Statistics>

    private var account: Account
    private let eventLoop: any EventLoop
    private var running: [(number: Int, conversation: RunningConversation<Conversation>)] = []
    private var finished: [Conversation.Statistics] = []
    private var counts = Statistics()
    private var isStopping = false

    init(_ account: Account, eventLoop: any EventLoop) {
        self.account = account
        self.eventLoop = eventLoop
    }

    func answer(_ request: SimulatorRequest) -> SimulatorResponse {
        let response = account.answer(request, at: .now)
        if (200..<300).contains(response.status.code) { counts.answeredRequests += 1 }
        return response
    }

    func accept(_ request: SimulatorRequest) -> WebSocketAcceptance {
        guard !isStopping else { return refuse(.serviceUnavailable, "the simulator is stopping") }
        switch account.admit(request, at: .now) {
        case .refuse(let status, let message): return refuse(status, message)
        case .accept(_, let faults, _) where faults.refusal != nil:
            let status = HTTPResponseStatus(statusCode: faults.refusal?.status ?? 500)
            let seconds = faults.refusal?.retryAfter.map { ["Retry-After": "\($0)"] as HTTPHeaders }
            return refuse(status, "the simulator was told to refuse every conversation", headers: seconds ?? [:])
        case .accept(let conversation, let faults, let subprotocol):
            let exchange = NIOLoopBound(self, eventLoop: eventLoop)
            return .accept(subprotocol: subprotocol) { connection in
                exchange.value.begin(conversation, faults: faults, on: connection)
            }
        }
    }

    private func refuse(
        _ status: HTTPResponseStatus, _ message: String, headers: HTTPHeaders = [:]
    ) -> WebSocketAcceptance {
        counts.refusedConversations += 1
        return .refuse(status, message, headers: headers)
    }

    private func begin(
        _ conversation: Conversation, faults: SimulatorFaults, on connection: WebSocketConnection
    ) -> any WebSocketDelegate {
        let number = counts.startedConversations
        let begun = RunningConversation(
            FaultyConversation(conversation, faults: faults, number: number), connection: connection
        ) { [weak self] statistics in
            self?.ended(number, statistics)
        }
        counts.startedConversations += 1
        running.append((number, begun))
        begun.perform { $0.open(at: $1, into: &$2) }
        return SimulatorSocket(begun, eventLoop: eventLoop)
    }

    private func ended(_ number: Int, _ statistics: Conversation.Statistics) {
        running.removeAll { $0.number == number }
        counts.messagesReceived += statistics.messagesReceived
        counts.bytesReceived += statistics.bytesReceived
        finished.append(statistics)
        if finished.count > Statistics.maximumConversations { finished.removeFirst() }
    }

    var statistics: Statistics {
        var statistics = counts
        let current = running.map(\.conversation.statistics)
        statistics.runningConversations = current.count
        statistics.messagesReceived += current.reduce(0) { $0 + $1.messagesReceived }
        statistics.bytesReceived += current.reduce(0) { $0 + $1.bytesReceived }
        statistics.conversations = finished + current
        return statistics
    }

    /// - Returns: Completes when all sockets are closed.
    func stop() -> EventLoopFuture<Void> {
        isStopping = true
        let channels = running.map(\.conversation.connection.channel.closeFuture)
        for (_, conversation) in running { conversation.connection.close(code: 1001, reason: "the simulator stops") }
        return EventLoopFuture.andAllComplete(channels, on: eventLoop)
    }
}
