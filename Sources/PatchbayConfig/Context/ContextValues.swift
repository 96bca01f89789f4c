/// What was found out about a caller: plain values by their names.
///
/// Objects within each other become names with dots, `address.city`, and elements of lists are counted from 0. `null` is no
/// value. Whole numbers that a `Double` cannot hold stay texts, so that no customer's number changes.
public struct ContextValues: Sendable, Equatable {
    /// Values of one caller.
    public static let maximumCount = 64
    /// Longest text of a value, in bytes.
    public static let maximumBytes = 1024
    /// Longest name, in bytes.
    public static let maximumNameBytes = 128

    public private(set) var values: [String: VariableValue] = [:]
    /// How many were left out: too many, too long, or with a name that no `${context.NAME}` can have.
    public private(set) var dropped = 0

    public init() {}

    /// Takes a tree apart. Of a list at the root, as services answer a search with, the first element counts.
    ///
    /// - Returns: `nil` when nobody was found: `null`, an empty list, an empty object.
    public init?(flattening json: JSONValue) {
        var root = json
        if case .array(let elements) = json { root = elements.first ?? .null }
        guard case .object(let members) = root, !members.isEmpty else { return nil }
        for member in members { add(member.value, named: member.key) }
    }

    /// Adds a value under a name; later ones of the same name are left out.
    public mutating func add(_ value: JSONValue, named name: String) {
        switch value {
        case .null: break
        case .boolean(let value): set(.bool(value), name)
        case .string(let text): set(.string(text), name)
        case .number(let text): set(Self.number(text), name)
        // What is too much anyway is not walked through to its end.
        case .array(let elements) where hasRoom:
            for (index, element) in elements.prefix(Self.maximumCount).enumerated() {
                add(element, named: "\(name).\(index)")
            }
            dropped += max(0, elements.count - Self.maximumCount)
        case .object(let members) where hasRoom:
            for member in members { add(member.value, named: "\(name).\(member.key)") }
        case .array, .object: dropped += 1
        }
    }

    private var hasRoom: Bool { values.count < Self.maximumCount }

    private mutating func set(_ value: VariableValue, _ name: String) {
        var bytes = 0
        if case .string(let text) = value { bytes = text.utf8.count }
        guard hasRoom, bytes <= Self.maximumBytes, name.utf8.count <= Self.maximumNameBytes,
            isVariableName(Substring(name)), values[name] == nil
        else {
            dropped += 1
            return
        }
        values[name] = value
    }

    private static func number(_ text: String) -> VariableValue {
        guard let number = Double(text), number.isFinite else { return .string(text) }
        let isWhole = text.utf8.allSatisfy { $0.isDigit || $0 == UInt8(ascii: "-") }
        return isWhole && Int64(exactly: number).map(String.init) != text ? .string(text) : .number(number)
    }
}

extension [String: VariableValue] {
    /// The values as a JSON object on one line, in the order of their names.
    public var jsonObject: String {
        JSONValue.object(sorted { $0.key < $1.key }.map { .init($0.key, JSONValue($0.value)) }).line
    }
}
