import Hummingbird
import PatchbayConfig
import PatchbayCore

/// Answers what ElevenLabs asks before a conversation over its own telephony begins
/// (elevenlabs.io/docs/agents-platform/customization/personalization/twilio-personalization).
struct InitiationAnswer: Sendable {
    /// What the agent hears and says on a telephone line, for deployments whose agents are set so.
    private static let format = "ulaw_8000"

    private let switchboard: Switchboard

    init(_ switchboard: Switchboard) { self.switchboard = switchboard }

    /// - Parameter request: `{caller_id, agent_id, called_number, call_sid}`, or `{type, conversation_id, agent_id,
    ///   dynamic_variables{…}}`.
    func answer(to request: JSONValue) async throws -> Response {
        var question = VendorQuestion()
        question.take(request)
        let found: VendorCall?
        do {
            found = try await switchboard.vendorCall(question, keepsContext: true)
        } catch let error as PipelineError {
            switchboard.logger.error("initiation cannot be answered", metadata: ["reason": "\(error)"])
            throw VendorRefusal(
                status: .unprocessableContent, code: "NOT_CONFIGURED", message: "the pipeline cannot be planned")
        }
        guard let found else {
            throw VendorRefusal(
                status: .notFound, code: "UNKNOWN_CALL",
                message: "no pipeline answers: send called_number, call_sid, tenant_id or agent_id that one knows")
        }
        switchboard.logger.info(
            "conversation initiated by the agent's vendor",
            metadata: ["callSid": "\(CallLog.line(question.callSid ?? ""))", "pipeline": "\(found.info.pipeline)"])
        let settings = found.backend(agent: question.agent)?.settings
        var members: [JSONValue.Member] = [
            .init("type", "conversation_initiation_client_data"),
            .init("dynamic_variables", variables(found, settings, question, request)),
        ]
        if let overrides = overrides(found, settings) {
            members.append(.init("conversation_config_override", overrides))
        }
        return vendorResponse(members)
    }

    /// What was asked with, then the pipeline's variables, then those that its agent is given, then the call itself.
    private func variables(
        _ found: VendorCall, _ settings: Settings?, _ question: VendorQuestion, _ request: JSONValue
    ) -> JSONValue {
        var values: [String: JSONValue] = [:]
        if case .object(let members)? = request["dynamic_variables"] {
            for member in members where member.value.isPlain { values[member.key] = member.value }
        }
        // Secrets do not leave, nor does what looks like one.
        let shown = found.plan.variables.withSecretsWithheld
        for (name, value) in found.plan.variables where shown[name] == value { values[name] = JSONValue(value) }
        for (name, value) in settings?.variables("dynamicVariables") ?? [:] { values[name] = JSONValue(value) }
        let facts = [
            ("caller_number", found.call.from), ("called_number", found.call.to),
            ("call_sid", question.callSid ?? found.call.sid),
        ]
        for (name, value) in facts where !value.isEmpty && values[name] == nil { values[name] = .string(value) }
        // A pipeline that is written for our own sockets can only give its own name to a conversation that has none yet.
        if let conversation = question.conversation { values["conversation_id"] = .string(conversation) }
        // These names are the vendor's own.
        let own = values.filter { !$0.key.hasPrefix("system__") }.sorted { $0.key < $1.key }
        return .object(own.map { .init($0.key, $0.value) })
    }

    /// Only what the pipeline sets: an override that the agent's settings do not allow ends the conversation.
    private func overrides(_ found: VendorCall, _ settings: Settings?) -> JSONValue? {
        var agent: [JSONValue.Member] = []
        if let prompt = settings?.string("prompt") {
            agent.append(.init("prompt", .object([.init("prompt", .string(prompt))])))
        }
        if let words = found.words ?? settings?.string("firstMessage") {
            agent.append(.init("first_message", .string(words)))
        }
        if let language = settings?.string("language") { agent.append(.init("language", .string(language))) }
        var voice: [JSONValue.Member] = []
        if let id = settings?.string("voiceId") { voice.append(.init("voice_id", .string(id))) }
        if switchboard.settings.elevenLabs.sendsFormats {
            agent.append(.init("agent_output_audio_format", .string(Self.format)))
            agent.append(.init("user_input_audio_format", .string(Self.format)))
            voice.append(.init("output_format", .string(Self.format)))
        }
        var members: [JSONValue.Member] = []
        if !agent.isEmpty { members.append(.init("agent", .object(agent))) }
        if !voice.isEmpty { members.append(.init("tts", .object(voice))) }
        return members.isEmpty ? nil : .object(members)
    }
}

extension JSONValue {
    fileprivate var isPlain: Bool {
        switch self {
        case .string, .number, .boolean: true
        case .null, .array, .object: false
        }
    }
}
