/// A JSON value that is to be written, with the members of objects in the order in which they were put there.
public indirect enum JSONValue: Sendable, Equatable {
    case null
    case boolean(Bool)
    /// A number as it is written (RFC 8259 §6).
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([Member])

    /// A key with its value.
    public struct Member: Sendable, Equatable {
        public var key: String
        public var value: JSONValue

        public init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// A number; `null` for what JSON has no number for.
    public init(_ number: Double) {
        self = number.isFinite ? .number(number.plain) : .null
    }

    /// A whole number.
    public init(_ number: Int) { self = .number(String(number)) }

    /// The value of a variable.
    public init(_ value: VariableValue) {
        switch value {
        case .string(let text): self = .string(text)
        case .number(let number): self = JSONValue(number)
        case .bool(let bool): self = .boolean(bool)
        }
    }

    /// A value that was read.
    public init(_ node: JSONNode) {
        switch node.content {
        case .null: self = .null
        case .boolean(let value): self = .boolean(value)
        case .number(let text): self = .number(text)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .array(elements.map { JSONValue($0) })
        case .object(let members): self = .object(members.map { Member($0.key, JSONValue($0.value)) })
        }
    }

    /// Reads a JSON text; `nil` when it is none.
    public init?(parsing text: String) {
        guard let node = try? SourceText(file: "", text).readJSON() else { return nil }
        self.init(node)
    }

    /// The first value under `key`, of an object.
    public subscript(key: String) -> JSONValue? {
        if case .object(let members) = self { members.first { $0.key == key }?.value } else { nil }
    }

    /// Puts a member at the end of an object; anything else stays as it is.
    mutating func append(_ key: String, _ value: JSONValue?) {
        guard let value, case .object(var members) = self else { return }
        members.append(Member(key, value))
        self = .object(members)
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = JSONValue(value) }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
}

extension JSONValue {
    /// The value as people lay it out: its own elements on lines of their own, and below that what
    /// fits into `width` columns on one line; indented by two.
    ///
    /// Cost grows with the length of the text times the depth of the value.
    public func text(width: Int = 100) -> String {
        var text = ""
        writeBroken(into: &text, indent: 0, width: width)
        return text
    }

    /// The value on one line.
    public var line: String {
        switch self {
        case .null: "null"
        case .boolean(let value): String(value)
        case .number(let text): text
        case .string(let text): jsonQuoted(text)
        case .array(let elements): "[" + elements.map(\.line).joined(separator: ", ") + "]"
        case .object(let members):
            members.isEmpty
                ? "{}" : "{ " + members.map { "\(jsonQuoted($0.key)): \($0.value.line)" }.joined(separator: ", ") + " }"
        }
    }

    private func write(into text: inout String, indent: Int, width: Int, used: Int) {
        if used + line.unicodeScalars.count <= width {
            text += line
        } else {
            writeBroken(into: &text, indent: indent, width: width)
        }
    }

    private func writeBroken(into text: inout String, indent: Int, width: Int) {
        let inner = indent + 2
        let margin = String(repeating: " ", count: inner)
        switch self {
        case .array(let elements) where !elements.isEmpty:
            text += "["
            for (index, element) in elements.enumerated() {
                text += (index == 0 ? "\n" : ",\n") + margin
                // One column is for the comma that may follow.
                element.write(into: &text, indent: inner, width: width, used: inner + 1)
            }
            text += "\n" + String(repeating: " ", count: indent) + "]"
        case .object(let members) where !members.isEmpty:
            text += "{"
            for (index, member) in members.enumerated() {
                let key = jsonQuoted(member.key) + ": "
                text += (index == 0 ? "\n" : ",\n") + margin + key
                member.value.write(
                    into: &text, indent: inner, width: width, used: inner + key.unicodeScalars.count + 1)
            }
            text += "\n" + String(repeating: " ", count: indent) + "}"
        default: text += line
        }
    }
}
