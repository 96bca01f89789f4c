/// Which called numbers a pipeline answers: one, those with a prefix, or any.
public enum NumberPattern: Hashable, Sendable {
    /// A number as ITU-T E.164 writes it with its international prefix sign: `+15551234567`.
    case exact(String)
    /// Every number that begins so; written with a star, `+4930*`.
    case prefix(String)
    /// Every number, also those that are no E.164: written `*`.
    case any

    /// `nil` when the text is none of the three forms. E.164 §6 allows up to 15 digits, the first of them not 0.
    public init?(_ text: String) {
        if text == "*" {
            self = .any
            return
        }
        let isPrefix = text.hasSuffix("*")
        let number = isPrefix ? text.dropLast() : Substring(text)
        let digits = number.utf8.dropFirst()
        guard number.utf8.first == UInt8(ascii: "+"), digits.allSatisfy(\.isDigit),
            let first = digits.first, first != UInt8(ascii: "0"),
            (isPrefix ? 1...14 : 2...15).contains(digits.count)
        else { return nil }
        self = isPrefix ? .prefix(String(number)) : .exact(String(number))
    }
}

extension NumberPattern: CustomStringConvertible {
    public var description: String {
        switch self {
        case .exact(let number): number
        case .prefix(let prefix): prefix + "*"
        case .any: "*"
        }
    }
}

/// What a pattern leads to, with the most specific pattern first.
struct NumberTable<Value: Sendable>: Sendable {
    private var exact: [String: Value] = [:]
    private var prefixes: [String: Value] = [:]
    private var fallback: Value?
    private var prefixLengths: [Int] = []

    subscript(pattern: NumberPattern) -> Value? {
        switch pattern {
        case .exact(let number): exact[number]
        case .prefix(let prefix): prefixes[prefix]
        case .any: fallback
        }
    }

    mutating func insert(_ value: Value, for pattern: NumberPattern) {
        switch pattern {
        case .exact(let number): exact[number] = value
        case .prefix(let prefix):
            prefixes[prefix] = value
            let length = prefix.utf8.count
            if !prefixLengths.contains(length) { prefixLengths = (prefixLengths + [length]).sorted(by: >) }
        case .any: fallback = value
        }
    }

    /// The value for a number: its own, that of the longest prefix, or that of the star. At most sixteen look-ups.
    func value(for number: String) -> Value? {
        if let value = exact[number] { return value }
        for length in prefixLengths where length <= number.utf8.count {
            if let value = prefixes[String(decoding: number.utf8.prefix(length), as: UTF8.self)] { return value }
        }
        return fallback
    }
}
