import Foundation
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayWire

/// What a pipeline says about its Realtime agent.
struct OpenAIRealtimeSettings: Sendable {
    static let place = "agent openai-realtime"

    struct Azure: Sendable {
        var deployment: String
        /// A preview version; `nil` for the released protocol.
        var apiVersion: String?
    }

    var model = "gpt-realtime"
    var voice: String? = "marin"
    var instructions: String?
    /// `nil` greets in the model's own words, an empty one not at all.
    var firstMessage: String?
    var language: String?
    /// `nil` leaves turns to the pipeline.
    var turnDetection: OpenAIRealtimeSession.TurnDetection? = .init(.server)
    var transcriptionModel: String? = "gpt-4o-mini-transcribe"
    var noiseReduction: OpenAIRealtimeSession.Switch<String>?
    var speed: Double?
    var baseURL = "https://api.openai.com/v1"
    var azure: Azure?
    /// Age at which a session is replaced.
    var reconnectAfter = TimeSpan.seconds(55 * 60)
    /// How long an answer that is due may stand still.
    var patience = TimeSpan.seconds(20)

    init() {}

    init(_ settings: Settings) {
        model = settings.string("model") ?? model
        voice = settings.string("voice") ?? voice
        instructions = settings.string("instructions")
        firstMessage = settings.string("firstMessage")
        language = settings.string("language").flatMap { $0.isEmpty ? nil : $0 }
        turnDetection = Self.turnDetection(settings)
        transcriptionModel = settings.string("transcriptionModel") ?? transcriptionModel
        if transcriptionModel == "none" { transcriptionModel = nil }
        noiseReduction = settings.string("noiseReduction").map { $0 == "none" ? .off : .on($0) }
        speed = settings.number("speed")
        baseURL = settings.string("baseUrl") ?? baseURL
        azure = settings.object("azure").flatMap { azure in
            azure.string("deployment").map { Azure(deployment: $0, apiVersion: azure.string("apiVersion")) }
        }
        if let minutes = settings.integer("reconnectMinutes") { reconnectAfter = .seconds(Int64(minutes) * 60) }
        if let seconds = settings.integer("silenceSeconds") { patience = .seconds(Int64(seconds)) }
    }

    private static func turnDetection(_ settings: Settings) -> OpenAIRealtimeSession.TurnDetection? {
        guard
            let kind = OpenAIRealtimeSession.TurnDetection.Kind(
                rawValue: settings.string("turnDetection") ?? "server_vad")
        else { return nil }
        var detection = OpenAIRealtimeSession.TurnDetection(kind)
        switch kind {
        case .server:
            detection.threshold = settings.number("vadThreshold")
            detection.silenceMs = settings.integer("silenceMs")
            detection.prefixPaddingMs = settings.integer("prefixPaddingMs")
            detection.idleTimeoutMs = settings.integer("idleTimeoutMs")
        case .semantic:
            detection.eagerness = settings.string("eagerness")
        }
        detection.createsResponse = true
        detection.interruptsResponse = settings.bool("interruptResponse") ?? true
        return detection
    }

    /// Azure's preview versions speak the protocol before the released one.
    var dialect: OpenAIRealtimeDialect { azure?.apiVersion == nil ? .ga : .beta }

    /// Whether the pipeline finds the caller's turns.
    var takesTurns: Bool { turnDetection == nil }

    /// What the session is told at its beginning.
    func session(_ format: OpenAIRealtimeAudioFormat, tools: [ToolDefinition]) -> OpenAIRealtimeSession {
        var session = OpenAIRealtimeSession()
        session.type = "realtime"
        session.outputModalities = ["audio"]
        session.instructions = sessionInstructions
        session.inputFormat = format
        session.outputFormat = format
        session.noiseReduction = noiseReduction
        session.transcription = transcriptionModel.map { .on(.init(model: $0, language: language)) } ?? .off
        session.turnDetection = turnDetection.map { .on($0) } ?? .off
        session.voice = voice
        session.speed = speed
        if !tools.isEmpty {
            session.tools = tools.map {
                OpenAIRealtimeSession.Tool($0.name, description: $0.description, parameters: $0.parameters)
            }
            session.toolChoice = "auto"
        }
        return session
    }

    private var sessionInstructions: String? {
        guard let language else { return instructions }
        let rule = "Speak the language with the code \"\(language)\" unless the caller asks for another."
        return instructions.map { "\($0)\n\n\(rule)" } ?? rule
    }

    /// The instructions of the first response. They replace the session's for it, so those are repeated.
    var greetingInstructions: String? {
        guard let firstMessage, !firstMessage.isEmpty else { return nil }
        let rule = "The call has just begun. Say exactly this and nothing else: \(firstMessage)"
        return sessionInstructions.map { "\($0)\n\n\(rule)" } ?? rule
    }

    /// Whether the agent speaks first.
    var greets: Bool { firstMessage?.isEmpty != true }

    /// What an operator can do about a failure.
    static func remedy(_ code: PipelineError.Code) -> String? {
        switch code {
        case .agentUnauthorized: "check apiKey and its permissions"
        case .agentUnknown: "check model, or azure's deployment, and whether the account may use it"
        case .agentQuota: "check the account's quota and its limits"
        case .agentSettingRefused: "change the setting that is named"
        case .agentUnreachable: "check the network, and baseUrl if it is set"
        default: nil
        }
    }

    // MARK: Where it is

    /// - Throws: When the base URL is none.
    func target(apiKey: String) throws(PipelineError) -> AgentTarget {
        var base = Substring(baseURL)
        while base.hasSuffix("/") { base.removeLast() }
        let scheme: String
        if base.hasPrefix("https://") || base.hasPrefix("wss://") {
            scheme = "wss"
        } else if base.hasPrefix("http://") || base.hasPrefix("ws://") {
            scheme = "ws"
        } else {
            throw PipelineError(
                .agentNotConfigured, "baseUrl must begin with https:// or http://, like https://api.openai.com/v1",
                place: Self.place)
        }
        base = base.drop { $0 != ":" }.dropFirst(3)
        guard let azure else {
            return target(
                "\(scheme)://\(base)/realtime?model=\(Self.encoded(model))", ("Authorization", "Bearer \(apiKey)"))
        }
        // The portal shows several forms of the endpoint; the path is ours to choose.
        let origin = base.prefix { $0 != "/" }
        let path =
            azure.apiVersion.map {
                "/openai/realtime?api-version=\(Self.encoded($0))&deployment=\(Self.encoded(azure.deployment))"
            } ?? "/openai/v1/realtime?model=\(Self.encoded(azure.deployment))"
        return target("\(scheme)://\(origin)\(path)", ("api-key", apiKey))
    }

    private func target(_ url: String, _ credential: (String, String)) -> AgentTarget {
        var target = AgentTarget(url: url, headers: [credential])
        target.place = Self.place
        target.remedy = Self.remedy
        return target
    }

    private static func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(.init(charactersIn: "-._~"))) ?? ""
    }
}

extension OpenAIRealtimeAudioFormat {
    /// What is asked for at a joint of that format.
    init(for joint: AudioFormat) {
        switch (joint.encoding, joint.sampleRate, joint.channelCount) {
        case (.mulaw, 8000, 1): self = .pcmu
        case (.alaw, 8000, 1): self = .pcma
        default: self = .pcm24k
        }
    }
}

extension AudioFormat {
    init(_ format: OpenAIRealtimeAudioFormat) {
        switch format {
        case .pcm(let rate): self = .pcm(rate)
        case .pcmu: self = .telephony
        case .pcma: self.init(.alaw, sampleRate: 8000)
        }
    }
}
