import Foundation
import GRDB

/// A clinic, a salon: whoever has a diary. What one has, no other sees.
struct Business: DeskRecord {
    static let databaseTableName = "businesses"
    var id: String
    var name: String
    /// In the IANA database, such as `Europe/Berlin`.
    var timeZone: String
    var phone: String?

    /// - Throws: ``Refusal`` when there is none of that name.
    static func find(_ id: String, _ database: Database) throws -> Business {
        guard let business = try Business.fetchOne(database, key: id) else {
            throw Refusal(.notFound, "there is no business \"\(id.prefix(64))\"")
        }
        return business
    }

    func clock() throws -> WallClock {
        guard let clock = WallClock(timeZone: timeZone) else {
            throw Refusal(.validation, "\(name) has no time zone: \"\(timeZone)\"")
        }
        return clock
    }
}

/// A stretch of a weekday in which a business is open, in minutes since midnight.
struct OpeningHours: DeskRecord {
    static let databaseTableName = "opening_hours"
    var business: String
    var weekday: String
    var opens: Int
    var closes: Int
}

struct Service: DeskRecord {
    static let databaseTableName = "services"
    var business: String
    var id: String
    var name: String
    var minutes: Int
    var priceCents: Int?
}

struct Employee: DeskRecord {
    static let databaseTableName = "employees"
    var business: String
    var id: String
    var name: String
}

struct Appointment: DeskRecord {
    static let databaseTableName = "appointments"
    enum Status: String, Codable { case booked, cancelled }

    var id: String
    var business: String
    var service: String
    var employee: String
    var customerName: String
    var customerPhone: String?
    /// The clinic's patient.
    var patient: String?
    /// Seconds since 1970.
    var startsAt: Int
    var endsAt: Int
    var status: Status
}

/// An appointment as people speak of it.
struct AppointmentCard: Codable, Sendable, Equatable {
    var appointmentId: String
    var service: String
    var employee: String
    /// On the clock of the business, `2026-03-02T10:00`.
    var start: String
    var end: String
    var customerName: String
    var customerPhone: String?
    var status: String
}

/// A time at which somebody is free.
struct FreeSlot: Codable, Sendable, Equatable {
    var start: String
    var end: String
    var employeeId: String
    var employeeName: String
}
