/// The messages of the reader: what was expected, and what the person probably wants to write.
extension JSONReader {
    func unexpected(_ expectation: String) -> Diagnostic {
        if let fault = foreignText() { return fault }
        guard let byte = next else {
            return source.fault(.syntax, offset..<offset, "the text ends where \(expectation)")
        }
        switch byte {
        case UInt8(ascii: "+"), UInt8(ascii: "."):
            return source.fault(
                .syntax, offset..<(offset + 1), "a number begins with a digit or \"-\"",
                byte == UInt8(ascii: "+") ? "remove the plus sign" : "write a 0 before the point")
        default:
            return source.fault(.syntax, offset..<(offset + 1), "\(expectation), found \(found())")
        }
    }

    func badKey() -> Diagnostic {
        if let fault = foreignText() { return fault }
        var end = offset
        while end < bytes.count,
            bytes[end].isNameByte || bytes[end] == UInt8(ascii: "-") || bytes[end] == UInt8(ascii: "$")
        {
            end += 1
        }
        if end > offset {
            let word = source.text(in: offset..<end)
            return source.fault(
                .syntax, offset..<end, "keys stand in double quotes", "write \(quoted(word))", replacement: quoted(word)
            )
        }
        return source.fault(.syntax, offset..<(offset + 1), "a key in double quotes is expected, found \(found())")
    }

    func missingColon(after keyRange: Range<Int>, _ key: String) -> Diagnostic {
        if next == UInt8(ascii: "=") {
            return source.fault(
                .syntax, offset..<(offset + 1), "a colon is expected after \(quoted(key)), found \"=\"", "write \":\"",
                replacement: ":")
        }
        if let fault = foreignText() { return fault }
        return source.fault(
            .syntax, keyRange.upperBound..<keyRange.upperBound,
            "a colon and a value are expected after the key \(quoted(key))",
            "write \":\" here", replacement: ":")
    }

    func unclosed(_ open: Int, end: Int? = nil) -> Diagnostic {
        let (line, column) = source.position(of: open)
        let isObject = bytes[open] == UInt8(ascii: "{")
        let place = end ?? open + 1
        return source.fault(
            .syntax, place..<place,
            "the text ends inside the \(isObject ? "object" : "list") that begins at line \(line), column \(column)",
            "close it with \"\(isObject ? "}" : "]")\"")
    }

    func unclosedString(_ open: Int) -> Diagnostic {
        source.fault(
            .syntax, open..<(open + 1), "the string that begins here is not closed on its line",
            "close it with a double quote; a line break inside is written \\n")
    }

    func badWord(_ word: String, _ range: Range<Int>) -> Diagnostic {
        let meant: String? =
            switch word.lowercased() {
            case "true", "yes", "on": "true"
            case "false", "no", "off": "false"
            case "null", "none", "nil", "undefined": "null"
            default: closestMatch(to: word, in: ["true", "false", "null"])
            }
        if let meant {
            return source.fault(
                .syntax, range, "\(quoted(word)) is no JSON value", "did you mean \(meant)?", replacement: meant)
        }
        if ["nan", "inf", "infinity"].contains(word.lowercased()) {
            return source.fault(
                .syntax, range, "\(word) is no JSON number", "write a finite number, or leave the key out")
        }
        return source.fault(
            .syntax, range, "text stands in double quotes", "write \(quoted(word))", replacement: quoted(word))
    }

    /// Recognises what people bring along from other languages and from word processors.
    func foreignText() -> Diagnostic? {
        guard let byte = next else { return nil }
        let rest = bytes[offset...].prefix(3)
        if byte == UInt8(ascii: "#") || rest.starts(with: "//".utf8) || rest.starts(with: "/*".utf8) {
            let length = byte == UInt8(ascii: "#") ? 1 : 2
            return source.fault(
                .syntax, offset..<(offset + length), "JSON has no comments",
                "remove it, or put the words into \"description\"")
        }
        if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "`") {
            return source.fault(.syntax, offset..<(offset + 1), "strings stand in double quotes, found \(found())")
        }
        guard byte >= 0x80 else { return nil }
        let scalar = source.text(in: offset..<min(bytes.count, offset + 4)).unicodeScalars.first ?? "?"
        let length = String(scalar).utf8.count
        switch scalar {
        case "\u{201C}", "\u{201D}", "\u{201E}", "\u{2018}", "\u{2019}", "\u{00AB}", "\u{00BB}":
            return source.fault(
                .syntax, offset..<(offset + length), "a typographic quotation mark", "write the plain double quote \"")
        case "\u{00A0}", "\u{200B}", "\u{FEFF}", "\u{2003}", "\u{2009}", "\u{3000}":
            return source.fault(
                .syntax, offset..<(offset + length), "an invisible character U+\(hex4(scalar.value).uppercased())",
                "replace it by a plain space")
        default: return nil
        }
    }

    func found() -> String {
        guard next != nil else { return "the end of the text" }
        let scalar = source.text(in: offset..<min(bytes.count, offset + 4)).unicodeScalars.first ?? "?"
        return scalar == "\"" || scalar == "'" ? "the character \(scalar)" : quoted(String(scalar))
    }
}

/// `value` as at least four hexadecimal digits.
func hex4(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}
