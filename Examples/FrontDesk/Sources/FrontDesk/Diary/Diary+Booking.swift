import Foundation
import GRDB

/// Somebody wants an appointment.
struct Booking: Sendable {
    var business: String
    var service: String
    /// Whoever is free when absent.
    var employee: String?
    /// On the clock of the business, or with an offset.
    var start: String
    var customerName: String
    var customerPhone: String?
    var patient: String?
}

extension Diary {
    /// Books, and occupies every quarter of the employee's time: of two who want the same time, the database takes one.
    ///
    /// In a transaction of the caller's, so that what else belongs to the booking happens with it or not at all.
    func book(_ booking: Booking, _ database: Database) throws -> AppointmentCard {
        let business = try Business.find(booking.business, database)
        let clock = try business.clock()
        let service = try Self.service(booking.service, business.id, database)
        let start = try self.start(booking.start, of: service, business, clock, database)
        let name = try PlainText.checked(booking.customerName, "customerName")
        let phone = try booking.customerPhone?.nonEmpty.map(PlainText.phone)
        var staff = try Employee.filter(Column("business") == business.id).order(Column("id")).fetchAll(database)
        if let wanted = booking.employee {
            staff.removeAll { $0.id != wanted }
            guard !staff.isEmpty else { throw Refusal(.notFound, "there is no employee \"\(wanted.prefix(64))\"") }
        }
        for person in staff {
            let appointment = Appointment(
                id: Self.newID(), business: business.id, service: service.id, employee: person.id, customerName: name,
                customerPhone: phone, patient: booking.patient, startsAt: Int(start.timeIntervalSince1970),
                endsAt: Int(start.timeIntervalSince1970) + service.minutes * 60, status: .booked)
            guard try occupy(appointment, minutes: service.minutes, database) else { continue }
            return Self.card(appointment, service.name, person.name, clock)
        }
        throw Refusal(.taken, "\(clock.text(start)) is taken already; ask for free times again")
    }

    /// - Returns: Whether the time was free.
    private func occupy(_ appointment: Appointment, minutes: Int, _ database: Database) throws -> Bool {
        let start = Date(timeIntervalSince1970: Double(appointment.startsAt))
        var isFree = false
        try database.inSavepoint {
            try appointment.insert(database)
            do {
                for quarter in Self.quarters(start, minutes: minutes) {
                    try database.execute(
                        sql: "INSERT INTO occupied VALUES (?, ?, ?, ?)",
                        arguments: [appointment.business, appointment.employee, quarter, appointment.id])
                }
                isFree = true
                return .commit
            } catch let error as DatabaseError where error.resultCode == .SQLITE_CONSTRAINT {
                return .rollback
            }
        }
        return isFree
    }

    private func start(
        _ text: String, of service: Service, _ business: Business, _ clock: WallClock, _ database: Database
    ) throws -> Date {
        guard let start = clock.parse(text) else {
            throw Refusal(
                .validation, "the start is \"\(text.prefix(40))\"; it must be a time such as 2026-01-31T14:30")
        }
        let now = now()
        guard start > now else { throw Refusal(.validation, "\(clock.text(start)) is over already") }
        guard start < now.addingTimeInterval(Double(Self.horizonDays) * 86_400) else {
            throw Refusal(.validation, "\(clock.text(start)) is more than a year ahead")
        }
        let (day, minute) = clock.reading(start)
        guard Int(start.timeIntervalSince1970) % Self.quarter == 0 else {
            throw Refusal(
                .validation, "appointments begin at full quarters of an hour, not at \(WallClock.time(minute))")
        }
        let weekday = clock.weekday(day)
        let hours = try OpeningHours.filter(Column("business") == business.id && Column("weekday") == weekday)
            .fetchAll(database)
        guard hours.contains(where: { $0.opens <= minute && minute + service.minutes <= $0.closes }) else {
            let open = hours.map { "\(WallClock.time($0.opens)) to \(WallClock.time($0.closes))" }
            throw Refusal(
                .closed,
                open.isEmpty
                    ? "\(business.name) is closed on \(weekday)s"
                    : "on \(weekday)s \(business.name) is open from \(open.joined(separator: " and "))")
        }
        return start
    }

    // MARK: Afterwards

    /// Frees the time of an appointment. Cancelling twice is no mistake.
    func cancel(_ id: String, of business: String, _ database: Database) throws -> AppointmentCard {
        guard var appointment = try Appointment.fetchOne(database, key: id), appointment.business == business else {
            throw Refusal(.notFound, "there is no appointment \"\(id.prefix(64))\"")
        }
        appointment.status = .cancelled
        try appointment.update(database)
        try database.execute(sql: "DELETE FROM occupied WHERE appointment = ?", arguments: [id])
        return try card(appointment, database)
    }

    /// The appointments of a telephone number from now on, at most ten.
    func find(phone: String, of business: String) async throws -> [(name: String, card: AppointmentCard)] {
        let phone = try PlainText.phone(phone)
        let earliest = Int(now().timeIntervalSince1970)
        return try await database.read { database in
            let found = try Appointment.filter(Column("business") == business && Column("customer_phone") == phone)
                .filter(Column("starts_at") >= earliest && Column("status") == "booked")
                .order(Column("starts_at")).limit(10).fetchAll(database)
            return try found.map { ($0.customerName, try card($0, database)) }
        }
    }

    private func card(_ appointment: Appointment, _ database: Database) throws -> AppointmentCard {
        let clock = try Business.find(appointment.business, database).clock()
        let service = try Self.service(appointment.service, appointment.business, database)
        let employee = try Employee.filter(
            Column("business") == appointment.business && Column("id") == appointment.employee
        ).fetchOne(database)
        return Self.card(appointment, service.name, employee?.name ?? appointment.employee, clock)
    }

    private static func card(
        _ appointment: Appointment, _ service: String, _ employee: String, _ clock: WallClock
    ) -> AppointmentCard {
        AppointmentCard(
            appointmentId: appointment.id, service: service, employee: employee,
            start: clock.text(Date(timeIntervalSince1970: Double(appointment.startsAt))),
            end: clock.text(Date(timeIntervalSince1970: Double(appointment.endsAt))),
            customerName: appointment.customerName, customerPhone: appointment.customerPhone,
            status: appointment.status.rawValue)
    }

    /// Nobody guesses it: 80 random bits.
    static func newID() -> String {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("abcdefghjkmnpqrstvwxyz0123456789")
        return String((0..<16).map { _ in alphabet.randomElement(using: &generator) ?? "a" })
    }
}
