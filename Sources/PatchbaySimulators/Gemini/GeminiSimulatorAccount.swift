import NIOHTTP1
import PatchbayCore
import PatchbayWire

/// What the simulated API knows: its models and its key.
struct GeminiSimulatorAccount: SimulatedAccount {
    private static let service = "google.ai.generativelanguage."
    private static let method = ".GenerativeService.BidiGenerateContent"
    private static let vertexPath = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"

    private let catalogue: GeminiSimulatedCatalogue
    private let apiKey: String?
    private let keptAudioBytes: Int
    private var isFirst = true

    /// Speaks all lines of the scripts; blocks.
    init(_ configuration: GeminiSimulator.Configuration) throws(PipelineError) {
        var models: [GeminiSimulatedCatalogue.LoadedModel] = []
        for model in configuration.models {
            let voice = SimulatorVoice(format: GeminiConversationSimulator.outputFormat)
            models.append(
                .init(
                    model: model,
                    utterances: try voice.utterances(for: model.script.fixedLines, language: model.language)))
        }
        catalogue = GeminiSimulatedCatalogue(models: models, handleMark: randomHexadecimal(bits: 128))
        apiKey = configuration.apiKey
        keptAudioBytes = configuration.keptAudioBytes
    }

    mutating func answer(_ request: SimulatorRequest, at now: MediaTime) -> SimulatorResponse {
        // The form of Google's errors (cloud.google.com/apis/design/errors).
        SimulatorResponse(
            .notFound,
            json: ["error": ["status": "NOT_FOUND", "message": "The simulator has nothing at \(request.path)."]])
    }

    /// The service opens every socket, and refuses by closing it.
    mutating func admit(
        _ request: SimulatorRequest, at now: MediaTime
    ) -> SimulatorAdmission<GeminiConversationSimulator> {
        let isVertex = request.path == Self.vertexPath
        guard
            isVertex
                || ["v1beta", "v1alpha", "v1"].contains(where: {
                    request.path == "/ws/" + Self.service + $0 + Self.method
                })
        else { return .refuse(.notFound, "there is no WebSocket at \(request.path)") }
        let bearer = request.header("Authorization").flatMap { $0.hasPrefix("Bearer ") ? String($0.dropFirst(7)) : nil }
        let key = isVertex ? bearer : request.header("x-goog-api-key") ?? request.query["key"]
        var conversation = GeminiConversationSimulator(
            catalogue, sessionId: randomHexadecimal(bits: 64), keptAudioBytes: keptAudioBytes)
        if let apiKey, key != apiKey {
            conversation.refusal =
                key == nil
                ? SimulatedClose(
                    code: 1008,
                    reason: "Method doesn't allow unregistered callers (callers without established identity).")
                : SimulatedClose(code: 1007, reason: "API key not valid. Please pass a valid API key.")
        }
        return .accept(conversation, faults: catalogue.models.first?.model.faults.connection ?? SimulatorFaults())
    }
}

/// The models of a simulated API, with the sound of their scripts.
struct GeminiSimulatedCatalogue: Sendable {
    struct LoadedModel: Sendable {
        var model: GeminiSimulatedModel
        var utterances: [String: SimulatedUtterance]
    }

    var models: [LoadedModel]
    /// By what this simulator knows its own handles.
    var handleMark: String

    /// - Parameter path: `models/…` or `projects/…/models/…`.
    func model(_ path: String) -> LoadedModel? {
        let name = path.split(separator: "/").last.map(String.init)
        return models.first { $0.model.name == name && name != nil } ?? models.first { $0.model.name == nil }
    }
}

/// Where a conversation stood. The handle that a client gets says all of it, so nothing has to be kept.
struct GeminiSimulatedProgress: Sendable, Equatable {
    var hasGreeted = false
    var userTurns = 0
    var nextReply = 0
    /// Makes every handle another.
    var revision = 0

    func handle(mark: String) -> String {
        "\(mark).\(hasGreeted ? 1 : 0).\(userTurns).\(nextReply).\(revision)"
    }

    init() {}

    init?(handle: String, mark: String) {
        let parts = handle.split(separator: ".")
        guard parts.count == 5, parts[0] == mark, let turns = Int(parts[2]), let reply = Int(parts[3]),
            let revision = Int(parts[4]), turns >= 0, reply >= 0, revision >= 0
        else { return nil }
        hasGreeted = parts[1] == "1"
        userTurns = turns
        nextReply = reply
        self.revision = revision
    }
}
