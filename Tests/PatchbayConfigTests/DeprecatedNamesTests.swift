import PatchbayCore
import Testing

@testable import PatchbayConfig

extension ComponentRegistry {
    /// The stand-ins, and four more: three had other names once, one never fails.
    static func extended() throws -> ComponentRegistry {
        let base = try ComponentRegistry.test()
        let gate = TestStage(
            spec: ComponentSpec("gate", .stage, summary: "Lets speech through.", formerTypes: ["cutter", "trimmer"]) {
                Field(
                    "openMs", .integer(1...1000), isRequired: true, formerNames: ["open", "openTime"],
                    "How long it stays open, in milliseconds.")
                Field("level", .number(0...1), formerNames: ["volume"], "What counts as speech.")
                Field(
                    "lookahead", .boolean, deprecation: "remove it: the stage always looks ahead", "Looks ahead.")
            },
            convert: { input, _ in .success(input) },
            objections: { settings in
                guard settings.integer("openMs") == 13 else { return [] }
                return [SettingsProblem(field: "openMs", .notAllowed, "13 is unlucky")]
            })
        let agent = TestAgent(
            spec: ComponentSpec("recital", .agent, summary: "Recites.", fields: [], formerTypes: ["reciter"]))
        let steadfast = TestAgent(
            spec: ComponentSpec("steadfast", .agent, summary: "Always answers.", fields: []), neverFails: true)
        let carrier = TestTransport(
            spec: ComponentSpec("trunk", .transport, summary: "A line.", fields: [], formerTypes: ["sip"]))
        return try ComponentRegistry(
            transports: base.transports + [carrier], stages: base.stages + [gate],
            agents: base.agents + [agent, steadfast],
            documentFields: [Field("label", .string, formerNames: ["title"], "A label.")])
    }
}

@Suite("Former names")
struct DeprecatedNamesTests {
    private func load(_ text: String) throws -> (set: PipelineSet?, diagnostics: [Diagnostic]) {
        PipelineSet.load(
            sources: [SourceText(file: "x.json", text)], registry: try .extended(), environment: [:])
    }

    @Test("What is written under former names works as if it were written under the present ones")
    func works() throws {
        let (set, diagnostics) = try load(
            """
            {"name": "x", "title": "T", "transport": "sip",
             "stages": [{"type": "cutter", "open": 40, "volume": 0.5, "lookahead": true}, "reciter"]}
            """)
        let codes = diagnostics.map(\.code.description)
        #expect(codes.sorted() == ["deprecated-field"] + Array(repeating: "deprecated-name", count: 6))
        #expect(!diagnostics.hasErrors)
        let plan = try #require(set?.documents.first).plan(for: CallVariables())
        #expect(plan.transport.component.spec.type == "trunk")
        #expect(plan.backends.map(\.component.spec.type) == ["recital"])
        #expect(plan.options.string("label") == "T")
        let stage = try #require(plan.stagesBefore.first)
        #expect(stage.component.spec.type == "gate")
        #expect(stage.settings.integer("openMs") == 40 && stage.settings.number("level") == 0.5)
        #expect(stage.settings.bool("lookahead") == true)
    }

    @Test("The warning says the present name, which tools can put in")
    func replacement() throws {
        let (_, diagnostics) = try load(
            #"{"name": "x", "transport": "trunk", "stages": [{"type": "trimmer", "openTime": 40}, "recital"]}"#)
        #expect(diagnostics.map(\.suggestion?.replacement) == ["gate", "openMs"])
        #expect(diagnostics.allSatisfy { $0.severity == .warning })
    }

    @Test(
        "One field under two of its names is an error, whichever comes first",
        arguments: [#""open": 1, "openMs": 2"#, #""openMs": 2, "open": 1"#, #""open": 1, "openTime": 2"#])
    func both(_ members: String) throws {
        let (set, diagnostics) = try load(
            #"{"name": "x", "transport": "trunk", "stages": [{"type": "gate", \#(members)}, "recital"]}"#)
        #expect(set == nil)
        #expect(diagnostics.filter { $0.severity == .error }.map(\.code) == [.duplicateKey])
    }

    @Test("Objections point at the key as it was written")
    func objection() throws {
        let text = #"{"name": "x", "transport": "trunk", "stages": [{"type": "gate", "open": 13}, "recital"]}"#
        let finding = try #require(try load(text).diagnostics.first { $0.code == .notAllowed })
        let column = try #require(text.range(of: "13}")).lowerBound
        #expect(finding.column == text.distance(from: text.startIndex, to: column) + 1)
    }

    @Test("A former type is claimed as the present one is")
    func claims() throws {
        func registry(_ types: [(String, [String])]) throws {
            _ = try ComponentRegistry(
                transports: [],
                stages: types.map { type, former in
                    TestStage(
                        spec: ComponentSpec(type, .stage, summary: "x", fields: [], formerTypes: former),
                        convert: { input, _ in .success(input) })
                }, agents: [])
        }
        try registry([("a", ["b"]), ("c", [])])
        #expect(throws: PipelineError.self) { try registry([("a", ["b"]), ("b", [])]) }
        #expect(throws: PipelineError.self) { try registry([("a", ["a"])]) }
        #expect(throws: PipelineError.self) { try registry([("a", ["tee"])]) }
    }

    @Test("Its page tells the history")
    func page() throws {
        let registry = try ComponentRegistry.extended()
        let page = try #require(registry.pages(named: "gate").first).text(width: 400)
        #expect(page.contains("Formerly \"cutter\" or \"trimmer\"."))
        #expect(page.contains("What counts as speech. (formerly \"volume\")"))
        #expect(page.contains("(deprecated: remove it: the stage always looks ahead)"))
        let json = "\(try #require(registry.specs(named: "cutter").first).json)"
        for word in ["formerTypes", "formerNames", "openTime", "deprecation"] { #expect(json.contains(word)) }
    }
}
