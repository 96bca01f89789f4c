public import AsyncHTTPClient
import Foundation
import NIOCore
public import PatchbayConfig
public import PatchbayCore
import PatchbayWire
public import PatchbayAudio

/// `elevenlabs`: an agent of ElevenLabs, over its Agents WebSocket.
///
/// https://elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket
public struct ElevenLabsAgent: AgentComponent {
    private let httpClient: HTTPClient

    /// - Parameter httpClient: Asks for signed URLs.
    public init(httpClient: HTTPClient) { self.httpClient = httpClient }

    public let spec = ComponentSpec(
        "elevenlabs", .agent,
        summary: "An ElevenLabs agent. With an API key by a signed URL, without one a public agent.",
        fields: [
            Field(
                "agentId", .string, environmentDefault: "ELEVENLABS_AGENT_ID", example: "\"agent_…\"",
                "The agent's id; ELEVENLABS_AGENT_ID when absent."),
            Field(
                "apiKey", .secret, example: #"{ "env": "ELEVENLABS_API_KEY" }"#,
                "API key, for agents that need authentication."),
            Field("firstMessage", .string, "What the agent says first; the agent's settings must allow the override."),
            Field(
                "language", .string,
                "Language code, for instance en or de; the agent's settings must allow the override."),
            Field(
                "takeoverMessage", .string, isAdvanced: true,
                "What the agent says first when it takes over from another one in mid-call; empty, the default, waits for the "
                    + "caller. The agent's settings must allow the override; without this and firstMessage, an agent that does "
                    + "not is dialled once more and begins with its own first message."),
            Field("prompt", .string, isAdvanced: true, "System prompt; the agent's settings must allow the override."),
            Field("voiceId", .string, isAdvanced: true, "Voice; the agent's settings must allow the override."),
            Field("dynamicVariables", .variables, "Values for the placeholders in the agent's prompt; types are kept."),
            Field("userId", .string, isAdvanced: true, "Your own name for the caller, kept with the conversation."),
            Field(
                "baseUrl", .string, default: "https://api.elevenlabs.io", environmentDefault: "ELEVENLABS_BASE_URL",
                isAdvanced: true, "Origin of the API, for residency regions and simulators."),
            Field(
                "silenceSeconds", .integer(5...300), default: 20, isAdvanced: true,
                "Time without any message, not even a ping, after which the agent is given up, in seconds."),
            Field(
                "toolSeconds", .integer(1...300), default: 20, isAdvanced: true,
                "How long the agent waits for a tool, by its settings; a second before, it is told that it failed."),
        ])

    public func problems(in settings: Settings) -> [SettingsProblem] {
        var problems: [SettingsProblem] = []
        if settings.string("agentId") ?? "" == "" {
            problems.append(
                SettingsProblem(
                    field: "agentId", .missingEnvironment, severity: .warning,
                    "there is no agent id, so no call will be answered",
                    remedy: "set \"agentId\", or the environment variable ELEVENLABS_AGENT_ID"))
        }
        // A reference has its value only when the call begins.
        if let origin = settings.string("baseUrl"), !origin.hasPrefix("${"),
            !["https://", "http://"].contains(where: origin.lowercased().hasPrefix)
        {
            problems.append(
                SettingsProblem(
                    field: "baseUrl", .notAllowed,
                    "\"baseUrl\" is \"\(origin)\"; it must begin with https:// or http://",
                    remedy: origin.contains("://") ? nil : "write \"https://\(origin)\""))
        }
        return problems
    }

    /// The agent's settings at the vendor decide, and are not known before it announces them.
    public func formats(for joint: AudioFormat, settings: Settings) -> AgentFormats {
        let formats = ElevenLabsAudioFormat.documented.map { AudioFormat($0) }
        return AgentFormats(inputs: formats, outputs: formats)
    }

    public func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend {
        guard let agentId = settings.string("agentId"), !agentId.isEmpty else {
            throw PipelineError(
                .agentMissing, "no agent id: set agentId in the pipeline or ELEVENLABS_AGENT_ID",
                place: "agent elevenlabs")
        }
        var initiation = ElevenLabsInitiation(
            prompt: settings.string("prompt"), firstMessage: settings.string("firstMessage"),
            language: settings.string("language"), voiceId: settings.string("voiceId"),
            userId: settings.string("userId"))
        for (name, value) in settings.variables("dynamicVariables") {
            initiation.dynamicVariables[name] = ElevenLabsVariable(value)
        }
        return ElevenLabsBackend(
            httpClient: httpClient, baseURL: settings.string("baseUrl") ?? "https://api.elevenlabs.io",
            agentId: agentId,
            apiKey: settings.secret("apiKey"), initiation: initiation,
            takeoverMessage: settings.string("takeoverMessage"),
            timing: .init(
                patience: .seconds(Int64(settings.integer("silenceSeconds") ?? 20)),
                // A tool of one second has most of it.
                tool: .milliseconds(max(800, Int64(settings.integer("toolSeconds") ?? 20) * 1000 - 1000))))
    }
}

extension ElevenLabsVariable {
    fileprivate init(_ value: VariableValue) {
        switch value {
        case .string(let text): self = .string(text)
        case .number(let number):
            if let integer = Int(exactly: number) { self = .integer(integer) } else { self = .number(number) }
        case .bool(let bool): self = .bool(bool)
        }
    }
}

private struct ElevenLabsBackend: AgentBackend {
    let type = "elevenlabs"
    let httpClient: HTTPClient
    let baseURL: String
    let agentId: String
    let apiKey: Secret?
    let initiation: ElevenLabsInitiation
    let takeoverMessage: String?
    let timing: ElevenLabsConversation.Timing

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
        var initiation = initiation
        var overridesUnasked = false
        if !request.history.isEmpty {
            overridesUnasked = takeoverMessage == nil && initiation.firstMessage == nil
            initiation.firstMessage = takeoverMessage ?? ""
        }
        let history = ElevenLabsHistory.text(of: request.history, request.toolUses)
        return AgentSession(
            ElevenLabsConversation(
                initiation, history: history, overridesUnasked: overridesUnasked,
                // An agent with a first message speaks anyhow.
                asksForWords: request.isAnswerAwaited && initiation.firstMessage == "",
                tools: request.tools.map(\.name), timing: timing),
            endpoint: .webSocket {
                var target = AgentTarget(url: try await address())
                target.place = "agent elevenlabs"
                target.remedy = ElevenLabsFailure.remedy
                target.isSigned = apiKey != nil
                return target
            })
    }

    /// A public agent is dialled directly. For a private one a signed URL is asked for, one per call: it is valid for
    /// fifteen minutes to begin with.
    private func address() async throws -> String {
        var origin = baseURL
        while origin.hasSuffix("/") { origin.removeLast() }
        let query =
            "agent_id="
            + (agentId.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(.init(charactersIn: "-._~")))
                ?? "")
        guard let apiKey else {
            let scheme = origin.hasPrefix("http://") ? "ws" : "wss"
            let rest = origin.split(separator: "://", maxSplits: 1).last ?? ""
            return "\(scheme)://\(rest)/v1/convai/conversation?\(query)"
        }
        var request = HTTPClientRequest(url: "\(origin)/v1/convai/conversation/get-signed-url?\(query)")
        request.headers.add(name: "xi-api-key", value: apiKey.reveal())
        let status: Int
        let body: ByteBuffer
        do {
            let response = try await httpClient.execute(request, timeout: .seconds(8))
            status = Int(response.status.code)
            body = try await response.body.collect(upTo: 64 * 1024)
        } catch {
            throw ElevenLabsFailure.unanswered(error, origin: origin)
        }
        guard status == 200 else {
            throw ElevenLabsFailure.refused(
                "ElevenLabs gave no signed URL", status: status, body: String(buffer: body), apiKey: apiKey)
        }
        struct Answer: Decodable {
            var signedURL: String
            enum CodingKeys: String, CodingKey { case signedURL = "signed_url" }
        }
        do {
            return try JSONDecoder().decode(Answer.self, from: Data(body.readableBytesView)).signedURL
        } catch {
            throw PipelineError(
                .agentUnreachable, "ElevenLabs' answer holds no signed_url", place: "agent elevenlabs", cause: error)
        }
    }
}
