public import NIOCore
public import PatchbayAudio

/// What a conversation wants done.
public struct AgentOutput {
    /// Messages for the agent's socket, in order.
    public var messages = MessageBatch()
    /// What the agent did, in order.
    public internal(set) var events: [AgentEvent] = []

    public init() { events.reserveCapacity(8) }

    public mutating func emit(_ event: AgentEvent) { events.append(event) }

    /// Takes the events so far. For harnesses.
    public mutating func takeEvents() -> [AgentEvent] {
        defer { events.removeAll(keepingCapacity: true) }
        return events
    }
}

/// What an agent did.
public enum AgentEvent: Sendable {
    /// The conversation has begun, in these formats.
    case ready(input: AudioFormat, output: AudioFormat)
    /// The vendor's name for the conversation.
    case conversationStarted(id: String)
    /// Sound to play, in the announced output format, in any amount.
    case audio(ByteBuffer)
    /// The turn is complete: nothing more of it will come.
    case turnEnded
    /// Whether the audio from here on may be cut by an interruption. It may until an agent says otherwise.
    case interruptible(Bool)
    /// Keys to press towards the caller's side: `0`–`9`, `*`, `#`, `A`–`D`. A `dtmf` stage makes tones of them.
    case dtmf(String)
    /// What was said.
    case text(TextFrame)
    /// So many more characters of the agent's last text are spoken in the first `span` of the sound that comes next. For
    /// vendors that tell when they say what; without it a text is taken to be spoken evenly.
    case spoken(characters: Int, in: TimeSpan)
    /// The agent cut its own turn, because the caller spoke: everything of it that waits must not be heard.
    case interruption(cause: String)
    /// The agent wants a tool called; ``AgentConversation/toolAnswered(_:at:into:)`` brings the answer.
    case toolCall(ToolCall)
    /// The agent does not want these answers any more.
    case toolCallsCancelled(ids: [String])
    /// The agent says goodbye: hang up when everything before this has been played.
    case hangup(EndReason)
    /// The agent hands the caller to a person: connect them with this number when everything before this has been played.
    case transfer(to: String)
    /// The same conversation goes on over a new socket. The endpoint is asked and dialled again; when it is open,
    /// ``AgentConversation/opened(at:into:)`` is called once more and the former socket is closed. What waits to be played is
    /// kept, and the agent has to be ready again within the usual time.
    case reconnect(cause: String)
    /// A message could not be used and was dropped.
    case fault(String)
    /// The conversation is over because of an error.
    case failed(PipelineError)
}
