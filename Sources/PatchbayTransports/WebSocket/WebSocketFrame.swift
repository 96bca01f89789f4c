/// Which end of the connection we are. Clients mask what they send, servers do not (RFC 6455, section 5.1).
public enum WebSocketRole: Sendable { case server, client }

/// The opcodes of RFC 6455, section 5.2. Every other value is reserved.
enum WebSocketOpcode: UInt8 {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA

    /// Control frames may stand between the fragments of a message (section 5.5).
    var isControl: Bool { rawValue & 0x8 != 0 }
}

/// The longest payload of a control frame (RFC 6455, section 5.5).
let maximumControlPayload = 125

/// The fixed part of a frame: everything in front of the payload (RFC 6455, section 5.2).
struct WebSocketFrameHeader {
    var firstByte: UInt8
    var isMasked: Bool
    /// Bytes from the start of the frame to its payload.
    var headerLength: Int
    var payloadLength: UInt64
    /// False when the length was written in more bytes than it needs.
    var isMinimal: Bool

    /// Reads the header at the start of `bytes`, or returns nil while it is incomplete. The masking key counts as a
    /// part of the header; it is the four bytes in front of the payload.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 2 else { return nil }
        firstByte = bytes[0]
        isMasked = bytes[1] & 0x80 != 0
        let short = bytes[1] & 0x7F
        let keyLength = isMasked ? 4 : 0
        switch short {
        case 126:
            guard bytes.count >= 4 + keyLength else { return nil }
            let length = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
            payloadLength = UInt64(length)
            headerLength = 4 + keyLength
            isMinimal = length > 125
        case 127:
            guard bytes.count >= 10 + keyLength else { return nil }
            payloadLength = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            headerLength = 10 + keyLength
            isMinimal = payloadLength > 0xFFFF
        default:
            payloadLength = UInt64(short)
            headerLength = 2 + keyLength
            isMinimal = true
            guard bytes.count >= headerLength else { return nil }
        }
    }

    /// Bytes that the header of a final frame takes, masking key included.
    static func encodedLength(payload: Int, masked: Bool) -> Int {
        (payload <= 125 ? 2 : payload <= 0xFFFF ? 4 : 10) + (masked ? 4 : 0)
    }

    /// Writes the header of a final frame at `offset`. `mask` holds the four key bytes in memory order.
    static func encode(
        _ opcode: WebSocketOpcode, payload: Int, mask: UInt32?, into bytes: UnsafeMutableRawBufferPointer,
        at offset: Int
    ) {
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        bytes[offset] = 0x80 | opcode.rawValue
        var next = offset + 2
        if payload <= 125 {
            bytes[offset + 1] = maskBit | UInt8(payload)
        } else if payload <= 0xFFFF {
            bytes[offset + 1] = maskBit | 126
            bytes.storeBytes(of: UInt16(payload).bigEndian, toByteOffset: next, as: UInt16.self)
            next += 2
        } else {
            bytes[offset + 1] = maskBit | 127
            bytes.storeBytes(of: UInt64(payload).bigEndian, toByteOffset: next, as: UInt64.self)
            next += 8
        }
        if let mask { bytes.storeBytes(of: mask, toByteOffset: next, as: UInt32.self) }
    }
}

/// The rules for close codes (RFC 6455, section 7.4, and the IANA registry of close codes).
enum WebSocketCloseCode {
    /// Whether the code may stand in a close frame: registered codes that are not reserved for local use, and the
    /// ranges for libraries (3000–3999) and private use (4000–4999).
    static func isAllowedOnWire(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
