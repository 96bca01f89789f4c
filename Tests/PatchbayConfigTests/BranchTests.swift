import PatchbayAudio
import PatchbayCore
import Testing

@testable import PatchbayConfig

@Suite("Branches of pipelines")
struct BranchTests {
    private func load(
        _ stages: String, variables: String = "{}", numbers: String = "[\"+15551234567\"]",
        fragments: [String: String] = [:]
    ) throws -> (set: PipelineSet?, diagnostics: [Diagnostic]) {
        let text = """
            { "name": "desk", "numbers": \(numbers), "variables": \(variables), "transport": "twilio",
              "stages": \(stages) }
            """
        return PipelineSet.load(
            sources: [SourceText(file: "Pipelines/desk.json", text)], registry: try .test(),
            environment: testEnvironment,
            options: LoadOptions(
                fragments: fragments.map { SourceText(file: "Pipelines/\($0.key)", $0.value) }))
    }

    private func plan(
        _ stages: String, variables: String = "{}", numbers: String = "[\"+15551234567\"]",
        fragments: [String: String] = [:], call: CallVariables = CallVariables(to: "+15551234567")
    ) throws -> PipelinePlan {
        let (set, diagnostics) = try load(stages, variables: variables, numbers: numbers, fragments: fragments)
        let route = try #require(set, "\(diagnostics.rendered())").route(call.to)
        return try #require(route).plan(for: call)
    }

    private func codes(_ diagnostics: [Diagnostic]) -> [String] { diagnostics.map(\.code.description) }

    // MARK: Fragments

    @Test("A fragment's stages stand where it is included, with its parameters filled in")
    func include() throws {
        let plan = try plan(
            #"""
            [ { "type": "include", "file": "hear.fragment.json", "with": { "rate": 16000, "text": "${call.from}!" } },
              { "type": "script", "say": "Hi" }, { "type": "resampler", "rateHz": 8000 }, "encoder" ]
            """#,
            fragments: [
                "hear.fragment.json": #"""
                { "description": "Hears", "parameters": { "rate": 48000, "silence": 700, "text": "none" },
                  "stages": [ "decoder", { "type": "resampler", "rateHz": "${rate}" },
                              { "type": "vad", "silenceMs": "${silence}" } ] }
                """#
            ])
        #expect(plan.stagesBefore.map(\.component.spec.type) == ["decoder", "resampler", "vad"])
        #expect(
            plan.stagesBefore.map(\.place) == ["stages[0].stages[0]", "stages[0].stages[1]", "stages[0].stages[2]"])
        #expect(plan.stagesBefore[1].settings.integer("rateHz") == 16_000)
        #expect(plan.stagesBefore[2].settings.integer("silenceMs") == 700)
    }

    @Test("Texts are filled in, other references are left to the document, and a value cannot change the structure")
    func parameterTexts() throws {
        let fragment = #"""
            { "parameters": { "who": "nobody", "n": 3 },
              "stages": [ { "type": "script", "say": "${who} (${n}, $${n}) at ${call.to}, ${place}", "then": ["${who}"] } ] }
            """#
        let plan = try plan(
            #"[ { "type": "include", "file": "say.fragment.json", "with": { "who": "\"}, ${call.from} {" } } ]"#,
            variables: #"{ "place": "home" }"#, fragments: ["say.fragment.json": fragment],
            call: CallVariables(from: "+1999", to: "+15551234567"))
        let settings = try #require(plan.backends.first).settings
        #expect(settings.string("say") == "\"}, +1999 { (3, ${n}) at +15551234567, home")
        #expect(settings.strings("then") == ["\"}, +1999 {"])
    }

    @Test("A fragment may hold fragments, and the version changes with it")
    func nested() throws {
        let outer =
            #"{ "parameters": { "rate": null }, "stages": [ "decoder", { "type": "include", "file": "in.fragment.json", "with": { "rate": "${rate}" } } ] }"#
        let stages = #"""
            [ { "type": "include", "file": "out.fragment.json", "with": { "rate": 16000 } }, "echo",
              { "type": "resampler", "rateHz": 8000 }, "encoder" ]
            """#
        func version(_ inner: String) throws -> String {
            let plan = try plan(stages, fragments: ["out.fragment.json": outer, "in.fragment.json": inner])
            #expect(plan.agentFormat == .pcm(16_000))
            return plan.version
        }
        let one = try version(
            #"{ "parameters": { "rate": 8000 }, "stages": [ { "type": "resampler", "rateHz": "${rate}" } ] }"#)
        let two = try version(
            #"{ "parameters": { "rate": 8000 }, "stages":  [ { "type": "resampler", "rateHz": "${rate}" } ] }"#)
        #expect(one != two)
    }

    @Test("A mistake in a fragment is told once, however many documents include it")
    func sharedMistake() throws {
        func text(_ name: String) -> String {
            #"{ "name": "\#(name)", "transport": "twilio", "stages": [ { "type": "include", "file": "x.fragment.json" }, "echo" ] }"#
        }
        let (_, diagnostics) = PipelineSet.load(
            sources: ["a", "b"].map { SourceText(file: "\($0).json", text($0)) }, registry: try .test(),
            environment: [:],
            options: LoadOptions(
                fragments: [
                    SourceText(file: "x.fragment.json", #"{ "stages": [ { "type": "vad", "silenceMs": 1 } ] }"#)
                ]))
        #expect(codes(diagnostics) == ["out-of-range"])
        #expect(diagnostics.first?.file == "x.fragment.json")
        #expect(diagnostics.first?.includedFrom == "a.json:1:80")
    }

    @Test("A fragment that multiplies itself is stopped")
    func bomb() throws {
        var fragments: [String: String] = [:]
        for level in 0..<8 {
            let inner = #"{ "type": "include", "file": "\#(level + 1).fragment.json" }"#
            fragments["\(level).fragment.json"] =
                "{ \"stages\": [" + Array(repeating: inner, count: 20).joined(separator: ",") + "] }"
        }
        fragments["8.fragment.json"] = #"{ "stages": [] }"#
        let (set, diagnostics) = try load(
            #"[ { "type": "include", "file": "0.fragment.json" }, "echo" ]"#, fragments: fragments)
        #expect(set == nil)
        #expect(codes(diagnostics).contains("limit-exceeded"))
    }

    // MARK: Choices

    static let languages = #"""
        [ "decoder",
          { "type": "switch", "on": "${language}",
            "cases": { "de": [ { "type": "resampler", "rateHz": 16000 }, "vad", { "type": "script", "say": "Guten Tag" } ],
                       "en": [ { "type": "script", "say": "Hello" } ] },
            "otherwise": [ "echo" ] },
          { "type": "resampler", "rateHz": 8000 }, "encoder" ]
        """#

    @Test(
        "A switch on a variable chooses the chain when the call begins, agent and formats included",
        arguments: [
            ("de", "Guten Tag", 16_000, ["decoder", "resampler", "vad"], ["resampler", "encoder"]),
            ("en", "Hello", 8000, ["decoder"], ["encoder"]), ("fr", nil, 8000, ["decoder"], ["encoder"]),
        ] as [(String, String?, Int, [String], [String])])
    func choice(_ language: String, _ words: String?, _ rate: Int, _ before: [String], _ after: [String]) throws {
        let plan = try plan(
            Self.languages,
            numbers:
                #"{ "+15551234567": { "language": "\#(language)" }, "+15551234568": { "language": "de" }, "+15551234569": { "language": "en" } }"#
        )
        #expect(plan.backends.first?.settings.string("say") == words)
        #expect(plan.agentFormat == .pcm(rate))
        #expect(plan.stagesBefore.map(\.component.spec.type) == before)
        #expect(plan.stagesAfter.map(\.component.spec.type) == after, "a resampler with nothing to do is left out")
    }

    @Test("Two switches on one text choose together")
    func together() throws {
        let entries = #"""
            [ { "type": "switch", "on": "${a}", "cases": { "x": ["decoder"], "y": [] }, "otherwise": [] },
              "echo",
              { "type": "switch", "on": "${a}", "cases": { "x": ["encoder"] }, "otherwise": [] } ]
            """#
        let (set, diagnostics) = try load(
            entries, variables: #"{ "a": "x" }"#, numbers: #"{ "+15551234567": { "a": "y" }, "+15551234568": {} }"#)
        let document = try #require(set?.documents.first, "\(diagnostics.rendered())")
        #expect(document.variants.count == 3)
        let x = try document.plan(for: CallVariables(), variables: ["a": "x"])
        #expect(x.stagesBefore.count == 1 && x.stagesAfter.count == 1)
        #expect(try document.plan(for: CallVariables(), variables: ["a": "z"]).stagesBefore.isEmpty)
    }

    @Test("Without a case and without otherwise the call is refused, with the value named")
    func noCase() throws {
        let (set, _) = try load(
            #"[ { "type": "switch", "on": "${a}", "cases": { "x": ["echo"] } } ]"#, variables: #"{ "a": "x" }"#)
        let document = try #require(set?.documents.first)
        let error = #expect(throws: PipelineError.self) {
            try document.plan(for: CallVariables(), variables: ["a": "elsewhere"])
        }
        #expect(error?.code == .missingCase && error?.message.contains("\"elsewhere\"") == true)
    }

    @Test("Switches that leave too many chains are refused")
    func tooMany() throws {
        let entries = (0..<7).map {
            #"{ "type": "switch", "on": "${v\#($0)}", "cases": { "x": [] }, "otherwise": [] }"#
        }
        let variables = "{" + (0..<7).map { "\"v\($0)\": \"x\"" }.joined(separator: ",") + "}"
        let (_, diagnostics) = try load("[\(entries.joined(separator: ",")), \"echo\"]", variables: variables)
        #expect(codes(diagnostics) == ["limit-exceeded"])
    }

    @Test("A switch on keys keeps its branches, brought to one format; a tee keeps its side chain")
    func runtimeBranches() throws {
        let plan = try plan(
            #"""
            [ "decoder", { "type": "tee", "stages": [ { "type": "resampler", "rateHz": 16000 }, "vad" ] },
              { "type": "switch", "on": "key", "cases": { "1": [ "vad" ], "2": [] },
                "otherwise": [ { "type": "resampler", "rateHz": 16000 } ] }, "echo",
              { "type": "resampler", "rateHz": 8000 }, "encoder" ]
            """#
            .replacing(
                "\"1\": [ \"vad\" ], \"2\": []",
                with: "\"1\": [ { \"type\": \"resampler\", \"rateHz\": 16000 }, \"vad\" ]"))
        #expect(plan.stagesBefore.map(\.component.spec.type) == ["decoder", "tee", "switch"])
        let tee = plan.stagesBefore[1], choice = plan.stagesBefore[2]
        #expect(tee.branches.map(\.label) == ["side"] && tee.output == .pcm(8000))
        #expect(tee.branches[0].stages.map(\.place) == ["stages[1].stages[0]", "stages[1].stages[1]"])
        #expect(choice.branches.map(\.label) == ["1", "otherwise"] && choice.output == .pcm(16_000))
        #expect(plan.stagesBefore.withBranches.count == 8)
    }
}

@Suite("Fragments by themselves")
struct FragmentCheckTests {
    @Test(
        "A fragment is checked without a document around it",
        arguments: [
            (#"{ "stages": [ "decoder", { "type": "script", "say": "${anything} ${call.from}" } ] }"#, []),
            (
                #"{ "parameters": { "r": 7 }, "stages": [ { "type": "resampler", "rateHz": "${r}" } ] }"#,
                ["out-of-range"]
            ),
            (#"{ "parameters": { "r": null }, "stages": [ { "type": "resampler", "rateHz": "${r}" } ] }"#, []),
            (#"{ "parameters": { "r s": 7, "l": [] }, "stage": [] }"#, ["bad-name", "wrong-type", "unknown-field"]),
            (#"{ "stages": { } }"#, ["wrong-type"]), ("[]", ["wrong-type"]), ("{", ["syntax"]),
            ("{}", ["missing-field"]),
            (#"{ "stages": [ { "type": "include", "file": "self.fragment.json" } ] }"#, ["include-cycle"]),
        ] as [(String, [String])])
    func check(_ text: String, _ codes: [String]) throws {
        let source = SourceText(file: "self.fragment.json", text)
        let diagnostics = PipelineSet.checkFragment(
            source, registry: try .test(), environment: [:], options: LoadOptions(fragments: [source]))
        #expect(diagnostics.map(\.code.description) == codes, "\(diagnostics.rendered())")
    }
}
