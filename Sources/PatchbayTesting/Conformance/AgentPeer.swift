public import NIOCore
public import PatchbayAudio
public import PatchbayCore

/// An agent's vendor as a synchronous value, for ``AgentConformance``: says what it is told to in the vendor's own messages, and
/// tells what the vendor would have understood of what it is sent.
///
/// It never knows a socket or a clock. The same peer plays the vendor on a virtual clock and, behind a real socket, over the
/// network.
public protocol AgentPeer: Sendable {
    /// What it takes and gives in the conversation that it plays.
    var formats: (input: AudioFormat, output: AudioFormat) { get }

    /// The socket is open: what the vendor says before it was told anything.
    mutating func opened() -> [AgentPeerMessage]

    /// A message has come.
    ///
    /// - Returns: What the vendor would have understood, and what it answers at once, such as that it is ready.
    mutating func received(_ message: AgentPeerMessage) -> (heard: [AgentPeerHeard], answers: [AgentPeerMessage])

    /// The messages by which the vendor does this; `nil` when its protocol has no way to.
    mutating func messages(for act: AgentPeerAct) -> [AgentPeerMessage]?

    /// The failures that the vendor documents.
    static var failures: [AgentPeerFailure] { get }
}

/// One WebSocket message.
public struct AgentPeerMessage: Sendable, Equatable {
    public var payload: ByteBuffer
    public var isBinary: Bool

    public init(_ payload: ByteBuffer, isBinary: Bool = false) {
        self.payload = payload
        self.isBinary = isBinary
    }

    public init(_ text: String) { self.init(ByteBuffer(string: text)) }
}

/// Something that a peer does.
public enum AgentPeerAct: Sendable {
    /// A piece of the agent's speech in the peer's output format.
    case audio(ByteBuffer)
    /// All of the turn has been sent.
    case turnEnded
    case agentText(String)
    case callerText(String, isFinal: Bool)
    /// The vendor heard the caller and cuts its own turn.
    case interruption
    case toolCall(ToolCall)
    case toolCallsCancelled(ids: [String])
    /// The agent says goodbye in the vendor's way, by a message or by closing; see ``AgentPeerFailure/Close``.
    case goodbye
    /// The vendor is going to close this socket soon and wants the client to come again.
    case goAway
}

/// What a peer understood of a message.
public enum AgentPeerHeard: Sendable, Equatable {
    /// The conversation was begun, with what a client may set.
    case begun(tools: [String], history: [ConversationTurn])
    /// The conversation goes on from an earlier socket.
    case resumed
    /// Sound of the caller, in the peer's input format.
    case audio(ByteBuffer)
    case toolResult(ToolResult)
    case context(String)
    /// The client says how much of the agent's current turn was heard.
    case heard(TimeSpan)
    /// The client cut the agent's turn.
    case interruption
    /// The client asks the agent to speak, without a word of the caller.
    case answerAsked
    /// The client says that the caller's turn is over.
    case callerTurnEnded
    /// Anything else that the protocol allows.
    case other
    /// Something that the protocol does not allow.
    case wrong(String)
}

/// A way in which a vendor fails by its own documentation, and what a backend has to make of it.
public struct AgentPeerFailure: Sendable {
    public struct Close: Sendable, Equatable {
        public var code: UInt16
        public var reason: String

        public init(code: UInt16, reason: String = "") {
            self.code = code
            self.reason = reason
        }
    }

    /// For people: `quota exceeded`.
    public var name: String
    /// When it happens.
    public var isBeforeReady: Bool
    /// What is sent, before closing if it closes.
    public var messages: [AgentPeerMessage]
    public var close: Close?
    /// What ``AgentEvent/failed(_:)`` has to carry; `nil` when the conversation has to go on.
    public var code: PipelineError.Code?
    /// Whether another try may help.
    public var isRetryable: Bool

    public init(
        _ name: String, isBeforeReady: Bool = false, messages: [AgentPeerMessage] = [], close: Close? = nil,
        code: PipelineError.Code?, isRetryable: Bool = false
    ) {
        self.name = name
        self.isBeforeReady = isBeforeReady
        self.messages = messages
        self.close = close
        self.code = code
        self.isRetryable = isRetryable
    }
}
