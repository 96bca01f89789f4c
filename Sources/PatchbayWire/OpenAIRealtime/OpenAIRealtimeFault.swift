/// An error as the Realtime API reports it: in an `error` event, or as the reason of a response that failed.
///
/// Most faults leave the session open. Source: platform.openai.com/docs/api-reference/realtime-server-events/error.
public struct OpenAIRealtimeFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// Longest part of a vendor's message that is kept, in characters.
    public static let maximumMessage = 500

    /// `invalid_request_error`, `server_error`, …
    public var type: String
    /// The stable name, for instance `invalid_api_key`; older servers leave it out.
    public var code: String?
    /// For people.
    public var message: String
    /// The parameter that is wrong, as a path: `session.audio.output.voice`.
    public var param: String?
    /// The `event_id` of the client's event that caused it.
    public var eventID: String?

    public init(
        type: String = "invalid_request_error", code: String? = nil, message: String, param: String? = nil,
        eventID: String? = nil
    ) {
        self.type = type
        self.code = code
        self.message = message
        self.param = param
        self.eventID = eventID
    }

    /// `error` objects of events and of HTTP answers alike.
    init(_ object: JSONObject) {
        type = String((object.string("type") ?? "").prefix(100))
        // Compatible servers write a number.
        code = (object.string("code") ?? object.integer("code").map(String.init)).map { String($0.prefix(100)) }
        message = String((object.string("message") ?? "").prefix(Self.maximumMessage))
        param = object.string("param").map { String($0.prefix(200)) }
        eventID = object.string("event_id")
    }

    /// The body of an HTTP answer that reports it.
    public var httpBody: String {
        let body = JSONText.object { text in
            text.key("error")
            write(into: &text)
        }
        return String(decoding: body.bytes, as: UTF8.self)
    }

    func write(into text: inout JSONText) {
        text.object { error in
            error.member("type", type)
            error.nullable("code", code)
            error.member("message", message)
            error.nullable("param", param)
            error.nullable("event_id", eventID)
        }
    }

    public var description: String {
        var text = code ?? type
        if !message.isEmpty { text += (text.isEmpty ? "" : ": ") + message }
        if let param, !param.isEmpty { text += " (\(param))" }
        return text
    }
}

extension OpenAIRealtimeFault {
    /// What a fault means for whoever holds the conversation.
    public enum Meaning: Sendable, Hashable {
        /// The key is wrong or lacks a permission, or the account is closed.
        case unauthorized
        /// There is no such model or deployment, or not for this account.
        case unknownModel
        /// The account has nothing left to spend.
        case quotaExceeded
        /// Too much at once; later it works again.
        case rateLimited
        /// The session has reached its longest duration; another one can begin.
        case sessionExpired
        /// The request came when nothing had to be done, for instance a cancellation without a response. Harmless.
        case nothingToDo
        /// A response is being made already; the request may be repeated after it.
        case responseActive
        /// The service failed.
        case serverFailed
        /// A request that is wrong in itself.
        case invalidRequest
    }

    public var meaning: Meaning {
        if let code, let meaning = Self.meaning(of: code) { return meaning }
        // Older servers send these two without a code.
        if message.hasPrefix("Conversation already has an active response") { return .responseActive }
        if message.hasPrefix("Cancellation failed: no active response") { return .nothingToDo }
        if message.contains("maximum duration") { return .sessionExpired }
        switch type {
        case "authentication_error", "permission_error", "invalid_authentication_error": return .unauthorized
        case "insufficient_quota": return .quotaExceeded
        case "rate_limit_error", "rate_limit_exceeded", "requests", "tokens": return .rateLimited
        case "server_error", "internal_error", "api_error": return .serverFailed
        default: return .invalidRequest
        }
    }

    /// The meaning of a code; `nil` for codes without one of their own.
    static func meaning(of code: String) -> Meaning? {
        switch code {
        case "invalid_api_key", "account_deactivated", "invalid_organization", "mismatched_organization",
            "missing_api_key", "permission_denied", "401", "403":
            .unauthorized
        case "model_not_found", "invalid_model", "DeploymentNotFound", "OperationNotSupported", "404": .unknownModel
        case "insufficient_quota", "billing_hard_limit_reached", "billing_not_active": .quotaExceeded
        case "rate_limit_exceeded", "too_many_requests", "429": .rateLimited
        case "session_expired": .sessionExpired
        case "response_cancel_not_active", "input_audio_buffer_commit_empty": .nothingToDo
        case "conversation_already_has_active_response": .responseActive
        case "server_error", "internal_error", "internal_server_error", "engine_overloaded": .serverFailed
        default: nil
        }
    }
}

extension JSONText {
    /// A member that is written as `null` when it is absent, as the API does with the fields of its errors.
    mutating func nullable(_ name: String, _ value: String?) {
        key(name)
        if let value { string(value) } else { null() }
    }
}
