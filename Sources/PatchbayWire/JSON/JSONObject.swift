import NIOCore

/// One object of a message, its members checked and kept as places in the message: the full decoder for rare messages.
///
/// Values are read when asked for, in the types that vendors really send. A key that is given twice counts once, with
/// its last value. An object must not outlive the bytes it was made from.
struct JSONObject {
    struct Member {
        var name: String
        var value: JSONValue
    }

    private(set) var members: [Member] = []

    /// Reads a whole message.
    init(message: UnsafeRawBufferPointer) throws(WireError) {
        var scanner = try JSONScanner(message)
        try self.init(&scanner, depth: 0)
        try scanner.finish()
    }

    fileprivate init(_ scanner: inout JSONScanner, depth: Int) throws(WireError) {
        try scanner.beginObject()
        var isFirst = true
        while let key = try scanner.nextKey(&isFirst) {
            let start = scanner.index
            try scanner.skipValue(depth: depth + 1)
            let value = JSONValue(scanner: scanner, range: start..<scanner.index)
            members.append(Member(name: scanner.value(of: key), value: value))
        }
    }

    subscript(name: String) -> JSONValue? { members.last { $0.name == name }?.value }

    // MARK: Optional fields: absent, null and another type are all `nil`

    func string(_ name: String) -> String? { self[name]?.string }
    func integer(_ name: String) -> Int? { self[name]?.integer }
    func number(_ name: String) -> Double? { self[name]?.number }
    func bool(_ name: String) -> Bool? { self[name]?.bool }
    func object(_ name: String) -> JSONObject? { self[name]?.object }
    /// The JSON text of a value, for what is passed on unread.
    func text(_ name: String) -> String? { self[name]?.text }

    // MARK: Required fields

    func requiredString(_ name: String, in place: String) throws(WireError) -> String {
        let value = try required(name, in: place)
        guard let string = value.string else {
            throw .wrongType(name, expected: "a string", offset: value.range.lowerBound)
        }
        return string
    }

    func requiredInteger(_ name: String, in place: String) throws(WireError) -> Int {
        let value = try required(name, in: place)
        guard let integer = value.integer else {
            throw .wrongType(name, expected: "an integer", offset: value.range.lowerBound)
        }
        return integer
    }

    func requiredNumber(_ name: String, in place: String) throws(WireError) -> Double {
        let value = try required(name, in: place)
        guard let number = value.number else {
            throw .wrongType(name, expected: "a number", offset: value.range.lowerBound)
        }
        return number
    }

    func requiredObject(_ name: String, in place: String) throws(WireError) -> JSONObject {
        let value = try required(name, in: place)
        guard let object = value.object else {
            throw .wrongType(name, expected: "an object", offset: value.range.lowerBound)
        }
        return object
    }

    /// Appends the bytes that a base64 string stands for; nothing when it throws.
    func appendBase64(
        _ name: String, in place: String, limit: Int, to buffer: inout ByteBuffer
    ) throws(WireError) -> Int {
        let value = try required(name, in: place)
        var scanner = JSONScanner(value.scanner, range: value.range)
        guard try scanner.peek() == UInt8(ascii: "\"") else {
            throw .wrongType(name, expected: "a string", offset: value.range.lowerBound)
        }
        return try scanner.appendBase64(scanner.scanStringUnchecked(), limit: limit, to: &buffer)
    }

    private func required(_ name: String, in place: String) throws(WireError) -> JSONValue {
        guard let value = self[name], !value.isNull else { throw .missing(name, in: place) }
        return value
    }
}

/// A checked value of any kind, kept as a place in the message.
struct JSONValue {
    fileprivate let scanner: JSONScanner
    let range: Range<Int>

    private var first: UInt8 { scanner.base[range.lowerBound] }

    var isNull: Bool { first == UInt8(ascii: "n") }

    var string: String? {
        guard first == UInt8(ascii: "\"") else { return nil }
        var again = JSONScanner(scanner, range: range)
        return (try? again.scanString()).map(scanner.value)
    }

    /// An integer, or a string that holds one.
    var integer: Int? {
        var again = JSONScanner(scanner, range: range)
        return (try? again.scanInteger("")) ?? number.flatMap { Int(exactly: $0) }
    }

    /// A number, or a string that holds one; never infinite.
    var number: Double? {
        guard let number = Double(string ?? text), number.isFinite else { return nil }
        return number
    }

    /// Whether the value is written as a number, not as a string that holds one.
    var isNumber: Bool { first == UInt8(ascii: "-") || (first >= 0x30 && first <= 0x39) }

    var bool: Bool? {
        switch first {
        case UInt8(ascii: "t"): true
        case UInt8(ascii: "f"): false
        default: nil
        }
    }

    var object: JSONObject? {
        guard first == UInt8(ascii: "{") else { return nil }
        var again = JSONScanner(scanner, range: range)
        return try? JSONObject(&again, depth: 0)
    }

    var elements: [JSONValue]? {
        var again = JSONScanner(scanner, range: range)
        return try? again.elements()
    }

    /// The value as it stands in the message.
    var text: String {
        String(decoding: UnsafeBufferPointer(start: scanner.base + range.lowerBound, count: range.count), as: UTF8.self)
    }
}

extension JSONScanner {
    fileprivate mutating func elements() throws(WireError) -> [JSONValue] {
        var values: [JSONValue] = []
        try beginArray()
        var isFirst = true
        while try nextElement(&isFirst) {
            let start = index
            try skipValue(depth: 0)
            values.append(JSONValue(scanner: self, range: start..<index))
        }
        return values
    }
}
