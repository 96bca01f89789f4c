/// A dynamic variable of a conversation, in the type that the agent's template gets to see.
public enum ElevenLabsVariable: Sendable, Hashable {
    case string(String)
    case integer(Int)
    case number(Double)
    case bool(Bool)
}

extension ElevenLabsVariable: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// The first message of a client: `conversation_initiation_client_data`.
///
/// What is absent is not written at all: an override that the agent's settings do not allow ends the conversation,
/// even an empty one (elevenlabs.io/docs/agents-platform/customization/personalization/overrides).
public struct ElevenLabsInitiation: Sendable, Equatable {
    /// Override of the system prompt.
    public var prompt: String?
    /// Override of what the agent says first; empty text makes it wait for the caller.
    public var firstMessage: String?
    /// Override of the language, as a code like `en` or `pt-br`.
    public var language: String?
    /// Override of the voice.
    public var voiceId: String?
    /// Override that turns audio off in both directions.
    public var textOnly: Bool?
    /// Values for the agent's templates. Names that begin with `system__` are the vendor's own.
    public var dynamicVariables: [String: ElevenLabsVariable]
    public var userId: String?
    public var branchId: String?
    public var environment: String?
    /// JSON text of an object that is handed to a custom language model.
    public var customLLMExtraBody: String?
    /// Further overrides that a decoded message asked for, as paths like `agent.prompt.llm`. Not written.
    public var otherOverrides: [String]

    public init(
        prompt: String? = nil, firstMessage: String? = nil, language: String? = nil, voiceId: String? = nil,
        textOnly: Bool? = nil, dynamicVariables: [String: ElevenLabsVariable] = [:], userId: String? = nil,
        branchId: String? = nil, environment: String? = nil, customLLMExtraBody: String? = nil,
        otherOverrides: [String] = []
    ) {
        self.prompt = prompt
        self.firstMessage = firstMessage
        self.language = language
        self.voiceId = voiceId
        self.textOnly = textOnly
        self.dynamicVariables = dynamicVariables
        self.userId = userId
        self.branchId = branchId
        self.environment = environment
        self.customLLMExtraBody = customLLMExtraBody
        self.otherOverrides = otherOverrides
    }
}

extension ElevenLabsInitiation {
    /// Reads the message, or the part of a webhook's answer that has the same form.
    ///
    /// Accepts empty sections, and `text_only` directly in the overrides, where the vendor's Python SDK puts it.
    init(_ message: JSONObject) {
        self.init()
        if let overrides = message.object("conversation_config_override") {
            let agent = overrides.object("agent")
            prompt = agent?.object("prompt")?.string("prompt")
            firstMessage = agent?.string("first_message")
            language = agent?.string("language")
            voiceId = overrides.object("tts")?.string("voice_id")
            textOnly = overrides.object("conversation")?.bool("text_only") ?? overrides.bool("text_only")
            otherOverrides = Self.paths(of: overrides).filter { !Self.known.contains($0) }
        }
        for member in message.object("dynamic_variables")?.members ?? [] {
            if let variable = ElevenLabsVariable(member.value) { dynamicVariables[member.name] = variable }
        }
        userId = message.string("user_id")
        branchId = message.string("branch_id")
        environment = message.string("environment")
        if let body = message["custom_llm_extra_body"], let object = body.object, !object.members.isEmpty {
            customLLMExtraBody = body.text
        }
    }

    private static let known: Set<String> = [
        "agent.prompt.prompt", "agent.first_message", "agent.language", "tts.voice_id", "conversation.text_only",
        "text_only",
    ]

    /// The values inside an object as paths, in document order; empty objects and nulls ask for nothing.
    private static func paths(of object: JSONObject, below prefix: String = "") -> [String] {
        object.members.flatMap { member -> [String] in
            if let inner = member.value.object { return paths(of: inner, below: prefix + member.name + ".") }
            return member.value.isNull ? [] : [prefix + member.name]
        }
    }

    func write(into text: inout JSONText) {
        text.member("type", "conversation_initiation_client_data")
        let hasAgent = prompt != nil || firstMessage != nil || language != nil
        if hasAgent || voiceId != nil || textOnly != nil {
            text.member("conversation_config_override") { overrides in
                if hasAgent {
                    overrides.member("agent") { agent in
                        if let prompt { agent.member("prompt") { $0.member("prompt", prompt) } }
                        agent.member("first_message", firstMessage)
                        agent.member("language", language)
                    }
                }
                if let voiceId { overrides.member("tts") { $0.member("voice_id", voiceId) } }
                if let textOnly { overrides.member("conversation") { $0.member("text_only", textOnly) } }
            }
        }
        text.member("custom_llm_extra_body", raw: customLLMExtraBody)
        if !dynamicVariables.isEmpty {
            text.member("dynamic_variables") { variables in
                for (name, value) in dynamicVariables.sorted(by: { $0.key < $1.key }) {
                    switch value {
                    case .string(let value): variables.member(name, value)
                    case .integer(let value): variables.member(name, value)
                    case .number(let value): variables.member(name, value)
                    case .bool(let value): variables.member(name, value)
                    }
                }
            }
        }
        text.member("user_id", userId)
        text.member("branch_id", branchId)
        text.member("environment", environment)
    }
}

extension ElevenLabsVariable {
    fileprivate init?(_ value: JSONValue) {
        if let text = value.string {
            self = .string(text)
        } else if let bool = value.bool {
            self = .bool(bool)
        } else if value.isNumber, let integer = value.integer {
            self = .integer(integer)
        } else if let number = value.number {
            self = .number(number)
        } else {
            return nil
        }
    }
}
