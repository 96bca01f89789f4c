import Foundation
public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore
import PatchbayWire

/// `gemini-live`: a Gemini model that hears and speaks, over the Live API; with an API key at the Gemini API, with an
/// access token on Vertex AI.
///
/// https://ai.google.dev/gemini-api/docs/live, https://cloud.google.com/vertex-ai/generative-ai/docs/live-api
public struct GeminiAgent: AgentComponent {
    public init() {}

    public let spec = ComponentSpec(
        "gemini-live", .agent,
        summary: "A Gemini model over the Live API. With apiKey at the Gemini API, with accessToken on Vertex AI.",
        fields: [
            Field(
                "apiKey", .secret, environmentDefault: "GEMINI_API_KEY", example: #"{ "env": "GEMINI_API_KEY" }"#,
                "API key of the Gemini API; GEMINI_API_KEY when absent. Sent as a header, never in an address."),
            Field(
                "model", .string, default: .string(Self.defaultModel),
                "Model that holds live conversations, for instance \(Self.defaultModel)."),
            Field("voice", .string, example: "\"Kore\"", "One of the prebuilt voices, for instance Kore or Puck."),
            Field("instructions", .string, "System instruction: who the agent is and what it does."),
            Field(
                "firstMessage", .string,
                "What the agent is asked to say first; without it the agent waits to be spoken to."),
            Field(
                "language", .string, example: "\"de-DE\"",
                "Language code of the voice. Models with native audio choose the language themselves."),
            Field(
                "turnDetection", .choice(["automatic", "none"]), default: "automatic",
                "Who hears when the caller speaks: the server, or the stages before the agent (vad, turns)."),
            Field(
                "startSensitivity", .choice(["high", "low"]), isAdvanced: true,
                "How soon the server takes sound for the beginning of speech."),
            Field(
                "endSensitivity", .choice(["high", "low"]), isAdvanced: true,
                "How soon the server takes silence for the end of speech."),
            Field(
                "prefixPaddingMs", .integer(0...2000), isAdvanced: true,
                "Speech that the server needs to believe that it began, in milliseconds."),
            Field(
                "silenceMs", .integer(0...10_000), isAdvanced: true,
                "Silence that ends a turn of the caller for the server, in milliseconds. 300 to 800 suit a telephone."),
            Field(
                "preRollMs", .integer(0...2000), default: 500, isAdvanced: true,
                "Sound from before speech was heard, sent with it, in milliseconds; where turnDetection is none."
            ),
            Field("transcription", .boolean, default: true, isAdvanced: true, "Whether both sides are transcribed."),
            Field(
                "contextWindowCompression", .boolean, default: true, isAdvanced: true,
                "Whether old parts of a conversation are forgotten. Without it one ends after 15 minutes."),
            Field(
                "sessionResumption", .boolean, default: true, isAdvanced: true,
                "Whether the conversation goes on over another connection when one ends, after about 10 minutes."),
            Field("temperature", .number(0...2), isAdvanced: true, "Variety of the answers."),
            Field(
                "thinkingBudget", .integer(-1...32_768), isAdvanced: true,
                "Tokens for thinking; 0 for none, -1 for the model's choice. Models that do not think refuse it."
            ),
            Field(
                "accessToken", .secret, isAdvanced: true, example: #"{ "env": "VERTEX_ACCESS_TOKEN" }"#,
                "OAuth access token for Vertex AI, in place of apiKey. It is valid for an hour or so."),
            Field("project", .string, isAdvanced: true, "Google Cloud project; with accessToken."),
            Field(
                "location", .string, default: "us-central1", isAdvanced: true,
                "Region of Vertex AI, or global; with accessToken."),
            Field(
                "baseUrl", .string, environmentDefault: "GEMINI_BASE_URL", isAdvanced: true,
                example: "\"http://127.0.0.1:9000\"",
                "Origin of the API, for gateways and simulators; GEMINI_BASE_URL when absent, else Google's own."),
            Field(
                "silenceSeconds", .integer(5...300), default: 20, isAdvanced: true,
                "Time that an answer which is due may take until the agent is given up, in seconds."),
        ])

    static let defaultModel = "gemini-2.5-flash-native-audio-preview-12-2025"

    public func formats(for joint: AudioFormat, settings: Settings) -> AgentFormats {
        AgentFormats(
            inputs: [GeminiConversation.inputFormat], outputs: GeminiConversation.outputRates.map { .pcm($0) })
    }

    public func problems(in settings: Settings) -> [SettingsProblem] {
        var problems: [SettingsProblem] = []
        if settings.secret("apiKey") == nil, settings.secret("accessToken") == nil {
            problems.append(
                SettingsProblem(
                    field: "apiKey", .missingEnvironment, severity: .warning,
                    "there is no API key, so no call will be answered",
                    remedy: "set \"apiKey\", or the environment variable GEMINI_API_KEY; on Vertex AI, \"accessToken\"")
            )
        }
        guard settings.string("turnDetection") == "none" else { return problems }
        return problems
            + ["startSensitivity", "endSensitivity", "prefixPaddingMs", "silenceMs"]
            .filter { settings.string($0) != nil || settings.integer($0) != nil }
            .map { field in
                SettingsProblem(
                    field: field, .fieldWithoutEffect, severity: .warning,
                    "\"\(field)\" has no effect: with \"turnDetection\": \"none\" the server does not listen for speech",
                    remedy: "remove it, or set \"turnDetection\" to \"automatic\"")
            }
    }

    public func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend {
        let access = try GeminiAccess(settings)
        var setup = GeminiSetup(model: access.path(of: settings.string("model") ?? Self.defaultModel))
        setup.voice = settings.string("voice")
        setup.languageCode = settings.string("language")
        setup.temperature = settings.number("temperature")
        setup.thinkingBudget = settings.integer("thinkingBudget")
        setup.instructions = settings.string("instructions")
        if settings.string("turnDetection") == "none" {
            setup.turnDetection = .none
        } else {
            setup.turnDetection = .automatic(
                .init(
                    start: settings.string("startSensitivity").flatMap(GeminiTurnDetection.Sensitivity.init),
                    end: settings.string("endSensitivity").flatMap(GeminiTurnDetection.Sensitivity.init),
                    prefixPaddingMs: settings.integer("prefixPaddingMs"), silenceMs: settings.integer("silenceMs")))
        }
        setup.transcribesInput = settings.bool("transcription") ?? true
        setup.transcribesOutput = setup.transcribesInput
        setup.compressesContext = settings.bool("contextWindowCompression") ?? true
        setup.isResumable = settings.bool("sessionResumption") ?? true
        let options = GeminiOptions(
            setup: setup, firstMessage: settings.string("firstMessage"), isVertex: access.isVertex,
            patience: .seconds(Int64(settings.integer("silenceSeconds") ?? 20)),
            preRoll: .milliseconds(Int64(settings.integer("preRollMs") ?? 500)))
        return GeminiBackend(options: options, access: access)
    }
}

extension Diagnostic.Code {
    /// A field that other fields make meaningless.
    public static let fieldWithoutEffect = Self("field-without-effect")
}

private struct GeminiBackend: AgentBackend {
    let type = "gemini-live"
    let options: GeminiOptions
    let access: GeminiAccess

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
        let access = access
        return AgentSession(
            GeminiConversation(
                options, tools: request.tools, history: request.history, toolNote: request.toolUses.note,
                owesWords: request.isAnswerAwaited),
            endpoint: .webSocket { access.target })
    }
}

/// Where the API is, and by what it lets us in.
struct GeminiAccess: Sendable {
    private enum Credential {
        case apiKey(Secret)
        case accessToken(Secret, project: String, location: String)
    }

    private let credential: Credential
    private let origin: String

    init(_ settings: Settings) throws(PipelineError) {
        var origin: String
        if let token = settings.secret("accessToken") {
            let location = settings.string("location") ?? "us-central1"
            guard let project = settings.string("project"), !project.isEmpty else {
                throw .notConfigured("an access token for Vertex AI needs \"project\"")
            }
            // They become parts of the address.
            guard [project, location].allSatisfy(Self.isName) else {
                throw .notConfigured(
                    "\"project\" and \"location\" are lower-case letters, digits, \"-\", \":\" and \".\"")
            }
            credential = .accessToken(token, project: project, location: location)
            origin =
                location == "global"
                ? "https://aiplatform.googleapis.com" : "https://\(location)-aiplatform.googleapis.com"
        } else if let key = settings.secret("apiKey") {
            credential = .apiKey(key)
            origin = "https://generativelanguage.googleapis.com"
        } else {
            throw .notConfigured("no API key: set apiKey in the pipeline or GEMINI_API_KEY")
        }
        if let base = settings.string("baseUrl"), !base.isEmpty { origin = base }
        while origin.hasSuffix("/") { origin.removeLast() }
        self.origin = origin
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "-:.".utf8.contains($0)
            }
    }

    var isVertex: Bool { if case .accessToken = credential { true } else { false } }

    /// A model's full name; one with a slash is full already.
    func path(of model: String) -> String {
        guard !model.contains("/") else { return model }
        switch credential {
        case .apiKey: return "models/\(model)"
        case .accessToken(_, let project, let location):
            return "projects/\(project)/locations/\(location)/publishers/google/models/\(model)"
        }
    }

    var target: AgentTarget {
        var address = origin
        // http and https become ws and wss.
        if address.hasPrefix("http") { address = "ws" + address.dropFirst(4) }
        switch credential {
        case .apiKey(let key):
            address += "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
            return Self.target(address, ("x-goog-api-key", key.reveal()))
        case .accessToken(let token, _, _):
            address += "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
            return Self.target(address, ("Authorization", "Bearer \(token.reveal())"))
        }
    }

    private static func target(_ url: String, _ credential: (String, String)) -> AgentTarget {
        var target = AgentTarget(url: url, headers: [credential])
        target.place = GeminiConversation.place
        target.remedy = GeminiConversation.remedy
        return target
    }
}

extension PipelineError {
    fileprivate static func notConfigured(_ message: String) -> PipelineError {
        PipelineError(.agentNotConfigured, message, place: GeminiConversation.place)
    }
}
