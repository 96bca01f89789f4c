public import NIOCore
import NIOHTTP1
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// OpenAI's Realtime API on a local port.
///
/// Serves `WS /v1/realtime`, and `WS /openai/v1/realtime` as Azure names it.
public final class OpenAIRealtimeSimulator: Simulator {
    public typealias Statistics = SimulatorStatistics<OpenAIConversationSimulator.Statistics>

    public struct Configuration: Sendable {
        public var host: String
        /// 0 takes any free port.
        public var port: Int
        /// The key that clients must have; `nil` takes any, but one there must be.
        public var apiKey: String?
        public var model: OpenAISimulatedModel

        public init(
            host: String = "127.0.0.1", port: Int = 0, apiKey: String? = nil,
            model: OpenAISimulatedModel = OpenAISimulatedModel()
        ) {
            self.host = host
            self.port = port
            self.apiKey = apiKey
            self.model = model
        }
    }

    private let server: SimulatorServer<OpenAISimulatorAccount>

    public init(_ configuration: Configuration = Configuration()) {
        server = SimulatorServer(host: configuration.host, port: configuration.port) {
            try OpenAISimulatorAccount(configuration)
        }
    }

    public func start() async throws -> SocketAddress { try await server.start() }

    public func stop() async { await server.stop() }

    public func statistics() async -> Statistics { await server.statistics() }
}

/// Keys, models and the sound of the script.
struct OpenAISimulatorAccount: SimulatedAccount {
    private static let paths = ["/v1/realtime", "/openai/v1/realtime"]

    private let apiKey: String?
    private let model: OpenAISimulatedModel
    private let telephone: [String: SimulatedUtterance]
    private let european: [String: SimulatedUtterance]
    private let wide: [String: SimulatedUtterance]

    /// Speaks all lines of the script in all formats; blocks.
    init(_ configuration: OpenAIRealtimeSimulator.Configuration) throws(PipelineError) {
        apiKey = configuration.apiKey
        model = configuration.model
        let lines = model.script.fixedLines
        func spoken(_ format: OpenAIRealtimeAudioFormat) throws(PipelineError) -> [String: SimulatedUtterance] {
            try SimulatorVoice(format: AudioFormat(simulated: format))
                .utterances(for: lines, language: configuration.model.language)
        }
        telephone = try spoken(.pcmu)
        european = try spoken(.pcma)
        wide = try spoken(.pcm24k)
    }

    mutating func answer(_ request: SimulatorRequest, at now: MediaTime) -> SimulatorResponse {
        SimulatorResponse(
            .notFound,
            body: Self.body(.init(message: "Invalid URL (\(request.isGet ? "GET" : "POST") \(request.path))")))
    }

    mutating func admit(
        _ request: SimulatorRequest, at now: MediaTime
    ) -> SimulatorAdmission<OpenAIConversationSimulator> {
        guard Self.paths.contains(request.path) else {
            return .refuse(.notFound, Self.body(.init(message: "Invalid URL (GET \(request.path))")))
        }
        let bearer = request.header("Authorization").flatMap { header in
            header.hasPrefix("Bearer ") ? String(header.dropFirst(7)) : nil
        }
        guard let key = bearer ?? request.header("api-key"), !key.isEmpty, apiKey == nil || key == apiKey else {
            // The vendor's own words quote the key; ours do not.
            return .refuse(
                .unauthorized, Self.body(.init(code: "invalid_api_key", message: "Incorrect API key provided.")))
        }
        guard let name = request.query["model"], !name.isEmpty else {
            return .refuse(
                .badRequest, Self.body(.init(code: "missing_model", message: "You must provide a model parameter.")))
        }
        let (telephone, european, wide) = (telephone, european, wide)
        let conversation = OpenAIConversationSimulator(
            model, name: name, sessionID: "sess_" + randomHexadecimal(bits: 64)
        ) { format in
            switch format {
            case .pcmu: telephone
            case .pcma: european
            case .pcm: wide
            }
        }
        return .accept(conversation, faults: model.faults.connection, subprotocol: "realtime")
    }

    private static func body(_ fault: OpenAIRealtimeFault) -> String { fault.httpBody }
}
