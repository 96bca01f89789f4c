public import NIOCore

/// Outgoing WebSocket messages to one peer, written one after another into one reusable buffer.
///
/// Every message is written once, at its final place or a few bytes to the right of it: in front of each payload the
/// batch leaves ``headroom`` bytes, where the connection later puts the WebSocket header and masks the payload in
/// place, so that a whole batch leaves with a single socket write. Keep one batch per peer and reuse it: after
/// ``clear()`` the storage is used again, so the steady state allocates nothing.
public struct MessageBatch: Sendable {
    /// Room in front of each payload: the largest WebSocket header, masking key included (RFC 6455, section 5.2).
    public static let headroom = 14

    /// Storage beyond this many bytes is given back by ``clear()``, so that one large message does not occupy memory
    /// for the rest of a call.
    public static let retainedCapacity = 64 * 1024

    /// One message of the batch.
    public struct Message: Hashable, Sendable {
        public enum Kind: UInt8, Sendable {
            /// UTF-8. Whoever writes it answers for its validity.
            case text
            case binary
        }

        public var kind: Kind
        /// The payload's bytes, as indices of ``MessageBatch/buffer``.
        public var range: Range<Int>

        init(kind: Kind, range: Range<Int>) {
            self.kind = kind
            self.range = range
        }
    }

    /// Headrooms and payloads. Its readable bytes start at index 0.
    public internal(set) var buffer: ByteBuffer
    /// In the order in which they will be sent.
    public internal(set) var messages: [Message]

    /// - Parameter capacity: Bytes to allocate at once; 0 allocates with the first message.
    public init(capacity: Int = 0) {
        self.buffer = capacity > 0 ? ByteBufferAllocator().buffer(capacity: capacity) : ByteBuffer()
        self.messages = []
    }

    /// Whether there is nothing to send.
    public var isEmpty: Bool { messages.isEmpty }

    /// Adds a text message. `write` must only append to the buffer that it is given.
    public mutating func text(_ write: (inout ByteBuffer) -> Void) {
        append(.text, write)
    }

    /// Adds a binary message. `write` must only append to the buffer that it is given.
    public mutating func binary(_ write: (inout ByteBuffer) -> Void) {
        append(.binary, write)
    }

    mutating func append(_ kind: Message.Kind, _ write: (inout ByteBuffer) -> Void) {
        buffer.reserveCapacity(minimumWritableBytes: Self.headroom)
        buffer.moveWriterIndex(forwardBy: Self.headroom)
        let start = buffer.writerIndex
        write(&buffer)
        precondition(
            buffer.readerIndex == 0 && buffer.writerIndex >= start, "a message writer may only append to its buffer")
        messages.append(Message(kind: kind, range: start..<buffer.writerIndex))
    }

    /// Forgets all messages. Keeps the storage when nobody else holds it; otherwise new storage is allocated with the
    /// next message.
    public mutating func clear() {
        messages.removeAll(keepingCapacity: true)
        let kept = buffer.modifyIfUniquelyOwned { buffer in
            buffer.clear()
            return buffer.capacity <= Self.retainedCapacity
        }
        if kept != true { buffer = ByteBuffer() }
    }

    /// A view of one message's payload. For tests and logs.
    public func message(at index: Int) -> ByteBuffer {
        buffer.getSlice(at: messages[index].range.lowerBound, length: messages[index].range.count) ?? ByteBuffer()
    }

    /// Lets the owner of the socket turn the payloads into frames, in place.
    ///
    /// Afterwards ``messages`` no longer describes the buffer: send it and ``clear()``. The buffer's storage is not
    /// shared while `body` runs unless a caller kept a copy of ``buffer``, which costs a copy of the bytes.
    public mutating func edit<Result>(_ body: (inout ByteBuffer, [Message]) -> Result) -> Result {
        body(&buffer, messages)
    }
}
