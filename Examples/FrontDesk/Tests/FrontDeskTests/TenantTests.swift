import Foundation
import Patchbay
import Testing

@testable import FrontDesk

/// Nothing of one salon is ever visible to another, whatever is asked.
@Suite struct TenantTests {
    private func call(_ tenant: String?, from caller: String = "+15550100001") -> CallInfo {
        CallInfo(
            id: "call-1", callSid: "CA1", from: caller, to: "+15550100012", pipeline: "salons", tenant: tenant)
    }

    /// What a tool answers; a failure begins with `!`.
    private func ask(
        _ desk: Desk, _ tenant: String?, _ name: String, _ arguments: JSONValue = [:], id: String = "t1",
        from caller: String = "+15550100001"
    ) async throws -> String {
        let tools = try SalonTools(salons: desk.salons).all()
        let tool = try #require(tools.first { $0.names.contains(name) })
        guard case .function(let function) = tool.work else { return "no function" }
        do {
            return try await function(
                ToolArguments(arguments), ToolInvocation(info: call(tenant, from: caller), id: id, tool: tool.name))
        } catch let failure as ToolFailure {
            return "!" + failure.description
        }
    }

    @Test func everyNameAndAliasIsThere() throws {
        let tools = try SalonTools(salons: Salons(diary: Diary(DeskDatabase.inMemory()))).all()
        try Tool.checkNames(of: tools)
        #expect(
            Set(tools.flatMap(\.names)) == [
                "check_availability", "get_availability", "book_appointment", "create_appointment",
                "cancel_appointment", "get_services", "list_services", "get_service_details", "get_hours",
                "get_business_hours", "get_tenant_info", "find_appointment",
            ])
    }

    @Test func eachSalonSeesItsOwn() async throws {
        let desk = try await Desk()
        let north = try await ask(desk, "salon-north", "list_services")
        #expect(north.contains(#""serviceId":"colour""#) && north.contains("Kim") && !north.contains("manicure"))
        let south = try await ask(desk, "salon-south", "get_services")
        #expect(south.contains("manicure") && !south.contains("colour") && !south.contains("Kim"))
        #expect(try await ask(desk, "salon-south", "get_service_details", ["serviceId": "colour"]).hasPrefix("!"))
        #expect(try await ask(desk, "salon-south", "get_tenant_info").contains("Test Salon South"))
        #expect(try await ask(desk, "salon-north", "get_hours").contains(#""open":"09:00","weekday":"monday""#))
        #expect(
            try await ask(desk, "salon-south", "get_business_hours").contains(#""open":"10:00","weekday":"saturday""#))
    }

    @Test func anAppointmentIsItsSalonsAlone() async throws {
        let desk = try await Desk()
        let booking: JSONValue = [
            "employeeId": "kim", "serviceId": "haircut", "customerName": "Ada Test", "startTime": "2026-03-02T10:00",
        ]
        let booked = try await ask(desk, "salon-north", "create_appointment", booking)
        let id = try #require(text(booked, "appointmentId"))
        #expect(
            try await ask(desk, "salon-north", "create_appointment", booking) == booked, "the same call of the tool")
        #expect(try await ask(desk, "salon-north", "book_appointment", booking, id: "t2").hasPrefix("!"))
        #expect(
            try await ask(desk, "salon-south", "book_appointment", booking, id: "t3").hasPrefix("!"),
            "Kim is not theirs")
        #expect(try await ask(desk, "salon-south", "find_appointment") == #"{"appointments":[]}"#)
        #expect(try await ask(desk, "salon-south", "cancel_appointment", ["appointmentId": .string(id)]).hasPrefix("!"))
        #expect(try await ask(desk, "salon-north", "find_appointment").contains(id))
        #expect(
            try await ask(desk, "salon-north", "cancel_appointment", ["appointmentId": .string(id)])
                .contains(#""status":"cancelled""#))
        #expect(try await ask(desk, nil, "get_services").hasPrefix("!"), "a call of nobody")
        #expect(try await ask(desk, "salon-north' OR 1=1 --", "get_services").hasPrefix("!"))
    }

    @Test func strangersDoNotLearnOfOthersAppointments() async throws {
        let desk = try await Desk()
        try await desk.haircut("2026-03-02T10:00")
        let stranger = "+15550100002"
        func find(_ arguments: JSONValue) async throws -> String {
            try await ask(desk, "salon-north", "find_appointment", arguments, from: stranger)
        }
        #expect(try await find([:]) == #"{"appointments":[]}"#)
        #expect(try await find(["customerPhone": "+15550100001"]).hasPrefix("!"))
        #expect(
            try await find(["customerPhone": "+15550100001", "customerName": "Eve"]) == #"{"appointments":[]}"#)
        #expect(
            try await find(["customerPhone": "+1 555 0100001", "customerName": "ada  test"]).contains("10:00"))
    }
}
