import Foundation
import Testing

@testable import PatchbayConfig

/// One file for each mistake that people make: a document, a dashed line, the exact diagnostics.
///
/// The dashed line may carry words: `no-environment`, `agent=TYPE` (the override), `server` (the document is
/// `server.json`), `fragment` (it is one, checked by itself), `markdown`, `extended` (there are components that have had other
/// names). A line `==== NAME` begins another document of the set, or, when the name has a `/` or ends in
/// `.fragment.json`, a file that documents may include. With `PATCHBAY_WRITE_GOLDENS=1` in the
/// environment the files are written instead of compared; read the change before you keep it.
struct GoldenFile: CustomTestStringConvertible, Sendable {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

    var name: String
    var url: URL { Self.folder.appendingPathComponent(name) }
    var testDescription: String { name }

    static let all: [GoldenFile] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(".golden") }.sorted().map { GoldenFile(name: $0) }
    }()
}

@Suite("Golden diagnostics")
struct GoldenDiagnosticsTests {
    @Test("There is a file for every mistake")
    func count() { #expect(GoldenFile.all.count >= 100) }

    @Test("Diagnostics are exactly as written", arguments: GoldenFile.all)
    func golden(_ file: GoldenFile) throws {
        // Decoded by hand, because Foundation would drop a byte order mark.
        let text = String(decoding: try Data(contentsOf: file.url), as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let dash = try #require(lines.firstIndex { $0.hasPrefix("----") })
        let words = lines[dash].split(separator: " ").dropFirst()
        let expected = lines[(dash + 1)...].joined(separator: "\n")
        let rendered = try diagnostics(lines[..<dash], words: words.map(String.init)).rendered()

        if ProcessInfo.processInfo.environment["PATCHBAY_WRITE_GOLDENS"] == "1" {
            try (lines[...dash].joined(separator: "\n") + "\n" + rendered).write(
                to: file.url, atomically: true, encoding: .utf8)
        } else {
            #expect(rendered == expected)
        }
        for secret in ["sk-live", "hunter2", "s3cr3t"] { #expect(!rendered.contains(secret), "a credential is shown") }
    }

    /// Found by fuzzing: the name of an included file was printed as it is.
    @Test("No name of a file can move the cursor of a terminal")
    func fileNames() {
        let name = "a\u{1B}[2J\u{202E}.json"
        let text = Diagnostic(
            file: name, line: 1, column: 1, .includeCycle, name, path: name, includedFrom: name, suggestion: .init(name)
        ).rendered()
        #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || $0.isPrintable })
    }

    private func diagnostics(_ lines: ArraySlice<Substring>, words: [String]) throws -> [Diagnostic] {
        let names = [
            "server": "Pipelines/server.json", "fragment": "Pipelines/a.fragment.json", "markdown": "README.md",
        ]
        let first = words.lazy.compactMap { names[$0] }.first ?? "Pipelines/salon.json"
        var documents: [(name: String, lines: [Substring])] = [(first, [])]
        for line in lines {
            if line.hasPrefix("==== ") {
                documents.append(("Pipelines/\(line.dropFirst(5))", []))
            } else {
                documents[documents.count - 1].lines.append(line)
            }
        }
        let texts = documents.map { SourceText(file: $0.name, $0.lines.joined(separator: "\n")) }
        let source = try #require(texts.first)
        if words.contains("server") { return ServerSettings.load(source).diagnostics }
        let override = words.first { $0.hasPrefix("agent=") }?.dropFirst(6)
        func isIncluded(_ text: SourceText) -> Bool {
            text.file.hasSuffix(".fragment.json") || text.file.dropFirst("Pipelines/".count).contains("/")
        }
        let options = LoadOptions(
            checkEnvironment: !words.contains("no-environment"), agentOverride: override.map(String.init),
            fragments: texts.dropFirst().filter(isIncluded))
        let registry = try words.contains("extended") ? ComponentRegistry.extended() : .test()
        if words.contains("fragment") {
            return PipelineSet.checkFragment(
                source, registry: registry, environment: testEnvironment, options: options)
        }
        if words.contains("markdown") {
            return DocumentLint(registry: registry, environment: testEnvironment, options: options)
                .checkMarkdown(source)
        }
        return PipelineSet.load(
            sources: [source] + texts.dropFirst().filter { !isIncluded($0) }, registry: registry,
            environment: testEnvironment, options: options
        ).diagnostics
    }
}
