extension SourceText {
    /// Reads the text as one JSON value.
    ///
    /// Strict by RFC 8259: no comments, no trailing commas, no byte order mark, only well-formed UTF-8. Equal keys are
    /// kept. Cost is linear in the length.
    ///
    /// - Throws: The first fault, with its place, what was expected there and the remedy.
    public func readJSON() throws(Diagnostic) -> JSONNode {
        guard bytes.count <= Self.maximumBytes else {
            throw Diagnostic(
                file: file, .limitExceeded, "the file has \(bytes.count) bytes; at most \(Self.maximumBytes) are read",
                suggestion: .init("split it into several documents"))
        }
        try checkEncoding()
        var reader = JSONReader(source: self)
        return try reader.readDocument()
    }
}

/// A recursive-descent reader of RFC 8259 over well-formed UTF-8. Stops at the first fault.
struct JSONReader {
    /// Lists and objects within each other.
    static let maximumDepth = 64

    let source: SourceText
    let bytes: [UInt8]
    private(set) var offset = 0

    init(source: SourceText) {
        self.source = source
        self.bytes = source.bytes
    }

    var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    mutating func readDocument() throws(Diagnostic) -> JSONNode {
        skipSpace()
        guard next != nil else { throw source.fault(.syntax, 0..<0, "the file is empty; a JSON value is expected") }
        let node = try value(depth: 1)
        let end = offset
        skipSpace()
        guard next != nil else { return node }
        if let fault = foreignText() { throw fault }
        if next == UInt8(ascii: ","), case .object = node.content {
            throw source.fault(
                .syntax, offset..<(offset + 1), "the document ended before this comma", "remove the comma")
        }
        let (line, column) = source.position(of: end - 1)
        throw source.fault(
            .syntax, offset..<(offset + 1),
            "the document ended at line \(line), column \(column); a file holds one value",
            "remove what follows it")
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { offset += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        offset += 1
        return true
    }

    private mutating func value(depth: Int) throws(Diagnostic) -> JSONNode {
        let start = offset
        switch next {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard depth <= Self.maximumDepth else {
                throw source.fault(
                    .limitExceeded, start..<(start + 1), "lists and objects are nested deeper than \(Self.maximumDepth)"
                )
            }
            let content = next == UInt8(ascii: "{") ? try object(depth: depth) : try array(depth: depth)
            return JSONNode(content, range: start..<offset)
        case UInt8(ascii: "\""):
            let text = try string()
            return JSONNode(.string(text), range: start..<offset)
        case .some(let byte) where byte.isDigit || byte == UInt8(ascii: "-"):
            let text = try number()
            return JSONNode(.number(text), range: start..<offset)
        case .some(let byte) where byte.isLetter:
            let content = try literal()
            return JSONNode(content, range: start..<offset)
        case .some, .none:
            throw unexpected("a value is expected")
        }
    }

    // MARK: Lists and objects

    private mutating func array(depth: Int) throws(Diagnostic) -> JSONNode.Content {
        let open = offset
        offset += 1
        skipSpace()
        var elements: [JSONNode] = []
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            guard next != nil else { throw unclosed(open) }
            elements.append(try value(depth: depth + 1))
            guard try continues(open, close: UInt8(ascii: "]")) else { return .array(elements) }
        }
    }

    private mutating func object(depth: Int) throws(Diagnostic) -> JSONNode.Content {
        let open = offset
        offset += 1
        skipSpace()
        var members: [JSONMember] = []
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            guard let byte = next else { throw unclosed(open) }
            guard byte == UInt8(ascii: "\"") else { throw badKey() }
            let keyStart = offset
            let key = try string()
            let keyRange = keyStart..<offset
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw missingColon(after: keyRange, key) }
            let colon = offset
            skipSpace()
            if next == nil || next == UInt8(ascii: ",") || next == UInt8(ascii: "}") {
                throw source.fault(
                    .syntax, colon..<colon, "\(quoted(key)) has no value; one is expected after the colon")
            }
            members.append(JSONMember(key: key, keyRange: keyRange, value: try value(depth: depth + 1)))
            guard try continues(open, close: UInt8(ascii: "}")) else { return .object(members) }
        }
    }

    /// After an element: consumes the comma and says yes, or the closing bracket and says no.
    private mutating func continues(_ open: Int, close: UInt8) throws(Diagnostic) -> Bool {
        let end = offset
        skipSpace()
        if take(close) { return false }
        let comma = offset
        if take(UInt8(ascii: ",")) {
            skipSpace()
            guard next != nil else { throw unclosed(open, end: comma + 1) }
            if next == close {
                let bracket = Character(Unicode.Scalar(close))
                throw source.fault(
                    .syntax, comma..<(comma + 1),
                    "a comma before \"\(bracket)\"; JSON allows none after the last element",
                    "remove the comma")
            }
            if next == UInt8(ascii: ",") {
                throw source.fault(.syntax, offset..<(offset + 1), "two commas in a row", "remove one of them")
            }
            return true
        }
        guard let byte = next else { throw unclosed(open, end: end) }
        if let fault = foreignText() { throw fault }
        if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
            let (line, column) = source.position(of: open)
            let bracket = Character(Unicode.Scalar(close))
            throw source.fault(
                .syntax, offset..<(offset + 1),
                "\"\(bracket)\" is expected, to close what line \(line), column \(column) opens")
        }
        if byte == UInt8(ascii: ":") {
            throw source.fault(.syntax, offset..<(offset + 1), "a colon where \",\" is expected")
        }
        throw source.fault(.syntax, end..<end, "a comma is missing", "write \",\" here", replacement: ",")
    }

    // MARK: Scalars

    private mutating func literal() throws(Diagnostic) -> JSONNode.Content {
        let start = offset
        while let byte = next, byte.isNameByte { offset += 1 }
        let word = source.text(in: start..<offset)
        switch word {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        case "null": return .null
        default: throw badWord(word, start..<offset)
        }
    }

    private mutating func number() throws(Diagnostic) -> String {
        let start = offset
        // Take everything that somebody may have meant as a number, then judge it as one word.
        while let byte = next, byte.isNameByte || "+-.".utf8.contains(byte) { offset += 1 }
        let text = source.text(in: start..<offset)
        if let complaint = numberComplaint(text) {
            throw source.fault(.syntax, start..<offset, "\(quoted(text)) is no JSON number", complaint)
        }
        guard let value = Double(text), value.isFinite else {
            throw source.fault(
                .syntax, start..<offset, "the number \(quoted(text)) is too large", "the largest is about 1.8e308")
        }
        return text
    }

    private mutating func string() throws(Diagnostic) -> String {
        let open = offset
        offset += 1
        var run = offset
        var text = ""
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                text += source.text(in: run..<offset)
                offset += 1
                return text
            case UInt8(ascii: "\\"):
                text += source.text(in: run..<offset)
                text.unicodeScalars.append(try escape())
                run = offset
            case 0x0A, 0x0D:
                throw unclosedString(open)
            case 0..<0x20:
                let name = byte == 0x09 ? "a tab" : "the control character \(hex4(UInt32(byte)))"
                throw source.fault(
                    .syntax, offset..<(offset + 1), "\(name) stands in a string",
                    "write it as \(byte == 0x09 ? "\\t" : "\\u\(hex4(UInt32(byte)))")")
            default: offset += 1
            }
        }
        throw unclosedString(open)
    }

    private mutating func escape() throws(Diagnostic) -> Unicode.Scalar {
        let start = offset
        offset += 1
        let letter = next
        offset += 1
        switch letter {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{08}"
        case UInt8(ascii: "f"): return "\u{0C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape(from: start)
        default:
            let range = start..<min(bytes.count, start + 1)
            throw source.fault(
                .syntax, range, "a backslash must be followed by one of \" \\ / b f n r t u",
                "write a backslash as \\\\")
        }
    }

    /// After `\u`: four hexadecimal digits, or two such escapes that make a surrogate pair (RFC 8259 §7).
    private mutating func unicodeEscape(from start: Int) throws(Diagnostic) -> Unicode.Scalar {
        let unit = try hexDigits(from: start)
        if let scalar = Unicode.Scalar(unit) { return scalar }
        let half = start..<offset
        if unit < 0xDC00, next == UInt8(ascii: "\\"), offset + 1 < bytes.count, bytes[offset + 1] == UInt8(ascii: "u") {
            let second = offset
            offset += 2
            let low = try hexDigits(from: second)
            if (0xDC00..<0xE000).contains(low),
                let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
            {
                return scalar
            }
        }
        throw source.fault(
            .syntax, half, "\\u\(hex4(unit)) is half of a surrogate pair",
            "write both halves, or the character itself")
    }

    private mutating func hexDigits(from start: Int) throws(Diagnostic) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw source.fault(.syntax, start..<offset, "\\u must be followed by four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }
}

/// Why `text` breaks the grammar of RFC 8259 §6, as a remedy; `nil` when it does not.
private func numberComplaint(_ text: String) -> String? {
    var rest = Substring(text)
    func digits(_ rest: inout Substring) -> Int {
        let run = rest.utf8.prefix(while: \.isDigit).count
        rest = rest.dropFirst(run)
        return run
    }
    if rest.hasPrefix("-") { rest = rest.dropFirst() }
    let leadsWithZero = rest.hasPrefix("0")
    switch digits(&rest) {
    case 0: return rest.isEmpty ? "write digits after \"-\"" : "write digits, for instance -0.5"
    case 2... where leadsWithZero: return "remove the leading zeros"
    default: break
    }
    if rest.hasPrefix(".") {
        rest = rest.dropFirst()
        if digits(&rest) == 0 { return "write digits after the point, or remove it" }
    }
    if rest.hasPrefix("e") || rest.hasPrefix("E") {
        rest = rest.dropFirst()
        if rest.hasPrefix("+") || rest.hasPrefix("-") { rest = rest.dropFirst() }
        if digits(&rest) == 0 { return "write digits after \"e\", for instance 1e3" }
    }
    guard rest.isEmpty else {
        return rest.hasPrefix("x") ? "write it in decimal digits" : "write it without \(quoted(String(rest)))"
    }
    return nil
}
