public import NIOCore
import NIOPosix
public import PatchbayCore

/// An ElevenLabs account on a local port: the request for signed URLs over HTTP, conversations over WebSockets.
///
/// Serves `GET /v1/convai/conversation/get-signed-url` and `WS /v1/convai/conversation`.
public final class ElevenLabsSimulator: Simulator {
    public typealias Statistics = SimulatorStatistics<ElevenLabsConversationSimulator.Statistics>

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
        /// How long a signed URL may be used to begin a conversation; zero makes all of them too old.
        public var signedURLLifetime: TimeSpan

        public init(
            host: String = "127.0.0.1", port: Int = 0, apiKey: String? = nil,
            agents: [ElevenLabsSimulatedAgent] = [ElevenLabsSimulatedAgent()], keptAudioBytes: Int = 0,
            signedURLLifetime: TimeSpan = .seconds(15 * 60)
        ) {
            self.host = host
            self.port = port
            self.apiKey = apiKey
            self.agents = agents
            self.keptAudioBytes = keptAudioBytes
            self.signedURLLifetime = signedURLLifetime
        }
    }

    private let configuration: Configuration
    private let server: SimulatorServer<ElevenLabsSimulatorAccount>

    public init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        server = SimulatorServer(host: configuration.host, port: configuration.port)
    }

    /// Speaks the scripts and opens the port. Up to 50 ms for each line that was never spoken before.
    ///
    /// - Returns: The address that was bound.
    /// - Throws: `PipelineError` when a script cannot be spoken; `ChannelError` when it runs already; otherwise what
    ///   the socket reports, such as a port in use.
    public func start() async throws -> SocketAddress {
        let configuration = configuration
        let account = try await NIOThreadPool.singleton.runIfActive { try ElevenLabsSimulatorAccount(configuration) }
        return try await server.start(account)
    }

    public func stop() async { await server.stop() }

    public func statistics() async -> Statistics { await server.statistics() }
}

extension SimulatorStatistics<ElevenLabsConversationSimulator.Statistics> {
    /// Signed URLs that were given out.
    public var signedURLs: Int { answeredRequests }
}
