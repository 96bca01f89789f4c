import Foundation
public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore
import PatchbayWire

/// `openai-realtime`: a speech-to-speech model of OpenAI, or of Azure OpenAI, over the Realtime API's WebSocket.
///
/// https://platform.openai.com/docs/guides/realtime-websocket
public struct OpenAIRealtimeAgent: AgentComponent {
    public init() {}

    public let spec = ComponentSpec(
        "openai-realtime", .agent,
        summary: "A speech-to-speech model of OpenAI or Azure OpenAI, over the Realtime API.",
        fields: [
            Field(
                "apiKey", .secret, environmentDefault: "OPENAI_API_KEY", example: #"{ "env": "OPENAI_API_KEY" }"#,
                "API key; OPENAI_API_KEY when absent."),
            Field("model", .string, default: "gpt-realtime", "The model's name."),
            Field("voice", .string, default: "marin", "The voice, for instance marin, cedar or alloy."),
            Field("instructions", .string, example: #""You are the front desk of a hair salon.""#, "System prompt."),
            Field(
                "firstMessage", .string,
                "What the agent says first; empty lets the caller speak first. When absent the agent greets in its own words."
            ),
            Field("language", .string, "Language code, for instance en or de, for speech and transcripts."),
            Field(
                "turnDetection", .choice(["server_vad", "semantic_vad", "none"]), default: "server_vad",
                "How turns end: at the vendor by sound or by meaning, or with none by the pipeline's own vad and turns."
            ),
            Field(
                "vadThreshold", .number(0...1), isAdvanced: true,
                "With server_vad, how loud speech has to be, 0 to 1; the vendor's default is 0.5."),
            Field(
                "silenceMs", .integer(50...10_000), isAdvanced: true,
                "With server_vad, silence that ends the caller's turn, in milliseconds; the vendor's default is 500."),
            Field(
                "prefixPaddingMs", .integer(0...5000), isAdvanced: true,
                "With server_vad, audio before speech that belongs to it, in milliseconds; the vendor's default is 300."
            ),
            Field(
                "idleTimeoutMs", .integer(5000...30_000), isAdvanced: true,
                "With server_vad, silence of the caller after which the agent speaks up, in milliseconds."),
            Field(
                "eagerness", .choice(["low", "medium", "high", "auto"]), isAdvanced: true,
                "With semantic_vad, how soon the agent takes its turn."),
            Field(
                "interruptResponse", .boolean, default: true, isAdvanced: true,
                "Whether the vendor's own turn detection cuts the agent; false leaves that to the pipeline's turns."),
            Field(
                "transcriptionModel", .string, default: "gpt-4o-mini-transcribe", isAdvanced: true,
                "The model that writes down what the caller says; none switches it off."),
            Field(
                "noiseReduction", .choice(["near_field", "far_field", "none"]), isAdvanced: true,
                "Noise reduction at the vendor: near_field for telephones and headsets."),
            Field("speed", .number(0.25...1.5), isAdvanced: true, "Speed of the voice; 1 is normal."),
            Field(
                "baseUrl", .string, default: "https://api.openai.com/v1", environmentDefault: "OPENAI_BASE_URL",
                isAdvanced: true,
                "Base of the API, for compatible servers and simulators; with azure the resource's origin."),
            Field(
                "azure",
                .object([
                    Field("deployment", .string, isRequired: true, "The deployment's name, in place of the model."),
                    Field(
                        "apiVersion", .string,
                        "A preview version such as 2025-04-01-preview, which speaks the earlier protocol."),
                ]), isAdvanced: true, example: #"{ "deployment": "gpt-realtime" }"#,
                "Azure OpenAI in place of OpenAI: the key goes into the api-key header."),
            Field(
                "reconnectMinutes", .integer(1...59), default: 55, isAdvanced: true,
                "Age of a session at which it is replaced at a quiet moment, in minutes; the vendor ends it at 60."),
            Field(
                "silenceSeconds", .integer(5...300), default: 20, isAdvanced: true,
                "Time in which an answer that is due must go on before the agent is given up, in seconds."),
        ])

    /// A telephone's µ-law and A-law are passed through, all else is 24 kHz linear.
    public func formats(for joint: AudioFormat, settings: Settings) -> AgentFormats {
        let format = AudioFormat(OpenAIRealtimeAudioFormat(for: joint))
        return AgentFormats(inputs: [format], outputs: [format])
    }

    public func problems(in settings: Settings) -> [SettingsProblem] {
        let kind = settings.string("turnDetection") ?? "server_vad"
        var problems: [SettingsProblem] = []
        if settings.secret("apiKey") == nil {
            problems.append(
                SettingsProblem(
                    field: "apiKey", .missingEnvironment, severity: .warning,
                    "there is no API key, so no call will be answered",
                    remedy: "set \"apiKey\", or the environment variable OPENAI_API_KEY"))
        }
        let ofServer = ["vadThreshold", "silenceMs", "prefixPaddingMs", "idleTimeoutMs"].filter {
            settings.number($0) != nil
        }
        if kind != "server_vad" {
            problems += ofServer.map { Self.unused($0, "\"turnDetection\": \"server_vad\"") }
        }
        if kind != "semantic_vad", settings.string("eagerness") != nil {
            problems.append(Self.unused("eagerness", "\"turnDetection\": \"semantic_vad\""))
        }
        return problems
    }

    private static func unused(_ field: String, _ condition: String) -> SettingsProblem {
        SettingsProblem(
            field: field, .unusedSetting, severity: .warning, "\(field) means nothing without \(condition)",
            remedy: "remove it or set \(condition)")
    }

    public func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend {
        guard let apiKey = settings.secret("apiKey") else {
            throw PipelineError(
                .agentNotConfigured, "no API key: set apiKey in the pipeline or OPENAI_API_KEY",
                place: OpenAIRealtimeSettings.place)
        }
        return OpenAIRealtimeBackend(apiKey: apiKey, settings: OpenAIRealtimeSettings(settings))
    }
}

extension Diagnostic.Code {
    /// A setting that the others make meaningless.
    fileprivate static let unusedSetting = Self("unused-setting")
}

private struct OpenAIRealtimeBackend: AgentBackend {
    let type = "openai-realtime"
    let apiKey: Secret
    let settings: OpenAIRealtimeSettings

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
        guard settings.turnDetection != nil || request.call.marksSpeech else {
            throw PipelineError(
                .agentNotConfigured,
                "\"turnDetection\": \"none\" needs a \"vad\" stage before the agent: nobody else hears the caller's turns end",
                place: OpenAIRealtimeSettings.place)
        }
        let target = try settings.target(apiKey: apiKey.reveal())
        return AgentSession(
            OpenAIRealtimeConversation(settings, request), endpoint: .webSocket { target })
    }
}
