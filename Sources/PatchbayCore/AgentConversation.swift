public import NIOCore

/// One agent's protocol as a synchronous value: frames and messages go in, messages and events come out.
///
/// A conversation never sees a socket or a clock, so an hour of it can be tested in milliseconds. The call opens the socket,
/// hands over what arrives and sends what is written to ``AgentOutput/messages``.
public protocol AgentConversation {
    /// The socket is open; for a local agent, the call has been created. Comes again for the new socket after
    /// ``AgentEvent/reconnect(cause:)``.
    mutating func opened(at now: MediaTime, into output: inout AgentOutput)

    /// A frame from the caller's side. Audio comes in the input format that ``AgentEvent/ready(input:output:)`` named, and
    /// only after that event. Also: call start, DTMF, speech edges, interruptions that the call itself decided on.
    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput)

    /// A text message from the agent. Malformed ones are counted by emitting ``AgentEvent/fault(_:)``, never thrown.
    mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput)

    /// A binary message from the agent; by default the same as a text message.
    mutating func received(binary message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput)

    /// A tool that the agent called has an answer. Comes once for every id of an ``AgentEvent/toolCall(_:)`` that was not
    /// cancelled, also for calls that are too many at once; those are answered with an error and not run.
    mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput)

    /// Something the agent should know and not answer at once, for instance which page the caller has open.
    mutating func contextAdded(_ text: String, at now: MediaTime, into output: inout AgentOutput)

    /// The agent's socket is gone. Emit ``AgentEvent/hangup(_:)`` for an orderly end, ``AgentEvent/failed(_:)`` otherwise.
    mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput)

    /// When ``deadlineReached(at:into:)`` wants to be called; kept on a grid of 20 ms.
    var deadline: MediaTime? { get }

    /// The deadline has passed. Move or clear it before returning.
    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput)
}

extension AgentConversation {
    public mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {}
    public mutating func received(binary message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        received(message, at: now, into: &output)
    }
    public mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {}
    public mutating func contextAdded(_ text: String, at now: MediaTime, into output: inout AgentOutput) {}
    public mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput) {}
    public var deadline: MediaTime? { nil }
    public mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {}
}
