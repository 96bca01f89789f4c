public import NIOCore
public import PatchbayAudio
public import PatchbayCore

/// The server's side of one conversation with an agent: what a vendor would say, and when.
///
/// A value without sockets and without a clock: messages, sound and time go in, messages, requests for speech and the
/// end come out. Whoever owns it delivers each message with the time, and calls ``deadlineReached(at:into:)`` when
/// ``deadline`` has come. Slow starts, stalls, early ends and jitter are not its business; ``SimulatorFaults`` are laid
/// over it.
public protocol SimulatedConversation: Sendable {
    associatedtype Statistics: SimulatedConversationStatistics

    var statistics: Statistics { get }

    /// When ``deadlineReached(at:into:)`` wants to be called; `nil` when nothing is due any more. After that call it
    /// lies in the future.
    var deadline: MediaTime? { get }

    /// The socket is open. Called first, once.
    mutating func open(at now: MediaTime, into output: inout SimulatorOutput)

    /// A text message arrived; valid UTF-8.
    mutating func receive(_ message: ByteBuffer, at now: MediaTime, into output: inout SimulatorOutput)

    /// A binary message arrived. By default the conversation ends with 1003, "unsupported data".
    mutating func receive(binary message: ByteBuffer, at now: MediaTime, into output: inout SimulatorOutput)

    /// The sound of a request is there, or could not be made. Only the latest request counts.
    mutating func speechReady(
        _ request: SpeechRequest, _ audio: Result<ByteBuffer, PipelineError>, at now: MediaTime,
        into output: inout SimulatorOutput)

    /// Time has come to ``deadline``. Without effect when it has not.
    mutating func deadlineReached(at now: MediaTime, into output: inout SimulatorOutput)

    /// The client closed the socket, it broke, or a fault ends it. Nothing is said after that.
    mutating func closed(code: UInt16, reason: String)
}

extension SimulatedConversation {
    public mutating func receive(binary message: ByteBuffer, at now: MediaTime, into output: inout SimulatorOutput) {
        let close = SimulatedClose(code: 1003, reason: "binary messages are not supported here")
        closed(code: close.code, reason: close.reason)
        output.close = close
    }
}

/// What every vendor's conversation counts.
public protocol SimulatedConversationStatistics: Sendable {
    /// Those of a stall or before a slow start included.
    var messagesReceived: Int { get set }
    /// Bytes of those messages.
    var bytesReceived: Int { get set }
    /// How it ended; `nil` while it runs.
    var close: SimulatedClose? { get }
}

/// What the owner of a conversation has to do after a call of it.
public struct SimulatorOutput: Sendable {
    /// To be sent, in order, and cleared.
    public var messages = MessageBatch()
    /// To be spoken, off the event loop, and given to `speechReady`. Only the latest counts.
    public var speech: SpeechRequest?
    /// The conversation is over: close after the messages were sent.
    public var close: SimulatedClose?

    public init() {}
}

/// A text that nobody knew before the conversation, to be spoken.
public struct SpeechRequest: Sendable, Equatable {
    public var id: Int
    public var text: String
    /// For instance `de`; may come from the client.
    public var language: String
    /// Of the sound.
    public var format: AudioFormat

    public init(id: Int, text: String, language: String, format: AudioFormat) {
        self.id = id
        self.text = text
        self.language = language
        self.format = format
    }
}

/// The end of a conversation.
public struct SimulatedClose: Sendable, Equatable {
    /// 1006 asks for the TCP connection to be cut without a close frame.
    public var code: UInt16
    /// At most 123 bytes fit into a close frame; the rest is cut off.
    public var reason: String

    public init(code: UInt16, reason: String = "") {
        self.code = code
        self.reason = reason
    }
}
