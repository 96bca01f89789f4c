import Foundation
import Testing

@testable import PatchbayConfig
@testable import PatchbayControl

@Suite struct SessionStatusTests {
    @Test func nothingGoesBackAndAnEndIsFinal() {
        for status in SessionStatus.allCases {
            for report in SessionStatus.allCases {
                let next = status.after(report)
                #expect(next == status || next == report)
                #expect(next.rank >= status.rank, "\(status) after \(report)")
                if status.isEnd { #expect(next == status, "\(status) after \(report)") }
                #expect(next.after(report) == next, "a report that comes again changes nothing")
            }
        }
    }

    @Test(
        arguments: [
            ([], SessionStatus.dialing), (["queued"], .dialing), (["initiated", "ringing"], .ringing),
            (["ringing", "initiated"], .ringing), (["in-progress", "ringing", "initiated"], .answered),
            (["busy", "ringing"], .busy), (["ringing", "no-answer", "completed"], .noAnswer),
            (["failed", "initiated"], .failed), (["canceled"], .canceled), (["completed", "in-progress"], .completed),
            (["answered"], .answered), (["a new word", "ringing"], .ringing),
        ]) func reportsLeadTo(_ reports: [String], _ expected: SessionStatus)
    {
        let statuses = reports.compactMap { SessionStatus(carrier: $0) }
        #expect(statuses.reduce(SessionStatus.dialing) { $0.after($1) } == expected)
        // What was in doubt is certain after any report.
        if !statuses.isEmpty { #expect(statuses.reduce(SessionStatus.unknown) { $0.after($1) } == expected) }
    }

    @Test func everyOrderOfAWholeCallEndsCompleted() {
        var orders: [[SessionStatus]] = [[]]
        for report in [SessionStatus.dialing, .ringing, .answered, .completed] {
            orders = orders.flatMap { order in
                (0...order.count).map { place in Array(order[..<place]) + [report] + Array(order[place...]) }
            }
        }
        #expect(orders.count == 24)
        for order in orders {
            #expect((order + order).reduce(SessionStatus.created) { $0.after($1) } == .completed, "\(order)")
        }
    }
}

@Suite struct DialLimitsTests {
    private let noon = Date(timeIntervalSince1970: 1_800_000_000)

    private func limits(
        _ server: ServerSettings.Outbound.Limits, _ tenants: ServerSettings.Outbound.Limits = .init()
    ) -> DialLimits { DialLimits(server: server, tenants: tenants) }

    private func begin(
        _ limits: inout DialLimits, _ id: String, tenant: String? = nil, today: Int = 0, after seconds: Double = 0,
        lasting: Double = 60
    ) -> DialLimits.Excess? {
        let now = noon.addingTimeInterval(seconds)
        do {
            try limits.begin(
                id, tenant: tenant, today: .init(all: today, tenant: today, rest: 3600),
                until: now.addingTimeInterval(lasting), at: now)
            return nil
        } catch {
            return error
        }
    }

    @Test func aSecondHoldsSoMany() {
        var limits = limits(.init(perSecond: 2))
        #expect(begin(&limits, "a") == nil && begin(&limits, "b", after: 0.5) == nil)
        let excess = begin(&limits, "c", after: 0.9)
        #expect(excess == .init(limit: .perSecond, value: 2, isTenants: false, retryAfter: 1))
        #expect(begin(&limits, "c", after: 1) == nil, "the first is a second ago")
        #expect(begin(&limits, "d", after: 1.4) != nil)
        #expect(begin(&limits, "d", after: 1.5) == nil)
        #expect(begin(&limits, "e", after: -5) == nil, "a clock that was set back does not block")
    }

    @Test func aDayHoldsSoMany() {
        var limits = limits(.init(perDay: 10))
        #expect(begin(&limits, "a", today: 9) == nil)
        #expect(
            begin(&limits, "b", today: 10) == .init(limit: .perDay, value: 10, isTenants: false, retryAfter: 3600))
    }

    @Test func soManyRingOrRun() {
        var limits = limits(.init(inFlight: 2))
        limits.resume("before", tenant: nil, until: noon.addingTimeInterval(100))
        #expect(begin(&limits, "a") == nil)
        #expect(begin(&limits, "b")?.limit == .inFlight)
        let (first, second) = (limits.end("before"), limits.end("before"))
        #expect(first && !second, "an end is told once")
        #expect(begin(&limits, "b") == nil)
        #expect(begin(&limits, "c", after: 59)?.limit == .inFlight)
        #expect(
            begin(&limits, "c", after: 60) == nil, "an end that nobody told blocks for no longer than the longest call")
    }

    @Test func tenantsHaveLimitsOfTheirOwn() {
        var limits = limits(.init(perSecond: 3), .init(perSecond: 1))
        #expect(begin(&limits, "a", tenant: "one") == nil)
        #expect(begin(&limits, "b", tenant: "one")?.isTenants == true)
        #expect(begin(&limits, "b", tenant: "two") == nil)
        #expect(begin(&limits, "c") == nil, "what belongs to nobody has the server's limits alone")
        #expect(
            begin(&limits, "d", tenant: "three") == .init(limit: .perSecond, value: 3, isTenants: false, retryAfter: 1))
    }
}

@Suite struct TwilioErrorTests {
    @Test(
        arguments: [
            (400, 21211, TwilioError.Fate.refused, TwilioError.Cause.called), (400, 21214, .refused, .called),
            (400, 13224, .refused, .called), (400, 21215, .refused, .forbidden), (403, 21216, .refused, .forbidden),
            (400, 21219, .refused, .forbidden), (400, 21210, .refused, .calling), (401, 20003, .refused, .account),
            (429, 20429, .refused, .tooMuch), (500, 20500, .uncertain, .carrier), (400, 99999, .refused, .carrier),
        ]) func answersAreUnderstood(_ status: Int, _ code: Int, _ fate: TwilioError.Fate, _ cause: TwilioError.Cause)
    {
        let body = #"{"code": \#(code), "message": "words", "status": \#(status)}"#
        let error = TwilioError(status: status, body: Array(body.utf8), retryAfter: 3)
        #expect(error.fate == fate && error.cause == cause && error.code == code && error.retryAfter == 3)
        #expect(error.description.hasPrefix("words (\(code))"))
        #expect(error.mayBeRepeated == (status == 429))
        if cause != .carrier { #expect(error.advice != nil, "\(code) says what to do") }
    }

    @Test(arguments: ["", "<html>", "[]", "{}", #"{"code": "x"}"#])
    func answersOfAnyFormAreRead(_ body: String) {
        let error = TwilioError(status: 503, body: Array(body.utf8))
        #expect(error.fate == .uncertain && error.message.contains("503") && !error.mayBeRepeated)
        #expect(TwilioError(status: 429, body: Array(body.utf8)).cause == .tooMuch)
    }
}

@Suite struct DialOrderTests {
    @Test func ordersKeepTheTypesOfTheirVariables() throws {
        let order = try DialOrder(
            json: Array(
                #"{"to": "+15550100002", "variables": {"a": "x", "n": 5, "f": 1.5, "b": true, "": "empty"}}"#.utf8))
        #expect(order.variables == ["a": "x", "n": 5, "f": 1.5, "b": true, "": "empty"])
        #expect([String: VariableValue](json: order.variables.json) == order.variables)
        #expect([String: VariableValue](json: "no JSON").isEmpty)
    }

    @Test(
        arguments: [
            ("", 400), ("{", 400), ("[]", 400), ("{}", 400), (#"{"to": null}"#, 400), (#"{"to": "+1", "ton": 1}"#, 422),
            (#"{"to": "+1", "timeoutSeconds": 601}"#, 422), (#"{"to": "+1", "timeoutSeconds": "9"}"#, 400),
            (#"{"to": "+1", "variables": {"a": null}}"#, 400), (#"{"to": "+1", "variables": 1}"#, 400),
            (#"{"to": "+1", "customerId": {}}"#, 400),
        ]) func badOrdersAreRefused(_ text: String, _ status: Int)
    {
        let error = #expect(throws: DialRefusal.self) { try DialOrder(json: Array(text.utf8)) }
        #expect(error?.status.code == status, "\(error?.words ?? "")")
    }

    @Test func tooMuchIsRefused() {
        func order(_ members: String) -> [UInt8] { Array(#"{"to": "+15550100002", \#(members)}"#.utf8) }
        let many = (0...64).map { #""v\#($0)": 1"# }.joined(separator: ",")
        for members in [
            #""variables": {\#(many)}"#, #""variables": {"a": "\#(String(repeating: "x", count: 2001))"}"#,
            #""agentType": "\#(String(repeating: "x", count: 201))""#,
        ] {
            let text = order(members)
            #expect(throws: DialRefusal.self) { try DialOrder(json: text) }
        }
    }

    @Test func campaignsSendWhatTheyLike() throws {
        let order = try DialOrder(
            campaign: Array(
                #"{"customer_id": 7, "phone": "+15550100002", "agent_type": "a", "priority": {"x": 1}}"#.utf8))
        #expect(order.to == "+15550100002" && order.customerID == "7" && order.agentType == "a")
    }
}

@Suite struct OutboundSettingsTests {
    private func load(_ section: String) -> (ServerSettings, [Diagnostic]) {
        let (settings, diagnostics) = ServerSettings.load(
            SourceText(file: "server.json", #"{"outbound": \#(section)}"#))
        return (settings, diagnostics)
    }

    @Test func everyKeyIsRead() throws {
        let (settings, diagnostics) = load(
            """
            {"from": "+15550100001", "maximumPerSecond": 5, "maximumPerDay": 6, "maximumInFlight": 7,
             "perTenant": {"maximumPerDay": 2}, "hours": {"timeZone": "Europe/Berlin", "monday": ["09:00-17:00"]},
             "agents": {"a": {"pipeline": "p", "variables": {"n": 1}}, "b": {}},
             "machine": {"detect": true, "message": "Bye."}, "bridge": "dial", "timeoutSeconds": 20}
            """)
        #expect(diagnostics.isEmpty, "\(diagnostics)")
        let outbound = settings.outbound
        #expect(outbound.from?.description == "+15550100001")
        #expect(outbound.limits == .init(perSecond: 5, perDay: 6, inFlight: 7))
        #expect(outbound.tenantLimits == .init(perDay: 2))
        #expect(outbound.hours?.week.first?.count == 1)
        #expect(outbound.agents == ["a": .init(pipeline: "p", variables: ["n": 1]), "b": .init()])
        #expect(outbound.detectsMachines && outbound.machineMessage == "Bye." && outbound.bridge == .dial)
        #expect(outbound.ringSeconds == 20)
    }

    @Test(
        arguments: [
            (#"5"#, "wrong-type"), (#"{"from": "030"}"#, "not-allowed"), (#"{"maximumPerSecond": 0}"#, "out-of-range"),
            (#"{"hours": {"monday": ["09:00-17:00"]}}"#, "missing-field"),
            (#"{"agents": {"a": {"pipelin": "x"}}}"#, "unknown-field"), (#"{"agents": []}"#, "wrong-type"),
            (#"{"bridge": "sip"}"#, "not-allowed"), (#"{"machine": {"detect": "yes"}}"#, "wrong-type"),
            (#"{"perTenant": {"hours": {}}}"#, "unknown-field"), (#"{"timeoutSeconds": 1}"#, "out-of-range"),
        ]) func mistakesAreTold(_ section: String, _ code: String)
    {
        let (settings, diagnostics) = load(section)
        #expect(diagnostics.map(\.code.description).contains(code), "\(diagnostics)")
        #expect(settings.outbound == ServerSettings.Outbound(), "a section with an error keeps its defaults")
    }
}
