import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension JSONScanner {
    /// Whether a plain string is exactly `text`. A string with escapes never matches.
    @inline(__always)
    func matches(_ string: JSONString, _ text: StaticString) -> Bool {
        string.end &- string.start == text.utf8CodeUnitCount
            && memcmp(base + string.start, text.utf8Start, text.utf8CodeUnitCount) == 0
    }

    /// Whether the bytes of a plain string are exactly `expected`.
    func matches(_ string: JSONString, _ expected: [UInt8]) -> Bool {
        guard string.end - string.start == expected.count else { return false }
        return expected.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return true }
            return memcmp(base + string.start, start, bytes.count) == 0
        }
    }

    /// The value of a checked string.
    ///
    /// Half of a surrogate pair, which RFC 8259 §8.2 lets a sender write, becomes U+FFFD.
    func value(of string: JSONString) -> String {
        let source = UnsafeRawBufferPointer(start: base + string.start, count: string.end - string.start)
        guard !string.isPlain else { return String(decoding: source, as: UTF8.self) }
        return String(unsafeUninitializedCapacity: source.count) { room in
            unescape(string, into: UnsafeMutableRawBufferPointer(room))
        }
    }

    /// Writes the value of a checked string in UTF-8; it never needs more room than the escaped form takes.
    func unescape(_ string: JSONString, into room: UnsafeMutableRawBufferPointer) -> Int {
        var position = string.start
        var written = 0
        func put(_ scalar: UInt32) {
            guard let scalar = Unicode.Scalar(scalar), let encoded = UTF8.encode(scalar) else { return }
            for byte in encoded {
                room[written] = byte
                written += 1
            }
        }
        while position < string.end {
            let byte = base[position]
            guard byte == UInt8(ascii: "\\"), position + 1 < string.end else {
                room[written] = byte
                written += 1
                position += 1
                continue
            }
            let kind = base[position + 1]
            position += 2
            switch kind {
            case UInt8(ascii: "b"): put(0x08)
            case UInt8(ascii: "f"): put(0x0C)
            case UInt8(ascii: "n"): put(0x0A)
            case UInt8(ascii: "r"): put(0x0D)
            case UInt8(ascii: "t"): put(0x09)
            case UInt8(ascii: "u"):
                guard position + 4 <= string.end, let unit = hexQuad(at: position) else { continue }
                position += 4
                if (0xD800...0xDBFF).contains(unit), position + 6 <= string.end, base[position] == UInt8(ascii: "\\"),
                    base[position + 1] == UInt8(ascii: "u"), let low = hexQuad(at: position + 2),
                    (0xDC00...0xDFFF).contains(low)
                {
                    position += 6
                    put(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
                } else {
                    put((0xD800...0xDFFF).contains(unit) ? 0xFFFD : unit)
                }
            default: put(UInt32(kind))
            }
        }
        return written
    }

    /// The value of four hexadecimal digits, all of which must lie inside the text.
    func hexQuad(at position: Int) -> UInt32? {
        var value: UInt32 = 0
        for offset in 0..<4 {
            switch base[position + offset] {
            case let digit where digit >= 0x30 && digit <= 0x39: value = value << 4 | UInt32(digit - 0x30)
            case let letter where letter | 0x20 >= 0x61 && letter | 0x20 <= 0x66:
                value = value << 4 | UInt32((letter | 0x20) - 0x57)
            default: return nil
            }
        }
        return value
    }

    /// Appends the bytes that a base64 string, read by ``scanStringUnchecked()``, stands for.
    ///
    /// No allocation beyond what `buffer` needs to grow, once. Appends nothing when it throws.
    /// - Parameter limit: The largest number of decoded bytes.
    /// - Returns: The number of bytes appended.
    @inline(__always)
    func appendBase64(_ string: JSONString, limit: Int, to buffer: inout ByteBuffer) throws(WireError) -> Int {
        let source = UnsafeRawBufferPointer(start: base + string.start, count: string.end - string.start)
        let expected = Base64.decodedCount(of: source)
        guard expected <= limit else { return try appendUnusualBase64(string, limit: limit, to: &buffer) }
        var isValid = true
        let written = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: expected) { room in
            guard let written = Base64.decodeIfValid(source, into: room) else {
                isValid = false
                return 0
            }
            return written
        }
        return isValid ? written : try appendUnusualBase64(string, limit: limit, to: &buffer)
    }

    /// The rest of ``appendBase64(_:limit:to:)``: text that is too long, has escapes (`\/` is common), or is wrong.
    @inline(never)
    private func appendUnusualBase64(
        _ string: JSONString, limit: Int, to buffer: inout ByteBuffer
    ) throws(WireError) -> Int {
        let checked = try check(string)
        let source = UnsafeRawBufferPointer(start: base + checked.start, count: checked.end - checked.start)
        // An escape takes up to six bytes, so text six times the limit's can never be right.
        guard source.count / 6 <= Base64.encodedCount(of: limit),
            !checked.isPlain || Base64.decodedCount(of: source) <= limit
        else { throw tooLarge(limit, at: checked.start) }
        guard !checked.isPlain else { throw Base64.fault(in: source, at: checked.start) }
        return try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: source.count) {
            (room: UnsafeMutableRawBufferPointer) throws(WireError) -> Int in
            let length = unescape(checked, into: room)
            let text = UnsafeRawBufferPointer(rebasing: room[..<length])
            guard Base64.decodedCount(of: text) <= limit else { throw tooLarge(limit, at: checked.start) }
            guard let written = Base64.decodeIfValid(text, into: room) else {
                throw WireError(.invalidBase64, "the payload is not base64", offset: checked.start)
            }
            return written
        }
    }

    @inline(never)
    private func tooLarge(_ limit: Int, at offset: Int) -> WireError {
        WireError(.tooLarge, "the payload decodes to more than \(limit) bytes", offset: offset)
    }
}
