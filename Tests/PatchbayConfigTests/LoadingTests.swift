import Foundation
import PatchbayCore
import Testing

@testable import PatchbayConfig

@Suite("Loading from files")
struct LoadingTests {
    /// A folder of its own that is removed afterwards.
    private func withFolder(_ files: [String: String], _ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files {
            let url = folder.appendingPathComponent(name)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
        try body(folder.path)
    }

    private func document(_ name: String, _ stage: String = "\"echo\"") -> String {
        #"{"name": "\#(name)", "transport": "wav", "stages": [\#(stage)]}"#
    }

    @Test("A folder stands for its documents, by name, without tests, settings and folders")
    func folder() throws {
        let files = [
            "b.json": document("b"), "a.json": document("a"), "a.test.json": "no JSON", "server.json": "{}",
            "notes.txt": "",
            "deep/c.json": "no JSON", ".hidden.json": "no JSON", "folder.json/x": "",
        ]
        try withFolder(files) { folder in
            let (set, diagnostics) = PipelineSet.load(folder, registry: try .test(), environment: [:])
            #expect(diagnostics.isEmpty)
            #expect(set?.documents.map(\.name) == ["a", "b"])
            #expect(set?.documents.first?.file == "\(folder)/a.json")
            let twice = PipelineSet.load(["\(folder)/", "\(folder)/b.json"], registry: try .test(), environment: [:])
            #expect(twice.set?.documents.map(\.name) == ["a", "b"])
        }
    }

    @Test("What cannot be read is said")
    func unreadable() throws {
        let registry = try ComponentRegistry.test()
        #expect(
            PipelineSet.load("/nowhere/at/all", registry: registry, environment: [:]).diagnostics.map(\.code) == [
                .unreadableFile
            ])
        try withFolder([
            "big.json": String(repeating: " ", count: SourceText.maximumBytes + 1), "ok.json": document("ok"),
        ]) { folder in
            let (set, diagnostics) = PipelineSet.load(folder, registry: registry, environment: [:])
            #expect(set == nil)
            #expect(diagnostics.map(\.code) == [.limitExceeded])
        }
        try withFolder([:]) { folder in
            let (set, diagnostics) = PipelineSet.load(folder, registry: registry, environment: [:])
            #expect(set?.documents.isEmpty == true)
            #expect(diagnostics.map(\.code) == [.noDocuments] && !diagnostics.hasErrors)
        }
    }

    @Test("One wrong document keeps the whole set from being used, and the others are still checked")
    func atomic() throws {
        try withFolder(["a.json": "{", "b.json": document("b"), "c.json": document("c", "\"ecco\"")]) { folder in
            let (set, diagnostics) = PipelineSet.load(folder, registry: try .test(), environment: [:])
            #expect(set == nil)
            #expect(diagnostics.map(\.code) == [.syntax, .unknownType])
            #expect(diagnostics.map(\.file) == ["\(folder)/a.json", "\(folder)/c.json"])
        }
    }

    @Test(
        "Secrets come from files beside the document, without the line break at their end",
        arguments: [("k-1\n", "k-1"), ("k-1", "k-1"), (" k 1 \r\n\n", " k 1 "), ("\n", nil), ("", nil)]
            as [(String, String?)])
    func secretFile(_ content: String, _ expected: String?) throws {
        let stage = #"{"type": "elevenlabs", "apiKey": {"file": "keys/eleven.txt"}}"#
        try withFolder(["a.json": document("a", stage), "keys/eleven.txt": content]) { folder in
            let (set, diagnostics) = PipelineSet.load(folder, registry: try .test(), environment: [:])
            #expect(diagnostics.map(\.code) == (expected == nil ? [.missingCredential] : []))
            #expect(
                try set?.documents.first?.plan(for: CallVariables()).backends[0].settings.secret("apiKey")?.reveal()
                    == expected)
        }
    }

    @Test("A folder is no secret")
    func secretFolder() throws {
        let stage = #"{"type": "elevenlabs", "apiKey": {"file": "keys"}}"#
        try withFolder(["a.json": document("a", stage), "keys/x": ""]) { folder in
            let diagnostics = PipelineSet.load(folder, registry: try .test(), environment: [:]).diagnostics
            #expect(diagnostics.map(\.code) == [.missingCredential])
        }
    }

    @Test("Server settings are read from the folder, or have their defaults")
    func server() throws {
        try withFolder([:]) { folder in
            let (settings, diagnostics) = ServerSettings.load(directory: folder)
            #expect(settings == ServerSettings() && diagnostics.isEmpty)
        }
        let text = """
            { "paths": { "voice": ["/api/twilio/voice", "/twilio/incoming-call"] }, "messages": { "busy": "Full." },
              "limits": { "maximumCalls": 7 }, "public": ["health", "metrics"] }
            """
        try withFolder(["server.json": text]) { folder in
            let (settings, diagnostics) = ServerSettings.load(directory: folder + "/")
            #expect(diagnostics.isEmpty)
            #expect(settings.paths(.voice) == ["/api/twilio/voice", "/twilio/incoming-call"])
            #expect(settings.paths(.status) == ["/twilio/status"])
            #expect(settings.messages[.busy] == "Full.")
            #expect(settings.limits.maximumCalls == 7 && settings.limits.drainSeconds == 600)
            #expect(settings.publicPaths == [.health, .metrics])
        }
        try withFolder(["server.json": "{"]) { folder in
            #expect(ServerSettings.load(directory: folder).diagnostics.map(\.code) == [.syntax])
        }
    }

    @Test("The defaults of the specs and of the values are the same")
    func defaults() {
        let limits = CallLimits(Settings(CallLimits.fields))
        #expect(limits.maximumDuration == CallLimits().maximumDuration && limits.idle == CallLimits().idle)
        #expect(limits.agentReady == CallLimits().agentReady && limits.lead == CallLimits().lead)
        #expect(ServerSettings.Limits(Settings(ServerSettings.Limits.fields)) == ServerSettings.Limits())
    }

    @Test("Other documents are read by their fields too")
    func otherDocuments() {
        let fields = [
            Field("caller", .string, isRequired: true, "Who calls."),
            Field("waitMs", .integer(0...100), default: 5, "Wait."),
        ]
        let good = SourceText(file: "a.test.json", #"{"caller": "${env.WHO}"}"#).settings(
            fields, owner: "a test", environment: ["WHO": "Ada"])
        #expect(
            good.settings?.string("caller") == "Ada" && good.settings?.integer("waitMs") == 5
                && good.diagnostics.isEmpty)
        let bad = SourceText(file: "a.test.json", #"{"waitMs": 101}"#).settings(fields, owner: "a test")
        #expect(bad.settings == nil && bad.diagnostics.map(\.code) == [.missingField, .outOfRange])
    }

    @Test("Mutated documents give a set or diagnostics", arguments: 1...6 as ClosedRange<UInt64>)
    func fuzz(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let registry = try ComponentRegistry.test()
        let salon = Array(PipelineSetTests.salon.utf8)
        for round in 0..<150 {
            let source = SourceText(file: "Pipelines/x.json", bytes: generator.mutate(salon))
            let (set, diagnostics) = PipelineSet.load(
                sources: [source], registry: registry, environment: testEnvironment)
            #expect((set == nil) == diagnostics.hasErrors, "seed \(seed), round \(round)")
            #expect(diagnostics.count <= Linter.maximumFindings + 1, "seed \(seed), round \(round)")
            #expect(!diagnostics.rendered().contains("sk-live"), "seed \(seed), round \(round)")
            for route in (set?.documents ?? []).flatMap(\.numbers).compactMap({ set?.route($0.pattern.description) }) {
                #expect(throws: Never.self, "seed \(seed), round \(round)") { try route.plan(for: CallVariables()) }
            }
            _ = ServerSettings.load(source)
        }
    }
}

@Suite("Hostile documents cost linear time")
struct HostileDocumentTests {
    /// Each fills a megabyte with one thing; any of them in quadratic time would take minutes.
    @Test(
        "A megabyte of one mistake",
        arguments: [
            ("duplicate keys", "{\"variables\": {", "\"a\": 1,", "\"a\": 1}}"),
            ("numbers claimed twice", "{\"numbers\": [", "\"*\",", "\"*\"]}"),
            ("unknown keys", "{", "\"stagez\": 1,", "\"x\": 1}"),
            ("unknown references", "{\"stages\": [{\"type\": \"script\", \"say\": \"", "${a}", "\"}]}"),
            ("unclosed references", "{\"stages\": [{\"type\": \"script\", \"say\": \"", "$${ ${ ", "\"}]}"),
            ("empty stages", "{\"stages\": [", "[],", "{}]}"),
            ("unknown stages", "{\"stages\": [", "\"decodre\",", "\"x\"]}"),
            ("open brackets", "", "[", ""), ("quotes", "", "\"", ""), ("spaces", "", " ", "x"),
            ("backslashes", "\"", "\\", ""),
            ("bad numbers", "{\"numbers\": {", "\"1\": {},", "\"2\": {}}}"),
        ])
    func megabyte(_ name: String, _ head: String, _ body: String, _ tail: String) throws {
        let count = ((1 << 20) - head.utf8.count - tail.utf8.count) / body.utf8.count
        let source = SourceText(file: "x.json", head + String(repeating: body, count: count) + tail)
        let (set, diagnostics) = PipelineSet.load(sources: [source], registry: try .test(), environment: [:])
        #expect(set == nil && !diagnostics.isEmpty)
        #expect(diagnostics.count <= Linter.maximumFindings + 1)
        #expect(diagnostics.rendered().utf8.count < 400_000)
    }

    @Test("Thousands of references to the variables of thousands of numbers")
    func references() throws {
        let numbers = (0..<10_000).map { "\"+1555\(1_000_000 + $0)\": {\"a\": 1}" }.joined(separator: ",")
        let say = String(repeating: "${a}", count: 100_000)
        let stage = #"{"type": "script", "say": "\#(say)"}"#
        let text = #"{"name": "x", "transport": "wav", "stages": [\#(stage)], "numbers": {\#(numbers)}}"#
        let source = SourceText(file: "x.json", text)
        let set = PipelineSet.load(sources: [source], registry: try .test(), environment: [:]).set
        let plan = try #require(set?.route("+15551000007")).plan(for: CallVariables())
        #expect(plan.backends[0].settings.string("say")?.utf8.count == 100_000)
    }
}
