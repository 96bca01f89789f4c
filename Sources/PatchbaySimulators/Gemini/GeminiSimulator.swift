public import NIOCore
import NIOPosix
import PatchbayCore

/// Gemini's Live API on a local port.
///
/// Serves the path of the Gemini API and the one of Vertex AI; both take the same key, the first as `x-goog-api-key` or
/// `?key=`, the second as a bearer token. JSON goes out in binary messages, as from the service.
public final class GeminiSimulator: Simulator {
    public typealias Statistics = SimulatorStatistics<GeminiConversationSimulator.Statistics>

    public struct Configuration: Sendable {
        public var host: String
        /// 0 takes any free port.
        public var port: Int
        /// The key that conversations need; `nil` accepts any.
        public var apiKey: String?
        public var models: [GeminiSimulatedModel]
        /// How much of each caller's sound the statistics keep, in bytes, to compare it with what was sent.
        public var keptAudioBytes: Int

        public init(
            host: String = "127.0.0.1", port: Int = 0, apiKey: String? = nil,
            models: [GeminiSimulatedModel] = [GeminiSimulatedModel()], keptAudioBytes: Int = 0
        ) {
            self.host = host
            self.port = port
            self.apiKey = apiKey
            self.models = models
            self.keptAudioBytes = keptAudioBytes
        }
    }

    private let configuration: Configuration
    private let server: SimulatorServer<GeminiSimulatorAccount>

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
        let account = try await NIOThreadPool.singleton.runIfActive { try GeminiSimulatorAccount(configuration) }
        return try await server.start(account)
    }

    public func stop() async { await server.stop() }

    public func statistics() async -> Statistics { await server.statistics() }
}
