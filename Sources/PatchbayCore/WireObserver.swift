public import NIOCore

/// Watches what a call's sockets carry, message by message; for logs and replays.
///
/// Called on the call's event loop before the call acts on what came, and before what it says is sent. Must return quickly
/// and keep no message: its bytes are written over afterwards.
public protocol WireObserver: AnyObject, Sendable {
    func observe(_ event: WireEvent, time: MediaTime)
}

/// Who is at the other end of one of a call's sockets.
public enum WirePeer: String, Sendable { case carrier, agent }

/// What happens on a call's sockets.
public enum WireEvent: Sendable {
    /// A message has come. Its bytes are UTF-8 unless it is binary.
    case received(WirePeer, ByteBuffer, isBinary: Bool = false)
    case sent(WirePeer, ByteBuffer, isBinary: Bool = false)
    /// An agent's address is being found and dialled.
    case dialling(backend: String)
    /// The agent's socket is open.
    case connected
    /// The agent could not be reached.
    case unreachable(reason: String)
    /// A tool that the agent called is run.
    case toolCalled(ToolCall)
    /// A tool has answered.
    case toolAnswered(ToolResult)
    /// The peer has closed its socket, or it broke.
    case closed(WirePeer, code: UInt16?, reason: String)
    /// The call is over; nothing follows.
    case ended(EndReason)
}
