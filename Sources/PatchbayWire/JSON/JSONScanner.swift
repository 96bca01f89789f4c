#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A string found in a message: where its content lies, without the quotes.
struct JSONString {
    var start: Int
    var end: Int
    /// No backslash inside: the bytes are the value.
    var isPlain: Bool
}

/// Walks the bytes of one JSON text (RFC 8259) once, front to back, without allocating.
///
/// Strict: trailing text, unterminated values, bad literals and numbers, unescaped control characters, bad escapes and
/// invalid UTF-8 are ``WireError/Code/malformedJSON``. Nesting is limited to ``maximumDepth``. Keys are taken as they
/// come; where a key is given twice, callers keep the last one. The scanner must not outlive the bytes it was given.
struct JSONScanner {
    /// Objects and arrays inside one another, the outermost included.
    static let maximumDepth = 64

    let base: UnsafePointer<UInt8>
    /// Where the text ends; less than the whole message when a part of it is read again.
    let count: Int
    private(set) var index: Int

    init(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard let start = bytes.baseAddress, bytes.count > 0 else {
            throw WireError(.malformedJSON, "the message is empty")
        }
        self.base = start.assumingMemoryBound(to: UInt8.self)
        self.count = bytes.count
        self.index = 0
    }

    /// A scanner for a value inside the same message; offsets stay those of the message.
    init(_ other: JSONScanner, range: Range<Int>) {
        self.base = other.base
        self.count = min(range.upperBound, other.count)
        self.index = range.lowerBound
    }

    // MARK: Structure

    /// The first byte of the value that comes next, after white space.
    @inline(__always)
    mutating func peek() throws(WireError) -> UInt8 {
        skipWhitespace()
        guard index < count else { throw unexpectedEnd() }
        return base[index]
    }

    @inline(__always)
    mutating func beginObject() throws(WireError) {
        guard try peek() == UInt8(ascii: "{") else { throw unexpected("an object") }
        index += 1
    }

    /// The next key of an object, with the scanner then before its value; `nil` once the closing brace is read.
    ///
    /// - Parameter isFirst: `true` before the first call for an object; this method clears it.
    @inline(__always)
    mutating func nextKey(_ isFirst: inout Bool) throws(WireError) -> JSONString? {
        let byte = try peek()
        if byte == UInt8(ascii: "}") {
            index += 1
            return nil
        }
        if isFirst {
            isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw unexpected("',' or '}'") }
            index += 1
        }
        guard try peek() == UInt8(ascii: "\"") else { throw unexpected("a key in quotes") }
        let key = try scanString()
        guard try peek() == UInt8(ascii: ":") else { throw unexpected("':' after a key") }
        index += 1
        _ = try peek()
        return key
    }

    /// Moves to the next element of an array; `false` once the closing bracket is read.
    mutating func nextElement(_ isFirst: inout Bool) throws(WireError) -> Bool {
        let byte = try peek()
        if byte == UInt8(ascii: "]") {
            index += 1
            return false
        }
        if isFirst {
            isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw unexpected("',' or ']'") }
            index += 1
            guard try peek() != UInt8(ascii: "]") else { throw unexpected("a value") }
        }
        return true
    }

    mutating func beginArray() throws(WireError) {
        guard try peek() == UInt8(ascii: "[") else { throw unexpected("an array") }
        index += 1
    }

    /// Checks that nothing but white space follows.
    @inline(__always)
    mutating func finish() throws(WireError) {
        skipWhitespace()
        guard index == count else { throw unexpected("the end of the message") }
    }

    /// Reads and checks one value of any kind; the scanner stands after it.
    ///
    /// - Parameter depth: How many objects and arrays are open around the value.
    mutating func skipValue(depth: Int) throws(WireError) {
        switch try peek() {
        case UInt8(ascii: "\""):
            _ = try scanString()
        case UInt8(ascii: "{"):
            try checkDepth(depth)
            index += 1
            var isFirst = true
            while try nextKey(&isFirst) != nil { try skipValue(depth: depth + 1) }
        case UInt8(ascii: "["):
            try checkDepth(depth)
            index += 1
            var isFirst = true
            while try nextElement(&isFirst) { try skipValue(depth: depth + 1) }
        case UInt8(ascii: "t"): try scanLiteral("true")
        case UInt8(ascii: "f"): try scanLiteral("false")
        case UInt8(ascii: "n"): try scanLiteral("null")
        default: try scanNumber()
        }
    }

    // MARK: Scalars

    /// Reads a string that opens at the current position and checks all of it.
    @inline(__always)
    mutating func scanString() throws(WireError) -> JSONString {
        let start = index + 1
        var position = start
        var isPlain = true
        var high: UInt64 = 0
        while true {
            while position &+ 8 <= count {
                // Flags the first byte that is a quote, a backslash or a control character; flags above it may be
                // false.
                let word = UInt64(littleEndian: UnsafeRawPointer(base + position).loadUnaligned(as: UInt64.self))
                let quote = word ^ 0x2222_2222_2222_2222, backslash = word ^ 0x5C5C_5C5C_5C5C_5C5C
                let stops =
                    ((quote &- ones) & ~quote | (backslash &- ones) & ~backslash
                        | (word &- 0x2020_2020_2020_2020) & ~word) & highBits
                if stops != 0 {
                    let skipped = stops.trailingZeroBitCount &>> 3
                    high |= word & ((1 &<< UInt64(truncatingIfNeeded: skipped &* 8)) &- 1)
                    position &+= skipped
                    break
                }
                high |= word
                position &+= 8
            }
            guard position < count else { throw unterminated(start) }
            let byte = base[position]
            if byte == UInt8(ascii: "\"") { break }
            if byte == UInt8(ascii: "\\") {
                isPlain = false
                position = try skipEscape(at: position)
            } else if byte < 0x20 {
                throw controlCharacter(position)
            } else {
                high |= UInt64(byte)
                position &+= 1
            }
        }
        if high & highBits != 0 { try checkUTF8(start, position) }
        index = position &+ 1
        return JSONString(start: start, end: position, isPlain: isPlain)
    }

    /// Finds the end of a string whose content the caller checks itself, as decoding base64 does.
    ///
    /// Many times faster than ``scanString()`` on long strings. Delimits every string right: a quote that follows a
    /// backslash sends it to the exact scanner. The `isPlain` of its result means only that nothing was looked at; a
    /// caller that does not decode the content must pass it to ``check(_:)``.
    @inline(__always)
    mutating func scanStringUnchecked() throws(WireError) -> JSONString {
        let start = index + 1
        guard start < count, let found = memchr(base + start, 0x22, count - start) else { throw unterminated(start) }
        let end = UnsafeRawPointer(found) - UnsafeRawPointer(base)
        if base[end - 1] == UInt8(ascii: "\\") { return try scanString() }
        index = end + 1
        return JSONString(start: start, end: end, isPlain: true)
    }

    /// Checks a string that was read by ``scanStringUnchecked()`` and says whether it has escapes.
    @inline(never)
    func check(_ string: JSONString) throws(WireError) -> JSONString {
        var again = JSONScanner(self, range: (string.start - 1)..<count)
        return try again.scanString()
    }

    /// Reads an integer, written as a number or as a string of digits; `nil` for `null`.
    ///
    /// Twilio sends its counters as strings, other senders as numbers.
    @inline(__always)
    mutating func scanInteger(_ field: StaticString) throws(WireError) -> Int? {
        let first = try peek()
        if first == UInt8(ascii: "\"") {
            // A few digits and the closing quote, in one go; all else is for the exact scanner.
            var position = index &+ 1
            var value = 0
            while position < count, position &- index < 18, base[position] &- 0x30 <= 9 {
                value = value &* 10 &+ Int(base[position] &- 0x30)
                position &+= 1
            }
            if position < count, position > index &+ 1, base[position] == UInt8(ascii: "\"") {
                index = position &+ 1
                return value
            }
            let string = try scanString()
            guard let value = integer(from: string.start, to: string.end) else {
                throw .wrongType("\(field)", expected: "an integer", offset: string.start)
            }
            return value
        }
        if first == UInt8(ascii: "n") {
            try scanLiteral("null")
            return nil
        }
        let start = index
        try scanNumber()
        guard let value = integer(from: start, to: index) else {
            throw .wrongType("\(field)", expected: "an integer", offset: start)
        }
        return value
    }

    /// The decimal integer in a range of bytes: an optional minus and digits, nothing else; `nil` on overflow too.
    @inline(__always)
    func integer(from start: Int, to end: Int) -> Int? {
        var position = start
        var isNegative = false
        if position < end, base[position] == UInt8(ascii: "-") {
            isNegative = true
            position += 1
        }
        guard position < end else { return nil }
        var value = 0
        while position < end {
            let digit = Int(base[position]) &- 0x30
            guard digit >= 0, digit <= 9 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(digit)
            guard !overflow, !carry else { return nil }
            value = sum
            position += 1
        }
        return isNegative ? -value : value
    }

    mutating func scanNumber() throws(WireError) {
        let start = index
        if index < count, base[index] == UInt8(ascii: "-") { index += 1 }
        guard index < count else { throw index == start ? unexpectedEnd() : badNumber(start) }
        if base[index] == UInt8(ascii: "0") {
            index += 1
        } else {
            guard skipDigits() else { throw index == start ? unexpected("a value") : badNumber(start) }
        }
        if index < count, base[index] == UInt8(ascii: ".") {
            index += 1
            guard skipDigits() else { throw badNumber(start) }
        }
        if index < count, base[index] | 0x20 == UInt8(ascii: "e") {
            index += 1
            if index < count, base[index] == UInt8(ascii: "+") || base[index] == UInt8(ascii: "-") { index += 1 }
            guard skipDigits() else { throw badNumber(start) }
        }
        // "01" or "1x" must not pass as a number with something behind it.
        if index < count, isWordByte(base[index]) { throw badNumber(start) }
    }

    mutating func scanLiteral(_ literal: StaticString) throws(WireError) {
        let length = literal.utf8CodeUnitCount
        guard length <= count - index, memcmp(base + index, literal.utf8Start, length) == 0,
            index + length == count || !isWordByte(base[index + length])
        else { throw unexpected("a value") }
        index += length
    }

    // MARK: Inner parts

    @inline(__always)
    private mutating func skipWhitespace() {
        while index < count {
            let byte = base[index]
            guard byte <= 0x20, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            index &+= 1
        }
    }

    private mutating func skipDigits() -> Bool {
        let start = index
        while index < count, base[index] >= 0x30, base[index] <= 0x39 { index += 1 }
        return index > start
    }

    private func isWordByte(_ byte: UInt8) -> Bool {
        (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || (byte >= 0x30 && byte <= 0x39) || byte == 0x2E || byte == 0x2B
            || byte == 0x2D || byte == 0x5F
    }

    /// The position after an escape that starts at `position`.
    private func skipEscape(at position: Int) throws(WireError) -> Int {
        guard position + 1 < count else { throw unterminated(position) }
        switch base[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return position + 2
        case UInt8(ascii: "u"):
            guard position + 6 <= count, hexQuad(at: position + 2) != nil else { break }
            return position + 6
        default: break
        }
        throw WireError(.malformedJSON, "a backslash starts no escape that JSON has", offset: position)
    }
}

private let ones: UInt64 = 0x0101_0101_0101_0101
private let highBits: UInt64 = 0x8080_8080_8080_8080
