/// How the end of a Realtime session's WebSocket is to be understood.
///
/// The API names its fault in the reason, as `<type>.<code>` or in words; where it does not, the code of RFC 6455 §7.4.1
/// decides. Which codes are worth another connection is what OpenAI's own SDKs retry on
/// (github.com/openai/openai-python, Realtime reconnection).
public struct OpenAIRealtimeClose: Sendable, Hashable, CustomStringConvertible {
    public let code: Int
    /// The reason in the close frame; may be empty.
    public let reason: String

    public init(code: Int, reason: String = "") {
        self.code = code
        self.reason = reason
    }

    /// What the reason says, where it names a known fault.
    public var meaning: OpenAIRealtimeFault.Meaning? {
        if reason.contains("maximum duration") { return .sessionExpired }
        let words = reason.split { !($0.isLetter || $0.isNumber || $0 == "_") }
        return words.lazy.compactMap { OpenAIRealtimeFault.meaning(of: String($0)) }.first
    }

    /// Whether the session ended in order.
    public var isOrderly: Bool { code == 1000 && meaning == nil }

    /// Whether connecting again, which begins a new session, may help.
    public var isRetryable: Bool {
        switch meaning {
        case .unauthorized, .unknownModel, .quotaExceeded, .invalidRequest: false
        case .rateLimited, .sessionExpired, .serverFailed, .responseActive, .nothingToDo: true
        case nil: [1001, 1005, 1006, 1011, 1012, 1013, 1015].contains(code)
        }
    }

    public var description: String {
        let name =
            switch code {
            case 1000: "closed in order"
            case 1001: "the server went away"
            case 1002: "protocol error"
            case 1003, 1007, 1009: "a message was refused"
            case 1005, 1006: "the connection was lost"
            case 1008: "refused by the server's policy"
            case 1011: "the server failed"
            case 1012, 1013: "the server restarts or is overloaded"
            default: "closed by the server"
            }
        return "\(name) (\(code))" + (reason.isEmpty ? "" : ": \(reason.prefix(200))")
    }
}
