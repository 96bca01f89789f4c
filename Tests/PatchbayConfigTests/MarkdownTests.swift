import Foundation
import Testing

@testable import PatchbayConfig

@Suite("JSON in Markdown")
struct MarkdownTests {
    private func blocks(_ text: String) -> [String] {
        SourceText(file: "x.md", text).jsonBlocks().map {
            $0.source.text(in: 0..<$0.source.bytes.count).drop { $0 == "\n" }.split(separator: "\n").joined(
                separator: "|")
        }
    }

    @Test(
        "Fences are those of CommonMark",
        arguments: [
            ("```json\n1\n```\n", ["1"]), ("```json\n1\n```\n\n```json\n2\n```\n", ["1", "2"]),
            ("~~~json\n1\n~~~\n", ["1"]), ("~~~json\n```\n~~~\n", ["```"]), ("````json\n```\n````\n", ["```"]),
            ("```json\n1\n`````\n2\n", ["1"]), ("```json\n1\n~~~\n", ["1|~~~"]), ("```json\n1", ["1"]),
            ("```json\n1\n``` x\n", ["1|``` x"]), ("```JSON title\n1\n```", ["1"]), ("```json ignore\n1\n```", []),
            ("```json,ignore\n1\n```", []), ("```jsonc\n1\n```", []), ("```\n1\n```", []), ("``json\n1\n``", []),
            ("```js`on\n1\n```", []), ("~~~ json\n1\n~~~", ["1"]), ("   ```json\n   1\n   ```", ["   1"]),
            ("    ```json\n    1\n    ```", []), ("text\n```json\n1\n```", ["1"]),
            ("- a\n\n  ```json\n  1\n  ```\n", ["  1"]), ("1. a\n   ```json\n   1\n   ```\n", ["   1"]),
            ("- ```json\n  1\n  ```\n- b", ["  1"]), ("- ```json\n  1\nend\n", ["  1"]),
            ("10. a\n    - b\n      ```json\n      1\n      ```", ["      1"]), ("-\t```json\n\t1\n\t```\n", ["\t1"]),
            ("> ```json\n> 1\n> ```\n", ["  1"]), ("> ```json\n> 1\n2\n", ["  1"]),
            ("> - ```json\n>   1\n>   ```\n", ["    1"]), ("<!--\n```json\n1\n```\n-->\n```json\n2\n```", ["2"]),
            ("<!-- x -->\n```json\n1\n```", ["1"]), ("<pre>\n```json\n1\n```\n</pre>", []),
            ("10. a\nlazy\n    ```json\n    1\n    ```", ["    1"]), ("- a\n\ntext\n\n      ```json\n      1\n", []),
            ("```json\r\n1\r\n```\r\n", ["1\r\n"]), ("", []), ("```", []), ("```json\n```", [""]),
            ("* * *\n```json\n1\n```", ["1"]), ("    - a\n```json\n1\n```", ["1"]),
        ] as [(String, [String])])
    func fences(_ text: String, _ expected: [String]) { #expect(blocks(text) == expected) }

    @Test("Positions are those of the Markdown file")
    func positions() throws {
        let text = """
            # Title

            - Step

              ```json
              { "name": "x", "transport": "twilio", "stages": ["ecko"] }
              ```

            > ~~~json
            > { "name": "x", "transport": "twilio",
            >   "stages": ["ecko"] }
            > ~~~
            """
        let lint = DocumentLint(registry: try .test(), environment: [:])
        let found = lint.checkMarkdown(SourceText(file: "x.md", text))
        #expect(
            found.map { "\($0.file):\($0.line):\($0.column) \($0.code)" } == [
                "x.md:6:52 unknown-type", "x.md:11:16 unknown-type",
            ])
        #expect(found.first?.excerpt?.text == #"  { "name": "x", "transport": "twilio", "stages": ["ecko"] }"#)
    }

    @Test(
        "A block is what is in it",
        arguments: [
            (#"{"name": "x", "transport": "twilio", "stages": ["echo"]}"#, []),
            (#"{"transport": "twilio", "stages": ["echo"]}"#, ["missing-field"]),
            (#"{"stages": ["decoder", {"type": "vad", "silenceMs": "${ms}"}], "parameters": {"ms": null}}"#, []),
            (#"{"stages": [{"type": "vad", "silenceMs": 1}]}"#, ["out-of-range"]), (#"{"type": "anything"}"#, []),
            (#"{"a": 1, "a": 2}"#, ["duplicate-key"]), ("[1, 2", ["syntax"]), ("", ["syntax"]), (" \n", ["syntax"]),
            (#"{"tests": []}"#, []), ("5", []),
            (
                #"{"name": "x", "transport": "twilio", "stages": [{"type": "include", "file": "none.json"}, "echo"]}"#,
                []
            ),
        ] as [(String, [String])])
    func kinds(_ block: String, _ codes: [String]) throws {
        let lint = DocumentLint(registry: try .test(), environment: [:])
        let found = lint.checkMarkdown(SourceText(file: "x.md", "x\n```json\n\(block)\n```\n"))
        #expect(found.map(\.code.description) == codes)
        #expect(found.allSatisfy { $0.line >= 2 })
    }

    @Test("Two blocks may use one name and one number")
    func sets() throws {
        let block =
            "```json\n{\"name\": \"x\", \"numbers\": [\"*\"], \"transport\": \"twilio\", \"stages\": [\"echo\"]}\n```\n"
        let lint = DocumentLint(registry: try .test(), environment: [:])
        #expect(lint.checkMarkdown(SourceText(file: "x.md", block + block)) == [])
    }

    @Test("A file of blocks is cut short")
    func limit() throws {
        let text = String(repeating: "```json\n1\n```\n", count: 300)
        let found = DocumentLint(registry: try .test(), environment: [:]).checkMarkdown(SourceText(file: "x.md", text))
        #expect(found.map(\.code) == [.limitExceeded])
    }
}

@Suite("Lint of files")
struct DocumentLintTests {
    private static let files = [
        "salon.json": #"{"name": "salon", "numbers": ["*"], "transport": "twilio", "stages": ["echo"]}"#,
        "spa.json": #"{"name": "salon", "transport": "twilio", "stages": ["ecko"]}"#,
        "a.fragment.json": #"{"stages": [{"type": "vad", "silenceMs": 1}]}"#,
        "salon.test.json": #"{"tests": [}"#, "server.json": #"{"limits": {"maximumCalls": 0}}"#,
        "README.md":
            "```json\n{\"name\": \"salon\", \"numbers\": [\"*\"], \"transport\": \"x\", \"stages\": [\"echo\"]}\n```\n",
        "notes.txt": "{", "listening.json": #"{"stages": ["decodr"]}"#, ".hidden.json": "{",
    ]

    private func inFolder(_ files: [String: String], _ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files {
            try text.write(to: folder.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
        try body(folder.path)
    }

    @Test("In a folder every file is checked as what it is")
    func folder() throws {
        try inFolder(Self.files) { folder in
            let report = DocumentLint(registry: try .test(), environment: [:]).check([folder])
            let found = report.diagnostics.map { "\($0.file.dropFirst(folder.count + 1)) \($0.code)" }
            #expect(
                found == [
                    "README.md unknown-type", "a.fragment.json out-of-range", "listening.json missing-field",
                    "listening.json missing-field",
                    "listening.json unknown-type",
                    "salon.test.json syntax", "server.json out-of-range", "spa.json duplicate-name",
                    "spa.json unknown-type",
                ])
            #expect(report.fileCount == 7)
            #expect(report.summary == "7 files, 9 errors")
        }
    }

    @Test("A file is checked as what it is, too", arguments: ["a.fragment.json", "server.json", "listening.json"])
    func file(_ name: String) throws {
        try inFolder(Self.files) { folder in
            let report = DocumentLint(registry: try .test(), environment: [:]).check(["\(folder)/\(name)"])
            #expect(report.diagnostics.count == 1 && report.fileCount == 1)
            #expect(report.diagnostics.first?.code != .missingField)
        }
    }

    @Test("Tests are checked by whoever knows them")
    func tests() throws {
        try inFolder(Self.files) { folder in
            let lint = DocumentLint(registry: try .test(), environment: [:]) { source in
                [Diagnostic(file: source.file, .emptyList, severity: .warning, "no test")]
            }
            let report = lint.check(["\(folder)/salon.test.json"])
            #expect(report.diagnostics.map(\.code) == [.emptyList])
            #expect(report.summary == "1 file, no errors, 1 warning")
        }
    }

    @Test("Files that are named twice count once; what is not there is said")
    func paths() throws {
        try inFolder(["salon.json": Self.files["salon.json"] ?? ""]) { folder in
            let lint = DocumentLint(registry: try .test(), environment: [:])
            var seen: [Int] = []
            let report = lint.check([
                folder, "\(folder)/salon.json", "\(folder)/../\(folder.split(separator: "/").last ?? "")/salon.json",
            ]) { done, total in
                seen += [done, total]
            }
            #expect(report.diagnostics == [] && report.summary == "1 file, no errors" && seen == [0, 1])
            #expect(lint.check(["\(folder)/none.json"]).diagnostics.map(\.code) == [.unreadableFile])
        }
        try inFolder([:]) { folder in
            let report = DocumentLint(registry: try .test(), environment: [:]).check([folder])
            #expect(
                report.diagnostics.map(\.code) == [.noDocuments] && report.summary == "0 files, no errors, 1 warning")
        }
    }

    @Test("Annotations of a pull request are one line each")
    func annotations() {
        var report = LintReport()
        report.add([
            Diagnostic(
                file: "a,b:c.json", line: 3, column: 4, .unknownField, "100% \"x\"\nwrong",
                suggestion: .init("write \"y\"")),
            Diagnostic(file: "", .noDocuments, severity: .warning, "empty"),
        ])
        #expect(
            report.annotations == """
                ::error file=a%2Cb%3Ac.json,line=3,col=4,title=unknown-field::100%25 "x"%0Awrong%0Awrite "y"
                ::warning file=,title=no-documents::empty
                """)
    }

    @Test("What a component objects to comes with the errors of its other fields")
    func together() throws {
        func codes(_ vad: String) throws -> [String] {
            let text = #"{"name": "x", "transport": "wav", "stages": [\#(vad), "echo"]}"#
            return PipelineSet.load(
                sources: [SourceText(file: "x.json", text)], registry: try .test(), environment: [:]
            )
            .diagnostics.map { "\($0.severity) \($0.code)" }
        }
        #expect(
            try codes(#"{"type": "vad", "silenceMs": 100, "minimumSpeechMs": 500, "threshold": 7}"#)
                == ["warning out-of-range", "error out-of-range"])
        // The objection compares with a value that is wrong itself.
        #expect(try codes(#"{"type": "vad", "silenceMs": 100, "minimumSpeechMs": 5000}"#) == ["error out-of-range"])
        #expect(
            try codes(#"{"type": "vad", "silenceMs": 100, "minimumSpeachMs": 500}"#) == ["error unknown-field"])
        #expect(
            try codes(#"{"type": "vad", "silenceMs": 100, "minimumSpeechMs": 500, "colour": "red"}"#)
                == ["warning out-of-range", "error unknown-field"])
    }
}
