import Foundation
import PatchbayCore

@testable import PatchbayConfig
@testable import PatchbayScenarios

/// What libFuzzer calls with each input; the variable `PATCHBAY_FUZZ` says which of the readers gets it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    Target.chosen.run(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

enum Target: String, CaseIterable {
    /// The JSON reader alone.
    case json
    /// The whole loader, of one or several texts: `==== NAME` on a line of its own begins the next one.
    case documents
    /// The blocks of a Markdown file.
    case markdown
    /// `server.json`, and a fragment by itself.
    case settings
    /// The loader again, with a sound document that the input's bytes say how to change.
    case structure
    /// A file of tests.
    case tests
    /// A wire log, and the test that is made of it.
    case wirelog

    static let chosen: Target = {
        let name = ProcessInfo.processInfo.environment["PATCHBAY_FUZZ"] ?? "documents"
        guard let target = Target(rawValue: name) else {
            fatalError("PATCHBAY_FUZZ is \(name); it is one of \(allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return target
    }()

    func run(_ bytes: [UInt8]) {
        switch self {
        case .json: checkJSON(SourceText(file: "x.json", bytes: bytes))
        case .documents: checkDocuments(Self.texts(bytes))
        case .markdown:
            let source = SourceText(file: "README.md", bytes: bytes)
            check(
                DocumentLint(registry: Surroundings.registry, environment: Surroundings.variables).checkMarkdown(
                    source),
                of: [source])
        case .settings:
            let source = SourceText(file: "Pipelines/server.json", bytes: bytes)
            check(ServerSettings.load(source).diagnostics, of: [source])
            check(
                PipelineSet.checkFragment(
                    source, registry: Surroundings.registry, environment: Surroundings.variables,
                    options: LoadOptions(fragments: [])), of: [source])
        case .structure:
            let (document, fragment) = MutatedDocument.make(from: bytes)
            let diagnostics = checkDocuments([
                SourceText(file: "Pipelines/x.json", document), SourceText(file: "Pipelines/y.fragment.json", fragment),
            ])
            // What is written as JSON is read as JSON.
            expect(!diagnostics.contains { $0.code == .syntax && $0.message != "" }, "\(document)\n\(fragment)")
        case .tests: checkTests(SourceText(file: "Pipelines/x.test.json", bytes: bytes))
        case .wirelog: checkWireLog(String(decoding: bytes, as: UTF8.self))
        }
    }

    private static func texts(_ bytes: [UInt8]) -> [SourceText] {
        var texts: [(name: String, lines: [[UInt8]])] = [("Pipelines/x.json", [])]
        for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            if line.starts(with: "==== ".utf8), texts.count < 4 {
                texts.append(("Pipelines/" + String(decoding: line.dropFirst(5), as: UTF8.self), []))
            } else {
                texts[texts.count - 1].lines.append(Array(line))
            }
        }
        return texts.map { SourceText(file: $0.name, bytes: Array($0.lines.joined(separator: [0x0A]))) }
    }
}

/// The machine that the documents are checked on.
private enum Surroundings {
    /// A word that no input has: where it is seen, a reader has told what the environment holds.
    static let secret = "canary-in-the-environment"
    static let variables = testEnvironment.merging(["AGENT_KEY": secret]) { $1 }
    static let registry: ComponentRegistry = {
        do { return try .test() } catch { fatalError("\(error)") }
    }()
}

// MARK: - What must hold

func expect(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
}

private func checkJSON(_ source: SourceText) {
    do {
        let root = try source.readJSON()
        checkRanges(root, in: 0..<source.bytes.count)
    } catch {
        check([error], of: [source])
    }
}

private func checkRanges(_ node: JSONNode, in outer: Range<Int>) {
    expect(outer.clamped(to: node.range) == node.range, "\(node.range) is not in \(outer)")
    switch node.content {
    case .array(let elements): for element in elements { checkRanges(element, in: node.range) }
    case .object(let members):
        for member in members {
            expect(
                member.keyRange.upperBound < member.value.range.lowerBound,
                "the key \(member.key) is not before its value")
            checkRanges(member.value, in: node.range)
        }
    case .null, .boolean, .number, .string: break
    }
}

@discardableResult
private func checkDocuments(_ texts: [SourceText]) -> [Diagnostic] {
    func isIncluded(_ text: SourceText) -> Bool {
        text.file.hasSuffix(".fragment.json") || text.file.dropFirst("Pipelines/".count).contains("/")
    }
    let sources = texts.filter { !isIncluded($0) }
    let (set, diagnostics) = PipelineSet.load(
        sources: sources, registry: Surroundings.registry, environment: Surroundings.variables,
        options: LoadOptions(fragments: texts.filter(isIncluded)))
    check(diagnostics, of: texts)
    expect((set == nil) == diagnostics.hasErrors, "a set and errors, or neither")
    for document in set?.documents ?? [] {
        for number in document.numbers {
            guard let route = set?.route(number.pattern.description.replacing("*", with: "0")) else { continue }
            do {
                _ = try route.plan(for: CallVariables(from: "+1", to: "+2", sid: "CA"))
            } catch {
                // A case that no value of the call names is the only thing that a document cannot exclude.
                expect(error.code == .missingCase, "\(error)")
            }
        }
    }
    return diagnostics
}

@discardableResult
private func checkTests(_ source: SourceText) -> [Diagnostic] {
    let (file, diagnostics) = ScenarioFile.load(source)
    check(diagnostics, of: [source])
    expect((file == nil) == diagnostics.hasErrors, "tests and errors, or neither")
    return diagnostics
}

private func checkWireLog(_ text: String) {
    do throws(Diagnostic) {
        let call = try RecordedCall(text, file: "x.wire.jsonl")
        let made = try ScenarioRecorder(call).make(
            stem: "x", pipeline: "x.json", expecting: [#"{ "agent": "speaks" }"#])
        // What is written is a test, whatever the log says: only the files that it names are not there, and what a message held
        // that no document may hold is told.
        let errors = checkTests(SourceText(file: "x.test.json", made.test)).filter { $0.severity == .error }
        let excused: Set<Diagnostic.Code> = [.unreadableFile, .plainSecret, .duplicateKey]
        expect(errors.allSatisfy { excused.contains($0.code) }, "\(errors)\n\(made.test)")
    } catch {
        check([error], of: [SourceText(file: "x.wire.jsonl", text)])
    }
}

private func check(_ diagnostics: [Diagnostic], of sources: [SourceText]) {
    expect(diagnostics.count <= sources.count * 256 * (Linter.maximumFindings + 1), "\(diagnostics.count) findings")
    for diagnostic in diagnostics.prefix(50) {
        // Several may have one name.
        let places = sources.filter { $0.file == diagnostic.file && $0.bytes.count >= diagnostic.column - 1 }
        let lines = places.map { $0.bytes.count { $0 == 0x0A } + 1 }.max() ?? 0
        expect(diagnostic.file.isEmpty || diagnostic.line <= lines, "\(diagnostic.file):\(diagnostic.line)")
        if let excerpt = diagnostic.excerpt {
            expect(excerpt.length >= 1 && excerpt.leading >= 0, "carets \(excerpt.leading), \(excerpt.length)")
            expect(excerpt.text.unicodeScalars.count <= 230, "an excerpt of \(excerpt.text.unicodeScalars.count)")
        }
    }
    let output = Array(diagnostics.prefix(50)).rendered() + Array(diagnostics.prefix(50)).json
    expect(!output.contains(Surroundings.secret), "a credential is shown")
    expect(output.unicodeScalars.allSatisfy { $0 == "\n" || $0 == "\t" || $0.value >= 0x20 }, "a control character")
}
