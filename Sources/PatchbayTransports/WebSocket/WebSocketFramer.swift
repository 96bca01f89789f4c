import NIOCore
import PatchbayCore

/// The sending half of RFC 6455: turns payloads into frames, in place.
struct WebSocketFramer {
    let role: WebSocketRole
    private var keys = WebSocketMaskKeys()

    init(role: WebSocketRole) { self.role = role }

    /// Turns the batch's messages into one run of frames. Afterwards the batch's buffer holds exactly the bytes to
    /// send.
    ///
    /// The first header goes right in front of the first payload; later payloads move left over the unused headroom.
    mutating func frame(_ batch: inout MessageBatch) {
        batch.edit { buffer, messages in
            guard let first = messages.first else { return }
            let isMasked = role == .client
            let start =
                first.range.lowerBound
                - WebSocketFrameHeader.encodedLength(payload: first.range.count, masked: isMasked)
            let end = buffer.withUnsafeMutableReadableBytes { bytes in
                var end = start
                for message in messages {
                    let length = message.range.count
                    let payload = end + WebSocketFrameHeader.encodedLength(payload: length, masked: isMasked)
                    if payload != message.range.lowerBound {
                        UnsafeMutableRawBufferPointer(rebasing: bytes[payload..<payload + length])
                            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[message.range]))
                    }
                    let opcode: WebSocketOpcode = message.kind == .text ? .text : .binary
                    if isMasked {
                        let key = keys.next()
                        WebSocketFrameHeader.encode(opcode, payload: length, mask: key, into: bytes, at: end)
                        applyWebSocketMask(
                            key, to: UnsafeMutableRawBufferPointer(rebasing: bytes[payload..<payload + length]))
                    } else {
                        WebSocketFrameHeader.encode(opcode, payload: length, mask: nil, into: bytes, at: end)
                    }
                    end = payload + length
                }
                return end
            }
            buffer.moveWriterIndex(to: end)
            buffer.moveReaderIndex(to: start)
        }
    }

    /// A control frame; the payload is cut to 125 bytes.
    mutating func controlFrame(_ opcode: WebSocketOpcode, _ payload: ByteBuffer) -> ByteBuffer {
        let length = min(payload.readableBytes, maximumControlPayload)
        let key = role == .client ? keys.next() : nil
        let headerLength = WebSocketFrameHeader.encodedLength(payload: length, masked: key != nil)
        var frame = ByteBuffer(repeating: 0, count: headerLength)
        frame.writeBytes(payload.readableBytesView.prefix(length))
        frame.withUnsafeMutableReadableBytes { bytes in
            WebSocketFrameHeader.encode(opcode, payload: length, mask: key, into: bytes, at: 0)
            if let key { applyWebSocketMask(key, to: UnsafeMutableRawBufferPointer(rebasing: bytes[headerLength...])) }
        }
        return frame
    }

    /// A close frame. A code that must not be sent, or nil, gives a frame without payload; the reason is cut at a
    /// character so that it fits (RFC 6455, sections 5.5.1 and 7.4).
    mutating func closeFrame(code: UInt16?, reason: String) -> ByteBuffer {
        var payload = ByteBuffer()
        if let code, WebSocketCloseCode.isAllowedOnWire(code) {
            payload.writeInteger(code)
            for character in reason {
                guard payload.readableBytes + character.utf8.count <= maximumControlPayload else { break }
                payload.writeString(String(character))
            }
        }
        return controlFrame(.close, payload)
    }
}
