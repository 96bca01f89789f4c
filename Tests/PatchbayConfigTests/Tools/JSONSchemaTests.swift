import Foundation
import Testing

@testable import PatchbayConfig

@Suite("Schemas of tools")
struct JSONSchemaTests {
    private func problems(_ schema: String, _ value: String) throws -> [String] {
        JSONSchema(try #require(JSONValue(parsing: schema))).problems(in: try #require(JSONValue(parsing: value)))
    }

    /// Made by `Tests/Interop/tool_schema_cases.py`.
    @Test("Judges as another implementation does")
    func cases() throws {
        let url = GoldenFile.folder.appendingPathComponent("Tools/schema-cases.jsonl")
        let lines = try String(contentsOf: url, encoding: .utf8).split(separator: "\n")
        #expect(lines.count > 300)
        for line in lines {
            let json = try #require(JSONValue(parsing: String(line)))
            let schema = try #require(json["schema"]), value = try #require(json["value"])
            let found = JSONSchema(schema).problems(in: value)
            #expect(found.isEmpty == (json["fits"] == true), "\(line): \(found)")
        }
    }

    private static let booking = """
        {"type": "object", "additionalProperties": false, "required": ["day", "guests"], "properties": {
          "day": {"type": "string", "format": "date"}, "guests": {"type": "integer", "minimum": 1, "maximum": 12},
          "kind": {"enum": ["lunch", "dinner"]}, "mail": {"type": "string", "format": "email"},
          "names": {"type": "array", "items": {"type": "string", "minLength": 2}, "maxItems": 3},
          "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
          "at": {"anyOf": [{"type": "string", "format": "time"}, {"type": "integer"}]}}}
        """

    @Test(
        "Says what to do, all at once",
        arguments: [
            (#"{"day": "2026-01-31", "guests": 4}"#, []),
            (
                #"{}"#,
                [
                    #""day" is missing; it must be a date such as 2026-01-31"#,
                    #""guests" is missing; it must be a whole number"#,
                ]
            ),
            (
                #"{"day": "tomorrow", "guests": "four", "kind": "tea"}"#,
                [
                    #""day" is "tomorrow"; it must be a date such as 2026-01-31"#,
                    #""guests" is the text "four"; it must be a whole number"#,
                    #""kind" is "tea"; it must be one of "lunch", "dinner""#,
                ]
            ),
            (
                #"{"day": "2026-02-30", "guests": 13, "guest": 1}"#,
                [
                    #""day" is "2026-02-30"; it must be a date such as 2026-01-31"#,
                    #""guests" is 13; it must be at most 12"#,
                    #"there is no "guest"; did you mean "guests"?"#,
                ]
            ),
            (
                #"{"day": "2026-01-31", "guests": 1.5, "names": ["Al", "B", 3, "Dora"]}"#,
                [
                    #""guests" is the number 1.5; it must be a whole number"#,
                    #""names[1]" has 1 characters; at least 2 are needed"#,
                    #""names[2]" is the number 3; it must be a text"#,
                    #""names" has 4 elements; at most 3 are allowed"#,
                ]
            ),
            (
                #"{"day": "2026-01-31", "guests": 1, "code": "ab", "at": true}"#,
                [
                    #""code" is "ab"; it must match the pattern ^[A-Z]{3}$"#,
                    #""at" fits none of the forms that it may have: "at" is true; it must be a time such as 14:30 or 14:30:00; or "at" is true; it must be a whole number"#,
                ]
            ),
            (#"{"day": "2026-01-31", "guests": 1, "guests": 2}"#, [#""guests" is given twice"#]),
            (#"[]"#, ["the object is a list; it must be an object"]),
        ] as [(String, [String])])
    func words(_ value: String, _ expected: [String]) throws {
        #expect(try problems(Self.booking, value) == expected)
    }

    @Test(
        "Formats are taken as people write them",
        arguments: [
            ("date", ["2026-01-31", "2024-02-29"], ["2026-1-31", "2023-02-29", "31.01.2026", "2026-13-01", ""]),
            (
                "time", ["14:30", "14:30:59.5Z", "00:00+01:00", "08:15-0500"],
                ["24:00", "14h30", "14:60", "14:30+1", "now"]
            ),
            (
                "date-time", ["2026-01-31T14:30:00Z", "2026-01-31 14:30", "2026-01-31t09:00:00.123+02:00"],
                ["2026-01-31", "2026-01-31T25:00:00Z", "T", "2026-01-31T"]
            ),
            ("email", ["a@b", "ada.l@example.com"], ["a", "@b", "a@", "a b@c", "a@b@c"]),
            ("uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567", "123e4567-e89b-12d3-a456-42661417400g"]),
            ("uri", ["https://example.com/x", "tel:+49"], ["example.com", ":x", "http://a b"]),
            ("hostname", ["anything at all"], []),
        ])
    func formats(_ format: String, _ good: [String], _ bad: [String]) throws {
        let schema = JSONSchema(["type": "string", "format": .string(format)])
        for text in good { #expect(schema.problems(in: .string(text)).isEmpty, "\(format): \(text)") }
        for text in bad { #expect(!schema.problems(in: .string(text)).isEmpty, "\(format): \(text)") }
    }

    @Test("nullable of OpenAPI allows null")
    func nullable() throws {
        #expect(try problems(#"{"type": "string", "nullable": true}"#, "null").isEmpty)
        #expect(try !problems(#"{"type": "string"}"#, "null").isEmpty)
    }

    @Test("A schema that leads to itself comes to an end, and so does a value that never fits")
    func bounds() throws {
        #expect(try !problems(##"{"$ref": "#"}"##, "1").isEmpty)
        let tree = ##"{"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"type": "string"}]}"##
        #expect(try !problems(tree, "1").isEmpty)
        let many = "[" + Array(repeating: "\"x\"", count: 5000).joined(separator: ",") + "]"
        #expect(
            try problems(#"{"type": "array", "items": {"type": "integer"}}"#, many).count
                <= JSONSchemaCheck.maximumProblems)
    }

    @Test("What cannot be judged does not fit")
    func tooLarge() throws {
        let unique = #"{"type": "array", "uniqueItems": true}"#
        func list(_ count: Int) -> String { "[" + (0..<count).map { "\($0 % 400)" }.joined(separator: ",") + "]" }
        #expect(try problems(unique, list(400)).isEmpty)
        #expect(try problems(unique, list(401)).first?.contains("twice") == true)
        #expect(try problems(unique, list(800)).first?.contains("too large") == true)
        #expect(
            try problems(##"{"not": {"anyOf": [{"$ref": "#/not"}, {"type": "integer"}]}}"##, "\"x\"").first?
                .contains("too large") == true)
    }

    @Test(
        "An argument that the schema does not declare is refused, unless it speaks of such",
        arguments: [
            (#"{"type": "object", "properties": {"a": {}}}"#, #"there is no "x"; there are a"#),
            (#"{"type": "object", "properties": {"A": {}, "a": {}}}"#, #"there is no "x""#),
            (#"{"properties": {"a": {}}, "additionalProperties": false}"#, #"there is no "x"; there are a"#),
            (#"{"properties": {"a": {}}, "additionalProperties": true}"#, nil),
            (#"{"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}"#, nil),
            (#"{"properties": {"a": {}}, "additionalProperties": {"type": "string"}}"#, "the number 1"),
            (#"{"properties": {"a": {}}, "allOf": [{"properties": {"x": {}}}]}"#, nil),
            (#"{"anyOf": [{"properties": {"a": {}}}, {"properties": {"x": {}}}]}"#, nil),
            (##"{"$ref": "#/$defs/b", "$defs": {"b": {"properties": {"a": {}, "x": {}}}}}"##, nil),
            (#"{"anyOf": [{"properties": {"a": {}}, "additionalProperties": false}, {}]}"#, #"there is no "x""#),
        ])
    func undeclared(_ schema: String, _ words: String?) throws {
        let schema = JSONSchema(try #require(JSONValue(parsing: schema)))
        let problems = schema.problems(in: try ToolArguments(parsing: #"{"a": "y", "x": 1}"#))
        #expect(problems.count == (words == nil ? 0 : 1), "\(problems)")
        #expect(words.map { problems.first?.contains($0) == true } ?? true, "\(problems)")
    }

    @Test("What came is never repeated at length")
    func cut() throws {
        let long = String(repeating: "x", count: 5000)
        for problem in try problems(Self.booking, #"{"day": "\#(long)", "guests": 1, "\#(long)": 1}"#) {
            #expect(problem.utf8.count < 300)
        }
    }

    @Test("No arguments are a trap")
    func random() throws {
        var generator = SeededGenerator(seed: 11)
        let schema = JSONSchema(try #require(JSONValue(parsing: Self.booking)))
        let seed = Array(#"{"day": "2026-01-31", "guests": 4, "names": ["Ada"], "at": "14:30", "code": "ABC"}"#.utf8)
        for _ in 0..<3000 {
            let text = String(decoding: generator.mutate(seed), as: UTF8.self)
            guard let arguments = try? ToolArguments(parsing: text) else { continue }
            _ = schema.problems(in: arguments.json)
        }
    }
}
