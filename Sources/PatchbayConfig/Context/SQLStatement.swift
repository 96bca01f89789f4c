/// A statement that looks something up, checked as far as its text alone tells.
public struct SQLStatement: Sendable, Equatable {
    /// Longest statement, in bytes.
    public static let maximumBytes = 8192
    /// What may be bound.
    public static let known = ["from", "to", "sid"]

    public let text: String
    /// The names of its parameters, without the colon.
    public let parameters: Set<String>

    /// Why a text is none, as a sentence.
    struct Fault: Error, Equatable {
        var message: String
        var remedy: String?
    }

    /// Takes one reading statement of SQLite (https://sqlite.org/lang_select.html) with named parameters.
    init(_ text: String) throws(Fault) {
        guard text.utf8.count <= Self.maximumBytes else {
            throw Fault(message: "has \(text.utf8.count) bytes; at most \(Self.maximumBytes)")
        }
        var scanner = Scanner(bytes: Array(text.utf8)[...])
        var parameters: Set<String> = []
        var firstWord: String?
        var isOver = false
        while let token = try scanner.next() {
            guard !isOver else {
                throw Fault(message: "has more than one statement", remedy: "write one SELECT")
            }
            switch token {
            case .word(let word): firstWord = firstWord ?? word
            case .parameter(let name): parameters.insert(name)
            case .end: isOver = true
            case .other: firstWord = firstWord ?? ""
            }
        }
        guard ["SELECT", "WITH"].contains(firstWord?.uppercased()) else {
            throw Fault(message: "is no SELECT", remedy: "write SELECT … WHERE phone = :from")
        }
        for name in parameters.sorted() where !Self.known.contains(name) {
            throw Fault(
                message: "has the parameter \(quoted(":" + name))",
                remedy: closestMatch(to: name, in: Self.known).map { "did you mean \":\($0)\"?" }
                    ?? "allowed are :from, :to and :sid")
        }
        self.text = text
        self.parameters = parameters
    }

    private enum Token { case word(String), parameter(String), end, other }

    /// Cuts a statement into what matters here: literals, quoted names and comments hold no parameters.
    private struct Scanner {
        var bytes: ArraySlice<UInt8>

        mutating func next() throws(Fault) -> Token? {
            while let byte = bytes.popFirst() {
                switch byte {
                case UInt8(ascii: " "), 0x09...0x0D: continue
                case UInt8(ascii: "-") where bytes.first == byte:
                    bytes = bytes.drop { $0 != 0x0A }
                case UInt8(ascii: "/") where bytes.first == UInt8(ascii: "*"): try skipComment()
                case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
                    try skip(to: byte)
                    return .other
                case UInt8(ascii: "["):
                    try skip(to: UInt8(ascii: "]"))
                    return .other
                case UInt8(ascii: ";"): return .end
                case UInt8(ascii: ":"):
                    let name = takeName()
                    guard !name.isEmpty else { throw Fault(message: "has a colon without a name") }
                    return .parameter(name)
                case UInt8(ascii: "?"), UInt8(ascii: "@"), UInt8(ascii: "$"):
                    throw Fault(
                        message: "has a parameter that begins with \"\(Character(UnicodeScalar(byte)))\"",
                        remedy: "write :from, :to or :sid")
                case _ where byte.isNameByte || byte >= 0x80:
                    return .word(String(decoding: [byte], as: UTF8.self) + takeName())
                default: return .other
                }
            }
            return nil
        }

        private mutating func takeName() -> String {
            let name = bytes.prefix { $0.isNameByte || $0 >= 0x80 || $0 == UInt8(ascii: "$") }
            bytes = bytes.dropFirst(name.count)
            return String(decoding: name, as: UTF8.self)
        }

        /// A doubled quote begins another literal right behind the first, which comes to the same.
        private mutating func skip(to quote: UInt8) throws(Fault) {
            guard let end = bytes.firstIndex(of: quote) else {
                throw Fault(message: "has a quote that is never closed")
            }
            bytes = bytes[(end + 1)...]
        }

        private mutating func skipComment() throws(Fault) {
            bytes = bytes.dropFirst()
            while let byte = bytes.popFirst() {
                guard byte == UInt8(ascii: "*"), bytes.first == UInt8(ascii: "/") else { continue }
                bytes = bytes.dropFirst()
                return
            }
        }
    }
}
