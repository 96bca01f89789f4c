public import PatchbayAudio

/// A kind of agent that a call can talk to: a vendor's, or one that lives in this process.
///
/// One value serves many calls; ``open(_:)`` begins one conversation.
public protocol AgentBackend: Sendable {
    /// The name it is registered by, as pipeline files write it.
    var type: String { get }

    /// Prepares one conversation. Does no I/O: the session says where to connect.
    ///
    /// - Throws: When the settings cannot work for this call, before anything was dialled.
    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession
}

/// What one conversation begins with.
public struct AgentRequest: Sendable {
    public var call: CallInfo
    /// The format of the joint where the agent stands. An agent that has the choice takes and gives it unchanged; for any
    /// other the call converts.
    public var joint: AudioFormat
    /// The tools that the agent may call.
    public var tools: [ToolDefinition]
    /// What was said on this call before, oldest first, where another agent has spoken with the caller already. An agent
    /// with a history does not greet.
    public var history: [ConversationTurn]
    /// The tools that agents before this one called on this call, oldest first; see ``Swift/Array/note``.
    public var toolUses: [ToolUse]
    /// Whether the caller waits for words: the agent before was cut off in the middle of a sentence, or had not answered yet.
    /// An agent that can goes on where the history ends as soon as it is ready, instead of waiting to be spoken to.
    public var isAnswerAwaited: Bool

    public init(
        call: CallInfo, joint: AudioFormat, tools: [ToolDefinition] = [], history: [ConversationTurn] = [],
        toolUses: [ToolUse] = [], isAnswerAwaited: Bool = false
    ) {
        self.call = call
        self.joint = joint
        self.tools = tools
        self.history = history
        self.toolUses = toolUses
        self.isAnswerAwaited = isAnswerAwaited
    }
}

/// One side's words in a conversation. Of an agent's turn that was cut, only what the caller heard.
public struct ConversationTurn: Sendable, Equatable {
    public var speaker: TextFrame.Speaker
    public var text: String

    public init(_ speaker: TextFrame.Speaker, _ text: String) {
        self.speaker = speaker
        self.text = text
    }
}

/// One conversation about to begin: its protocol, and where its peer is.
public struct AgentSession {
    public var conversation: any AgentConversation
    public var endpoint: AgentEndpoint

    public init(_ conversation: any AgentConversation, endpoint: AgentEndpoint) {
        self.conversation = conversation
        self.endpoint = endpoint
    }
}

/// Where an agent is reached.
public enum AgentEndpoint: Sendable {
    /// In this process; there is no socket.
    case local
    /// At a WebSocket whose address is found by asking, for instance for a signed URL. Runs beside the media path.
    case webSocket(@Sendable () async throws -> AgentTarget)
}

/// The address of an agent's WebSocket. Prints without its query, which may hold a signature.
public struct AgentTarget: Sendable, CustomStringConvertible {
    public var url: String
    public var headers: [(String, String)]
    /// Longest message that is accepted, in bytes. ElevenLabs sends single audio messages above 1 MiB.
    public var maximumMessageBytes: Int
    /// Who is dialled, as errors name it: `agent elevenlabs`.
    public var place = "agent"
    /// What an operator can do about a failure to connect, by its code.
    public var remedy: @Sendable (PipelineError.Code) -> String? = { _ in nil }
    /// Whether the address holds a signature that grows old. One that is refused says nothing against the key, and the next
    /// try has another.
    public var isSigned = false

    public init(url: String, headers: [(String, String)] = [], maximumMessageBytes: Int = 16 << 20) {
        self.url = url
        self.headers = headers
        self.maximumMessageBytes = maximumMessageBytes
    }

    public var description: String {
        guard let query = url.firstIndex(of: "?") else { return url }
        return url[..<query] + "?…"
    }
}
