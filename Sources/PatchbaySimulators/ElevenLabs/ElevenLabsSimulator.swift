public import NIOCore
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

    private let server: SimulatorServer<ElevenLabsSimulatorAccount>

    public init(_ configuration: Configuration = Configuration()) {
        server = SimulatorServer(host: configuration.host, port: configuration.port) {
            try ElevenLabsSimulatorAccount(configuration)
        }
    }

    public func start() async throws -> SocketAddress { try await server.start() }

    public func stop() async { await server.stop() }

    public func statistics() async -> Statistics { await server.statistics() }
}

extension SimulatorStatistics<ElevenLabsConversationSimulator.Statistics> {
    /// Signed URLs that were given out.
    public var signedURLs: Int { answeredRequests }
}
