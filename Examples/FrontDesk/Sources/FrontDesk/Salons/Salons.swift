import Foundation
import GRDB

/// What the agents of many salons may ask and do; each in its own salon only.
struct Salons: Sendable {
    let diary: Diary

    struct ServiceCard: Codable, Sendable, Equatable {
        var serviceId: String
        var name: String
        var minutes: Int
        var price: String?

        init(_ service: Service) {
            (serviceId, name, minutes) = (service.id, service.name, service.minutes)
            price = service.priceCents.map { String(format: "%d.%02d", $0 / 100, $0 % 100) }
        }
    }

    struct Person: Codable, Sendable, Equatable {
        var employeeId: String
        var name: String
    }

    struct Services: Codable, Sendable {
        var services: [ServiceCard]
        var employees: [Person]
    }

    func services(of tenant: String) async throws -> Services {
        let services = try await diary.services(tenant).map(ServiceCard.init)
        let people = try await diary.employees(tenant).map { Person(employeeId: $0.id, name: $0.name) }
        return Services(services: services, employees: people)
    }

    struct Span: Codable, Sendable, Equatable {
        var weekday: String
        var open: String
        var close: String
    }

    func hours(of tenant: String) async throws -> [Span] {
        try await diary.hours(tenant).map {
            Span(weekday: $0.weekday, open: WallClock.time($0.opens), close: WallClock.time($0.closes))
        }
    }

    struct About: Codable, Sendable {
        var name: String
        var phone: String?
        var timeZone: String
        /// On the salon's clock.
        var now: String
    }

    func about(_ tenant: String) async throws -> About {
        let business = try await diary.business(tenant)
        return About(
            name: business.name, phone: business.phone, timeZone: business.timeZone,
            now: try business.clock().text(diary.now()))
    }

    struct Draft: Codable, Sendable {
        var tenantId: String?
        var employeeId: String?
        var serviceId: String?
        var customerName: String?
        var customerPhone: String?
        var startTime: String?
    }

    func book(_ draft: Draft, for tenant: String, _ once: Once) async throws -> AppointmentCard {
        guard let employee = draft.employeeId?.nonEmpty, let service = draft.serviceId?.nonEmpty,
            let name = draft.customerName?.nonEmpty, let start = draft.startTime?.nonEmpty
        else { throw Refusal(.validation, "employeeId, serviceId, customerName, and startTime are required") }
        let booking = Booking(
            business: tenant, service: service, employee: employee, start: start, customerName: name,
            customerPhone: draft.customerPhone)
        let now = diary.now()
        return try await diary.database.write { database in
            try once.perform(database, at: now) { try diary.book(booking, database) }
        }
    }

    @discardableResult
    func cancel(_ appointment: String, for tenant: String) async throws -> AppointmentCard {
        try await diary.database.write { try diary.cancel(appointment, of: tenant, $0) }
    }

    /// The appointments of a telephone number. Of another number than the caller's own, only those under the name given.
    func find(
        phone: String?, name: String?, caller: String, for tenant: String
    ) async throws -> [AppointmentCard] {
        let wanted = try PlainText.phone(phone?.nonEmpty ?? caller)
        let found = try await diary.find(phone: wanted, of: tenant)
        guard wanted != (try? PlainText.phone(caller)) || name?.nonEmpty != nil else { return found.map(\.card) }
        guard let name = name?.nonEmpty else {
            throw Refusal(.validation, "customerName is required for another telephone number than the caller's")
        }
        return found.filter { Patient.key($0.name) == Patient.key(name) }.map(\.card)
    }
}
