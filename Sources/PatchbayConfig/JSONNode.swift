/// One value of a JSON text, with the bytes it was read from.
public struct JSONNode: Sendable {
    /// What kind of value it is, with the value.
    public indirect enum Content: Sendable {
        case null
        case boolean(Bool)
        /// The number as it was written, for instance `20.5`; always a JSON number that fits a `Double`.
        case number(String)
        case string(String)
        case array([JSONNode])
        /// The members in the order of the text. Equal keys are all kept.
        case object([JSONMember])
    }

    /// The value itself.
    public var content: Content
    /// Byte offsets in the source: from the value's first byte to after its last.
    public var range: Range<Int>

    public init(_ content: Content, range: Range<Int>) {
        self.content = content
        self.range = range
    }

    /// The kind of value with its article, for messages: `a string`.
    var kind: String {
        switch content {
        case .null: "null"
        case .boolean: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// Where a fault of the value as a whole is shown: the opening bracket of a list or an object, else all of it.
    var headRange: Range<Int> {
        switch content {
        case .array, .object: range.lowerBound..<(range.lowerBound + 1)
        case .null, .boolean, .number, .string: range
        }
    }
}

/// A key with its value.
public struct JSONMember: Sendable {
    /// The key with its escapes resolved.
    public var key: String
    /// Byte offsets of the key, quotes included.
    public var keyRange: Range<Int>
    /// The value under the key.
    public var value: JSONNode

    public init(key: String, keyRange: Range<Int>, value: JSONNode) {
        self.key = key
        self.keyRange = keyRange
        self.value = value
    }
}

extension [JSONMember] {
    /// The first value under `key`; later ones are reported as duplicates and otherwise ignored.
    subscript(key: String) -> JSONNode? { first { $0.key == key }?.value }
}

/// The place of a value in its document, as people write it: `stages[2].silenceMs`.
struct DocumentPath: CustomStringConvertible, Sendable {
    let description: String

    static let root = DocumentPath(description: "")

    func key(_ key: String) -> DocumentPath {
        let isPlain = !key.isEmpty && key.utf8.allSatisfy { $0.isNameByte || $0 == UInt8(ascii: "$") }
        guard isPlain, key.utf8.count <= 60 else { return DocumentPath(description: "\(description)[\(quoted(key))]") }
        return DocumentPath(description: description.isEmpty ? key : "\(description).\(key)")
    }

    func index(_ index: Int) -> DocumentPath { DocumentPath(description: "\(description)[\(index)]") }
}

extension UInt8 {
    /// An ASCII letter, a digit or an underscore.
    var isNameByte: Bool { isLetter || isDigit || self == UInt8(ascii: "_") }
    var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
    var isLetter: Bool { (self | 0x20) >= UInt8(ascii: "a") && (self | 0x20) <= UInt8(ascii: "z") }
}
