public import NIOCore
public import PatchbayAudio

/// One carrier's messages ⇄ what a call understands. The transport that moves the messages never learns whose they are.
public protocol CarrierSerializer {
    /// Reads one message.
    ///
    /// - Throws: A typed error of the wire module when the message cannot be used. The call counts it and goes on.
    mutating func deserialize(_ message: ByteBuffer) throws -> CarrierEvent

    /// Writes audio, in the carrier's format and in whole packets.
    mutating func audio(_ payload: ByteBuffer, into batch: inout MessageBatch)

    /// Asks the carrier to report when everything sent so far has been played.
    mutating func mark(_ mark: PlaybackMark, into batch: inout MessageBatch)

    /// Tells the carrier to forget everything it has not played yet.
    mutating func clear(into batch: inout MessageBatch)
}

/// What a carrier said.
public enum CarrierEvent: Sendable {
    /// The stream has begun, in this format.
    case started(CallStart, AudioFormat)
    /// Sound of the caller.
    case audio(ByteBuffer, CarrierPosition)
    /// A key was pressed.
    case dtmf(Character)
    /// Everything before the mark has been played, or was thrown away by a clear. `nil`: not one of our marks.
    case mark(PlaybackMark?)
    /// The carrier ended the stream.
    case stopped
    /// Nothing that a call cares about.
    case ignored
}

/// Where a packet of the caller's audio belongs in the carrier's stream.
public struct CarrierPosition: Sendable, Equatable {
    /// Presentation time of the first sample, in milliseconds since the stream began.
    public var timestampMilliseconds: Int64
    /// Number of the packet on its track, from 1; `nil` where the carrier does not count.
    public var chunk: Int64?

    public init(timestampMilliseconds: Int64, chunk: Int64?) {
        self.timestampMilliseconds = timestampMilliseconds
        self.chunk = chunk
    }
}

/// A point in the audio that was sent to the caller.
public struct PlaybackMark: Hashable, Sendable {
    /// How often audio had been thrown away before; see ``PlaybackLedger/generation``.
    public var generation: UInt32
    /// Milliseconds of audio sent before it since the stream began.
    public var offsetMilliseconds: Int64

    public init(generation: UInt32, offsetMilliseconds: Int64) {
        self.generation = generation
        self.offsetMilliseconds = offsetMilliseconds
    }
}

/// A socket of whole messages. Used on its call's event loop only.
public protocol MessageSocket: AnyObject, Sendable {
    /// Sends the batch and empties it. The call is not told anything before this returns: what a socket reads or loses meanwhile
    /// waits for the loop's next turn.
    ///
    /// - Returns: False when the socket takes no more; it then ends, and its owner is told.
    @discardableResult
    func send(_ batch: inout MessageBatch) -> Bool
    func close(code: UInt16, reason: String)
    /// Bytes that wait because the peer does not read fast enough. On the loop only.
    var pendingBytes: Int { get }
}

extension MessageSocket {
    /// Nothing, for sockets that do not know.
    public var pendingBytes: Int { 0 }
}

/// A socket to an agent that has been dialled.
public protocol AgentConnection: MessageSocket {
    /// Begins to deliver messages to `call`'s agent side under the number `link`. On the loop only.
    func deliver(to call: Call, link: Int)
}

/// Dials agents. The one thing a call needs from the world of sockets.
public protocol AgentDialer: Sendable {
    /// Connects `target` on `loop`. Nothing is delivered before ``AgentConnection/deliver(to:link:)``.
    func dial(_ target: AgentTarget, on loop: any EventLoop) -> EventLoopFuture<any AgentConnection>
}
