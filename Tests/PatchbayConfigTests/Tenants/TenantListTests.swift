import Testing

@testable import PatchbayConfig

@Suite("Tenants of a file")
struct TenantListTests {
    private static let whole = """
        {"tenants": [
          {"id": "salon-7", "name": "Salon Seven", "pipeline": "salon",
           "numbers": ["+15551234567", {"number": "+15557654321", "sid": "PN1"}],
           "agentId": "agent_7", "greeting": "Hi!", "tone": "warm", "language": "en", "timeZone": "America/New_York",
           "businessHours": {"monday": {"open": "09:00", "close": "17:00", "enabled": true},
                             "sunday": {"enabled": false}},
           "maximumCalls": 3, "variables": {"stylist": "Robin", "chairs": 4, "walkIns": true}},
          {"id": "spa", "name": "Spa"}
        ]}
        """

    private func load(_ text: String, pipelines: Set<String>? = ["salon"]) -> (TenantList?, [Diagnostic]) {
        TenantList.load([SourceText(file: "tenants.json", text)], pipelines: pipelines)
    }

    @Test("All that a tenant says becomes variables of its calls")
    func variables() throws {
        let (list, diagnostics) = load(Self.whole)
        let tenants = try #require(list, "\(diagnostics.rendered())")
        let salon = try #require(tenants.tenant(ofNumber: "+15557654321"))
        #expect(salon.id == "salon-7" && salon.numbers.last?.sid == "PN1" && salon.maximumCalls == 3)
        #expect(
            salon.callVariables == [
                "tenantId": "salon-7", "tenantName": "Salon Seven", "businessName": "Salon Seven",
                "agentId": "agent_7", "greeting": "Hi!", "tone": "warm", "language": "en",
                "timeZone": "America/New_York",
                "businessHoursSummary": "We're open Monday from 09:00 to 17:00.", "stylist": "Robin", "chairs": 4,
                "walkIns": true,
            ])
        let spa = try #require(tenants.tenant("spa"))
        #expect(spa.callVariables == ["tenantId": "spa", "tenantName": "Spa", "businessName": "Spa"])
        #expect(tenants.tenant(ofNumber: "+15550000000") == nil && tenants.tenant("nobody") == nil)
        #expect(tenants.file(of: "spa") == "tenants.json")
    }

    @Test("A tenant's own variables go before what follows from its settings, but not before its name")
    func precedence() throws {
        let (tenant, _) = Tenant.read(
            SourceText(
                file: "t",
                #"{"name": "Salon", "variables": {"businessName": "The Salon", "greeting": "Yo"}, "greeting": "Hi"}"#),
            id: "s", pipelines: nil)
        let values = try #require(tenant).callVariables
        #expect(values["businessName"] == "The Salon" && values["greeting"] == "Yo" && values["tenantName"] == "Salon")
    }

    struct Mistake: CustomTestStringConvertible, Sendable {
        var tenant: String
        var code: Diagnostic.Code
        var path: String
        var testDescription: String { tenant }

        init(_ tenant: String, _ code: Diagnostic.Code, _ path: String) {
            self.tenant = tenant
            self.code = code
            self.path = path
        }
    }

    @Test(
        "Every mistake has its place",
        arguments: [
            Mistake(#"{"name": "A"}"#, .missingField, "tenants[0]"),
            Mistake(#"{"id": "a"}"#, .missingField, "tenants[0]"),
            Mistake(#"{"id": "a", "name": ""}"#, .badName, "tenants[0].name"),
            Mistake(#"{"id": "a b", "name": "A"}"#, .badName, "tenants[0].id"),
            Mistake(#"{"id": "..", "name": "A"}"#, .badName, "tenants[0].id"),
            Mistake(#"{"id": "", "name": "A"}"#, .badName, "tenants[0].id"),
            Mistake(#"{"id": 7, "name": "A"}"#, .wrongType, "tenants[0].id"),
            Mistake(#"{"id": "a", "name": "A", "pipelin": "salon"}"#, .unknownField, "tenants[0].pipelin"),
            Mistake(#"{"id": "a", "name": "A", "pipeline": "saloon"}"#, .notAllowed, "tenants[0].pipeline"),
            Mistake(#"{"id": "a", "name": "A", "numbers": "+15551234567"}"#, .wrongType, "tenants[0].numbers"),
            Mistake(#"{"id": "a", "name": "A", "numbers": ["5551234567"]}"#, .badNumber, "tenants[0].numbers[0]"),
            Mistake(#"{"id": "a", "name": "A", "numbers": ["+1555*"]}"#, .badNumber, "tenants[0].numbers[0]"),
            Mistake(#"{"id": "a", "name": "A", "numbers": [{"sid": "PN1"}]}"#, .missingField, "tenants[0].numbers[0]"),
            Mistake(
                #"{"id": "a", "name": "A", "numbers": [{"number": "+1", "sid": "PN1"}]}"#, .badNumber,
                "tenants[0].numbers[0].number"),
            Mistake(#"{"id": "a", "name": "A", "numbers": [15551234567]}"#, .wrongType, "tenants[0].numbers[0]"),
            Mistake(
                #"{"id": "a", "name": "A", "numbers": ["+15551234567", "+15551234567"]}"#, .duplicateNumber,
                "tenants[0].numbers[1]"),
            Mistake(#"{"id": "a", "name": "A", "timeZone": "CET"}"#, .unknownTimeZone, "tenants[0].timeZone"),
            Mistake(
                #"{"id": "a", "name": "A", "businessHours": {"mon": {"enabled": false}}}"#, .unknownField,
                "tenants[0].businessHours.mon"),
            Mistake(
                #"{"id": "a", "name": "A", "businessHours": {"monday": {"open": "9:00", "close": "17:00"}}}"#,
                .badHours,
                "tenants[0].businessHours.monday"),
            Mistake(
                #"{"id": "a", "name": "A", "businessHours": {"monday": {"open": "09:00-10:00", "close": "17:00"}}}"#,
                .badHours, "tenants[0].businessHours.monday"),
            Mistake(
                #"{"id": "a", "name": "A", "businessHours": {"monday": {"open": "09:00", "close": "09:00"}}}"#,
                .badHours, "tenants[0].businessHours.monday"),
            Mistake(
                #"{"id": "a", "name": "A", "businessHours": {"monday": {"open": "09:00"}}}"#, .missingField,
                "tenants[0].businessHours.monday"),
            Mistake(
                #"{"id": "a", "name": "A", "variables": {"tenantId": "b"}}"#, .notAllowed,
                "tenants[0].variables.tenantId"),
            Mistake(
                #"{"id": "a", "name": "A", "variables": {"call.from": "b"}}"#, .badName,
                "tenants[0].variables[\"call.from\"]"),
            Mistake(#"{"id": "a", "name": "A", "greeting": "Hi ${name}"}"#, .unknownVariable, "tenants[0].greeting"),
            Mistake(#"{"id": "a", "name": "A", "maximumCalls": 0}"#, .outOfRange, "tenants[0].maximumCalls"),
            Mistake(#"{"id": "a", "name": "A"}, {"id": "a", "name": "B"}"#, .duplicateName, "tenants[1].id"),
            Mistake("7", .wrongType, "tenants[0]"),
        ])
    func mistakes(_ mistake: Mistake) {
        let (list, diagnostics) = load("{\"tenants\": [\(mistake.tenant)]}")
        #expect(list == nil)
        #expect(
            diagnostics.contains { $0.code == mistake.code && $0.path == mistake.path && $0.line == 1 },
            "\(diagnostics.map { "\($0.code) \($0.path)" })")
    }

    @Test(
        "The file itself has to be one", arguments: ["", "[]", "{}", #"{"tenants": {}}"#, #"{"tenants": [], "x": 1}"#])
    func files(_ text: String) {
        let (list, diagnostics) = load(text)
        #expect(list == nil && diagnostics.hasErrors)
    }

    @Test("The name in the path counts")
    func path() {
        let source = SourceText(file: "t", #"{"id": "b", "name": "B"}"#)
        #expect(Tenant.read(source, id: "b", pipelines: nil).tenant?.id == "b")
        #expect(Tenant.read(source, id: "c", pipelines: nil).diagnostics.first?.path == "id")
    }

    @Test("A number by itself names its tenant or its pipeline")
    func numbers() {
        func read(_ text: String) -> (entry: NumberEntry?, diagnostics: [Diagnostic]) {
            NumberEntry.read(
                SourceText(file: "n", text), number: "+15551234567", pipelines: ["salon"], isTenant: { $0 == "a" })
        }
        #expect(read(#"{"tenant": "a"}"#).entry?.tenant == "a")
        #expect(read(#"{"pipeline": "salon", "variables": {"x": 1}}"#).entry?.variables == ["x": 1])
        #expect(read("{}").diagnostics.first?.code == .missingField)
        #expect(read(#"{"tenant": "b"}"#).diagnostics.first?.path == "tenant")
        #expect(read(#"{"tenant": "a", "pipeline": "x"}"#).diagnostics.first?.path == "pipeline")
    }

    @Test("A set is loaded with its tenants, and routes their numbers")
    func routes() throws {
        let sources = [
            SourceText(
                file: "p/salon.json",
                #"{"name": "salon", "variables": {"greeting": "Hello"}, "transport": "wav", "stages": [{"type": "script", "say": "${greeting}"}]}"#
            ),
            SourceText(file: "p/tenants.json", Self.whole),
        ]
        let (set, diagnostics) = PipelineSet.load(sources: sources, registry: try .test(), environment: [:])
        guard let set else {
            Issue.record("\(diagnostics.rendered())")
            return
        }
        #expect(set.route("+15551234567") == nil, "the documents say nothing of it")
        guard case .pipeline(let route, _)? = set.decide("+15551234567", at: .distantPast) else {
            Issue.record("no route")
            return
        }
        #expect(route.document.name == "salon" && route.variables["greeting"] == "Hi!")
        #expect(set.decide("+15550000000", at: .distantPast) == nil)
    }
}
