/// Why something is not done, in words for whoever asked: a person at the telephone, by way of an agent.
struct Refusal: Error, Equatable, CustomStringConvertible {
    /// Programs tell refusals apart by it.
    enum Code: String {
        case validation = "VALIDATION_ERROR"
        case notFound = "NOT_FOUND"
        case taken = "SLOT_TAKEN"
        case closed = "CLOSED"
        case keyReused = "IDEMPOTENCY_KEY_REUSED"
        case unauthorized = "UNAUTHORIZED"
    }

    var code: Code
    var words: String

    init(_ code: Code, _ words: String) {
        self.code = code
        self.words = words
    }

    var description: String { words }
}

/// What a text of a person may be.
enum PlainText {
    /// The text without spaces around it.
    ///
    /// - Parameter limit: Most characters of Unicode.
    /// - Throws: ``Refusal`` when it is empty, too long, or holds control characters.
    static func checked(_ text: String, _ name: String, limit: Int = 100) throws -> String {
        let text = text.trimmed
        guard !text.isEmpty else { throw Refusal(.validation, "\(name) is empty") }
        guard text.unicodeScalars.count <= limit else {
            throw Refusal(.validation, "\(name) has more than \(limit) characters")
        }
        guard !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw Refusal(.validation, "\(name) holds control characters")
        }
        return text
    }

    /// A telephone number with nothing but `+` and digits.
    static func phone(_ text: String) throws -> String {
        let digits = text.filter { !" -()/.".contains($0) }
        let tail = digits.hasPrefix("+") ? digits.dropFirst() : digits[...]
        guard (3...15).contains(tail.utf8.count), tail.allSatisfy({ "0123456789".contains($0) }) else {
            throw Refusal(.validation, "\"\(text.prefix(32))\" is no telephone number, such as +4930123456")
        }
        return digits
    }
}

extension String {
    var trimmed: String { String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()) }
    /// Nothing of a text that is empty.
    var nonEmpty: String? { trimmed.isEmpty ? nil : self }
}
