import NIOCore

@testable import PatchbayTransports

/// Builds one frame byte by byte, right or wrong, independently of the code under test.
struct TestFrame {
    enum LengthForm { case shortest, sixteenBits, sixtyFourBits }

    var opcode: UInt8
    var payload: [UInt8] = []
    var isFinal = true
    var reserved: UInt8 = 0
    var mask: [UInt8]?
    var form = LengthForm.shortest
    /// The length that the header claims, when it is not the payload's.
    var claimedLength: UInt64?

    var bytes: [UInt8] {
        let length = claimedLength ?? UInt64(payload.count)
        var bytes: [UInt8] = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        var form = form
        if form == .shortest, length > 125 { form = length > 65_535 ? .sixtyFourBits : .sixteenBits }
        switch form {
        case .shortest: bytes.append(maskBit | UInt8(length))
        case .sixteenBits: bytes += [maskBit | 126, UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF)]
        case .sixtyFourBits:
            bytes.append(maskBit | 127)
            for shift in stride(from: UInt64(56), through: 0, by: -8) { bytes.append(UInt8(length >> shift & 0xFF)) }
        }
        if let mask {
            bytes += mask
            for (index, byte) in payload.enumerated() { bytes.append(byte ^ mask[index % 4]) }
        } else {
            bytes += payload
        }
        return bytes
    }

    static func text(_ text: String, isFinal: Bool = true) -> Self {
        Self(opcode: 0x1, payload: Array(text.utf8), isFinal: isFinal)
    }
    static func binary(_ bytes: [UInt8], isFinal: Bool = true) -> Self {
        Self(opcode: 0x2, payload: bytes, isFinal: isFinal)
    }
    static func more(_ bytes: [UInt8], isFinal: Bool) -> Self { Self(opcode: 0x0, payload: bytes, isFinal: isFinal) }
    static func ping(_ bytes: [UInt8] = []) -> Self { Self(opcode: 0x9, payload: bytes) }
    static func pong(_ bytes: [UInt8] = []) -> Self { Self(opcode: 0xA, payload: bytes) }
    static func close(_ payload: [UInt8] = []) -> Self { Self(opcode: 0x8, payload: payload) }
    static func close(_ code: UInt16, _ reason: String = "") -> Self {
        Self(opcode: 0x8, payload: [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8))
    }

    /// As the peer of `role` has to send it.
    func sent(to role: WebSocketRole, mask key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]) -> Self {
        var frame = self
        if role == .server, mask == nil { frame.mask = key }
        return frame
    }
}

/// What a parser made of some bytes.
struct ParseResult: Equatable {
    var events: [WebSocketEvent] = []
    var faultCode: UInt16?
}

func parse(_ chunks: [[UInt8]], role: WebSocketRole, maximumMessageBytes: Int? = nil) -> ParseResult {
    var parser = WebSocketParser(role: role, maximumMessageBytes: maximumMessageBytes)
    var result = ParseResult()
    for chunk in chunks {
        parser.append(ByteBuffer(bytes: chunk))
        do {
            while let event = try parser.next() { result.events.append(event) }
        } catch {
            result.faultCode = error.closeCode
        }
    }
    return result
}

/// A small generator whose whole state is its seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        // SplitMix64.
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
