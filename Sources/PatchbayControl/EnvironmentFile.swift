/// The variables of an `.env` file.
///
/// One `NAME=VALUE` a line. `export` before a name, empty lines and lines that begin with `#` mean nothing. A value may be quoted:
/// in `'…'` everything stands for itself, in `"…"` a backslash keeps `"`, `\` and `$` as they are and makes a line break of `n`. Of
/// a value without quotes, what follows a blank and `#` is a comment. Nothing is substituted.
struct EnvironmentFile {
    /// Bytes of a file; credentials and addresses need far fewer.
    static let maximumBytes = 1 << 20

    /// What is wrong, and where. Says nothing of the value: it may be a secret.
    struct Fault: Error, CustomStringConvertible {
        var line: Int
        var reason: String
        var description: String { "line \(line): \(reason)" }
    }

    private(set) var variables: [String: String] = [:]

    init(parsing text: String) throws(Fault) {
        // A line break of Windows is one character here.
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() {
            let number = index + 1
            var rest = line.drop { $0.isWhitespace || $0 == "\u{FEFF}" }
            guard let first = rest.first, first != "#" else { continue }
            if rest.hasPrefix("export"), rest.dropFirst(6).first?.isWhitespace == true {
                rest = rest.dropFirst(6).drop(while: \.isWhitespace)
            }
            guard let equals = rest.firstIndex(of: "=") else {
                throw Fault(line: number, reason: "it is no NAME=VALUE; a comment begins with #")
            }
            let name = rest[..<equals].trimmed
            guard let initial = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(initial),
                name.utf8.allSatisfy(Self.isNameByte)
            else {
                throw Fault(
                    line: number, reason: "what stands before = is no name of a variable: letters, digits and _")
            }
            variables[String(name)] = try Self.value(rest[rest.index(after: equals)...], number)
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func value(_ written: Substring, _ line: Int) throws(Fault) -> String {
        let written = written.drop(while: \.isWhitespace)
        guard let quote = written.first, quote == "'" || quote == "\"" else {
            var end = written.startIndex
            while end < written.endIndex {
                let isComment =
                    written[end] == "#"
                    && (end == written.startIndex || written[written.index(before: end)].isWhitespace)
                if isComment { break }
                end = written.index(after: end)
            }
            return String(written[..<end].trimmed)
        }
        var value = ""
        var index = written.index(after: written.startIndex)
        while index < written.endIndex, written[index] != quote {
            var character = written[index]
            let next = written.index(after: index)
            if quote == "\"", character == "\\", next < written.endIndex, "\"\\$n".contains(written[next]) {
                character = written[next] == "n" ? "\n" : written[next]
                index = next
            }
            value.append(character)
            index = written.index(after: index)
        }
        guard index < written.endIndex else { throw Fault(line: line, reason: "the value's \(quote) is never closed") }
        let rest = written[written.index(after: index)...].trimmed
        guard rest.isEmpty || rest.hasPrefix("#") else {
            throw Fault(line: line, reason: "something follows the value's closing \(quote)")
        }
        return value
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = drop(while: \.isWhitespace)
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
