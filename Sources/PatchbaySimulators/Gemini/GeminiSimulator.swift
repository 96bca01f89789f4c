public import NIOCore
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

    private let server: SimulatorServer<GeminiSimulatorAccount>

    public init(_ configuration: Configuration = Configuration()) {
        server = SimulatorServer(host: configuration.host, port: configuration.port) {
            try GeminiSimulatorAccount(configuration)
        }
    }

    public func start() async throws -> SocketAddress { try await server.start() }

    public func stop() async { await server.stop() }

    public func statistics() async -> Statistics { await server.statistics() }
}
