/// Whom a rule means by a caller.
public enum CallerPattern: Hashable, Sendable {
    /// One caller: a number in E.164, `client:NAME` or `sip:ADDRESS`, compared as it stands.
    case exact(String)
    /// Every caller whose number begins so; written with a star, `+4930*`. Callers without a number match no prefix.
    case prefix(String)
    /// Callers who withhold their number; written `anonymous`.
    case withheld

    /// `nil` when the text is none of the forms.
    public init?(_ text: String) {
        if text == "anonymous" {
            self = .withheld
            return
        }
        switch NumberPattern(text) {
        case .exact(let number): self = .exact(number)
        case .prefix(let prefix): self = .prefix(prefix)
        case .any: return nil
        case nil:
            let schemes = ["client:", "sip:", "sips:"]
            guard let scheme = schemes.first(where: text.hasPrefix), text.utf8.count > scheme.utf8.count,
                text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
            else { return nil }
            let body = text.hasSuffix("*") ? text.dropLast() : text[...]
            guard !body.contains("*") else { return nil }
            self = text.hasSuffix("*") ? .prefix(String(body)) : .exact(String(body))
        }
    }

    /// Whether a call comes from there.
    ///
    /// - Parameter caller: As the carrier sends it.
    public func matches(_ caller: String) -> Bool {
        switch self {
        case .exact(let number): caller == number
        case .prefix(let prefix): caller.hasPrefix(prefix) && !Self.isWithheld(caller)
        case .withheld: Self.isWithheld(caller)
        }
    }

    /// Whether a carrier says with it that there is no number: nothing at all, one of some words, or such a word spelled on a
    /// telephone's keypad, as Twilio sends it (`+266696687` is ANONYMOUS).
    public static func isWithheld(_ caller: String) -> Bool {
        caller.isEmpty || withheldNames.contains(caller.lowercased())
    }

    private static let withheldNames: Set<String> = {
        let words = ["anonymous", "unavailable", "unknown", "blocked", "restricted", "private"]
        return Set(words).union(words.map { "+" + keys(for: $0) })
    }()

    /// The keys with the letters of a word (ITU-T E.161, table 1).
    private static func keys(for word: String) -> String {
        let keypad = ["abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz"]
        return String(
            word.compactMap { letter in
                keypad.firstIndex { $0.contains(letter) }.flatMap { String($0 + 2).first }
            })
    }
}

extension CallerPattern: CustomStringConvertible {
    public var description: String {
        switch self {
        case .exact(let number): number
        case .prefix(let prefix): prefix + "*"
        case .withheld: "anonymous"
        }
    }
}
