import NIOCore

// What JSON that is made of protocol buffers allows beyond plain JSON (protobuf.dev/programming-guides/json): field
// names in two spellings, bytes in both alphabets of base64, durations as text.

extension JSONObject {
    /// A field by its lowerCamelCase name, or by the snake_case of the `.proto` file.
    func field(_ name: String) -> JSONValue? { self[name] ?? self[Self.snakeCase(name)] }

    func text(of name: String) -> String? { field(name)?.string }
    func flag(_ name: String) -> Bool? { field(name)?.bool }
    func inner(_ name: String) -> JSONObject? { field(name)?.object }
    func list(_ name: String) -> [JSONObject] { (field(name)?.elements ?? []).compactMap(\.object) }

    /// Whether the field is there and is an object, which may be empty.
    func has(_ name: String) -> Bool { inner(name) != nil }

    private static func snakeCase(_ name: String) -> String {
        var result = ""
        for character in name {
            if character.isUppercase { result.append("_") }
            result += character.lowercased()
        }
        return result
    }
}

extension JSONScanner {
    /// Whether a checked string says exactly `name`, escapes undone.
    @inline(__always)
    func says(_ string: JSONString, _ name: StaticString) -> Bool {
        string.isPlain ? matches(string, name) : value(of: string) == "\(name)"
    }

    /// The checked value in `range` as an object.
    func object(in range: Range<Int>) throws(WireError) -> JSONObject {
        try JSONObject(message: UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
    }

    /// Skips a value and says where it lies.
    mutating func skipRange(depth: Int) throws(WireError) -> Range<Int> {
        let start = index
        try skipValue(depth: depth)
        return start..<index
    }

    /// `true` and `false`; anything else is skipped and counts as absent.
    mutating func scanFlag(depth: Int) throws(WireError) -> Bool {
        let isTrue = try peek() == UInt8(ascii: "t")
        try skipValue(depth: depth)
        return isTrue
    }

    /// Appends the bytes that a base64 string stands for, as ``appendBase64(_:limit:to:)`` does; the URL-safe alphabet
    /// and absent padding are right too.
    func appendEitherBase64(
        _ string: JSONString, limit: Int, to buffer: inout ByteBuffer
    ) throws(WireError) -> Int {
        do {
            return try appendBase64(string, limit: limit, to: &buffer)
        } catch {
            guard error.code == .invalidBase64 else { throw error }
            return try appendURLSafeBase64(string, limit: limit, to: &buffer)
        }
    }

    @inline(never)
    private func appendURLSafeBase64(
        _ string: JSONString, limit: Int, to buffer: inout ByteBuffer
    ) throws(WireError) -> Int {
        let checked = try check(string)
        var text = Array(value(of: checked).utf8)
        for index in text.indices {
            switch text[index] {
            case UInt8(ascii: "-"): text[index] = UInt8(ascii: "+")
            case UInt8(ascii: "_"): text[index] = UInt8(ascii: "/")
            default: break
            }
        }
        while text.count & 3 != 0 { text.append(UInt8(ascii: "=")) }
        return try ByteBuffer(bytes: text).withUnsafeReadableBytes {
            (bytes: UnsafeRawBufferPointer) throws(WireError) -> Int in
            guard Base64.decodedCount(of: bytes) <= limit else {
                throw WireError(.tooLarge, "the payload decodes to more than \(limit) bytes", offset: checked.start)
            }
            do {
                return try buffer.writeDecodingBase64(bytes)
            } catch {
                throw WireError(.invalidBase64, "the payload is not base64", offset: checked.start)
            }
        }
    }
}

/// A `google.protobuf.Duration` as JSON writes it: `"9.8s"`.
enum ProtobufDuration {
    /// In whole milliseconds, rounded down; `nil` for anything else.
    static func milliseconds(_ text: String) -> Int? {
        guard text.last == "s", let seconds = Double(text.dropLast()), seconds.isFinite else { return nil }
        return Int(exactly: (seconds * 1000).rounded(.down))
    }

    static func text(milliseconds: Int) -> String {
        let (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        guard rest != 0 else { return "\(seconds)s" }
        let sign = milliseconds < 0 && seconds == 0 ? "-" : ""
        let digits = String(rest.magnitude)
        return "\(sign)\(seconds).\(String(repeating: "0", count: 3 - digits.count))\(digits)s"
    }
}
