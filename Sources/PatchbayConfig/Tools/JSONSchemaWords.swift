/// What the judgement of a schema asks values, and how it speaks of them.
extension JSONValue {
    /// The text of a string.
    var stringValue: String? { if case .string(let text) = self { text } else { nil } }

    /// The value of a number.
    var numberValue: Double? { if case .number(let text) = self { Double(text) } else { nil } }

    /// The types that a schema allows; empty for any.
    var types: [String] {
        switch self["type"] {
        case .string(let type)?: [type]
        case .array(let types)?: types.compactMap(\.stringValue)
        default: []
        }
    }

    /// Whether the value is of a type of JSON Schema. A number without a fraction is an integer (§6.1.1 of the validation part).
    func isOf(_ type: String) -> Bool {
        switch (self, type) {
        case (.null, "null"), (.boolean, "boolean"), (.string, "string"), (.array, "array"), (.object, "object"),
            (.number, "number"):
            true
        case (.number(let text), "integer"): Double(text).map { $0 == $0.rounded() } ?? false
        default: false
        }
    }

    /// Whether two values are equal as JSON Schema has it: numbers by their value, objects whatever their order.
    func isSame(as other: JSONValue) -> Bool {
        switch (self, other) {
        case (.number(let one), .number(let two)): one == two || Double(one) == Double(two)
        case (.array(let one), .array(let two)):
            one.count == two.count && zip(one, two).allSatisfy { $0.isSame(as: $1) }
        case (.object(let one), .object(let two)):
            one.count == two.count
                && one.allSatisfy { member in other[member.key].map { $0.isSame(as: member.value) } ?? false }
        default: self == other
        }
    }

    /// What a local `$ref` leads to: a JSON Pointer in a URI fragment (RFC 6901 §6).
    func value(atFragment reference: String) -> JSONValue? {
        guard reference.hasPrefix("#") else { return nil }
        let pointer = reference.dropFirst()
        guard !pointer.isEmpty else { return self }
        guard pointer.hasPrefix("/") else { return nil }
        var value = self
        for part in pointer.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            let key = part.replacing("%25", with: "%").replacing("~1", with: "/").replacing("~0", with: "~")
            switch value {
            case .array(let elements):
                guard let index = Int(key), elements.indices.contains(index) else { return nil }
                value = elements[index]
            default:
                guard let next = value[String(key)] else { return nil }
                value = next
            }
        }
        return value
    }

    /// The kind of value, for a sentence.
    var kindWords: String {
        switch self {
        case .null: "null"
        case .boolean(let value): value ? "true" : "false"
        case .number(let text): "the number \(text.prefix(40))"
        case .string(let text): "the text \(quoted(text))"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// The value itself, cut when it is long.
    var shown: String {
        if case .string(let text) = self { return quoted(text) }
        let line = line
        return line.count > 80 ? line.prefix(80) + "…" : line
    }

    /// What a value must be by this schema, for a sentence.
    var expectation: String {
        if case .array(let allowed)? = self["enum"] {
            return "one of " + allowed.prefix(30).map(\.shown).joined(separator: ", ")
        }
        if let wanted = self["const"] { return wanted.shown }
        var words = types.map { type -> String in
            switch type {
            case "string": self["format"]?.stringValue.flatMap(TextFormat.init)?.words ?? "a text"
            case "integer": "a whole number"
            case "number": "a number"
            case "boolean": "true or false"
            case "array": "a list"
            case "object": "an object"
            default: type
            }
        }
        if self["nullable"] == .boolean(true) { words.append("null") }
        return words.isEmpty ? "given" : alternatives(words)
    }
}

/// A form of texts that schemas name under `format`, judged leniently: what people and models really write passes.
enum TextFormat: String {
    case date, time, email, uuid, uri
    case dateTime = "date-time"

    var words: String {
        switch self {
        case .date: "a date such as 2026-01-31"
        case .time: "a time such as 14:30 or 14:30:00"
        case .dateTime: "a date and time such as 2026-01-31T14:30:00+01:00"
        case .email: "an e-mail address"
        case .uuid: "a UUID such as 123e4567-e89b-12d3-a456-426614174000"
        case .uri: "an address with a scheme, such as https://example.com"
        }
    }

    func matches(_ text: String) -> Bool {
        guard text.utf8.count <= 2000 else { return false }
        switch self {
        case .date: return Self.isDate(text[...])
        case .time: return Self.isTime(text[...])
        case .dateTime:
            // RFC 3339 §5.6 allows a space; a missing zone is the caller's own.
            guard let split = text.firstIndex(where: { $0 == "T" || $0 == "t" || $0 == " " }) else { return false }
            return Self.isDate(text[..<split]) && Self.isTime(text[text.index(after: split)...])
        case .email:
            let parts = text.split(separator: "@", omittingEmptySubsequences: false)
            return parts.count == 2 && parts.allSatisfy { !$0.isEmpty } && !text.contains(where: \.isWhitespace)
        case .uuid:
            let parts = text.split(separator: "-", omittingEmptySubsequences: false)
            return parts.map(\.utf8.count) == [8, 4, 4, 4, 12] && parts.allSatisfy { $0.allSatisfy(\.isHexDigit) }
        case .uri:
            guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else { return false }
            return text[..<colon].utf8.allSatisfy { $0.isLetter || $0.isDigit || "+-.".utf8.contains($0) }
                && !text.contains(where: \.isWhitespace)
        }
    }

    private static func isDate(_ text: Substring) -> Bool {
        let parts = numbers(text, separator: "-")
        guard parts.map(\.digits) == [4, 2, 2], (1...12).contains(parts[1].value) else { return false }
        let year = parts[0].value
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return (1...days[parts[1].value - 1]).contains(parts[2].value)
    }

    /// `14:30`, `14:30:05`, `14:30:05.5`, each with a zone or none.
    private static func isTime(_ text: Substring) -> Bool {
        var clock = text
        if clock.hasSuffix("Z") || clock.hasSuffix("z") {
            clock = clock.dropLast()
        } else if let sign = clock.firstIndex(where: { $0 == "+" || $0 == "-" }) {
            let zone = numbers(clock[clock.index(after: sign)...], separator: ":")
            guard [[2, 2], [4], [2]].contains(zone.map(\.digits)) else { return false }
            clock = clock[..<sign]
        }
        if let point = clock.firstIndex(of: ".") {
            let fraction = clock[clock.index(after: point)...]
            guard !fraction.isEmpty, fraction.utf8.allSatisfy(\.isDigit) else { return false }
            clock = clock[..<point]
        }
        let parts = numbers(clock, separator: ":")
        guard [[2, 2], [2, 2, 2]].contains(parts.map(\.digits)) else { return false }
        return parts[0].value <= 23 && parts[1].value <= 59 && (parts.count < 3 || parts[2].value <= 60)
    }

    /// Runs of digits; anything else counts as a run of none.
    private static func numbers(_ text: Substring, separator: Character) -> [(digits: Int, value: Int)] {
        text.split(separator: separator, omittingEmptySubsequences: false).map { part in
            guard part.utf8.allSatisfy(\.isDigit), part.utf8.count <= 6, let value = Int(part) else { return (0, 0) }
            return (part.utf8.count, value)
        }
    }
}
