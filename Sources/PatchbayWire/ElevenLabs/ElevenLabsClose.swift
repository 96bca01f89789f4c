/// How the end of a conversation's WebSocket is to be understood.
///
/// Codes from the close table of ElevenLabs' Agents WebSocket reference
/// (elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket) and RFC 6455 §7.4; what they leave
/// open is told by the reason, often the only diagnosis there is.
public struct ElevenLabsClose: Sendable, Hashable, CustomStringConvertible {
    public enum Meaning: Sendable, Hashable {
        /// The agent hung up, the longest duration was reached, or we hung up.
        case ended
        /// Something failed in operation: a time-out, a model, the voice.
        case operational
        /// The account's quota is used up.
        case quotaExceeded
        /// The agent or its custom language model is set up wrong.
        case misconfigured
        /// The connection was lost without a close frame.
        case connectionLost
        /// We broke the contract: a bad message, an override or variable that is not allowed, missing authorisation.
        case contractViolation
        /// The server crashed or restarts.
        case serverFailure
        /// The request was refused right after the connection was made.
        case requestRefused
        /// Too many conversations at once.
        case concurrencyExceeded
        case unknown
    }

    /// Whether connecting again, which begins a new conversation, may help.
    public enum Retry: Sendable, Hashable {
        case never
        case once
        case immediately
        /// After a pause: capacity has to become free.
        case later
    }

    public let code: Int
    /// The reason in the close frame; may be empty.
    public let reason: String

    public init(code: Int, reason: String = "") {
        self.code = code
        self.reason = reason
    }

    public var meaning: Meaning {
        let text = reason.lowercased()
        // The code for a queue that gave up is not settled between clients; the reason is.
        if text.contains("timed_out") && (code == 3008 || code == 4300) || text.contains("too many concurrent") {
            return .concurrencyExceeded
        }
        switch code {
        case 1000: return .ended
        case 1001, 1011, 1012, 1013, 1014: return .serverFailure
        case 1002:
            if text.contains("quota") { return .quotaExceeded }
            if text.contains("misconfigured") || text.contains("configuration") { return .misconfigured }
            return .operational
        case 1005, 1006: return .connectionLost
        case 1003, 1007, 1008, 1009, 1010: return .contractViolation
        case 3000: return .requestRefused
        case 3008, 4300: return .concurrencyExceeded
        default: return .unknown
        }
    }

    public var retry: Retry {
        switch meaning {
        case .ended, .quotaExceeded, .misconfigured, .contractViolation, .requestRefused: .never
        case .operational, .unknown: .once
        case .connectionLost, .serverFailure: .immediately
        case .concurrencyExceeded: .later
        }
    }

    /// What happened, in plain words, with code and reason.
    public var description: String {
        let words =
            switch meaning {
            case .ended: "the conversation ended normally"
            case .operational: "the agent stopped because something failed on its side"
            case .quotaExceeded: "the account's quota is used up"
            case .misconfigured: "the agent or its language model is set up wrong"
            case .connectionLost: "the connection was lost"
            case .contractViolation:
                "the agent refused what was sent: an override, a variable, a message or the authorisation"
            case .serverFailure: "the agent's server failed"
            case .requestRefused: "the agent refused the request"
            case .concurrencyExceeded: "too many conversations at once"
            case .unknown: "the agent closed the connection"
            }
        return reason.isEmpty ? "\(words) (\(code))" : "\(words) (\(code) \"\(reason)\")"
    }
}
