/// What a Realtime session sends.
///
/// Names are those of the released protocol; the beta protocol's are read too. Source: OpenAI's reference of server events
/// (platform.openai.com/docs/api-reference/realtime-server-events).
public enum OpenAIRealtimeServerEvent: Sendable, Equatable {
    /// Where in a response something belongs.
    public struct Place: Sendable, Equatable {
        public var responseID: String
        public var itemID: String
        public var outputIndex: Int
        public var contentIndex: Int

        public init(responseID: String = "", itemID: String = "", outputIndex: Int = 0, contentIndex: Int = 0) {
            self.responseID = responseID
            self.itemID = itemID
            self.outputIndex = outputIndex
            self.contentIndex = contentIndex
        }
    }

    public struct Response: Sendable, Equatable {
        /// `in_progress`, `completed`, `cancelled`, `failed` or `incomplete`.
        public var id: String
        public var status: String
        /// `turn_detected`, `client_cancelled`, `max_output_tokens`, `content_filter`.
        public var reason: String?
        /// Why it failed.
        public var fault: OpenAIRealtimeFault?
        public var output: [OpenAIRealtimeItem]
        /// `nil` for a response that is no part of the conversation.
        public var conversationID: String?
        public var usage: Usage?

        public init(
            id: String, status: String, reason: String? = nil, fault: OpenAIRealtimeFault? = nil,
            output: [OpenAIRealtimeItem] = [], conversationID: String? = nil, usage: Usage? = nil
        ) {
            self.id = id
            self.status = status
            self.reason = reason
            self.fault = fault
            self.output = output
            self.conversationID = conversationID
            self.usage = usage
        }
    }

    /// Tokens of one response.
    public struct Usage: Sendable, Equatable {
        public var total: Int
        public var input: Int
        public var output: Int

        public init(total: Int, input: Int, output: Int) {
            self.total = total
            self.input = input
            self.output = output
        }
    }

    public struct RateLimit: Sendable, Equatable {
        /// `requests` or `tokens`.
        public var name: String
        public var limit: Int
        public var remaining: Int
        public var resetSeconds: Double

        public init(name: String, limit: Int, remaining: Int, resetSeconds: Double) {
            self.name = name
            self.limit = limit
            self.remaining = remaining
            self.resetSeconds = resetSeconds
        }
    }

    case sessionCreated(OpenAIRealtimeSession)
    case sessionUpdated(OpenAIRealtimeSession)
    case conversationCreated(id: String)
    case itemAdded(OpenAIRealtimeItem, previousItemID: String?)
    case itemDone(OpenAIRealtimeItem, previousItemID: String?)
    case itemRetrieved(OpenAIRealtimeItem)
    case itemDeleted(id: String)
    case itemTruncated(id: String, contentIndex: Int, audioEndMs: Int)
    /// More words of what the caller said; comes whenever it comes, before, during or after the response.
    case inputTranscriptDelta(itemID: String, String)
    case inputTranscriptDone(itemID: String, String)
    case inputTranscriptFailed(itemID: String, OpenAIRealtimeFault)
    /// Times count from the beginning of the session's audio.
    case speechStarted(itemID: String, audioStartMs: Int)
    case speechStopped(itemID: String, audioEndMs: Int)
    case audioCommitted(itemID: String, previousItemID: String?)
    case audioCleared
    /// The caller was silent for the idle time-out.
    case idleTimeout(itemID: String)
    /// A key was pressed; of SIP only.
    case keyPressed(String)
    case responseCreated(Response)
    case responseDone(Response)
    case outputItemAdded(responseID: String, outputIndex: Int, OpenAIRealtimeItem)
    case outputItemDone(responseID: String, outputIndex: Int, OpenAIRealtimeItem)
    case contentPartAdded(Place, OpenAIRealtimeItem.Part)
    case contentPartDone(Place, OpenAIRealtimeItem.Part)
    /// Sound: `byteCount` bytes were appended to the decoder's buffer, in the session's output format.
    case audioDelta(Place, byteCount: Int)
    case audioDone(Place)
    /// More words of what the audio says.
    case transcriptDelta(Place, String)
    case transcriptDone(Place, String)
    /// More words of an answer in text.
    case textDelta(Place, String)
    case textDone(Place, String)
    case argumentsDelta(Place, callID: String, String)
    /// The name is empty where the server leaves it out.
    case argumentsDone(Place, OpenAIRealtimeItem.FunctionCall)
    case rateLimits([RateLimit])
    case error(OpenAIRealtimeFault)
    /// A type that this side does not use.
    case other(type: String)
}
