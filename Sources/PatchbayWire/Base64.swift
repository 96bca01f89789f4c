public import NIOCore

/// Base64 in the standard alphabet with padding (RFC 4648 §4), on raw memory and without allocation.
///
/// Decoding refuses the URL-safe alphabet, white space, a length that is no multiple of four and padding anywhere but
/// at the end. Bits of the last character that belong to no byte are ignored: RFC 4648 §3.5 leaves that to the
/// decoder, and no byte of audio depends on them.
public enum Base64 {
    /// Characters that `byteCount` bytes encode to, padding included.
    public static func encodedCount(of byteCount: Int) -> Int { (byteCount + 2) / 3 * 4 }

    /// Bytes that `source` decodes to, judged by its length and padding alone; 0 for an empty source.
    public static func decodedCount(of source: UnsafeRawBufferPointer) -> Int {
        let count = source.count
        guard count >= 4 else { return 0 }
        let padding = source[count - 1] == UInt8(ascii: "=") ? (source[count - 2] == UInt8(ascii: "=") ? 2 : 1) : 0
        return count / 4 * 3 - padding
    }

    /// Decodes all of `source` to the start of `destination`.
    ///
    /// The two may overlap when `destination` starts at or before `source` (decoding in place).
    /// - Precondition: `destination` holds at least `decodedCount(of: source)` bytes.
    /// - Returns: The number of bytes written.
    /// - Throws: ``WireError/Code/invalidBase64`` with the offset of the first wrong character. What `destination` then
    ///   holds is unspecified.
    public static func decode(
        _ source: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer
    ) throws(WireError) -> Int {
        guard let written = decodeIfValid(source, into: destination) else { throw fault(in: source) }
        return written
    }

    /// Encodes all of `source` to the start of `destination`, which must not overlap it.
    ///
    /// - Precondition: `destination` holds at least `encodedCount(of: source.count)` bytes.
    /// - Returns: The number of characters written.
    @discardableResult
    public static func encode(
        _ source: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer
    ) -> Int {
        let total = encodedCount(of: source.count)
        precondition(destination.count >= total, "base64 needs \(total) bytes of room")
        guard var from = source.baseAddress, var to = destination.baseAddress, total > 0 else { return 0 }
        let pairs = encodeTable
        var left = source.count
        while left >= 8 {  // Reads eight bytes to use six.
            let word = UInt64(bigEndian: from.loadUnaligned(as: UInt64.self))
            let low =
                UInt64(pairs[Int(truncatingIfNeeded: word &>> 52)])
                | UInt64(pairs[Int(truncatingIfNeeded: word &>> 40) & 0xFFF]) &<< 16
            let high =
                UInt64(pairs[Int(truncatingIfNeeded: word &>> 28) & 0xFFF]) &<< 32
                | UInt64(pairs[Int(truncatingIfNeeded: word &>> 16) & 0xFFF]) &<< 48
            to.storeBytes(of: (low | high).littleEndian, as: UInt64.self)
            from += 6
            to += 8
            left -= 6
        }
        while left > 0 {
            let first = from.load(as: UInt8.self)
            let second = left > 1 ? from.load(fromByteOffset: 1, as: UInt8.self) : 0
            let third = left > 2 ? from.load(fromByteOffset: 2, as: UInt8.self) : 0
            let bits = Int(first) << 16 | Int(second) << 8 | Int(third)
            to.storeBytes(of: pairs[bits >> 12].littleEndian, as: UInt16.self)
            to.storeBytes(of: pairs[bits & 0xFFF].littleEndian, toByteOffset: 2, as: UInt16.self)
            if left < 3 { to.storeBytes(of: UInt8(ascii: "="), toByteOffset: 3, as: UInt8.self) }
            if left < 2 { to.storeBytes(of: UInt8(ascii: "="), toByteOffset: 2, as: UInt8.self) }
            from += min(left, 3)
            to += 4
            left -= 3
        }
        return total
    }

    /// As ``decode(_:into:)``, with `nil` in place of an error: what hot code calls.
    static func decodeIfValid(_ source: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer) -> Int?
    {
        guard source.count & 3 == 0 else { return nil }
        guard var from = source.baseAddress, source.count > 0 else { return 0 }
        let total = decodedCount(of: source)
        precondition(destination.count >= total, "base64 needs \(total) bytes of room")
        guard var to = destination.baseAddress else { return nil }
        let table = decodeTable
        var seen: UInt32 = 0
        // Every quad but the last yields three bytes and may write a fourth: the last yields at least one.
        var quads = source.count / 4 - 1
        while quads > 0 {
            let bytes = from.loadUnaligned(as: UInt32.self).littleEndian
            let word =
                table[Int(bytes & 0xFF)]
                | table[256 &+ Int((bytes &>> 8) & 0xFF)]
                | table[512 &+ Int((bytes &>> 16) & 0xFF)]
                | table[768 &+ Int(bytes &>> 24)]
            seen |= word
            to.storeBytes(of: word.littleEndian, as: UInt32.self)
            from += 4
            to += 3
            quads &-= 1
        }
        let last = from.loadUnaligned(as: UInt32.self).littleEndian
        let kept = total - (source.count / 4 - 1) * 3
        var word = table[Int(last & 0xFF)] | table[256 &+ Int((last &>> 8) & 0xFF)]
        if kept > 1 { word |= table[512 &+ Int((last &>> 16) & 0xFF)] }
        if kept > 2 { word |= table[768 &+ Int(last &>> 24)] }
        seen |= word
        guard seen & invalid == 0 else { return nil }
        to.storeBytes(of: UInt8(truncatingIfNeeded: word), as: UInt8.self)
        if kept > 1 { to.storeBytes(of: UInt8(truncatingIfNeeded: word &>> 8), toByteOffset: 1, as: UInt8.self) }
        if kept > 2 { to.storeBytes(of: UInt8(truncatingIfNeeded: word &>> 16), toByteOffset: 2, as: UInt8.self) }
        return total
    }

    /// Says what is wrong with a source that did not decode.
    @inline(never)
    static func fault(in source: UnsafeRawBufferPointer, at offset: Int = 0) -> WireError {
        let significant =
            source.count - (source.count & 3 == 0 ? source.suffix(2).count { $0 == UInt8(ascii: "=") } : 0)
        for (index, byte) in source.prefix(significant).enumerated() where decodeTable[Int(byte)] == invalid {
            return WireError(.invalidBase64, "character \(byte) is not base64", offset: offset + index)
        }
        return WireError(
            .invalidBase64,
            "base64 of \(source.count) characters; the length must be a multiple of 4, padding at the end only",
            offset: offset)
    }
}

extension ByteBuffer {
    /// Appends `bytes` in base64; reserves once.
    public mutating func writeBase64(_ bytes: UnsafeRawBufferPointer) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: Base64.encodedCount(of: bytes.count)) { room in
            Base64.encode(bytes, into: room)
        }
    }

    /// Appends what the base64 text `source` stands for; reserves once, and appends nothing when it throws.
    ///
    /// - Returns: The number of bytes appended.
    @discardableResult
    public mutating func writeDecodingBase64(_ source: UnsafeRawBufferPointer) throws(WireError) -> Int {
        try writeWithUnsafeMutableBytes(minimumWritableBytes: Base64.decodedCount(of: source)) {
            (room: UnsafeMutableRawBufferPointer) throws(WireError) -> Int in
            try Base64.decode(source, into: room)
        }
    }
}

private let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

/// Marks a character outside the alphabet in `decodeTable`; no valid entry has these bits.
private let invalid: UInt32 = 0xFF00_0000

/// Four tables of 256: the contribution of the first, second, third and fourth character to three little-endian bytes.
///
/// Safe to share: the initialiser of the global fills it before anyone can see the pointer, and nobody writes
/// afterwards.
nonisolated(unsafe) private let decodeTable: UnsafePointer<UInt32> = {
    let table = UnsafeMutablePointer<UInt32>.allocate(capacity: 1024)
    table.initialize(repeating: invalid, count: 1024)
    for (value, character) in alphabet.enumerated() {
        let value = UInt32(value), index = Int(character)
        table[index] = value << 2
        table[256 + index] = value >> 4 | (value & 0x0F) << 12
        table[512 + index] = (value >> 2) << 8 | (value & 0x03) << 22
        table[768 + index] = value << 16
    }
    return UnsafePointer(table)
}()

/// The two characters for each value of 12 bits, the first in the low byte.
///
/// Safe to share for the same reason as `decodeTable`.
nonisolated(unsafe) private let encodeTable: UnsafePointer<UInt16> = {
    let table = UnsafeMutablePointer<UInt16>.allocate(capacity: 4096)
    for value in 0..<4096 {
        (table + value).initialize(to: UInt16(alphabet[value >> 6]) | UInt16(alphabet[value & 63]) << 8)
    }
    return UnsafePointer(table)
}()
