import PatchbayWire

extension ElevenLabsConversationSimulator {
    /// A text with the values of its `{{name}}`, those of the vendor's own among them
    /// (elevenlabs.io/docs/agents-platform/customization/personalization/dynamic-variables). What is not known stays as it is written.
    func filled(_ text: String, _ variables: [String: ElevenLabsVariable]) -> String {
        guard text.contains("{{") else { return text }
        var values = variables.mapValues(\.text)
        values["system__agent_id"] = statistics.agentId
        values["system__conversation_id"] = statistics.conversationId
        return values.reduce(text) { $0.replacing("{{\($1.key)}}", with: $1.value) }
    }
}

extension ElevenLabsVariable {
    fileprivate var text: String {
        switch self {
        case .string(let text): text
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .bool(let value): "\(value)"
        }
    }
}
