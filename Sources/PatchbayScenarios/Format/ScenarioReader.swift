import Foundation
public import PatchbayConfig
import PatchbayCore

extension ScenarioFile {
    /// The ending of test files. Folders of pipelines pass over them.
    public static let suffix = ".test.json"

    /// Reads and checks a file of tests.
    ///
    /// - Returns: The tests, or `nil` when there is any error, with all findings in the order of the text.
    public static func load(_ source: SourceText) -> (file: ScenarioFile?, diagnostics: [Diagnostic]) {
        var (settings, diagnostics) = source.settings(
            ScenarioFields.document, owner: "a test file", checkEnvironment: false)
        guard let settings, let root = try? source.readJSON() else { return (nil, diagnostics) }
        var reader = ScenarioReader(source: source, root: root, directory: settings.directory)
        let file = reader.read(settings)
        diagnostics += reader.diagnostics
        diagnostics.sort { ($0.line, $0.column) < ($1.line, $1.column) }
        return (diagnostics.hasErrors ? nil : file, diagnostics)
    }

    /// Reads and checks a file of tests.
    public static func load(path: String) -> (file: ScenarioFile?, diagnostics: [Diagnostic]) {
        switch SourceText.read(path) {
        case .success(let source): load(source)
        case .failure(let diagnostic): (nil, [diagnostic])
        }
    }

    /// The test files that files and folders stand for, in the order of their names.
    public static func files(in paths: [String]) -> (files: [String], diagnostics: [Diagnostic]) {
        var files: [String] = []
        var diagnostics: [Diagnostic] = []
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                diagnostics.append(Diagnostic(file: path, .unreadableFile, "there is no such file or folder"))
                continue
            }
            guard isFolder.boolValue else {
                files.append(path)
                continue
            }
            let folder = path.hasSuffix("/") ? String(path.dropLast()) : path
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            files += names.filter { $0.hasSuffix(suffix) && !$0.hasPrefix(".") }.sorted().map { "\(folder)/\($0)" }
        }
        return (files, diagnostics)
    }
}

/// Turns checked settings into tests, and checks what fields alone cannot say.
struct ScenarioReader {
    let source: SourceText
    let root: JSONNode
    let directory: String
    var diagnostics: [Diagnostic] = []
    /// Names of the steps of the test that is read.
    var stepNames: Set<String> = []

    mutating func read(_ settings: Settings) -> ScenarioFile {
        let tests = settings.list("tests")
        if tests.isEmpty { report(.emptyList, ["tests"], "there is no test in it") }
        var names: Set<String> = []
        var scenarios: [Scenario] = []
        for (index, test) in tests.enumerated() {
            let name = test.string("name") ?? ""
            if !names.insert(name).inserted {
                report(.duplicateName, ["tests", .index(index), "name"], "another test is named \"\(name)\" too")
            }
            scenarios.append(read(test: test, ["tests", .index(index)]))
        }
        let stem = String(source.file.split(separator: "/").last ?? "")
        if settings.string("pipeline") == nil, !stem.hasSuffix(ScenarioFile.suffix) {
            report(
                .missingField, [], "the file's name does not end in \(ScenarioFile.suffix), so it names no pipeline",
                .init("add \"pipeline\": \"FILE\"", replacement: "pipeline"))
        }
        let pipeline = settings.string("pipeline") ?? "\(stem.dropLast(ScenarioFile.suffix.count)).json"
        let path = resolved(pipeline)
        if !FileManager.default.fileExists(atPath: path), diagnostics.isEmpty {
            report(
                .unreadableFile, settings.string("pipeline") == nil ? [] : ["pipeline"],
                "there is no pipeline at \"\(path)\"")
        }
        return ScenarioFile(
            file: source.file, directory: directory, summary: settings.string("description"), pipeline: path,
            environment: settings.variables("environment").mapValues(\.description), scenarios: scenarios)
    }

    private mutating func read(test: Settings, _ path: Path) -> Scenario {
        let callerSteps = test.list("caller"), connections = test.list("agents")
        stepNames = []
        for (index, step) in callerSteps.enumerated() { claimName(step, path + ["caller", .index(index)]) }
        for (index, connection) in connections.enumerated() {
            for (number, step) in connection.list("steps").enumerated() {
                claimName(step, path + ["agents", .index(index), "steps", .index(number)])
            }
        }
        var caller: [CallerStep] = []
        for (index, step) in callerSteps.enumerated() {
            if let step = callerStep(step, path + ["caller", .index(index)]) { caller.append(step) }
        }
        var agents: [AgentScript] = []
        for (index, connection) in connections.enumerated() {
            agents.append(agentScript(connection, path + ["agents", .index(index)]))
        }
        var tools: [ScriptedTool] = []
        for (index, tool) in test.list("tools").enumerated() {
            if let tool = scriptedTool(tool, path + ["tools", .index(index)]) { tools.append(tool) }
        }
        var expectations: [Expectation] = []
        for (index, expectation) in test.list("expect").enumerated() {
            if let expectation = self.expectation(expectation, path + ["expect", .index(index)]) {
                expectations.append(expectation)
            }
        }
        if test.list("expect").isEmpty {
            report(.emptyList, path + ["expect"], "nothing is expected; a test must be able to fail")
        }
        if let number = test.string("number"), NumberPattern(number) == nil || number.hasSuffix("*") {
            report(
                .badNumber, path + ["number"], "\"number\" is \"\(number)\"; a called number is written in E.164",
                .init("for instance +15550100002"))
        }
        return Scenario(
            name: test.string("name") ?? "", line: place(path).line, number: test.string("number"),
            from: test.string("from") ?? "", at: date(test, path), context: test.variables("context"),
            ring: milliseconds(test, "ringMs") ?? .zero, limit: milliseconds(test, "limitMs") ?? .seconds(120),
            soundThreshold: Int((32_768 * pow(10, (test.number("soundDBFS") ?? -38) / 20)).rounded()),
            voice: test.string("voice") ?? "en", caller: caller, connections: agents, tools: tools,
            expectations: expectations)
    }

    private mutating func date(_ test: Settings, _ path: Path) -> Date {
        let text = test.string("at") ?? ""
        if let date = try? Date(text, strategy: .iso8601) { return date }
        report(
            .notAllowed, path + ["at"], "\"at\" is \"\(text)\"; a time is written as in RFC 3339",
            .init("for instance 2026-12-24T10:30:00+01:00"))
        return Date(timeIntervalSince1970: 0)
    }

    private mutating func claimName(_ step: Settings, _ path: Path) {
        guard let name = step.string("as") else { return }
        let isClear = !EventName.all.contains { $0.name == name } && !name.isEmpty && !name.contains("\"")
        if !isClear {
            report(.badName, path + ["as"], "\"\(name)\" means something else already; choose another name")
        } else if !stepNames.insert(name).inserted {
            report(.duplicateName, path + ["as"], "another step of the test is named \"\(name)\" too")
        }
    }
}

// MARK: - Places and small values

extension ScenarioReader {
    /// The way to a value in the document.
    typealias Path = [PathElement]

    enum PathElement: ExpressibleByStringLiteral {
        case key(String)
        case index(Int)

        init(stringLiteral value: String) { self = .key(value) }
    }

    func place(_ path: Path) -> StepPlace {
        StepPlace(path: text(of: path), line: source.position(of: node(path).range.lowerBound).line)
    }

    mutating func report(
        _ code: Diagnostic.Code, _ path: Path, _ message: String, _ suggestion: Diagnostic.Suggestion? = nil,
        severity: Diagnostic.Severity = .error
    ) {
        var range = node(path).range
        if case .object = node(path).content { range = range.lowerBound..<(range.lowerBound + 1) }
        if case .array = node(path).content { range = range.lowerBound..<(range.lowerBound + 1) }
        diagnostics.append(
            source.finding(code, range, path: text(of: path), message, suggestion: suggestion, severity: severity))
    }

    /// The value itself, or what holds it where it is not written.
    private func node(_ path: Path) -> JSONNode {
        var node = root
        for element in path {
            switch (element, node.content) {
            case (.key(let key), .object(let members)):
                guard let member = members.first(where: { $0.key == key }) else { return node }
                node = member.value
            case (.index(let index), .array(let elements)) where elements.indices.contains(index):
                node = elements[index]
            default: return node
            }
        }
        return node
    }

    private func text(of path: Path) -> String {
        path.reduce(into: "") { text, element in
            switch element {
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            case .index(let index): text += "[\(index)]"
            }
        }
    }

    func milliseconds(_ settings: Settings, _ name: String) -> TimeSpan? {
        settings.integer(name).map { .milliseconds(Int64($0)) }
    }

    func resolved(_ path: String) -> String { path.hasPrefix("/") ? path : "\(directory)/\(path)" }

    /// A WAV file that is named must be there.
    mutating func checkSpeech(_ speech: String, _ path: Path) {
        guard speech.lowercased().hasSuffix(".wav"), !FileManager.default.fileExists(atPath: resolved(speech)) else {
            return
        }
        report(.unreadableFile, path, "there is no file at \"\(resolved(speech))\"")
    }

    /// The one key of `keys` that is written.
    mutating func theOne(_ keys: [String], of path: Path, what: String) -> String? {
        guard case .object(let members) = node(path).content else { return nil }
        let written = members.map(\.key).filter(keys.contains)
        guard written.count == 1 else {
            report(
                written.isEmpty ? .missingField : .notAllowed, path,
                written.isEmpty
                    ? "\(what) says nothing"
                    : "\(what) says several things: \(written.map { "\"\($0)\"" }.joined(separator: ", "))",
                .init("write exactly one of \(keys.joined(separator: ", "))"))
            return nil
        }
        return written.first
    }

    mutating func event(_ text: String, _ path: Path) -> EventName? {
        var name = text
        var number: Int?
        if let space = text.lastIndex(of: " "), let value = Int(text[text.index(after: space)...]), value > 0 {
            name = String(text[..<space])
            number = value
        }
        let known =
            EventName.all.map(\.name)
            + stepNames.sorted().flatMap { [EventName.begin(of: $0).name, EventName.end(of: $0).name] }
        if known.contains(name) { return EventName(name, number: number) }
        // A step whose name ends in a number.
        if known.contains(text) { return EventName(text) }
        let match = closestMatch(to: name, in: known)
        let list = "events here: \(known.joined(separator: ", "))"
        report(
            .notAllowed, path, "there is no event \"\(text)\"",
            .init(match.map { "did you mean \"\($0)\"? \(list)" } ?? list, replacement: match))
        return nil
    }
}
