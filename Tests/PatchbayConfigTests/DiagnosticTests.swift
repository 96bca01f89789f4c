import Foundation
import Testing

@testable import PatchbayConfig

@Suite("Diagnostics")
struct DiagnosticTests {
    private func finding(_ text: String, _ range: Range<Int>, hiding hidden: [Range<Int>] = []) -> Diagnostic {
        let source = SourceText(file: "x.json", text)
        let (line, column) = source.position(of: range.lowerBound)
        return Diagnostic(
            file: "x.json", line: line, column: column, .syntax, "wrong",
            excerpt: source.excerpt(of: range, hiding: hidden))
    }

    @Test("Tabs are repeated under the line, and columns count scalars")
    func tabs() {
        #expect(finding("\té\t1,", 4..<5).rendered() == "x.json:1:4: error[syntax]: wrong\n  1 | \té\t1,\n    | \t \t^")
    }

    @Test("A place after the end of a line gets a caret")
    func endOfLine() {
        #expect(finding("ab\r\ncd", 2..<2).rendered().hasSuffix("  1 | ab\n    |   ^"))
        #expect(finding("ab", 2..<2).rendered().hasSuffix("  1 | ab\n    |   ^"))
    }

    @Test("Marks of several lines stop at the end of the first")
    func severalLines() { #expect(finding("ab\ncd", 1..<5).rendered().hasSuffix("  1 | ab\n    |  ^")) }

    @Test("Control characters cannot reach a terminal")
    func controls() {
        let text = finding("\"\u{1B}[31m\u{202E}\"", 0..<1).rendered()
        #expect(!text.contains("\u{1B}") && !text.contains("\u{202E}"))
        #expect(quoted("\u{1B}[31m") == "\"\\u{1B}[31m\"")
        #expect(quoted(String(repeating: "x", count: 200)).unicodeScalars.count == 63)
    }

    @Test(
        "A long line is cut to the neighbourhood of the carets",
        arguments: [0, 1, 99, 100, 101, 399, 400, 401, 5000, 99_998])
    func longLine(_ offset: Int) throws {
        var bytes = [UInt8](repeating: UInt8(ascii: "."), count: 100_000)
        bytes[offset] = UInt8(ascii: "X")
        let excerpt = SourceText(file: "x.json", bytes: bytes).excerpt(of: offset..<(offset + 1), hiding: [])
        let scalars = Array(excerpt.text.unicodeScalars)
        #expect(scalars.count <= 222)
        #expect(scalars[excerpt.leading] == "X" && excerpt.length == 1)
    }

    @Test("A long line of long characters is cut between them", arguments: 0..<8)
    func longUnicodeLine(_ shift: Int) {
        let text =
            String(repeating: "a", count: shift) + String(repeating: "😀", count: 3000) + "X"
            + String(repeating: "é", count: 3000)
        let offset = shift + 12_000
        let excerpt = SourceText(file: "x.json", text).excerpt(of: offset..<(offset + 1), hiding: [])
        #expect(!excerpt.text.unicodeScalars.contains("\u{FFFD}"))
        #expect(Array(excerpt.text.unicodeScalars)[excerpt.leading] == "X")
    }

    @Test("What is hidden shows neither its letters nor its length")
    func hidden() {
        let short = finding("{\"apiKey\":\"abc\",\"x\":1}", 20..<21, hiding: [10..<15]).excerpt
        let long = finding("{\"apiKey\":\"abcdefgh\",\"x\":1}", 25..<26, hiding: [10..<20]).excerpt
        #expect(short?.text == "{\"apiKey\":\"…\",\"x\":1}")
        #expect(short?.text == long?.text)
        #expect(long?.leading == 18 && short?.leading == 18)
    }

    @Test(
        "Strings under keys of credentials are found in any text",
        arguments: [
            ("{\"apiKey\":\"abc\"}", ["\"abc\""]), ("{\"auth_token\" : \"a\\\"b\", \"x\": \"y\"}", ["\"a\\\"b\""]),
            ("{\"apiKey\": {\"env\": \"NAME\"}}", []), ("{\"password\": \"never closed\n\"x\": 1", ["\"never closed"]),
            ("[\"key\", \"value\"]", []), ("\"secret\":\"a\\", ["\"a\\"]),
        ] as [(String, [String])])
    func credentialRanges(_ text: String, _ expected: [String]) {
        let source = SourceText(file: "x.json", text)
        #expect(source.credentialRanges().map(source.text(in:)) == expected)
    }

    @Test("Colour marks the severity and the carets, and changes nothing else")
    func colour() {
        let plain = finding("ab", 0..<1).rendered()
        let coloured = finding("ab", 0..<1).rendered(colour: true)
        #expect(coloured.contains("\u{1B}[1;31merror[syntax]\u{1B}[0m"))
        #expect(coloured.replacing(/\u{1B}\[[0-9;]*m/, with: "") == plain)
    }

    @Test("The summary counts")
    func summary() {
        func make(_ severity: Diagnostic.Severity) -> Diagnostic {
            Diagnostic(file: "x", .syntax, severity: severity, "m")
        }
        #expect([Diagnostic]().summary == "0 errors")
        #expect([Diagnostic]().rendered() == "")
        #expect([make(.error)].summary == "1 error")
        #expect([make(.warning), make(.warning)].summary == "2 warnings")
        #expect([make(.error), make(.warning), make(.error)].summary == "2 errors, 1 warning")
        #expect(
            [make(.error), make(.warning)].rendered()
                == "x: error[syntax]: m\nx: warning[syntax]: m\n1 error, 1 warning\n")
    }

    @Test("JSON has the eight members, whatever the texts hold")
    func json() throws {
        let list = [
            Diagnostic(
                file: "a\"b.json", line: 3, column: 4, .unknownField, "no field \"\u{1}\\\n😀\"", path: "stages[0].x",
                suggestion: .init("did you mean \"y\"?", replacement: "y")),
            Diagnostic(file: "", .noDocuments, severity: .warning, "empty"),
        ]
        let decoded = try #require(try JSONSerialization.jsonObject(with: Data(list.json.utf8)) as? [[String: Any]])
        #expect(
            decoded.map { Set($0.keys) }
                == Array(
                    repeating: ["file", "line", "column", "code", "severity", "message", "path", "suggestion"], count: 2
                ))
        #expect(decoded[0]["file"] as? String == "a\"b.json")
        #expect(decoded[0]["line"] as? Int == 3)
        #expect(decoded[0]["message"] as? String == "no field \"\u{1}\\\n😀\"")
        #expect(decoded[0]["suggestion"] as? String == "y")
        #expect(decoded[1]["suggestion"] is NSNull)
        #expect(decoded[1]["severity"] as? String == "warning")
        #expect([Diagnostic]().json == "[]")
    }

    @Test(
        "A suggestion is close, alone, or absent",
        arguments: [
            ("silenceMS", ["silenceMs", "threshold"], "silenceMs"), ("vda", ["vad", "echo"], "vad"),
            ("ab", ["cd"], nil),
            ("resampel", ["resampler"], "resampler"), ("ulaw", ["mulaw", "alaw"], nil), ("", ["a"], nil),
            ("a", [], nil),
            ("decoder", ["encoder", "decoders"], "decoders"), ("xyz", ["abcdefgh"], nil),
        ] as [(String, [String], String?)])
    func suggestions(_ word: String, _ candidates: [String], _ expected: String?) {
        #expect(closestMatch(to: word, in: candidates) == expected)
    }

    @Test(
        "Edit distance",
        arguments: [("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3), ("ab", "ba", 1)])
    func distance(_ a: String, _ b: String, _ expected: Int) {
        #expect(editDistance(Array(a.unicodeScalars), Array(b.unicodeScalars)) == expected)
        #expect(editDistance(Array(b.unicodeScalars), Array(a.unicodeScalars)) == expected)
    }

    @Test("A document with very many mistakes is cut short")
    func manyFindings() throws {
        let text = "[" + String(repeating: "{},", count: 50_000) + "{}]"
        let source = SourceText(file: "x.json", "{\"name\": \"x\", \"transport\": \"twilio\", \"stages\": \(text)}")
        let diagnostics = PipelineSet.load(sources: [source], registry: try .test(), environment: [:]).diagnostics
        #expect(diagnostics.count == Linter.maximumFindings + 1)
        #expect(diagnostics.last?.code == .limitExceeded)
    }
}
