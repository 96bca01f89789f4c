/// What an ElevenLabs agent sends over a conversation's WebSocket.
///
/// Source: ElevenLabs' Agents WebSocket reference
/// (elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket) and "Client events"
/// (elevenlabs.io/docs/agents-platform/customization/events/client-events). New types appear often: an unknown one is
/// ``other(type:)``, never an error. Event ids come from one counter of the conversation and never decrease.
public enum ElevenLabsServerMessage: Sendable, Equatable {
    /// The first message: names the conversation and the formats of both directions.
    case conversationInitiationMetadata(ConversationMetadata)
    /// To be answered at once by a pong with the same id; `pingMs` is the server's estimate of the round trip.
    case ping(eventId: Int, pingMs: Int?)
    /// Agent audio: `byteCount` bytes were appended to the decoder's buffer.
    case audio(eventId: Int?, byteCount: Int)
    case userTranscript(String, eventId: Int?)
    /// What the caller seems to be saying; may still change.
    case tentativeUserTranscript(String, eventId: Int?)
    /// The whole text of an agent's turn, sent with its first audio.
    case agentResponse(String, eventId: Int?)
    /// After an interruption: the text cut to what was spoken.
    case agentResponseCorrection(original: String, corrected: String, eventId: Int?)
    /// Drop what is queued, and later audio with a smaller event id.
    case interruption(eventId: Int?)
    case clientToolCall(ToolCall)
    case agentToolRequest(ToolUse)
    case agentToolResponse(ToolUse)
    /// As ``agentToolResponse(_:)``, with the tool's result.
    case agentToolResponseFullPayload(ToolUse, result: String?, isTruncated: Bool)
    /// Text as it is generated; `part` is `start`, `delta` or `stop`.
    case agentChatResponsePart(String, part: String, eventId: Int?)
    case agentResponseComplete(eventId: Int?)
    /// JSON text that a custom language model attached.
    case agentResponseMetadata(json: String, eventId: Int?)
    /// Probability of voice in the caller's audio, 0 to 1.
    case vadScore(Double)
    case mcpToolCall(MCPToolCall)
    case mcpConnectionStatus([MCPIntegration])
    case contextUsage(ContextUsage)
    case asrInitiationMetadata
    case guardrailTriggered(name: String?)
    /// `waiting`, `admitted` or `timed_out`.
    case queueStatus(String)
    case clientError(Fault)
    /// Sent just before the server closes the socket.
    case error(Fault)
    case internalTentativeAgentResponse(String)
    case internalTurnProbability(Double)
    case agentTyping(isTyping: Bool, durationMs: Int?)
    /// The agent wants keys pressed. The payload is not documented: here is its JSON text.
    case dtmfRequest(json: String)
    /// A type of a newer protocol; ignore it.
    case other(type: String)
}

extension ElevenLabsServerMessage {
    public struct ConversationMetadata: Sendable, Equatable {
        public var conversationId: String
        /// Of the agent's voice; see ``ElevenLabsAudioFormat``.
        public var agentOutputFormat: String
        /// Of what the client must send; see ``ElevenLabsAudioFormat``.
        public var userInputFormat: String

        public init(conversationId: String, agentOutputFormat: String, userInputFormat: String) {
            self.conversationId = conversationId
            self.agentOutputFormat = agentOutputFormat
            self.userInputFormat = userInputFormat
        }
    }

    /// A tool that the client is to run.
    public struct ToolCall: Sendable, Equatable {
        public var name: String
        public var id: String
        /// The arguments as the JSON text of an object.
        public var parameters: String
        /// Whether the agent waits for the result.
        public var expectsResponse: Bool
        public var eventId: Int?

        public init(
            name: String, id: String, parameters: String = "{}", expectsResponse: Bool = true, eventId: Int? = nil
        ) {
            self.name = name
            self.id = id
            self.parameters = parameters
            self.expectsResponse = expectsResponse
            self.eventId = eventId
        }
    }

    /// News of a tool, the agent's own ones (`end_call`, transfers) included.
    public struct ToolUse: Sendable, Equatable {
        public var name: String
        public var id: String
        /// `client`, `webhook`, `mcp` or `system`.
        public var type: String
        /// `nil` in a request.
        public var isError: Bool?
        /// `nil` in a request.
        public var isCalled: Bool?
        public var eventId: Int?

        public init(
            name: String, id: String, type: String, isError: Bool? = nil, isCalled: Bool? = nil, eventId: Int? = nil
        ) {
            self.name = name
            self.id = id
            self.type = type
            self.isError = isError
            self.isCalled = isCalled
            self.eventId = eventId
        }
    }

    public struct MCPToolCall: Sendable, Equatable {
        public var serviceId: String
        public var id: String
        public var name: String
        /// The arguments as the JSON text of an object.
        public var parameters: String
        /// `loading`, `awaiting_approval`, `success` or `failure`.
        public var state: String
        /// Seconds that an approval may take; only while it is awaited.
        public var approvalTimeout: Int?
        public var errorMessage: String?

        public init(
            serviceId: String, id: String, name: String, parameters: String = "{}", state: String,
            approvalTimeout: Int? = nil, errorMessage: String? = nil
        ) {
            self.serviceId = serviceId
            self.id = id
            self.name = name
            self.parameters = parameters
            self.state = state
            self.approvalTimeout = approvalTimeout
            self.errorMessage = errorMessage
        }
    }

    public struct MCPIntegration: Sendable, Equatable {
        public var id: String
        /// `mcp_server` or `mcp_integration`.
        public var type: String
        public var isConnected: Bool
        public var toolCount: Int

        public init(id: String, type: String, isConnected: Bool, toolCount: Int) {
            self.id = id
            self.type = type
            self.isConnected = isConnected
            self.toolCount = toolCount
        }
    }

    public struct ContextUsage: Sendable, Equatable {
        public var model: String
        public var contextTokens: Int
        public var contextLimitTokens: Int
        public var eventId: Int?

        public init(model: String, contextTokens: Int, contextLimitTokens: Int, eventId: Int? = nil) {
            self.model = model
            self.contextTokens = contextTokens
            self.contextLimitTokens = contextLimitTokens
            self.eventId = eventId
        }
    }

    /// What an `error` or `client_error` says.
    public struct Fault: Sendable, Equatable {
        /// Usually the code that the socket will be closed with.
        public var code: Int?
        /// `override_error`, `missing_dynamic_variable`, `llm_timeout`, …
        public var type: String?
        public var message: String
        public var reason: String?

        public init(code: Int? = nil, type: String? = nil, message: String, reason: String? = nil) {
            self.code = code
            self.type = type
            self.message = message
            self.reason = reason
        }
    }
}
