import Foundation
import Testing

@testable import PatchbayConfig

@Suite("JSON reader")
struct JSONReaderTests {
    private func read(_ text: String) throws(Diagnostic) -> JSONNode { try SourceText(file: "x.json", text).readJSON() }

    @Test("Every value and key keeps its line, column and bytes")
    func positions() throws {
        let text = "{\r\n  \"grüße\": [1, {\"😀\": null}],\n\t\"b\": \"x\\n\" }"
        let source = SourceText(file: "x.json", text)
        guard case .object(let members) = try source.readJSON().content else {
            return #expect(Bool(false), "no object")
        }
        func place(_ range: Range<Int>) -> String {
            let (line, column) = source.position(of: range.lowerBound)
            return "\(line):\(column) \(source.text(in: range))"
        }
        #expect(members.map { place($0.keyRange) } == ["2:3 \"grüße\"", "3:2 \"b\""])
        #expect(members.map { place($0.value.range) } == ["2:12 [1, {\"😀\": null}]", "3:7 \"x\\n\""])
        guard case .array(let elements) = members[0].value.content, case .object(let inner) = elements[1].content else {
            return #expect(Bool(false), "no list")
        }
        #expect(elements.map { place($0.range) } == ["2:13 1", "2:16 {\"😀\": null}"])
        #expect(place(inner[0].keyRange) == "2:17 \"😀\"")
        #expect(place(inner[0].value.range) == "2:22 null")
    }

    @Test("Offsets outside the text have a place too")
    func outside() {
        let source = SourceText(file: "x.json", "a\nbc")
        #expect(source.position(of: -5) == (1, 1))
        #expect(source.position(of: 99) == (2, 3))
        #expect(SourceText(file: "x.json", "").position(of: 0) == (1, 1))
    }

    @Test("Numbers keep their text", arguments: ["0", "-0", "20.5", "1e2", "-1.25E-7", "99999999999999999999", "1.0"])
    func numbers(_ text: String) throws {
        guard case .number(let kept) = try read(text).content else { return #expect(Bool(false), "no number") }
        #expect(kept == text)
    }

    @Test(
        "Escapes are resolved",
        arguments: [
            (#""\" \\ \/ \b \f \n \r \t""#, "\" \\ / \u{8} \u{C} \n \r \t"), (#""\u0041\u00e9\u20AC""#, "Aé€"),
            (#""\ud83d\uDE00""#, "😀"), (#""\u0000""#, "\0"), ("\"\u{7F}\u{2028}\"", "\u{7F}\u{2028}"),
        ])
    func escapes(_ text: String, _ expected: String) throws {
        guard case .string(let value) = try read(text).content else { return #expect(Bool(false), "no string") }
        #expect(value == expected)
    }

    @Test("Equal keys are all kept")
    func duplicates() throws {
        guard case .object(let members) = try read(#"{"a": 1, "b": 2, "a": 3}"#).content else {
            return #expect(Bool(false))
        }
        #expect(members.map(\.key) == ["a", "b", "a"])
    }

    @Test("Depth is limited")
    func depth() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try read(nested(JSONReader.maximumDepth))
        #expect { try read(nested(JSONReader.maximumDepth + 1)) } throws: {
            ($0 as? Diagnostic)?.code == .limitExceeded
        }
        #expect { try read(String(repeating: "[", count: 1_000_000)) } throws: {
            ($0 as? Diagnostic)?.code == .limitExceeded
        }
    }

    @Test("Size is limited")
    func size() throws {
        let padding = String(repeating: " ", count: SourceText.maximumBytes - 2)
        _ = try read("[]" + padding)
        #expect { try read("[] " + padding) } throws: { ($0 as? Diagnostic)?.code == .limitExceeded }
    }

    @Test(
        "What breaks the grammar is refused where it stands",
        arguments: [
            ("", "1:1"), ("  \n ", "1:1"), ("[1 2]", "1:3"), ("[1,]", "1:3"), ("[,1]", "1:2"), ("[1,,2]", "1:4"),
            ("[1", "1:3"),
            ("{", "1:2"), ("{\"a\"", "1:5"), ("{\"a\":", "1:6"), ("{\"a\":1", "1:7"), ("{\"a\":1, ", "1:8"),
            ("{1:2}", "1:2"),
            ("{\"a\" 1}", "1:5"), ("{\"a\":1 \"b\":2}", "1:7"), ("{\"a\":1}}", "1:8"), ("{\"a\":1]", "1:7"),
            ("[1}", "1:3"),
            ("01", "1:1"), ("1.", "1:1"), (".5", "1:1"), ("+1", "1:1"), ("-", "1:1"), ("1e", "1:1"), ("0x10", "1:1"),
            ("1_000", "1:1"), ("1e999", "1:1"), ("-1e999", "1:1"), ("Infinity", "1:1"), ("-Infinity", "1:1"),
            ("tru", "1:1"),
            ("nul", "1:1"), ("\"a", "1:1"), ("\"a\nb\"", "1:1"), ("\"\u{1}\"", "1:2"), ("\"\\x\"", "1:2"),
            ("\"\\", "1:2"),
            ("\"\\u12\"", "1:2"), ("\"\\u12g4\"", "1:2"), ("\"\\ud800\"", "1:2"), ("\"\\udc00\"", "1:2"),
            ("\"\\ud800\\u0041\"", "1:2"), ("[\n1\n2]", "2:2"), ("[] []", "1:4"), ("[1]//", "1:4"), ("[1:2]", "1:3"),
            ("{\"a\":'b'}", "1:6"), ("\u{FEFF}[]", "1:1"), ("[1,\u{A0}2]", "1:4"), ("[\u{201C}a\u{201D}]", "1:2"),
        ])
    func refused(_ text: String, _ place: String) {
        #expect { try read(text) } throws: { error in
            guard let error = error as? Diagnostic else { return false }
            return "\(error.line):\(error.column)" == place && !error.message.isEmpty
        }
    }

    @Test(
        "Malformed UTF-8 is refused where it stands",
        arguments: [
            ([0x22, 0xFF, 0x22], 2), ([0x22, 0xC0, 0x80, 0x22], 2), ([0x22, 0xED, 0xA0, 0x80, 0x22], 2),
            ([0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], 2), ([0x22, 0x61, 0xE2, 0x82], 3), ([0x80], 1),
            ([0xE0, 0x80, 0x80], 1),
            ([0xFE, 0xFF, 0x00, 0x7B], 1),
        ] as [([UInt8], Int)])
    func malformedUTF8(_ bytes: [UInt8], _ column: Int) {
        #expect { try SourceText(file: "x.json", bytes: bytes).readJSON() } throws: { error in
            guard let error = error as? Diagnostic else { return false }
            return error.code == .unreadableFile && error.line == 1 && error.column == column
        }
    }

    @Test("What is written is what is read", arguments: 1...40 as ClosedRange<UInt64>)
    func roundTrip(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let value = JSONSample.random(depth: 4, using: &generator)
        let text = value.text(using: &generator)
        #expect(JSONSample(try read(text)) == value, "seed \(seed): \(text)")
    }

    @Test(
        "Mutated texts give a value or a diagnostic, and never a value that Foundation refuses",
        arguments: 1...8 as ClosedRange<UInt64>)
    func fuzz(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for round in 0..<400 {
            let base = JSONSample.random(depth: 3, using: &generator).text(using: &generator)
            let bytes = generator.mutate(Array(base.utf8))
            let source = SourceText(file: "x.json", bytes: bytes)
            do {
                let node = try source.readJSON()
                #expect(node.range.upperBound <= bytes.count)
                let isSound = (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil
                // Foundation refuses numbers that no Int64 or Double holds exactly enough, and strings with a NUL; rare
                // here.
                #expect(
                    isSound || bytes.contains(0),
                    "seed \(seed), round \(round): \(String(decoding: bytes, as: UTF8.self))")
            } catch {
                #expect(error.line >= 1 && error.column >= 1, "seed \(seed), round \(round)")
                #expect((error.excerpt?.text.unicodeScalars.count ?? 0) < 250, "seed \(seed), round \(round)")
                #expect(!error.rendered().isEmpty)
            }
        }
    }
}

/// A JSON value without places, for comparisons.
enum JSONSample: Equatable {
    case null
    case boolean(Bool)
    case number(String)
    case string(String)
    case array([JSONSample])
    case object([String: JSONSample])

    init(_ node: JSONNode) {
        switch node.content {
        case .null: self = .null
        case .boolean(let value): self = .boolean(value)
        case .number(let text): self = .number(text)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .array(elements.map(JSONSample.init))
        case .object(let members):
            self = .object(Dictionary(members.map { ($0.key, JSONSample($0.value)) }) { first, _ in first })
        }
    }

    static func random(depth: Int, using generator: inout SeededGenerator) -> JSONSample {
        switch Int.random(in: 0..<(depth > 0 ? 6 : 4), using: &generator) {
        case 0: .null
        case 1: .boolean(Bool.random(using: &generator))
        case 2: .number(["0", "-7", "20.5", "1e3", "123456789012"].randomElement(using: &generator) ?? "0")
        case 3: .string(randomString(using: &generator))
        case 4:
            .array(
                (0..<Int.random(in: 0..<4, using: &generator)).map { _ in random(depth: depth - 1, using: &generator) })
        default:
            .object(
                Dictionary(
                    (0..<Int.random(in: 0..<4, using: &generator)).map { _ in
                        (randomString(using: &generator), random(depth: depth - 1, using: &generator))
                    }
                ) { first, _ in first })
        }
    }

    private static func randomString(using generator: inout SeededGenerator) -> String {
        let letters: [Unicode.Scalar] = [
            "a", "Z", "\"", "\\", "/", "\n", "\t", "\u{1}", "é", "€", "😀", "$", "{", "}", " ",
        ]
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0..<6, using: &generator) {
            text.append(letters.randomElement(using: &generator) ?? "a")
        }
        return String(text)
    }

    func text(using generator: inout SeededGenerator) -> String {
        let space = ["", " ", "\n", "\t", "\r\n"].randomElement(using: &generator) ?? ""
        let text: String
        switch self {
        case .null: text = "null"
        case .boolean(let value): text = String(value)
        case .number(let number): text = number
        case .string(let string): text = jsonQuoted(string)
        case .array(let elements):
            text = "[" + space + elements.map { $0.text(using: &generator) }.joined(separator: ",") + "]"
        case .object(let members):
            text =
                "{" + space + members.map { jsonQuoted($0) + ":" + $1.text(using: &generator) }.joined(separator: ",")
                + "}"
        }
        return space + text + space
    }
}
