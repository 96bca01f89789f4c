import GRDB

/// Businesses to try things with. All of it is invented.
enum Seed {
    /// Puts the examples in, and leaves what is there alone.
    static func plant(_ database: any DatabaseWriter) async throws {
        try await database.write { database in
            for example in examples {
                try example.business.insert(database, onConflict: .ignore)
                for span in example.hours { try span.insert(database, onConflict: .ignore) }
                for service in example.services { try service.insert(database, onConflict: .ignore) }
                for employee in example.employees { try employee.insert(database, onConflict: .ignore) }
            }
        }
    }

    struct Example {
        var business: Business
        var hours: [OpeningHours]
        var services: [Service]
        var employees: [Employee]

        /// - Parameters:
        ///   - spans: Opening times of each of `days`, in hours.
        ///   - services: Id, name, minutes, price.
        init(
            _ id: String, _ name: String, _ zone: String, days: [String], _ spans: [(Int, Int)],
            services: [(String, String, Int, Int?)], employees: [(String, String)]
        ) {
            business = Business(id: id, name: name, timeZone: zone)
            hours = days.flatMap { day in
                spans.map { OpeningHours(business: id, weekday: day, opens: $0.0 * 60, closes: $0.1 * 60) }
            }
            self.services = services.map {
                Service(business: id, id: $0.0, name: $0.1, minutes: $0.2, priceCents: $0.3)
            }
            self.employees = employees.map { Employee(business: id, id: $0.0, name: $0.1) }
        }
    }

    static let workdays = ["monday", "tuesday", "wednesday", "thursday", "friday"]

    static var examples: [Example] {
        [
            Example(
                Clinic.business, "Testpraxis", "Europe/Berlin", days: workdays, [(8, 12), (13, 17)],
                services: [
                    ("kontrolle", "Kontrolltermin", 15, nil), ("erstgespraech", "Erstgespräch", 30, nil),
                    ("akut", "Akutsprechstunde", 15, nil),
                ], employees: [("zimmer-1", "Sprechzimmer 1")]),
            Example(
                "salon-north", "Test Salon North", "Europe/London", days: workdays, [(9, 17)],
                services: [("haircut", "Haircut", 45, 3200), ("colour", "Colour", 90, 7400)],
                employees: [("kim", "Kim"), ("alex", "Alex")]),
            Example(
                "salon-south", "Test Salon South", "America/New_York", days: workdays + ["saturday"], [(10, 18)],
                services: [("haircut", "Haircut", 30, 4500), ("manicure", "Manicure", 45, 3800)],
                employees: [("robin", "Robin")]),
        ]
    }
}
