import Testing

@testable import PatchbayConfig

@Suite struct ContextTests {
    @Test func aTreeBecomesNamesWithDots() throws {
        let json = try #require(
            JSONValue(
                parsing: #"""
                    {"name": "Ann", "due": 12.5, "ok": true, "none": null, "id": 12345678901234567890, "n": -7,
                     "address": {"city": "Ulm", "lines": ["a", "b"]}, "bad name": 1, "name ": 2}
                    """#))
        let found = try #require(ContextValues(flattening: json))
        #expect(
            found.values == [
                "name": "Ann", "due": 12.5, "ok": true, "id": "12345678901234567890", "n": -7,
                "address.city": "Ulm", "address.lines.0": "a", "address.lines.1": "b",
            ])
        #expect(found.dropped == 2)
        #expect(JSONValue(parsing: found.values.jsonObject)?["address.city"] == "Ulm")
    }

    @Test(arguments: ["null", "[]", "{}", "[null]", "[[1]]", "3"])
    func nobodyIsFound(_ text: String) throws {
        #expect(ContextValues(flattening: try #require(JSONValue(parsing: text))) == nil)
    }

    @Test func ofAListTheFirstCounts() throws {
        #expect(ContextValues(flattening: [["a": 1], ["a": 2]])?.values == ["a": 1])
    }

    @Test func whatIsTooMuchIsLeftOutAndCounted() throws {
        let many = JSONValue.object((0..<100).map { .init("k\($0)", JSONValue($0)) })
        let found = try #require(ContextValues(flattening: many))
        #expect(found.values.count == ContextValues.maximumCount && found.dropped == 36)
        let long = String(repeating: "x", count: ContextValues.maximumBytes + 1)
        let one = try #require(ContextValues(flattening: ["long": .string(long), "b": "c"]))
        #expect(one.values == ["b": "c"] && one.dropped == 1)
    }

    @Test(arguments: [
        ("SELECT name FROM c WHERE phone = :from", ["from"]),
        ("  with t AS (SELECT 1) select * from t -- :x\n;", []),
        ("SELECT ':a', \":b\", [:c], `:d` /* :e */ FROM c WHERE x = :to OR y=:sid ; ", ["to", "sid"]),
        ("SELECT 'it''s :x' FROM c", []),
    ])
    func statementsThatAreTaken(_ text: String, _ parameters: [String]) throws {
        #expect(try SQLStatement(text).parameters == Set(parameters))
    }

    @Test(arguments: [
        ("DELETE FROM c", "no SELECT"), ("", "no SELECT"), ("SELECT 1; SELECT 2", "more than one"),
        ("SELECT :caller", "\":caller\""), ("SELECT ?1", "begins with \"?\""), ("SELECT @from", "begins with \"@\""),
        ("SELECT $from", "begins with \"$\""), ("SELECT 'x", "never closed"), ("SELECT : from", "colon"),
        ("(SELECT 1)", "no SELECT"), ("SELECT 1" + String(repeating: " ", count: 9000), "bytes"),
    ])
    func statementsThatAreRefused(_ text: String, _ words: String) {
        #expect { try SQLStatement(text) } throws: { ($0 as? SQLStatement.Fault)?.message.contains(words) == true }
    }

    private func document(_ context: String) -> String {
        """
        {"name": "debts", "numbers": ["+15550100001"], "transport": "twilio", "context": \(context),
         "stages": [{"type": "switch", "on": "${context.kind}", "cases": {"debtor": ["decoder", "encoder", "echo"]},
           "otherwise": ["echo"]}]}
        """
    }

    private func set(_ context: String) throws -> PipelineSet {
        let (set, findings) = PipelineSet.load(
            sources: [SourceText(file: "Pipelines/debts.json", document(context))], registry: try .test(),
            environment: ["CRM": "https://crm.example", "KEY": "Bearer 1"])
        return try #require(set, "\(findings.rendered())")
    }

    @Test func aRequestCarriesTheCallerEncoded() throws {
        let set = try set(
            #"""
            {"url": "${env.CRM}/c/${call.to}?phone=${call.from}", "headers": {"Authorization": {"env": "KEY"}},
             "timeoutMs": 300, "default": {"name": "Valued Customer", "kind": "none", "by": "${call.to}"}}
            """#)
        let route = try #require(set.route("+15550100001"))
        let lookup = try #require(
            try route.contextLookup(for: CallVariables(from: "+1 5&x=/..", to: "+15550100001")))
        guard case .request(let request) = lookup.work else {
            Issue.record("no request")
            return
        }
        #expect(
            try request.message(for: ToolArguments([:])).url
                == "https://crm.example/c/%2B15550100001?phone=%2B1%205%26x%3D%2F..")
        #expect(request.headers.map { $0.value.reveal() } == ["Bearer 1"])
        #expect(lookup.timeout == .milliseconds(300))
        #expect(lookup.fallback == ["name": "Valued Customer", "kind": "none", "by": "+15550100001"])
        #expect(lookup.written == "${env.CRM}/c/${call.to}?phone=${call.from}")
    }

    @Test func withoutTheEnvironmentItsHostIsNotMissed() throws {
        let text = document(#"{"url": "${env.CRM}/c?phone=${call.from}", "default": {"kind": "none"}}"#)
        let findings = PipelineSet.load(
            sources: [SourceText(file: "Pipelines/debts.json", text)], registry: try .test(),
            environment: [:], options: LoadOptions(checkEnvironment: false)
        ).diagnostics
        #expect(findings.isEmpty, "\(findings.rendered())")
    }

    @Test func aDatabaseLiesBesideTheDocument() throws {
        let found = try set(#"{"sqlite": "crm.db", "query": "SELECT 1 WHERE :from"}"#).route("+15550100001")
        let route = try #require(found)
        let lookup = try #require(try route.contextLookup(for: CallVariables(from: "+1")))
        guard case .query(let file, let statement) = lookup.work else {
            Issue.record("no query")
            return
        }
        #expect(file == "Pipelines/crm.db" && statement.parameters == ["from"])
        #expect(lookup.timeout == .milliseconds(800))
    }

    @Test func theDryRunSaysWhereTheValuesWouldComeFrom() throws {
        let set = try set(#"{"url": "${env.CRM}/c?phone=${call.from}", "default": {"kind": "debtor"}}"#)
        let decision = try #require(set.decide("+15550100001", at: .distantPast))
        let report = try RouteReport(number: "+15550100001", decision)
        #expect(
            report.text().contains(
                #"  context    GET ${env.CRM}/c?phone=${call.from} within 800 ms; an unknown caller: kind "debtor""#))
        #expect(report.json["context"]?["url"] == "${env.CRM}/c?phone=${call.from}")
        #expect(report.text().contains("decoder"), "the defaults choose the chain of a dry run")
    }
}
