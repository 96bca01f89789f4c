import NIOHTTP1
import PatchbayCore
import PatchbayWire

/// What the simulated account knows: agents and signatures.
struct ElevenLabsSimulatorAccount: SimulatedAccount {
    /// An agent and the sound of its script.
    private struct LoadedAgent {
        var agent: ElevenLabsSimulatedAgent
        var utterances: [String: SimulatedUtterance]
    }

    private static let conversationPath = "/v1/convai/conversation"
    private static let signedURLPaths = ["/get-signed-url", "/get_signed_url"].map { conversationPath + $0 }

    private let agents: [LoadedAgent]
    private let apiKey: String?
    private let keptAudioBytes: Int
    private var signatures: ElevenLabsSignatures

    /// Speaks all lines of the scripts; blocks.
    init(_ configuration: ElevenLabsSimulator.Configuration) throws(PipelineError) {
        var agents: [LoadedAgent] = []
        for agent in configuration.agents {
            let voice = SimulatorVoice(format: agent.outputFormat.audioFormat)
            let utterances = try voice.utterances(for: agent.script.fixedLines, language: agent.language)
            agents.append(LoadedAgent(agent: agent, utterances: utterances))
        }
        self.agents = agents
        apiKey = configuration.apiKey
        keptAudioBytes = configuration.keptAudioBytes
        signatures = ElevenLabsSignatures(lifetime: configuration.signedURLLifetime)
    }

    private func agent(_ id: String) -> LoadedAgent? {
        agents.first { $0.agent.id == id } ?? agents.first { $0.agent.id == nil }
    }

    private static func agentId(_ request: SimulatorRequest) -> String? {
        request.query["agent_id"].flatMap { $0.isEmpty ? nil : $0 }
    }

    // MARK: HTTP

    mutating func answer(_ request: SimulatorRequest, at now: MediaTime) -> SimulatorResponse {
        guard Self.signedURLPaths.contains(request.path) else {
            return .elevenLabs(.notFound, "not_found", "The simulator has nothing at \(request.path).")
        }
        guard request.isGet else { return .elevenLabs(.methodNotAllowed, "method_not_allowed", "Use GET.") }
        guard apiKey == nil || request.header("xi-api-key") == apiKey else {
            return .elevenLabs(.unauthorized, "invalid_api_key", "Invalid API key")
        }
        guard let id = Self.agentId(request) else {
            return .elevenLabs(.unprocessableEntity, "missing_agent_id", "The query has no agent_id.")
        }
        guard agent(id) != nil else {
            return .elevenLabs(.notFound, "agent_not_found", "There is no agent \"\(id)\" in this simulator.")
        }
        let signature = signatures.make(for: id, at: now)
        let query = FormFields(["agent_id": id, "conversation_signature": signature]).encoded
        return SimulatorResponse(.ok, json: ["signed_url": "ws://\(request.place)\(Self.conversationPath)?\(query)"])
    }

    // MARK: WebSockets

    mutating func admit(
        _ request: SimulatorRequest, at now: MediaTime
    ) -> SimulatorAdmission<ElevenLabsConversationSimulator> {
        guard request.path == Self.conversationPath else {
            return .refuse(.notFound, "there is no WebSocket at \(request.path)")
        }
        var id = Self.agentId(request)
        let signature = request.query["conversation_signature"]
        if let signature {
            guard let signed = signatures.redeem(signature, at: now), id == nil || id == signed else {
                return .refuse(.forbidden, "conversation_signature is unknown, used or older than 15 minutes")
            }
            id = signed
        }
        guard let id else { return .refuse(.badRequest, "the query has no agent_id") }
        guard let loaded = agent(id) else { return .refuse(.notFound, "there is no agent \"\(id)\" in this simulator") }
        guard !loaded.agent.isPrivate || signature != nil else {
            return .refuse(.forbidden, "the agent \"\(id)\" is private: a signed URL is needed")
        }
        let conversation = ElevenLabsConversationSimulator(
            loaded.agent, agentId: id, conversationId: "conv_" + randomHexadecimal(bits: 128),
            utterances: loaded.utterances, keptAudioBytes: keptAudioBytes)
        return .accept(conversation, faults: loaded.agent.faults.connection, subprotocol: "convai")
    }
}

extension SimulatorResponse {
    /// The classic form of the vendor's errors (elevenlabs.io/docs/developers/resources/error-messages).
    fileprivate static func elevenLabs(_ status: HTTPResponseStatus, _ code: String, _ message: String) -> Self {
        Self(status, json: ["detail": ["status": code, "message": message]])
    }
}
