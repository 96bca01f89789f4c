import Foundation
import GRDB

/// Who is free when, and who comes when: of every business, with one rule for all of them.
struct Diary: Sendable {
    /// Everybody's time goes in quarters of an hour.
    static let quarter = 900
    /// Minutes between two times that are offered; any quarter of an hour can be booked.
    static let offered = 30
    /// Times that are offered of one day.
    static let maximumSlots = 64
    /// How far ahead one can book.
    static let horizonDays = 366
    /// Days that are looked at for the next free time.
    static let searchDays = 21

    let database: any DatabaseWriter
    let now: @Sendable () -> Date

    init(_ database: any DatabaseWriter, now: @escaping @Sendable () -> Date = { Date() }) {
        self.database = database
        self.now = now
    }

    // MARK: What there is

    func business(_ id: String) async throws -> Business {
        try await database.read { try Business.find(id, $0) }
    }

    func services(_ business: String) async throws -> [Service] {
        try await database.read { database in
            _ = try Business.find(business, database)
            return try Service.filter(Column("business") == business).order(Column("id")).fetchAll(database)
        }
    }

    func service(_ id: String, of business: String) async throws -> Service {
        try await database.read { try Self.service(id, business, $0) }
    }

    func employees(_ business: String) async throws -> [Employee] {
        try await database.read { database in
            try Employee.filter(Column("business") == business).order(Column("id")).fetchAll(database)
        }
    }

    /// The week from Monday on; a weekday that is closed is not there.
    func hours(_ business: String) async throws -> [OpeningHours] {
        try await database.read { database in
            _ = try Business.find(business, database)
            let hours = try OpeningHours.filter(Column("business") == business).order(Column("opens"))
                .fetchAll(database)
            return (WallClock.weekdays.dropFirst() + WallClock.weekdays.prefix(1)).flatMap { day in
                hours.filter { $0.weekday == day }
            }
        }
    }

    // MARK: Who is free

    /// The times of a day at which a service can be booked, from now on.
    func free(
        _ business: String, service id: String, on day: Day, employee: String? = nil
    ) async throws -> [FreeSlot] {
        try await database.read { database in
            let clock = try Business.find(business, database).clock()
            return try slots(business, Self.service(id, business, database), day, employee, clock, database)
        }
    }

    /// The first free time behind a day, within three weeks.
    func nextFree(_ business: String, service id: String, after day: Day) async throws -> FreeSlot? {
        try await database.read { database in
            let clock = try Business.find(business, database).clock()
            let service = try Self.service(id, business, database)
            var day = max(day, clock.reading(now()).day)
            for _ in 0..<Self.searchDays {
                day = clock.day(after: day)
                if let slot = try slots(business, service, day, nil, clock, database).first { return slot }
            }
            return nil
        }
    }

    private func slots(
        _ business: String, _ service: Service, _ day: Day, _ employee: String?, _ clock: WallClock,
        _ database: Database
    ) throws -> [FreeSlot] {
        var staff = try Employee.filter(Column("business") == business).order(Column("id")).fetchAll(database)
        if let employee {
            staff.removeAll { $0.id != employee }
            guard !staff.isEmpty else { throw Refusal(.notFound, "there is no employee \"\(employee.prefix(64))\"") }
        }
        let hours = try OpeningHours.filter(Column("business") == business && Column("weekday") == clock.weekday(day))
            .order(Column("opens")).fetchAll(database)
        let starts = hours.flatMap { span in
            stride(from: span.opens, through: span.closes - service.minutes, by: Self.offered)
                .compactMap { clock.instant(day, minute: $0) }
        }
        let earliest = now()
        var found: [FreeSlot] = []
        for start in starts where start > earliest {
            for person in staff where found.count < Self.maximumSlots {
                let quarters = Self.quarters(start, minutes: service.minutes)
                let isTaken =
                    try Bool.fetchOne(
                        database,
                        sql: """
                            SELECT EXISTS (SELECT 1 FROM occupied
                            WHERE business = ? AND employee = ? AND quarter BETWEEN ? AND ?)
                            """, arguments: [business, person.id, quarters.lowerBound, quarters.upperBound - 1]) ?? true
                guard !isTaken else { continue }
                found.append(
                    FreeSlot(
                        start: clock.text(start),
                        end: clock.text(start.addingTimeInterval(Double(service.minutes * 60))),
                        employeeId: person.id, employeeName: person.name))
            }
        }
        return found
    }

    // MARK: Shared with booking

    static func service(_ id: String, _ business: String, _ database: Database) throws -> Service {
        let service = try Service.filter(Column("business") == business && Column("id") == id).fetchOne(database)
        guard let service else { throw Refusal(.notFound, "there is no service \"\(id.prefix(64))\"") }
        return service
    }

    static func quarters(_ start: Date, minutes: Int) -> Range<Int> {
        let first = Int(start.timeIntervalSince1970) / quarter
        return first..<(first + minutes * 60 / quarter)
    }
}
