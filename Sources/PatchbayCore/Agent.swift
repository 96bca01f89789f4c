public import NIOCore
public import PatchbayAudio

/// A kind of agent that a call can talk to: a vendor's, or one that lives in this process.
///
/// One value serves many calls; ``open(for:joint:)`` begins one conversation.
public protocol AgentBackend: Sendable {
    /// The name it is registered by, as pipeline files write it.
    var type: String { get }

    /// Prepares one conversation. Does no I/O: the session says where to connect.
    ///
    /// - Parameter joint: The format of the joint where the agent stands. An agent that has the choice takes and gives it
    ///   unchanged; for any other the call converts.
    /// - Throws: When the settings cannot work for this call, before anything was dialled.
    func open(for call: CallInfo, joint: AudioFormat) throws(PipelineError) -> AgentSession
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

/// One agent's protocol as a synchronous value: frames and messages go in, messages and events come out.
///
/// A conversation never sees a socket or a clock, so an hour of it can be tested in milliseconds. The call opens the socket,
/// hands over what arrives and sends what is written to ``AgentOutput/messages``.
public protocol AgentConversation {
    /// The socket is open; for a local agent, the call has been created.
    mutating func opened(at now: MediaTime, into output: inout AgentOutput)

    /// A frame from the caller's side. Audio comes in the input format that ``AgentEvent/ready(input:output:)`` named, and
    /// only after that event. Also: call start, DTMF, speech edges, interruptions that the call itself decided on.
    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput)

    /// A message from the agent. Malformed ones are counted by emitting ``AgentEvent/fault(_:)``, never thrown.
    mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput)

    /// The agent's socket is gone. Emit ``AgentEvent/hangup(_:)`` for an orderly end, ``AgentEvent/failed(_:)`` otherwise.
    mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput)

    /// When ``deadlineReached(at:into:)`` wants to be called; kept on a grid of 20 ms.
    var deadline: MediaTime? { get }

    /// The deadline has passed. Move or clear it before returning.
    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput)
}

extension AgentConversation {
    public mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {}
    public mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput) {}
    public var deadline: MediaTime? { nil }
    public mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {}
}

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
    /// The agent cut its own turn, because the caller spoke: everything of it that waits must not be heard.
    case interruption(cause: String)
    /// The agent says goodbye: hang up when everything before this has been played.
    case hangup(EndReason)
    /// A message could not be used and was dropped.
    case fault(String)
    /// The conversation is over because of an error.
    case failed(PipelineError)
}
