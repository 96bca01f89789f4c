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
        if let kind = source.kindOfOther { return (nil, [kind]) }
        var (settings, diagnostics) = source.settings(
            ScenarioFields.document, owner: "a test file", checkEnvironment: false, keepingSoundParts: true)
        guard let settings, let root = try? source.readJSON() else { return (nil, diagnostics) }
        let errors = diagnostics.filter { $0.severity == .error }.map {
            ScenarioReader.Place(line: $0.line, column: $0.column)
        }
        var reader = ScenarioReader(source: source, root: root, directory: settings.directory, known: errors.sorted())
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

extension SourceText {
    /// What is wrong with a file that is a pipeline or a fragment instead of a test: one word instead of an error for each key.
    fileprivate var kindOfOther: Diagnostic? {
        guard case .object(let members)? = try? readJSON().content, !members.contains(where: { $0.key == "tests" }),
            let stages = members.first(where: { $0.key == "stages" })
        else { return nil }
        let suggestion =
            file.hasSuffix(ScenarioFile.suffix) || !file.hasSuffix(".json")
            ? nil : "its tests would be in \(file.dropLast(5))\(ScenarioFile.suffix)"
        return finding(
            .missingField, stages.keyRange, path: "stages",
            "this is no file of tests: it has \"stages\" and no \"tests\"",
            suggestion: suggestion.map { .init($0) })
    }
}

/// Turns checked settings into tests, and checks what fields alone cannot say.
struct ScenarioReader {
    /// Where in the text something begins.
    struct Place: Comparable {
        var line, column: Int

        static func < (one: Self, other: Self) -> Bool { (one.line, one.column) < (other.line, other.column) }
    }

    let source: SourceText
    let root: JSONNode
    let directory: String
    /// Where its fields have errors, in order. What they have to do with is not called wrong once more.
    let known: [Place]
    var diagnostics: [Diagnostic] = []
    /// Names of the steps of the test that is read.
    var stepNames: Set<String> = []
    /// Whether one of the steps has a name that could not be read, so that any event may be its.
    private var hasUnknownNames = false

    init(source: SourceText, root: JSONNode, directory: String, known: [Place]) {
        self.source = source
        self.root = root
        self.directory = directory
        self.known = known
    }

    mutating func read(_ settings: Settings) -> ScenarioFile {
        let tests = settings.list("tests")
        if tests.isEmpty { report(.emptyList, ["tests"], "there is no test in it") }
        var names: Set<String> = []
        var scenarios: [Scenario] = []
        for (index, test) in tests.enumerated() {
            if let name = test.string("name"), !names.insert(name).inserted {
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
        hasUnknownNames = false
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
            // `patchbay route --at` takes a time of this machine; a test must say the same everywhere.
            .init(
                (try? Date(text + "Z", strategy: .iso8601)) == nil
                    && (try? Date(text + ":00Z", strategy: .iso8601)) == nil
                    ? "for instance 2026-12-24T10:30:00+01:00"
                    : "a test has to name the zone: \(text)\(text.utf8.count == 16 ? ":00" : "")Z, or with its offset"))
        return Date(timeIntervalSince1970: 0)
    }

    private mutating func claimName(_ step: Settings, _ path: Path) {
        guard let name = step.string("as") else {
            if isKnown(node(path + ["as"]).range) { hasUnknownNames = true }
            return
        }
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
        guard !isKnown(range) else { return }
        if case .object = node(path).content { range = range.lowerBound..<(range.lowerBound + 1) }
        if case .array = node(path).content { range = range.lowerBound..<(range.lowerBound + 1) }
        diagnostics.append(
            source.finding(code, range, path: text(of: path), message, suggestion: suggestion, severity: severity))
    }

    /// Whether its fields have an error there.
    private func isKnown(_ range: Range<Int>) -> Bool {
        guard !known.isEmpty else { return false }
        func place(_ offset: Int) -> Place {
            let (line, column) = source.position(of: offset)
            return Place(line: line, column: column)
        }
        let (start, end) = (place(range.lowerBound), place(range.upperBound))
        return known.contains { start <= $0 && $0 < end }
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
        let events =
            EventName.all.map(\.name)
            + stepNames.sorted().flatMap { [EventName.begin(of: $0).name, EventName.end(of: $0).name] }
        if events.contains(name) { return EventName(name, number: number) }
        // A step whose name ends in a number.
        if events.contains(text) { return EventName(text) }
        guard !hasUnknownNames else { return nil }
        let match = closestMatch(to: name, in: events)
        let list = "events here: \(events.joined(separator: ", "))"
        report(
            .notAllowed, path, "there is no event \"\(text)\"",
            .init(match.map { "did you mean \"\($0)\"? \(list)" } ?? list, replacement: match))
        return nil
    }
}
