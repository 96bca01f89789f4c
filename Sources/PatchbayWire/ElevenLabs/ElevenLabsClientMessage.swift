public import NIOCore

/// What a client sends to an ElevenLabs agent.
///
/// Source: ElevenLabs' Agents WebSocket reference
/// (elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket) and "Client to server events"
/// (elevenlabs.io/docs/agents-platform/customization/events/client-to-server-events).
public enum ElevenLabsClientMessage: Sendable, Equatable {
    /// The first message.
    case initiation(ElevenLabsInitiation)
    /// The caller's audio: `byteCount` bytes were appended to the decoder's buffer.
    case userAudioChunk(byteCount: Int)
    case pong(eventId: Int)
    case clientToolResult(ToolResult)
    /// Background information: no reply, no interruption. A newer text with the same `contextId` replaces the older.
    case contextualUpdate(String, contextId: String? = nil)
    /// Treated as if it had been spoken.
    case userMessage(String?)
    /// The user is busy but present: do not prod.
    case userActivity
    /// `score` is `like`, `dislike` or absent.
    case feedback(eventId: Int, score: String?)
    case mcpToolApprovalResult(toolCallId: String, isApproved: Bool)
    /// A text, files that were uploaded before, or both.
    case multimodalMessage(text: String?, fileIds: [String])
    /// A type that this side does not know.
    case other(type: String)

    /// What a client tool gave.
    public struct ToolResult: Sendable, Equatable {
        public var toolCallId: String
        /// Plain text or JSON text. It is always sent as a string: the server drops the conversation over anything
        /// else.
        public var result: String
        public var isError: Bool
        /// `client_timeout`, `user_rejected`, …; only with `isError`.
        public var errorType: String?

        public init(toolCallId: String, result: String, isError: Bool = false, errorType: String? = nil) {
            self.toolCallId = toolCallId
            self.result = result
            self.isError = isError
            self.errorType = errorType
        }
    }
}

extension ElevenLabsClientMessage {
    /// Appends the message.
    ///
    /// - Parameter audio: The bytes of a `userAudioChunk`; its `byteCount` is not looked at. ``ElevenLabsWriter``
    ///   writes audio and pongs without the detour through a message.
    public func write(
        audio: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), into buffer: inout ByteBuffer
    ) {
        switch self {
        case .userAudioChunk: ElevenLabsWriter.userAudioChunk(audio, into: &buffer)
        case .pong(let eventId): ElevenLabsWriter.pong(eventId: eventId, into: &buffer)
        default: buffer.write(.object(writeMembers))
        }
    }

    private func writeMembers(_ text: inout JSONText) {
        switch self {
        case .initiation(let initiation):
            initiation.write(into: &text)
        case .userAudioChunk, .pong: break
        case .clientToolResult(let result):
            text.member("type", "client_tool_result")
            text.member("tool_call_id", result.toolCallId)
            text.member("result", result.result)
            text.member("is_error", result.isError)
            text.member("error_type", result.errorType)
        case .contextualUpdate(let update, let contextId):
            text.member("type", "contextual_update")
            text.member("text", update)
            text.member("context_id", contextId)
        case .userMessage(let message):
            text.member("type", "user_message")
            text.member("text", message)
        case .userActivity:
            text.member("type", "user_activity")
        case .feedback(let eventId, let score):
            text.member("type", "feedback")
            text.member("event_id", eventId)
            text.key("score")
            if let score { text.string(score) } else { text.null() }
        case .mcpToolApprovalResult(let toolCallId, let isApproved):
            text.member("type", "mcp_tool_approval_result")
            text.member("tool_call_id", toolCallId)
            text.member("is_approved", isApproved)
        case .multimodalMessage(let message, let fileIds):
            text.member("type", "multimodal_message")
            if let message {
                text.member("text") { inner in
                    inner.member("type", "user_message")
                    inner.member("text", message)
                }
            }
            if let first = fileIds.first {
                text.member("file") { $0.file(first) }
            }
            if fileIds.count > 1 {
                text.key("files")
                text.array { list in
                    for id in fileIds { list.object { $0.file(id) } }
                }
            }
        case .other(let type):
            text.member("type", type)
        }
    }
}

extension JSONText {
    fileprivate mutating func file(_ id: String) {
        member("type", "file_input")
        member("file_id", id)
    }
}
