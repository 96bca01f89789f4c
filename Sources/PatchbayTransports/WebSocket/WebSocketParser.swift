public import NIOCore

/// What a peer sent, as whole messages and control frames.
public enum WebSocketEvent: Hashable, Sendable {
    /// A whole text message; valid UTF-8.
    case text(ByteBuffer)
    /// A whole binary message.
    case binary(ByteBuffer)
    /// A ping, to be answered with the same bytes (RFC 6455, section 5.5.2).
    case ping(ByteBuffer)
    case pong(ByteBuffer)
    /// The peer's close frame; nothing follows. `code` is nil when it had no payload.
    case close(code: UInt16?, reason: String)
}

/// The receiving half of RFC 6455: bytes in, messages out. A plain value without I/O.
///
/// ```swift
/// parser.append(bytes)
/// while let event = try parser.next() { … }
/// ```
///
/// However the byte stream is cut, the events are the same. Bytes are copied once, into storage that the parser reuses;
/// all complete frames in it are unmasked in place, and an unfragmented message is delivered as a slice of it. Let go
/// of a message before the next ``append(_:)`` and the steady state allocates nothing; a message that is kept stays
/// valid, and the parser takes new storage.
public struct WebSocketParser: Sendable {
    /// Storage beyond this many bytes is not kept between messages.
    private static let retainedCapacity = 64 * 1024

    /// Our own role: a server demands masked frames, a client unmasked ones.
    public let role: WebSocketRole
    /// The longest message that is accepted, over all its fragments. Longer ones are a fault with code 1009, found as
    /// soon as a header announces them. At most 1 GiB; by default 1 MiB for servers and 16 MiB for clients.
    public let maximumMessageBytes: Int

    /// Received and not yet delivered.
    private var buffer = ByteBuffer()
    /// How many bytes after the buffer's reader index belong to frames that are unmasked already.
    private var unmaskedBytes = 0
    /// The message whose fragments are being collected.
    private var fragments: (kind: WebSocketOpcode, payload: ByteBuffer)?
    private var fault: WebSocketFault?
    private var isClosed = false

    public init(role: WebSocketRole, maximumMessageBytes: Int? = nil) {
        self.role = role
        let limit = maximumMessageBytes ?? (role == .server ? 1 << 20 : 16 << 20)
        self.maximumMessageBytes = min(max(0, limit), 1 << 30)
    }

    /// Bytes that were received and belong to no delivered event yet.
    public var pendingBytes: Int { buffer.readableBytes + (fragments?.payload.readableBytes ?? 0) }

    /// Takes bytes from the peer. Follow with ``next()`` until it returns nil. After a fault or a close frame the bytes
    /// are discarded.
    public mutating func append(_ bytes: ByteBuffer) {
        guard fault == nil, !isClosed else { return }
        if buffer.readableBytes == 0 {
            recycle(for: bytes.readableBytes)
        } else if buffer.readerIndex > 0 {
            buffer.discardReadBytes()
        }
        buffer.writeImmutableBuffer(bytes)
    }

    /// The next event, or nil when more bytes are needed or the peer has closed.
    ///
    /// - Throws: The peer's first breach of the rules; the same again on every later call.
    public mutating func next() throws(WebSocketFault) -> WebSocketEvent? {
        if let fault { throw fault }
        guard !isClosed else { return nil }
        do throws(WebSocketFault) {
            while let (opcode, isFinal, payload) = try nextFrame() {
                if let event = try event(for: opcode, isFinal: isFinal, payload: payload) { return event }
            }
            return nil
        } catch {
            fault = error
            discardEverything()
            throw error
        }
    }

    // MARK: Frames

    private mutating func nextFrame() throws(WebSocketFault) -> (WebSocketOpcode, isFinal: Bool, payload: ByteBuffer)? {
        if buffer.readableBytes > 0 { try checkFirstBytes() }
        guard let header = buffer.withUnsafeReadableBytes({ WebSocketFrameHeader($0) }) else { return nil }
        let length = try checkLength(of: header)
        let frameLength = header.headerLength + length
        guard buffer.readableBytes >= frameLength else { return nil }
        if header.isMasked, unmaskedBytes == 0 { unmaskCompleteFrames() }
        unmaskedBytes = max(0, unmaskedBytes - frameLength)
        buffer.moveReaderIndex(forwardBy: header.headerLength)
        guard let opcode = WebSocketOpcode(rawValue: header.firstByte & 0x0F),
            let payload = buffer.readSlice(length: length)
        else { return nil }
        return (opcode, header.firstByte & 0x80 != 0, payload)
    }

    /// The rules that need only the first one or two bytes of a frame.
    private func checkFirstBytes() throws(WebSocketFault) {
        let (first, second): (UInt8, UInt8?) = buffer.withUnsafeReadableBytes { ($0[0], $0.count > 1 ? $0[1] : nil) }
        guard first & 0x70 == 0 else {
            throw .protocolError("reserved bits are set, and no extension was agreed")
        }
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else {
            throw .protocolError("reserved opcode \(first & 0x0F)")
        }
        let isFinal = first & 0x80 != 0
        if opcode.isControl, !isFinal { throw .protocolError("fragmented control frame") }
        if opcode == .continuation, fragments == nil { throw .protocolError("continuation without a start") }
        if opcode == .text || opcode == .binary, fragments != nil {
            throw .protocolError("new message inside a fragmented one")
        }
        guard let second else { return }
        if opcode.isControl, second & 0x7F > maximumControlPayload {
            throw .protocolError("control frame with more than \(maximumControlPayload) bytes")
        }
        switch (role, second & 0x80 != 0) {
        case (.server, false): throw .protocolError("frame from a client is not masked")
        case (.client, true): throw .protocolError("frame from a server is masked")
        case (.server, true), (.client, false): break
        }
    }

    private func checkLength(of header: WebSocketFrameHeader) throws(WebSocketFault) -> Int {
        guard let length = Int(exactly: header.payloadLength) else {
            throw .protocolError("payload length with its highest bit set")
        }
        guard header.isMinimal else { throw .protocolError("payload length is not in its shortest form") }
        let isControl = header.firstByte & 0x08 != 0
        let collected = isControl ? 0 : fragments?.payload.readableBytes ?? 0
        guard isControl || length <= maximumMessageBytes - collected else {
            throw .messageTooBig("message exceeds \(maximumMessageBytes) bytes")
        }
        return length
    }

    /// Unmasks every complete frame in the buffer at one go, before any slice of the storage is handed out: as long as
    /// nobody else holds the storage, unmasking never copies.
    private mutating func unmaskCompleteFrames() {
        unmaskedBytes = buffer.withUnsafeMutableReadableBytes { bytes in
            var offset = 0
            while true {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
                guard let header = WebSocketFrameHeader(rest), header.isMasked,
                    let length = Int(exactly: header.payloadLength), length <= rest.count - header.headerLength
                else { return offset }
                let payload = offset + header.headerLength
                let key = bytes.loadUnaligned(fromByteOffset: payload - 4, as: UInt32.self)
                applyWebSocketMask(key, to: UnsafeMutableRawBufferPointer(rebasing: bytes[payload..<payload + length]))
                offset = payload + length
            }
        }
    }

    // MARK: Messages

    private mutating func event(
        for opcode: WebSocketOpcode, isFinal: Bool, payload: ByteBuffer
    ) throws(WebSocketFault) -> WebSocketEvent? {
        switch opcode {
        case .text where isFinal, .binary where isFinal: return try message(opcode, payload)
        case .text, .binary:
            // A copy, so that the storage of the byte stream stays free for what comes next.
            fragments = (opcode, ByteBuffer(bytes: payload.readableBytesView))
            return nil
        case .continuation:
            guard let (kind, start) = fragments else { return nil }
            fragments = nil
            var whole = start
            whole.writeImmutableBuffer(payload)
            if isFinal { return try message(kind, whole) }
            fragments = (kind, whole)
            return nil
        case .ping: return .ping(payload)
        case .pong: return .pong(payload)
        case .close: return try close(payload)
        }
    }

    private func message(_ kind: WebSocketOpcode, _ payload: ByteBuffer) throws(WebSocketFault) -> WebSocketEvent {
        guard kind == .text else { return .binary(payload) }
        guard payload.withUnsafeReadableBytes(isValidUTF8) else {
            throw .invalidText("text message is not valid UTF-8")
        }
        return .text(payload)
    }

    private mutating func close(_ payload: ByteBuffer) throws(WebSocketFault) -> WebSocketEvent {
        var payload = payload
        var code: UInt16?
        if payload.readableBytes > 0 {
            guard let given = payload.readInteger(as: UInt16.self) else {
                throw .protocolError("close frame with a payload of one byte")
            }
            guard WebSocketCloseCode.isAllowedOnWire(given) else {
                throw .protocolError("close code \(given) must not be sent")
            }
            guard payload.withUnsafeReadableBytes(isValidUTF8) else {
                throw .invalidText("close reason is not valid UTF-8")
            }
            code = given
        }
        isClosed = true
        let reason = String(buffer: payload)
        discardEverything()
        return .close(code: code, reason: reason)
    }

    // MARK: Storage

    private mutating func recycle(for count: Int) {
        let isReusable = buffer.modifyIfUniquelyOwned { buffer in
            buffer.clear()
            return buffer.capacity <= Self.retainedCapacity
        }
        if isReusable != true { buffer = ByteBufferAllocator().buffer(capacity: count) }
    }

    private mutating func discardEverything() {
        buffer = ByteBuffer()
        fragments = nil
        unmaskedBytes = 0
    }
}
