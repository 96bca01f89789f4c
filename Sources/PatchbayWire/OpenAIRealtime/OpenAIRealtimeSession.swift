/// A session's settings, or a change of them: what is `nil` is left as it is.
///
/// Source: platform.openai.com/docs/api-reference/realtime-client-events/session/update.
public struct OpenAIRealtimeSession: Sendable, Equatable {
    /// A part of the settings that can be switched off, which is not the same as leaving it as it is.
    public enum Switch<Value: Sendable & Equatable>: Sendable, Equatable {
        case off
        case on(Value)
    }

    public struct Transcription: Sendable, Equatable {
        public var model: String
        /// ISO 639-1, for instance `en`.
        public var language: String?
        public var prompt: String?

        public init(model: String, language: String? = nil, prompt: String? = nil) {
            self.model = model
            self.language = language
            self.prompt = prompt
        }
    }

    /// How the server finds the caller's turns.
    public struct TurnDetection: Sendable, Equatable {
        public enum Kind: String, Sendable {
            /// By sound.
            case server = "server_vad"
            /// By what was said.
            case semantic = "semantic_vad"
        }

        public var kind: Kind
        /// 0 to 1; higher needs louder speech.
        public var threshold: Double?
        /// Audio before the start of speech that belongs to the turn.
        public var prefixPaddingMs: Int?
        /// Silence that ends the turn.
        public var silenceMs: Int?
        /// Silence of the caller after which the model speaks up.
        public var idleTimeoutMs: Int?
        /// `low`, `medium`, `high` or `auto`; of the semantic kind.
        public var eagerness: String?
        /// Whether the end of a turn makes the model answer; it does unless told otherwise.
        public var createsResponse: Bool?
        /// Whether the caller's speech cancels the answer; it does unless told otherwise.
        public var interruptsResponse: Bool?

        public init(_ kind: Kind) { self.kind = kind }
    }

    public struct Tool: Sendable, Equatable {
        public var name: String
        public var description: String
        /// JSON text of a schema of type `object`.
        public var parameters: String

        public init(_ name: String, description: String, parameters: String) {
            self.name = name
            self.description = description
            self.parameters = parameters
        }
    }

    public enum TokenLimit: Sendable, Equatable {
        case tokens(Int)
        case infinite
    }

    /// Given by the server, like ``expiresAt``.
    public var id: String?
    /// `realtime` or `transcription`.
    public var type: String?
    public var model: String?
    /// Seconds since 1970.
    public var expiresAt: Int?
    /// `["audio"]` or `["text"]`.
    public var outputModalities: [String]?
    public var instructions: String?
    public var inputFormat: OpenAIRealtimeAudioFormat?
    /// `near_field` or `far_field`.
    public var noiseReduction: Switch<String>?
    public var transcription: Switch<Transcription>?
    public var turnDetection: Switch<TurnDetection>?
    public var outputFormat: OpenAIRealtimeAudioFormat?
    public var voice: String?
    /// 0.25 to 1.5.
    public var speed: Double?
    public var tools: [Tool]?
    /// `auto`, `none`, `required`, or a function's name.
    public var toolChoice: String?
    public var maxOutputTokens: TokenLimit?

    public init() {}

    /// Takes over what a change sets.
    public mutating func apply(_ change: OpenAIRealtimeSession) {
        outputModalities = change.outputModalities ?? outputModalities
        instructions = change.instructions ?? instructions
        inputFormat = change.inputFormat ?? inputFormat
        noiseReduction = change.noiseReduction ?? noiseReduction
        transcription = change.transcription ?? transcription
        turnDetection = change.turnDetection ?? turnDetection
        outputFormat = change.outputFormat ?? outputFormat
        voice = change.voice ?? voice
        speed = change.speed ?? speed
        tools = change.tools ?? tools
        toolChoice = change.toolChoice ?? toolChoice
        maxOutputTokens = change.maxOutputTokens ?? maxOutputTokens
    }
}

// MARK: Reading

extension OpenAIRealtimeSession {
    /// Tools that are read; more are ignored.
    static let maximumTools = 256

    /// Reads both the released form and the flat one of the beta protocol. A format it does not know is left out.
    init(_ object: JSONObject) {
        self.init()
        id = object.string("id")
        type = object.string("type")
        model = object.string("model")
        expiresAt = object.integer("expires_at")
        outputModalities = (object["output_modalities"] ?? object["modalities"])?.elements?.compactMap(\.string)
        instructions = object.string("instructions")
        let audio = object.object("audio")
        let input = audio?.object("input")
        let output = audio?.object("output")
        inputFormat = (input?["format"] ?? object["input_audio_format"]).flatMap(OpenAIRealtimeAudioFormat.init)
        noiseReduction = Self.switchable(input?["noise_reduction"] ?? object["input_audio_noise_reduction"]) {
            $0.string("type")
        }
        transcription = Self.switchable(input?["transcription"] ?? object["input_audio_transcription"]) {
            Transcription(
                model: $0.string("model") ?? "", language: $0.string("language"), prompt: $0.string("prompt"))
        }
        turnDetection = Self.switchable(input?["turn_detection"] ?? object["turn_detection"], TurnDetection.init)
        outputFormat = (output?["format"] ?? object["output_audio_format"]).flatMap(OpenAIRealtimeAudioFormat.init)
        voice = output?.string("voice") ?? output?.object("voice")?.string("id") ?? object.string("voice")
        speed = output?.number("speed") ?? object.number("speed")
        tools = object["tools"]?.elements?.prefix(Self.maximumTools).compactMap(\.object).compactMap(Tool.init)
        toolChoice = object.string("tool_choice") ?? object.object("tool_choice")?.string("name")
        let limit = object["max_output_tokens"] ?? object["max_response_output_tokens"]
        maxOutputTokens = limit?.string == "inf" ? .infinite : limit?.integer.map { .tokens($0) }
    }

    /// `nil` for an absent value, off for `null`, and also off for an object without meaning.
    private static func switchable<Value>(
        _ value: JSONValue?, _ read: (JSONObject) -> Value?
    ) -> Switch<Value>? {
        guard let value else { return nil }
        guard let read = value.object.flatMap(read) else { return .off }
        return .on(read)
    }
}

extension OpenAIRealtimeSession.TurnDetection {
    fileprivate init?(_ object: JSONObject) {
        guard let kind = object.string("type").flatMap(Kind.init) else { return nil }
        self.init(kind)
        threshold = object.number("threshold")
        prefixPaddingMs = object.integer("prefix_padding_ms")
        silenceMs = object.integer("silence_duration_ms")
        idleTimeoutMs = object.integer("idle_timeout_ms")
        eagerness = object.string("eagerness")
        createsResponse = object.bool("create_response")
        interruptsResponse = object.bool("interrupt_response")
    }

    fileprivate func write(into text: inout JSONText) {
        text.object { detection in
            detection.member("type", kind.rawValue)
            if let threshold { detection.member("threshold", threshold) }
            detection.member("prefix_padding_ms", prefixPaddingMs)
            detection.member("silence_duration_ms", silenceMs)
            detection.member("idle_timeout_ms", idleTimeoutMs)
            detection.member("eagerness", eagerness)
            detection.member("create_response", createsResponse)
            detection.member("interrupt_response", interruptsResponse)
        }
    }
}

extension OpenAIRealtimeSession.Tool {
    fileprivate init?(_ object: JSONObject) {
        guard let name = object.string("name") else { return nil }
        self.init(
            name, description: object.string("description") ?? "", parameters: object.text("parameters") ?? "{}")
    }

    fileprivate func write(into text: inout JSONText) {
        text.object { tool in
            tool.member("type", "function")
            tool.member("name", name)
            tool.member("description", description)
            tool.member("parameters", raw: parameters)
        }
    }
}

// MARK: Writing

extension OpenAIRealtimeSession {
    /// - Parameter isServer: Whether the fields are written that only servers write.
    func write(into text: inout JSONText, dialect: OpenAIRealtimeDialect = .ga, isServer: Bool = false) {
        text.object { session in
            if isServer {
                session.member("object", "realtime.session")
                session.member("id", id)
                session.member("expires_at", expiresAt)
            }
            switch dialect {
            case .ga: writeReleased(into: &session, isServer: isServer)
            case .beta: writeBeta(into: &session)
            }
            if let tools {
                session.key("tools")
                session.array { list in for tool in tools { tool.write(into: &list) } }
            }
            switch toolChoice {
            case nil: break
            case "auto"?, "none"?, "required"?: session.member("tool_choice", toolChoice)
            case let name?:
                session.member("tool_choice") { choice in
                    choice.member("type", "function")
                    choice.member("name", name)
                }
            }
        }
    }

    private func writeReleased(into session: inout JSONText, isServer: Bool) {
        session.member("type", type ?? "realtime")
        session.member("model", isServer ? model : nil)
        if let outputModalities { session.member("output_modalities", outputModalities) }
        session.member("instructions", instructions)
        let hasInput =
            inputFormat != nil || noiseReduction != nil || transcription != nil || turnDetection != nil
        let hasOutput = outputFormat != nil || voice != nil || speed != nil
        if hasInput || hasOutput {
            session.member("audio") { audio in
                if hasInput {
                    audio.member("input") { input in
                        if let inputFormat {
                            input.key("format")
                            inputFormat.write(into: &input)
                        }
                        writeSwitches(into: &input, ["transcription", "noise_reduction", "turn_detection"])
                    }
                }
                if hasOutput {
                    audio.member("output") { output in
                        if let outputFormat {
                            output.key("format")
                            outputFormat.write(into: &output)
                        }
                        output.member("voice", voice)
                        if let speed { output.member("speed", speed) }
                    }
                }
            }
        }
        writeLimit("max_output_tokens", into: &session)
    }

    /// The flat form. Its sessions speak only when both modalities are asked for.
    private func writeBeta(into session: inout JSONText) {
        if let outputModalities {
            session.member("modalities", outputModalities == ["audio"] ? ["audio", "text"] : outputModalities)
        }
        session.member("instructions", instructions)
        session.member("voice", voice)
        if let speed { session.member("speed", speed) }
        session.member("input_audio_format", inputFormat?.betaName)
        session.member("output_audio_format", outputFormat?.betaName)
        writeSwitches(
            into: &session, ["input_audio_transcription", "input_audio_noise_reduction", "turn_detection"])
        writeLimit("max_response_output_tokens", into: &session)
    }

    /// `null` is written out where something is off: leaving the key away would leave it on.
    private func writeSwitches(into text: inout JSONText, _ names: [String]) {
        switch transcription {
        case nil: break
        case .off?:
            text.key(names[0])
            text.null()
        case .on(let transcription)?:
            text.member(names[0]) { inner in
                inner.member("model", transcription.model)
                inner.member("language", transcription.language)
                inner.member("prompt", transcription.prompt)
            }
        }
        switch noiseReduction {
        case nil: break
        case .off?:
            text.key(names[1])
            text.null()
        case .on(let kind)?: text.member(names[1]) { $0.member("type", kind) }
        }
        switch turnDetection {
        case nil: break
        case .off?:
            text.key(names[2])
            text.null()
        case .on(let detection)?:
            text.key(names[2])
            detection.write(into: &text)
        }
    }

    private func writeLimit(_ name: String, into text: inout JSONText) {
        switch maxOutputTokens {
        case nil: break
        case .infinite?: text.member(name, "inf")
        case .tokens(let count)?: text.member(name, count)
        }
    }
}
