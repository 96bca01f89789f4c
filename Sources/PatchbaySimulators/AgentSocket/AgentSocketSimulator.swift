public import NIOCore
import NIOHTTP1
import PatchbayCore
import PatchbayTransports

/// An agent of one's own on a local port, over the open agent protocol, at every path.
public final class AgentSocketSimulator: Simulator {
    public typealias Statistics = SimulatorStatistics<AgentSocketConversationSimulator.Statistics>

    private let server: SimulatorServer<AgentSocketSimulatorAccount>

    /// - Parameter port: 0 takes any free one.
    public init(_ agent: AgentSocketSimulatedAgent = .init(), host: String = "127.0.0.1", port: Int = 0) {
        server = SimulatorServer(host: host, port: port) { try AgentSocketSimulatorAccount(agent) }
    }

    public func start() async throws -> SocketAddress { try await server.start() }

    public func stop() async { await server.stop() }

    public func statistics() async -> Statistics { await server.statistics() }
}

/// Decides by the bearer token who may talk.
struct AgentSocketSimulatorAccount: SimulatedAccount {
    private let agent: AgentSocketSimulatedAgent
    private let utterances: [String: SimulatedUtterance]

    init(_ agent: AgentSocketSimulatedAgent) throws(PipelineError) {
        self.agent = agent
        utterances = try SimulatorVoice(format: agent.outputFormat.audioFormat).utterances(
            for: agent.script.fixedLines, language: agent.language)
    }

    func answer(_ request: SimulatorRequest, at now: MediaTime) -> SimulatorResponse {
        SimulatorResponse(.upgradeRequired, json: ["error": "this address speaks WebSocket"])
    }

    func admit(
        _ request: SimulatorRequest, at now: MediaTime
    ) -> SimulatorAdmission<AgentSocketConversationSimulator> {
        if let token = agent.token, request.header("Authorization") != "Bearer \(token)" {
            return .refuse(.unauthorized, "the token is missing or wrong")
        }
        return .accept(AgentSocketConversationSimulator(agent, utterances: utterances), faults: agent.faults)
    }
}
