import Foundation
import Testing

@testable import PatchbayConfig

@Suite("Rules and where they lead")
struct RouteDecisionTests {
    private static let open = "2026-12-23T10:00:00Z"
    private static let closed = "2026-12-23T20:00:00Z"
    private static let office = #"{"timeZone": "Europe/Berlin", "wednesday": ["09:00-17:00"]}"#

    private static func pipeline(
        _ name: String, numbers: String = "[]", when: String = "[]", variables: String = "{}", say: String = "hi"
    ) -> String {
        let stage = #"{"type": "script", "say": "\#(say)"}"#
        return
            #"{"name": "\#(name)", "numbers": \#(numbers), "when": \#(when), "variables": \#(variables), "transport": "wav", "stages": [\#(stage)]}"#
    }

    private func load(_ texts: [String]) throws -> PipelineSet {
        let sources = texts.enumerated().map { SourceText(file: "Pipelines/\($0.offset).json", $0.element) }
        let (set, diagnostics) = PipelineSet.load(sources: sources, registry: try .test(), environment: [:])
        return try #require(set, "\(diagnostics.rendered())")
    }

    private func codes(_ texts: [String]) throws -> [Diagnostic.Code] {
        let sources = texts.enumerated().map { SourceText(file: "Pipelines/\($0.offset).json", $0.element) }
        return PipelineSet.load(sources: sources, registry: try .test(), environment: [:]).diagnostics.map(\.code)
    }

    /// Who answers: the pipeline's name, or the words in quotes.
    private func answer(_ set: PipelineSet, _ number: String, from: String = "+15550001111", at date: String = open)
        throws
        -> String
    {
        switch set.decide(number, from: from, at: try HoursTests.date(date)) {
        case .pipeline(let route, _): route.document.name
        case .say(let words, _, _): "\"\(words)\""
        case nil: "nobody"
        }
    }

    @Test("Callers and hours decide, the first rule that holds before the others")
    func rules() throws {
        let when = """
            [{"callers": ["+15551230000", "+4930*", "anonymous", "client:desk"], "say": "We do not take your call."},
             {"callers": ["+44*"], "during": \(Self.office), "pipeline": "british"},
             {"outside": \(Self.office), "pipeline": "after-hours"}]
            """
        let set = try load([
            Self.pipeline("desk", numbers: #"["+15550100001"]"#, when: when), Self.pipeline("british"),
            Self.pipeline("after-hours"),
        ])
        let number = "+15550100001"
        for from in ["+15551230000", "+49301234567", "", "anonymous", "+266696687", "client:desk"] {
            #expect(try answer(set, number, from: from) == "\"We do not take your call.\"", "\(from)")
        }
        #expect(try answer(set, number) == "desk")
        #expect(try answer(set, number, at: Self.closed) == "after-hours")
        #expect(try answer(set, number, from: "+44201234567") == "british")
        #expect(try answer(set, number, from: "+44201234567", at: Self.closed) == "after-hours")
        #expect(try answer(set, "+15550109999") == "nobody")
    }

    @Test("The trace says which rules were asked, and why they hold or not")
    func trace() throws {
        let when = """
            [{"callers": ["+4930*"], "say": "No."}, {"outside": \(Self.office), "pipeline": "night"}]
            """
        let set = try load([
            Self.pipeline("desk", numbers: #"["*"]"#, when: when),
            Self.pipeline("night", when: #"[{"say": "Call again tomorrow."}]"#),
        ])
        let decision = try #require(set.decide("+1555", from: "+15551", at: try HoursTests.date(Self.closed)))
        #expect(
            decision.steps.map(\.description) == [
                "desk when[0] does not hold: the caller is not among +4930*",
                "desk when[1] holds: Wednesday 2026-12-23 21:00 is outside the hours of \"outside\" → pipeline night",
                "night when[0] holds: it holds always → say \"Call again tomorrow.\"",
            ])
        guard case .say(let words, let route, _) = decision else {
            Issue.record("\(decision)")
            return
        }
        #expect(words == "Call again tomorrow." && route.document.name == "night")
        #expect(route.numberPattern == .any)
    }

    @Test("The number's variables go before those of the pipeline that is led to, in its stages and in what is said")
    func variables() throws {
        let desk = Self.pipeline(
            "desk", numbers: #"{"+15550100001": {"salon": "Lena"}, "+15550100002": {"salon": "Max"}}"#,
            when: #"[{"callers": ["+49*"], "say": "${salon} thanks ${call.from}."}, {"pipeline": "other"}]"#,
            say: "${salon}")
        let set = try load([
            desk, Self.pipeline("other", variables: #"{"salon": "us", "mood": "fine"}"#, say: "${salon} ${mood}"),
        ])
        #expect(try answer(set, "+15550100002", from: "+4930") == "\"Max thanks +4930.\"")
        guard case .pipeline(let route, _)? = set.decide("+15550100001", at: try HoursTests.date(Self.open)) else {
            Issue.record("no route")
            return
        }
        #expect(try route.plan(for: CallVariables()).backends[0].settings.string("say") == "Lena fine")
        #expect(route.shownVariables == ["salon": "Lena", "mood": "fine"])
    }

    @Test("Rules never loop: who is led back to answers, and after eight pipelines the next one does")
    func loops() throws {
        let set = try load([
            Self.pipeline("a", numbers: #"["+15551"]"#, when: #"[{"pipeline": "b"}]"#),
            Self.pipeline("b", when: #"[{"pipeline": "a"}]"#),
            Self.pipeline(
                "vip", numbers: #"["+15552"]"#,
                when: #"[{"callers": ["+4930*"], "pipeline": "vip"}, {"say": "Closed."}]"#),
        ])
        #expect(try answer(set, "+15551") == "a")
        #expect(set.decide("+15551", at: try HoursTests.date(Self.open))?.steps.count == 2)
        #expect(try answer(set, "+15552", from: "+4930") == "vip", "a rule that names its own pipeline lets pass")
        #expect(try answer(set, "+15552", from: "+4940") == "\"Closed.\"")
        let chain = (0..<20).map { index in
            Self.pipeline(
                "p\(index)", numbers: index == 0 ? #"["*"]"# : "[]", when: #"[{"pipeline": "p\#((index + 1) % 20)"}]"#)
        }
        let long = try load(chain)
        #expect(try answer(long, "+1") == "p8")
        #expect(long.decide("+1", at: try HoursTests.date(Self.open))?.steps.count == PipelineSet.maximumRuleSteps)
    }

    @Test("A pipeline that is led to must have what it needs, whoever calls")
    func missingVariables() throws {
        let desk = Self.pipeline("desk", numbers: #"["+15551"]"#, when: #"[{"pipeline": "middle"}]"#)
        let middle = Self.pipeline("middle", when: #"[{"callers": ["+49*"], "pipeline": "end"}]"#)
        // Its own number sets the variable, the desk's does not.
        let end = Self.pipeline("end", numbers: #"{"+15552": {"salon": "Max"}}"#, say: "${salon}")
        #expect(try codes([desk, middle, end]) == [.unknownVariable])
        #expect(
            try codes([desk.replacing("[\"+15551\"]", with: #"{"+15551": {"salon": "Lena"}}"#), middle, end]) == [])
        let saying = Self.pipeline(
            "end", numbers: #"{"+15552": {"salon": "Max"}}"#, when: #"[{"say": "${salon} is closed."}]"#)
        #expect(try codes([desk, middle, saying]) == [.unknownVariable, .unreachableRule])
    }

    @Test("A pipeline that does not exist is only missed when all could be read")
    func unknownPipelines() throws {
        let desk = Self.pipeline("desk", numbers: #"["+15551"]"#, when: #"[{"pipeline": "night"}]"#)
        #expect(try codes([desk]) == [.unknownPipeline])
        #expect(try codes([desk, "{"]) == [.syntax])
        #expect(try codes([desk, Self.pipeline("night").replacing("script", with: "scribt")]) == [.unknownType])
        let (_, alone) = PipelineSet.load(
            sources: [SourceText(file: "x.json", desk)], registry: try .test(), environment: [:],
            options: LoadOptions(otherPipelines: ["night"]))
        #expect(alone.isEmpty)
    }

    @Test(
        "Who withholds a number is known by many names",
        arguments: [
            ("", true), ("anonymous", true), ("Anonymous", true), ("Restricted", true), ("Unavailable", true),
            ("unknown", true), ("+266696687", true), ("+86282452253", true), ("+7378742833", true), ("+2562533", true),
            ("+8656696", true), ("+15551234567", false), ("client:anonymous", false), ("+2666966871", false),
            ("266696687", false),
        ])
    func withheld(_ caller: String, _ isWithheld: Bool) {
        #expect(CallerPattern.isWithheld(caller) == isWithheld)
        #expect(CallerPattern.withheld.matches(caller) == isWithheld)
    }

    @Test("A prefix means numbers, not the words that stand for none")
    func prefixes() {
        #expect(CallerPattern("+2666*")?.matches("+26669668") == true)
        #expect(CallerPattern("+2666*")?.matches("+266696687") == false)
        #expect(CallerPattern("+266696687")?.matches("+266696687") == true)
        #expect(CallerPattern("sip:desk@*")?.matches("sip:desk@example.com") == true)
    }

    @Test(
        "Callers have five forms",
        arguments: [
            ("+15551234567", true), ("+4930*", true), ("anonymous", true), ("client:desk", true),
            ("sip:a@b.example", true),
            ("client:*", true),
            ("", false), ("*", false), ("Anonymous", false), ("client:", false), ("client:a b", false),
            ("tel:+1555", false),
            ("client:a*b*", false), ("+49*30", false), ("15551234567", false), ("restricted", false),
        ])
    func callers(_ text: String, _ isSound: Bool) {
        #expect((CallerPattern(text) != nil) == isSound)
        if let pattern = CallerPattern(text) { #expect(pattern.description == text) }
    }

    @Test("What looks like a secret is withheld wherever variables are shown")
    func secrets() {
        let shown: [String: VariableValue] = [
            "apiKey": "[withheld]", "session_token": "[withheld]", "plain": "[withheld]", "jwt": "[withheld]",
            "agentId": "agent_01jxs0123456789abcdef", "chairs": 4, "greeting": "Hello!", "isOpen": true,
        ]
        var values = shown
        values["apiKey"] = "k"
        values["session_token"] = 7
        values["plain"] = "sk-live-7f3k9x2m4q8w1z5t"
        values["jwt"] = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkZXNrIn0.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw"
        #expect(values.withSecretsWithheld == shown)
    }

    @Test("Words of a rule made in code are spoken as they are")
    func inCode() throws {
        let rule = CallRule(callers: [.withheld], .say("${nothing}"))
        #expect(rule.judge(from: "", at: Date()).holds && !rule.judge(from: "+1", at: Date()).holds)
        var document = try load([Self.pipeline("a", numbers: #"["*"]"#)]).documents[0]
        document.rules = [rule]
        #expect(try answer(PipelineSet([document]), "+1", from: "") == "\"${nothing}\"")
    }
}
