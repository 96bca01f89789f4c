/// How the end of a conversation's WebSocket with Gemini Live is to be understood.
///
/// The protocol has no message for errors: a close frame ends the conversation, and its reason is the only diagnosis.
/// Its words are those of Google's API errors (ai.google.dev/gemini-api/docs/troubleshooting), cut to the 123 bytes
/// that a close frame can hold.
public struct GeminiClose: Sendable, Hashable, CustomStringConvertible {
    public enum Meaning: Sendable, Hashable {
        /// The key or token is wrong, or lacks a permission.
        case unauthorized
        /// No such model, or one that holds no live conversations.
        case unknownModel
        /// The account's quota is used up, or too much is asked for at once.
        case quotaExceeded
        /// A field was refused. In mid-conversation usually: the context is full.
        case invalidArgument
        /// The server ended the connection in order, for instance because its time is up.
        case ended
        /// The server failed.
        case serverFailure
        /// The connection was lost without a close frame.
        case connectionLost
        /// Another rule was broken.
        case refused
        case unknown
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
        func says(_ words: String...) -> Bool { words.contains { text.contains($0) } }
        if says(
            "quota", "resource_exhausted", "resource exhausted", "resource has been exhausted", "rate limit", "billing")
        {
            return .quotaExceeded
        }
        // When the connection's ten minutes are up, whatever the code.
        if says("goaway", "go away", "goawaysignal") { return .ended }
        if says(
            "api key", "api_key", "unregistered callers", "unauthenticated", "authentication", "permission",
            "access token")
        {
            return .unauthorized
        }
        if says("is not found", "not found for api version", "not supported for bidigeneratecontent", "publisher model")
        {
            return .unknownModel
        }
        switch code {
        case 1000, 1001: return .ended
        case 1005, 1006: return .connectionLost
        case 1007: return .invalidArgument
        case 1011, 1012, 1013, 1014: return .serverFailure
        case 1002, 1003, 1008, 1009, 1010: return .refused
        default: return .unknown
        }
    }

    /// Whether connecting again may help: with a handle the conversation then goes on.
    public var isRetryable: Bool {
        switch meaning {
        case .ended, .serverFailure, .connectionLost, .unknown: true
        case .unauthorized, .unknownModel, .quotaExceeded, .invalidArgument, .refused: false
        }
    }

    /// What happened, in plain words, with code and reason.
    public var description: String {
        let words =
            switch meaning {
            case .unauthorized: "the key was not accepted"
            case .unknownModel: "there is no such model for live conversations"
            case .quotaExceeded: "the account's quota is used up"
            case .invalidArgument: "the server refused an argument"
            case .ended: "the server ended the connection"
            case .serverFailure: "the server failed"
            case .connectionLost: "the connection was lost"
            case .refused: "the server refused what was sent"
            case .unknown: "the server closed the connection"
            }
        return reason.isEmpty ? "\(words) (\(code))" : "\(words) (\(code) \"\(reason)\")"
    }
}
