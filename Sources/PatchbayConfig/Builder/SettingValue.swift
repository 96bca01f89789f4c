/// The value of a setting as a document would hold it, or a secret, which no document holds.
///
/// ```swift
/// ElevenLabsAgent().with("dynamicVariables", ["guest": "${call.from}", "vip": true])
/// ```
public indirect enum SettingValue: Sendable {
    /// Text, in which `${…}` is substituted as in documents.
    case string(String)
    case integer(Int)
    case number(Double)
    case boolean(Bool)
    /// A credential; goes to fields and headers that take one.
    case secret(Secret)
    case list([SettingValue])
    /// The last of two equal keys is not taken: they are reported, as in documents.
    case object([(key: String, value: SettingValue)])
}

/// What can be given as the value of a setting.
public protocol SettingConvertible: Sendable {
    var settingValue: SettingValue { get }
}

extension SettingValue: SettingConvertible {
    public var settingValue: SettingValue { self }
}

extension String: SettingConvertible {
    public var settingValue: SettingValue { .string(self) }
}

extension Int: SettingConvertible {
    public var settingValue: SettingValue { .integer(self) }
}

extension Double: SettingConvertible {
    public var settingValue: SettingValue { .number(self) }
}

extension Bool: SettingConvertible {
    public var settingValue: SettingValue { .boolean(self) }
}

extension Secret: SettingConvertible {
    public var settingValue: SettingValue { .secret(self) }
}

extension VariableValue: SettingConvertible {
    public var settingValue: SettingValue {
        switch self {
        case .string(let text): .string(text)
        case .number(let number): Int(exactly: number).map { .integer($0) } ?? .number(number)
        case .bool(let value): .boolean(value)
        }
    }
}

extension Array: SettingConvertible where Element: SettingConvertible {
    public var settingValue: SettingValue { .list(map(\.settingValue)) }
}

extension Dictionary: SettingConvertible where Key == String, Value: SettingConvertible {
    public var settingValue: SettingValue {
        .object(sorted { $0.key < $1.key }.map { ($0.key, $0.value.settingValue) })
    }
}

extension SettingValue: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(arrayLiteral elements: SettingValue...) { self = .list(elements) }
    public init(dictionaryLiteral elements: (String, SettingValue)...) {
        self = .object(elements.map { ($0.0, $0.1) })
    }
}
