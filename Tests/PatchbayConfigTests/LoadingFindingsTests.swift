import Foundation
import PatchbayAudio
import PatchbayCore
import Testing

@testable import PatchbayConfig

@Suite("What loading says of branches, rules and files")
struct LoadingFindingsTests {
    private func load(
        _ texts: [String: String], environment: [String: String] = [:], registry: ComponentRegistry? = nil
    ) throws -> (set: PipelineSet?, diagnostics: [Diagnostic]) {
        PipelineSet.load(
            sources: texts.sorted { $0.key < $1.key }.map { SourceText(file: "Pipelines/\($0.key)", $0.value) },
            registry: try registry ?? .test(), environment: environment)
    }

    private func document(_ stages: String, _ rest: String = "") -> String {
        #"{ "name": "desk", "numbers": ["+15551234567"], "transport": "twilio", "stages": \#(stages)\#(rest) }"#
    }

    private func codes(_ diagnostics: [Diagnostic]) -> [String] { diagnostics.map(\.code.description) }

    @Test("A branch that is empty and ends in another format is an error, not a pipeline that is missing")
    func emptyBranch() throws {
        let (set, diagnostics) = try load([
            "a.json": document(#"[ { "type": "switch", "on": "key", "cases": { "1": ["decoder"] } }, "echo" ]"#)
        ])
        #expect(set == nil && codes(diagnostics) == ["format-mismatch"])
        #expect(diagnostics.first?.message.contains("the empty branch \"otherwise\"") == true)
    }

    @Test("What cannot fit on either side of the agent is told at once")
    func bothSides() throws {
        let picky = TestStage(
            spec: ComponentSpec("picky", .stage, summary: "Takes nothing that there is."),
            convert: { _, _ in .failure(FormatMismatch("takes 3 channels", remedy: "remove it")) })
        let registry = try ComponentRegistry(
            transports: [TestTransport()], stages: [picky, TestStage.decoder, TestStage.vad, TestStage.encoder],
            agents: [TestAgent.echo])
        func places(_ stages: String) throws -> [String] {
            try load(["a.json": document(stages)], registry: registry).diagnostics.map { "\($0.code) \($0.path)" }
        }
        #expect(try places(#"["picky", "echo"]"#) == ["format-mismatch stages[0]"])
        let both = ["format-mismatch stages[0]", "format-mismatch stages[2]"]
        #expect(try places(#"["picky", "echo", "picky"]"#) == both)
        #expect(try places(#"["picky", "echo", "picky", "picky"]"#) == both, "behind that one nothing is known")
        #expect(try places(#"["pikky", "echo", "picky"]"#) == ["unknown-type stages[0]", both[1]])
        // Nobody knows what the agent would give, so nobody knows that these are wrong.
        #expect(try places(#"["picky", "echo", "decoder"]"#) == [both[0]])
        #expect(try places(#"["picky", "echo", "encoder"]"#) == [both[0]])
        #expect(try places(#"["picky", "echo", "vad"]"#) == [both[0]])
    }

    @Test("Warnings never keep a document from being used, and never hide an error", arguments: [0, 1, 250])
    func manyWarnings(errors: Int) throws {
        let numbers = (0..<300).map { "\"+1555\(1_000_000 + $0)\": { \"lang\": \"x\($0)\" }" }
        let cases = (0..<60).map { "\"never\($0)\": []" }
        let switches = (0..<4).map { _ in
            #"{ "type": "switch", "on": "${lang}", "cases": { \#(cases.joined(separator: ",")) }, "otherwise": [] }"#
        }
        let wrong = Array(repeating: "\"wrong\"", count: errors)
        let text = #"""
            { "name": "desk", "numbers": { \#(numbers.joined(separator: ",")) }, "transport": "wav",
              "stages": [ \#((switches + wrong + ["\"echo\""]).joined(separator: ",")) ] }
            """#
        let (set, diagnostics) = try load(["a.json": text])
        #expect((set == nil) == (errors > 0), "\(diagnostics.suffix(2))")
        #expect(diagnostics.count == Linter.maximumFindings + 1)
        #expect(codes(diagnostics).filter { $0 == "unknown-type" }.count == min(errors, Linter.maximumFindings))
        #expect(diagnostics.last?.code == .limitExceeded)
        #expect((diagnostics.last?.severity == .error) == (errors > Linter.maximumFindings))
    }

    @Test("A switch on keys behind the agent is found in a side chain too, and an empty side chain is found")
    func sideChains() throws {
        let keys = #"{ "type": "switch", "on": "key", "cases": { "1": [] } }"#
        #expect(
            codes(try load(["a.json": document(#"["echo", { "type": "tee", "stages": [\#(keys)] }]"#)]).diagnostics)
                == ["misplaced-stage"])
        #expect(
            codes(try load(["a.json": document(#"[{ "type": "tee", "stages": [] }, "echo"]"#)]).diagnostics)
                == ["empty-list"])
    }

    @Test("A switch with more cases than chains may be is refused before its cases are compared")
    func tooManyCases() throws {
        let cases = (0..<65).map { "\"\($0)\": []" }.joined(separator: ",")
        let text = document(
            #"[{ "type": "switch", "on": "${l}", "cases": { \#(cases) } }, "echo"]"#, #", "variables": { "l": "0" }"#)
        #expect(codes(try load(["a.json": text]).diagnostics) == ["limit-exceeded"])
    }

    // MARK: Rules

    /// `desk` leads its numbers, each with a language, to `night`, which switches on it.
    private func led(_ languages: [String], cases: [String], own: String? = nil) throws -> (
        set: PipelineSet?, diagnostics: [Diagnostic]
    ) {
        let numbers = languages.enumerated().map { "\"+1555123000\($0.offset)\": { \"language\": \"\($0.element)\" }" }
        let variables = own.map { #""variables": { "language": "\#($0)" }, "# } ?? ""
        let list = cases.map { "\"\($0)\": []" }.joined(separator: ",")
        return try load([
            "a.json": #"""
            { "name": "desk", "numbers": { \#(numbers.joined(separator: ",")) }, "when": [{ "pipeline": "night" }],
              "transport": "wav", "stages": ["echo"] }
            """#,
            "b.json": #"""
            { "name": "night", \#(variables)"transport": "wav",
              "stages": [{ "type": "switch", "on": "${language}", "cases": { \#(list) } }, "echo"] }
            """#,
        ])
    }

    @Test("Values that a switch compares are checked for every number that leads there")
    func values() throws {
        let (set, diagnostics) = try led(["de", "de", "fr"], cases: ["de"], own: "de")
        #expect(set == nil && codes(diagnostics) == ["missing-case"])
        #expect(diagnostics.first?.message.contains("+15551230002") == true)
        #expect(diagnostics.first?.suggestion?.text.contains("otherwise") == true)
    }

    @Test("A case that only numbers of another document choose is reachable")
    func reachable() throws {
        let (set, diagnostics) = try led(["fr"], cases: ["de", "fr"], own: "de")
        #expect(set != nil && diagnostics.isEmpty, "\(diagnostics.rendered())")
    }

    @Test("Words of a rule have the name of the call, and nothing that is looked up later")
    func words() throws {
        func desk(_ say: String) -> String {
            document(#"["echo"]"#, #", "when": [{ "say": "\#(say)" }]"#)
        }
        #expect(
            codes(try load(["a.json": desk("${context.reason}")]).diagnostics) == ["unknown-variable"])
        let set = try #require(try load(["a.json": desk("call [${call.sid}]")]).set)
        let call = CallVariables(from: "+1", to: "+15551234567", sid: "CA7")
        guard case .say(let words, _, _)? = set.decide(call, at: Date()) else {
            Issue.record("no words")
            return
        }
        #expect(words == "call [CA7]")
    }

    @Test("A report of words needs no stage to be planned, and shows nothing of the environment")
    func report() throws {
        let text = #"""
            { "name": "desk", "transport": "wav", "when": [{ "say": "${header}, ${call.from}, ${auth}" }],
              "numbers": { "+15551234567": { "auth": "Bearer ${env.MY_TOKEN}", "header": "${env.MY_API_TOKEN}" } },
              "stages": [{ "type": "switch", "on": "${header}x", "cases": { "de": [] }, "otherwise": [] }, "echo"] }
            """#
        let loaded = try load(
            ["a.json": text], environment: ["MY_TOKEN": "correcthorse", "MY_API_TOKEN": "batterystaple"])
        let set = try #require(loaded.set, "\(loaded.diagnostics.rendered())")
        let decision = try #require(set.decide("+15551234567", from: "+1", at: Date()))
        let report = try RouteReport(number: "+15551234567", decision, from: "+1")
        let document = set.documents[0]
        let all = report.text() + report.json.text() + "\(document.shownVariables(of: document.numbers[0]))"
        #expect(!all.contains("correcthorse") && !all.contains("batterystaple"), "\(all)")
        #expect(report.words == "${env.MY_API_TOKEN}, +1, Bearer ${env.MY_TOKEN}")
        guard case .say(let words, _, _) = decision else { return }
        #expect(words == "batterystaple, +1, Bearer correcthorse")
    }

    // MARK: Fragments

    @Test("A fragment that switches on a variable of whoever includes it is sound by itself")
    func fragmentSwitch() throws {
        func check(_ on: String) throws -> [String] {
            let text = #"{ "stages": [{ "type": "switch", "on": "\#(on)", "cases": { "de": [] } }] }"#
            return codes(
                PipelineSet.checkFragment(
                    SourceText(file: "s.fragment.json", text), registry: try .test(), environment: [:]))
        }
        #expect(try check("${lang}") == [])
        #expect(try check("${call.from}") == ["missing-case"])
    }

    @Test("A null gives no value to a parameter")
    func null() throws {
        let fragment = SourceText(
            file: "r.fragment.json",
            #"{ "parameters": { "rate": null }, "stages": [{ "type": "resampler", "rateHz": "${rate}" }] }"#)
        let text = document(#"[{ "type": "include", "file": "r.fragment.json", "with": { "rate": null } }, "echo"]"#)
        let diagnostics = PipelineSet.load(
            sources: [SourceText(file: "a.json", text)], registry: try .test(), environment: [:],
            options: LoadOptions(fragments: [fragment])
        ).diagnostics
        #expect(codes(diagnostics) == ["missing-parameter"])
    }

    @Test("Paths start from the file in which they are written")
    func paths() throws {
        let fragment = SourceText(
            file: "p/shared/f.fragment.json",
            #"""
            { "parameters": { "words": "default.wav" },
              "stages": [{ "type": "script", "say": "${words}", "then": ["own.wav"] }] }
            """#)
        let text = #"[{ "type": "include", "file": "shared/f.fragment.json", "with": { "words": "given.wav" } }]"#
        let (set, diagnostics) = PipelineSet.load(
            sources: [
                SourceText(
                    file: "p/a.json", #"{ "name": "a", "numbers": ["*"], "transport": "wav", "stages": \#(text) }"#)
            ],
            registry: try .test(), environment: [:], options: LoadOptions(fragments: [fragment]))
        let route = try #require(set?.route("+15551234567"), "\(diagnostics.rendered())")
        let settings = try route.plan(for: CallVariables()).backends[0].settings
        #expect(settings.directory == "p/shared" && settings.directory(of: "then") == "p/shared")
        #expect(settings.directory(of: "say") == "p")
    }

    // MARK: Formats

    @Test("Packets of another length are cut anew where any cut makes a payload")
    func packets() throws {
        var long = AudioFormat.telephony
        long.packetMicroseconds = 60_000
        let giving = TestStage(
            spec: ComponentSpec("long", .stage, summary: "Gives long packets."),
            convert: { [long] _, _ in .success(long) })
        let registry = try ComponentRegistry(
            transports: [TestTransport()], stages: [giving, TestStage.decoder], agents: [TestAgent.echo],
            findConverters: { _, _ in nil })
        let (set, diagnostics) = try load(["a.json": document(#"["echo", "long"]"#)], registry: registry)
        #expect(set != nil, "\(diagnostics.rendered())")
    }

    @Test("Stages of a branch that would change nothing are shown as left out")
    func leftOut() throws {
        let branch = #"{ "type": "switch", "on": "key", "cases": { "1": [{ "type": "resampler", "rateHz": 8000 }] } }"#
        let (set, diagnostics) = try load([
            "a.json": document(#"["decoder", \#(branch), "echo", "encoder"]"#)
        ])
        let document = try #require(set?.documents.first, "\(diagnostics.rendered())")
        let outline = PipelineOutline(document)
        let stages = try #require(outline.chains.first?.before.last?.branches.first?.stages)
        #expect(stages.map(\.type) == ["resampler"] && stages.first?.mark == .leftOut)
    }
}
