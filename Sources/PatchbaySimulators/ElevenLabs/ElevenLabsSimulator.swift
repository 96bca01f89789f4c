public import NIOCore
import NIOHTTP1
import NIOPosix
import PatchbayCore
import PatchbayTransports

/// An ElevenLabs account on a local port: the request for signed URLs over HTTP, conversations over WebSockets.
///
/// Serves `GET /v1/convai/conversation/get-signed-url` and `WS /v1/convai/conversation`. Everything runs on one event
/// loop, so the statistics of all conversations fit together.
public final class ElevenLabsSimulator: Sendable {
    public struct Configuration: Sendable {
        public var host: String
        /// 0 takes any free port.
        public var port: Int
        /// The `xi-api-key` that signed URLs need; `nil` accepts any request.
        public var apiKey: String?
        /// The one without an id answers to every id that no other has.
        public var agents: [ElevenLabsSimulatedAgent]
        /// How much of each caller's audio the statistics keep, in bytes, to compare it with what was sent.
        public var keptAudioBytes: Int

        public init(
            host: String = "127.0.0.1", port: Int = 0, apiKey: String? = nil,
            agents: [ElevenLabsSimulatedAgent] = [ElevenLabsSimulatedAgent()], keptAudioBytes: Int = 0
        ) {
            self.host = host
            self.port = port
            self.apiKey = apiKey
            self.agents = agents
            self.keptAudioBytes = keptAudioBytes
        }
    }

    /// What happened since the start.
    public struct Statistics: Sendable {
        /// Finished conversations whose details are kept; with more the oldest are forgotten.
        public static let maximumConversations = 1000

        public var startedConversations = 0
        public var runningConversations = 0
        /// Handshakes that were answered with an HTTP error.
        public var refusedConversations = 0
        public var signedURLs = 0
        /// Over all conversations.
        public var messagesReceived = 0
        /// Bytes of those messages.
        public var bytesReceived = 0
        /// Finished ones in the order they ended, then running ones in the order they began.
        public var conversations: [ElevenLabsConversationSimulator.Statistics] = []

        public init() {}
    }

    private struct Running {
        /// `nil` once it was stopped.
        var server: (any Channel)?
        var account: ElevenLabsSimulatorAccount
    }

    private let configuration: Configuration
    private let eventLoop: any EventLoop
    private let running: NIOLoopBoundBox<Running?>

    public init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        running = NIOLoopBoundBox.makeEmptyBox(valueType: Running.self, eventLoop: eventLoop)
    }

    /// Speaks the scripts and opens the port. Up to 50 ms for each line that was never spoken before.
    ///
    /// - Returns: The address that was bound.
    /// - Throws: `PipelineError` when a script cannot be spoken; `ChannelError` when it runs already; otherwise what
    ///   the socket reports, such as a port in use.
    public func start() async throws -> SocketAddress {
        let agents = configuration.agents
        let loaded = try await NIOThreadPool.singleton.runIfActive {
            try agents.map { agent in try ElevenLabsSimulatorAccount.LoadedAgent(agent) }
        }
        let (configuration, eventLoop, running) = (configuration, eventLoop, running)
        let server = try await eventLoop.flatSubmit { () -> EventLoopFuture<any Channel> in
            guard running.value?.server == nil else {
                return eventLoop.makeFailedFuture(ChannelError.inappropriateOperationForState)
            }
            let account = ElevenLabsSimulatorAccount(
                agents: loaded, apiKey: configuration.apiKey, keptAudioBytes: configuration.keptAudioBytes,
                eventLoop: eventLoop)
            let bound = NIOLoopBound(account, eventLoop: eventLoop)
            return Self.bind(configuration, account: bound, on: eventLoop).map { server in
                running.value = Running(server: server, account: bound.value)
                return server
            }
        }.get()
        guard let address = server.localAddress else { throw ChannelError.unknownLocalAddress }
        return address
    }

    /// Closes the port and ends all conversations with 1001.
    public func stop() async {
        let running = running
        let eventLoop = eventLoop
        // Closing a port that is closed already is no failure.
        try? await eventLoop.flatSubmit { () -> EventLoopFuture<Void> in
            guard let stopping = running.value, let server = stopping.server else {
                return eventLoop.makeSucceededVoidFuture()
            }
            running.value?.server = nil
            let conversations = stopping.account.stop()
            return server.close().flatMapError { _ in eventLoop.makeSucceededVoidFuture() }
                .flatMap { conversations }
        }.get()
    }

    /// Counts since the last start.
    public func statistics() async -> Statistics {
        let running = running
        return (try? await eventLoop.submit { running.value?.account.statistics }.get()) ?? Statistics()
    }

    private static func bind(
        _ configuration: Configuration, account: NIOLoopBound<ElevenLabsSimulatorAccount>, on eventLoop: any EventLoop
    ) -> EventLoopFuture<any Channel> {
        var webSocket = WebSocketConfiguration.server
        // A message of the caller's audio is small, but one of the agent's may have 2 MiB.
        webSocket.maximumPendingBytes = 8 << 20
        webSocket.maximumMessageBytes = 16 << 20
        let upgrader = WebSocketServerUpgrader<Void>(
            configuration: webSocket,
            accept: { channel, head in channel.eventLoop.makeSucceededFuture(account.value.accept(head)) },
            upgraded: { _ in })
        return ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    _ = try channel.pipeline.syncOperations.configureWebSocketServer(upgrader: upgrader) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            let handler = ElevenLabsSimulatorHTTPHandler { [unowned channel] head in
                                account.value.answer(head, on: channel)
                            }
                            try channel.pipeline.syncOperations.addHandler(handler)
                        }
                    }
                }
            }
            .bind(host: configuration.host, port: configuration.port)
    }
}
