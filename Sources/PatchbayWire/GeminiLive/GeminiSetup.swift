/// The first message of a conversation with Gemini Live: `setup`. It cannot be changed while the socket is open.
///
/// What is absent is not written, and the vendor's default holds: a field that a model lacks, such as a thinking
/// budget, makes the server refuse the whole conversation (ai.google.dev/api/live#BidiGenerateContentSetup).
public struct GeminiSetup: Sendable, Equatable {
    /// `models/…`; on Vertex AI `projects/…/locations/…/publishers/google/models/…`.
    public var model: String
    /// `AUDIO` or `TEXT`; one of them.
    public var responseModalities = ["AUDIO"]
    /// A prebuilt voice, for instance `Kore`.
    public var voice: String?
    /// BCP 47, for instance `de-DE`. Models with native audio choose the language themselves.
    public var languageCode: String?
    /// 0 to 2.
    public var temperature: Double?
    /// Tokens; 0 turns thinking off, -1 leaves it to the model.
    public var thinkingBudget: Int?
    public var instructions: String?
    public var tools: [GeminiTool] = []
    public var turnDetection = GeminiTurnDetection.automatic(.init())
    public var transcribesInput = false
    public var transcribesOutput = false
    /// Whether the server is to send handles by which the conversation can go on over another socket.
    public var isResumable = false
    /// Such a handle, where this is the other socket.
    public var resumptionHandle: String?
    /// A sliding window over the context: without it a conversation of sound alone ends after fifteen minutes
    /// (ai.google.dev/gemini-api/docs/live-session).
    public var compressesContext = false
    /// Whether the first `clientContent` is history; models from 3.x on, not on Vertex AI.
    public var hasInitialHistory = false
    /// Fields of `setup` that this type does not know, as paths. Not written.
    public var otherFields: [String] = []

    public init(model: String) { self.model = model }
}

/// A function that the model may call.
public struct GeminiTool: Sendable, Equatable {
    public var name: String
    public var description: String
    /// JSON Schema of type `object`, as JSON text.
    public var parameters: String

    public init(_ name: String, description: String = "", parameters: String = #"{"type":"object","properties":{}}"#) {
        self.name = name
        self.description = description
        self.parameters = parameters
    }
}

/// Who finds out when the caller speaks (ai.google.dev/gemini-api/docs/live-guide#voice-activity-detection-vad).
public enum GeminiTurnDetection: Sendable, Equatable {
    /// The server.
    case automatic(Automatic)
    /// The client, by `activityStart` and `activityEnd`. Sound outside of them is discarded.
    case none

    public enum Sensitivity: String, Sendable { case high, low }

    /// What is `nil` is left to the server.
    public struct Automatic: Sendable, Equatable {
        /// High begins a turn sooner.
        public var start: Sensitivity?
        /// High ends a turn sooner.
        public var end: Sensitivity?
        /// Speech that is needed before a turn begins, in milliseconds.
        public var prefixPaddingMs: Int?
        /// Silence that ends a turn, in milliseconds.
        public var silenceMs: Int?

        public init(
            start: Sensitivity? = nil, end: Sensitivity? = nil, prefixPaddingMs: Int? = nil, silenceMs: Int? = nil
        ) {
            self.start = start
            self.end = end
            self.prefixPaddingMs = prefixPaddingMs
            self.silenceMs = silenceMs
        }
    }
}

extension GeminiSetup {
    func write(into text: inout JSONText) {
        text.member("model", model)
        text.member("generationConfig") { config in
            config.member("responseModalities", responseModalities)
            if let temperature { config.member("temperature", temperature) }
            if voice != nil || languageCode != nil {
                config.member("speechConfig") { speech in
                    if let voice {
                        speech.member("voiceConfig") { config in
                            config.member("prebuiltVoiceConfig") { $0.member("voiceName", voice) }
                        }
                    }
                    speech.member("languageCode", languageCode)
                }
            }
            if let thinkingBudget {
                config.member("thinkingConfig") { $0.member("thinkingBudget", thinkingBudget) }
            }
        }
        if let instructions {
            text.member("systemInstruction") { content in
                content.key("parts")
                content.array { parts in parts.object { $0.member("text", instructions) } }
            }
        }
        if !tools.isEmpty { writeTools(into: &text) }
        text.member("realtimeInputConfig") { input in
            input.member("automaticActivityDetection") { turnDetection.write(into: &$0) }
        }
        if transcribesInput { text.member("inputAudioTranscription") { _ in } }
        if transcribesOutput { text.member("outputAudioTranscription") { _ in } }
        if isResumable { text.member("sessionResumption") { $0.member("handle", resumptionHandle) } }
        if compressesContext {
            text.member("contextWindowCompression") { $0.member("slidingWindow") { _ in } }
        }
        if hasInitialHistory {
            text.member("historyConfig") { $0.member("initialHistoryInClientContent", true) }
        }
    }

    private func writeTools(into text: inout JSONText) {
        text.key("tools")
        text.array { list in
            list.object { tool in
                tool.key("functionDeclarations")
                tool.array { declarations in
                    for function in tools {
                        declarations.object { declaration in
                            declaration.member("name", function.name)
                            declaration.member("description", function.description)
                            declaration.member("parametersJsonSchema", raw: function.parameters)
                        }
                    }
                }
            }
        }
    }
}

extension GeminiTurnDetection {
    fileprivate func write(into text: inout JSONText) {
        switch self {
        case .none: text.member("disabled", true)
        case .automatic(let rules):
            text.member("startOfSpeechSensitivity", rules.start.map { "START_SENSITIVITY_\($0.rawValue.uppercased())" })
            text.member("endOfSpeechSensitivity", rules.end.map { "END_SENSITIVITY_\($0.rawValue.uppercased())" })
            text.member("prefixPaddingMs", rules.prefixPaddingMs)
            text.member("silenceDurationMs", rules.silenceMs)
        }
    }

    fileprivate init(_ object: JSONObject) {
        guard object.flag("disabled") != true else {
            self = .none
            return
        }
        func sensitivity(_ name: String, _ prefix: String) -> Sensitivity? {
            guard let word = object.text(of: name), word.hasPrefix(prefix) else { return nil }
            return Sensitivity(rawValue: word.dropFirst(prefix.count).lowercased())
        }
        self = .automatic(
            Automatic(
                start: sensitivity("startOfSpeechSensitivity", "START_SENSITIVITY_"),
                end: sensitivity("endOfSpeechSensitivity", "END_SENSITIVITY_"),
                prefixPaddingMs: object.field("prefixPaddingMs")?.integer,
                silenceMs: object.field("silenceDurationMs")?.integer))
    }
}

extension GeminiSetup {
    init(_ setup: JSONObject) throws(WireError) {
        guard let model = setup.text(of: "model") else { throw .missing("model", in: "setup") }
        self.init(model: model)
        if let config = setup.inner("generationConfig") {
            let modalities = config.field("responseModalities")?.elements?.compactMap(\.string) ?? []
            if !modalities.isEmpty { responseModalities = modalities }
            temperature = config.field("temperature")?.number
            let speech = config.inner("speechConfig")
            voice = speech?.inner("voiceConfig")?.inner("prebuiltVoiceConfig")?.text(of: "voiceName")
            languageCode = speech?.text(of: "languageCode")
            thinkingBudget = config.inner("thinkingConfig")?.field("thinkingBudget")?.integer
            otherFields += Self.unknown(in: config, known: Self.configFields, below: "generationConfig.")
        }
        let parts = setup.inner("systemInstruction")?.list("parts") ?? []
        let words = parts.compactMap { $0.text(of: "text") }
        if !words.isEmpty { instructions = words.joined(separator: "\n") }
        tools = setup.list("tools").flatMap { $0.list("functionDeclarations") }.compactMap { declaration in
            guard let name = declaration.text(of: "name") else { return nil }
            let schema = declaration.field("parametersJsonSchema") ?? declaration.field("parameters")
            return GeminiTool(
                name, description: declaration.text(of: "description") ?? "", parameters: schema?.text ?? "{}")
        }
        if let detection = setup.inner("realtimeInputConfig")?.inner("automaticActivityDetection") {
            turnDetection = GeminiTurnDetection(detection)
        }
        transcribesInput = setup.has("inputAudioTranscription")
        transcribesOutput = setup.has("outputAudioTranscription")
        isResumable = setup.has("sessionResumption")
        resumptionHandle = setup.inner("sessionResumption")?.text(of: "handle")
        compressesContext = setup.has("contextWindowCompression")
        hasInitialHistory = setup.inner("historyConfig")?.flag("initialHistoryInClientContent") ?? false
        otherFields += Self.unknown(in: setup, known: Self.fields, below: "")
    }

    private static func unknown(in object: JSONObject, known: Set<String>, below prefix: String) -> [String] {
        object.members.map(\.name).filter { !known.contains($0.filter { $0 != "_" }.lowercased()) }.map { prefix + $0 }
    }

    /// The documented fields of `setup`, in lower case.
    private static let fields: Set<String> = [
        "model", "generationconfig", "systeminstruction", "tools", "realtimeinputconfig", "inputaudiotranscription",
        "outputaudiotranscription", "sessionresumption", "contextwindowcompression", "proactivity", "historyconfig",
        "explicitvadsignal",
    ]
    /// Those of `generationConfig` that a conversation of sound can have.
    private static let configFields: Set<String> = [
        "responsemodalities", "temperature", "topp", "topk", "maxoutputtokens", "seed", "mediaresolution",
        "speechconfig", "thinkingconfig", "enableaffectivedialog", "candidatecount", "presencepenalty",
        "frequencypenalty",
    ]
}
