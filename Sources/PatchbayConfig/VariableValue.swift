/// A value that a variable can have; its JSON type is kept on the way to an agent.
public enum VariableValue: Hashable, Sendable {
    case string(String)
    case number(Double)
    case bool(Bool)

    /// The value as JSON.
    public var json: String {
        switch self {
        case .string(let text): jsonQuoted(text)
        case .number, .bool: description
        }
    }
}

extension VariableValue: CustomStringConvertible {
    /// What `${…}` inserts into a text. Whole numbers come without a point.
    public var description: String {
        switch self {
        case .string(let text): text
        case .number(let number): Int(exactly: number).map(String.init) ?? String(number)
        case .bool(let bool): String(bool)
        }
    }
}

extension VariableValue: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .number(Double(value)) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}
