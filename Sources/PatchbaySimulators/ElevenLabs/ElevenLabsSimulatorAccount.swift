import NIOCore
import NIOHTTP1
import PatchbayCore
import PatchbayTransports
import PatchbayWire

/// What the simulated account knows: agents, signatures, conversations. Lives on one event loop.
final class ElevenLabsSimulatorAccount {
    /// An agent and the sound of its script.
    struct LoadedAgent: Sendable {
        var agent: ElevenLabsSimulatedAgent
        var utterances: [String: ElevenLabsUtterance]

        /// Speaks all lines of the script; blocks.
        init(_ agent: ElevenLabsSimulatedAgent) throws(PipelineError) {
            self.agent = agent
            let voice = ElevenLabsVoice(format: agent.outputFormat)
            utterances = [:]
            for line in agent.script.fixedLines {
                utterances[line] = try voice.speak(line: line, language: agent.language)
            }
        }
    }

    private let agents: [LoadedAgent]
    private let apiKey: String?
    private let keptAudioBytes: Int
    private let eventLoop: any EventLoop
    private var signatures = ElevenLabsSignatures()
    private var running: [(id: String, conversation: ElevenLabsSimulatedConversation)] = []
    private var finished: [ElevenLabsConversationSimulator.Statistics] = []
    private var counts = ElevenLabsSimulator.Statistics()
    private var isStopping = false

    init(agents: [LoadedAgent], apiKey: String?, keptAudioBytes: Int, eventLoop: any EventLoop) {
        self.agents = agents
        self.apiKey = apiKey
        self.keptAudioBytes = keptAudioBytes
        self.eventLoop = eventLoop
    }

    private func agent(_ id: String) -> LoadedAgent? {
        agents.first { $0.agent.id == id } ?? agents.first { $0.agent.id == nil }
    }

    // MARK: HTTP

    func answer(_ head: HTTPRequestHead, on channel: any Channel) -> ElevenLabsSimulatorResponse {
        let request = ElevenLabsSimulatorRequest(head)
        guard request.asksForSignedURL else {
            return .error(.notFound, "not_found", "The simulator has nothing at \(request.path).")
        }
        guard request.isGet else { return .error(.methodNotAllowed, "method_not_allowed", "Use GET.") }
        guard apiKey == nil || request.key == apiKey else {
            return .error(.unauthorized, "invalid_api_key", "Invalid API key")
        }
        guard let id = request.agentId else {
            return .error(.unprocessableEntity, "missing_agent_id", "The query has no agent_id.")
        }
        guard agent(id) != nil else {
            return .error(.notFound, "agent_not_found", "There is no agent \"\(id)\" in this simulator.")
        }
        counts.signedURLs += 1
        let signature = signatures.make(for: id, at: .now)
        let place = request.host ?? channel.localAddress.map(Self.place) ?? "127.0.0.1"
        let query = FormFields(["agent_id": id, "conversation_signature": signature]).encoded
        return .signedURL("ws://\(place)\(ElevenLabsSimulatorRequest.conversationPath)?\(query)")
    }

    private static func place(_ address: SocketAddress) -> String {
        let host = address.ipAddress ?? "127.0.0.1"
        return "\(host.contains(":") ? "[\(host)]" : host):\(address.port ?? 80)"
    }

    // MARK: WebSockets

    private struct Refusal: Error {
        var status: HTTPResponseStatus
        var message: String
    }

    /// - Returns: The agent a handshake may talk to, and the id it is asked for by; or why not.
    private func admit(_ request: ElevenLabsSimulatorRequest) -> Result<(LoadedAgent, String), Refusal> {
        func refuse(_ status: HTTPResponseStatus, _ message: String) -> Result<(LoadedAgent, String), Refusal> {
            counts.refusedConversations += 1
            return .failure(Refusal(status: status, message: message))
        }
        guard request.asksForConversation else { return refuse(.notFound, "there is no WebSocket at \(request.path)") }
        guard !isStopping else { return refuse(.serviceUnavailable, "the simulator is stopping") }
        var id = request.agentId
        if let signature = request.signature {
            guard let signed = signatures.redeem(signature, at: .now), id == nil || id == signed else {
                return refuse(.forbidden, "conversation_signature is unknown, used or older than 15 minutes")
            }
            id = signed
        }
        guard let id else { return refuse(.badRequest, "the query has no agent_id") }
        guard let loaded = agent(id) else { return refuse(.notFound, "there is no agent \"\(id)\" in this simulator") }
        guard !loaded.agent.isPrivate || request.signature != nil else {
            return refuse(.forbidden, "the agent \"\(id)\" is private: a signed URL is needed")
        }
        return .success((loaded, id))
    }

    func accept(_ head: HTTPRequestHead) -> WebSocketAcceptance {
        let loaded: LoadedAgent
        let id: String
        switch admit(ElevenLabsSimulatorRequest(head)) {
        case .failure(let refusal): return .refuse(refusal.status, refusal.message)
        case .success(let admitted): (loaded, id) = admitted
        }
        let account = NIOLoopBound(self, eventLoop: eventLoop)
        return .accept(subprotocol: "convai") { connection in
            account.value.begin(loaded, agentId: id, on: connection)
        }
    }

    private func begin(
        _ loaded: LoadedAgent, agentId: String, on connection: WebSocketConnection
    ) -> any WebSocketDelegate {
        let id = "conv_" + randomHexadecimal(bits: 128)
        let simulator = ElevenLabsConversationSimulator(
            loaded.agent, agentId: agentId, conversationId: id, utterances: loaded.utterances,
            keptAudioBytes: keptAudioBytes)
        let conversation = ElevenLabsSimulatedConversation(
            simulator, voice: ElevenLabsVoice(format: loaded.agent.outputFormat), connection: connection
        ) { [weak self] statistics in
            self?.ended(id, statistics)
        }
        counts.startedConversations += 1
        running.append((id, conversation))
        conversation.perform { $0.open(at: $1, into: &$2) }
        return ElevenLabsSimulatorSocket(conversation, eventLoop: eventLoop)
    }

    private func ended(_ id: String, _ statistics: ElevenLabsConversationSimulator.Statistics) {
        running.removeAll { $0.id == id }
        counts.messagesReceived += statistics.messagesReceived
        counts.bytesReceived += statistics.bytesReceived
        finished.append(statistics)
        if finished.count > ElevenLabsSimulator.Statistics.maximumConversations { finished.removeFirst() }
    }

    // MARK: The whole

    var statistics: ElevenLabsSimulator.Statistics {
        var statistics = counts
        statistics.runningConversations = running.count
        for (_, conversation) in running {
            statistics.messagesReceived += conversation.statistics.messagesReceived
            statistics.bytesReceived += conversation.statistics.bytesReceived
        }
        statistics.conversations = finished + running.map(\.conversation.statistics)
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
