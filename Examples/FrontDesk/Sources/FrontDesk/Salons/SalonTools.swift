import Foundation
import Patchbay

/// The salons' tools as functions of this process. Whose salon it is, the call says; no argument can.
struct SalonTools: Sendable {
    let salons: Salons

    /// Every tool, for the calls of any tenant.
    func all() throws -> [Tool] {
        try [
            tool("get_services", ["list_services"], "Lists the salon's services and employees, with their ids.") {
                _, tenant, _ in
                try await salons.services(of: tenant)
            },
            tool(
                "get_service_details", [], "Tells how long a service takes and what it costs.",
                ["serviceId": .text("The service's id, from get_services.")], required: ["serviceId"]
            ) { arguments, tenant, _ in
                Salons.ServiceCard(try await salons.diary.service(arguments.string("serviceId") ?? "", of: tenant))
            },
            tool("get_hours", ["get_business_hours"], "Tells when the salon is open.") { _, tenant, _ in
                try await ["hours": salons.hours(of: tenant)]
            },
            tool("get_tenant_info", [], "Tells the salon's name, telephone number and the time on its clock.") {
                _, tenant, _ in
                try await salons.about(tenant)
            },
            tool(
                "check_availability", ["get_availability"],
                "Finds the free times of a day for a service. Ask for the day and the service first.",
                [
                    "date": .date("The day."), "serviceId": .text("The service's id, from get_services."),
                    "employeeId": .text("Only this employee."),
                ], required: ["date", "serviceId"]
            ) { arguments, tenant, _ in
                let day = try Day.checked(arguments.string("date") ?? "", "date")
                let service = arguments.string("serviceId") ?? ""
                let slots = try await salons.diary.free(
                    tenant, service: service, on: day, employee: arguments.string("employeeId"))
                return Availability(
                    slots: slots,
                    next: slots.isEmpty ? try await salons.diary.nextFree(tenant, service: service, after: day) : nil)
            },
            tool(
                "book_appointment", ["create_appointment"],
                "Books an appointment at a free time of check_availability. Say day and time to the caller before.",
                [
                    "employeeId": .text("From check_availability."), "serviceId": .text("From get_services."),
                    "customerName": .text("The caller's name."), "startTime": .text("Such as 2026-01-31T14:30."),
                    "customerPhone": .text("Another number than the caller's own."),
                ], required: ["employeeId", "serviceId", "customerName", "startTime"]
            ) { arguments, tenant, call in
                var draft = try arguments.decoded(as: Salons.Draft.self)
                draft.customerPhone = draft.customerPhone?.nonEmpty ?? (try? PlainText.phone(call.info.from))
                let once = try Once(
                    scope: "call \(call.info.id)", key: call.key, request: Data(arguments.text.utf8))
                return try await salons.book(draft, for: tenant, once)
            },
            tool(
                "find_appointment", [], "Finds coming appointments: the caller's own when no number is given.",
                [
                    "customerPhone": .text("Another number than the caller's own."),
                    "customerName": .text("The name of the appointment; needed for another number."),
                ]
            ) { arguments, tenant, call in
                let found = try await salons.find(
                    phone: arguments.string("customerPhone"), name: arguments.string("customerName"),
                    caller: call.info.from, for: tenant)
                return ["appointments": found]
            },
            tool(
                "cancel_appointment", [],
                "Cancels an appointment of find_appointment. Ask the caller to confirm first.",
                ["appointmentId": .text("From find_appointment.")], required: ["appointmentId"]
            ) { arguments, tenant, _ in
                try await salons.cancel(arguments.string("appointmentId") ?? "", for: tenant)
            },
        ]
    }

    private struct Availability: Encodable, Sendable {
        var slots: [FreeSlot]
        var next: FreeSlot?
    }

    /// Makes a tool of a function that gets the call's tenant: what it answers becomes JSON, a ``Refusal`` words for the agent.
    private func tool<Answer: Encodable & Sendable>(
        _ name: String, _ aliases: [String], _ description: String, _ parameters: [String: JSONValue] = [:],
        required: [String] = [],
        _ work: @escaping @Sendable (ToolArguments, String, ToolInvocation) async throws -> Answer
    ) throws -> Tool {
        let schema: JSONValue = [
            "type": "object",
            "properties": .object(parameters.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, $0.value) }),
            "required": .array(required.map(JSONValue.string)),
        ]
        return try Tool(name, description: description, parameters: schema, aliases: aliases) { arguments, call in
            guard let tenant = call.info.tenant else { throw ToolFailure("This call belongs to no salon.") }
            do {
                return try Reply.text(try await work(arguments, tenant, call))
            } catch let refusal as Refusal {
                throw ToolFailure(refusal.words)
            }
        }
    }
}

extension JSONValue {
    fileprivate static func text(_ description: String) -> JSONValue {
        ["type": "string", "description": .string(description)]
    }

    fileprivate static func date(_ description: String) -> JSONValue {
        ["type": "string", "format": "date", "description": .string(description)]
    }
}
