import GRDB

/// Somebody the clinic knows.
struct Patient: DeskRecord, Equatable {
    static let databaseTableName = "patients"
    /// Most patients that share a telephone.
    static let maximumOfOnePhone = 10

    var id: String
    var name: String
    /// The name as it is looked for: however it was written or heard.
    var nameKey: String
    var born: String
    var phone: String?
    var insurance: String?

    static func key(_ name: String) -> String {
        name.lowercased().split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    static func find(name: String, born: Day, _ database: Database) throws -> Patient? {
        try Patient.filter(Column("name_key") == key(name) && Column("born") == born.description).fetchOne(database)
    }
}

/// What agents learn of a patient.
struct PatientCard: Codable, Sendable, Equatable {
    var id: String
    var name: String
    var born: String
    var phone: String?
    var insurance: String?

    init(_ patient: Patient) {
        (id, name, born) = (patient.id, patient.name, patient.born)
        (phone, insurance) = (patient.phone, patient.insurance)
    }
}

/// Somebody who cannot wait for an appointment.
struct QueueEntry: DeskRecord {
    static let databaseTableName = "queue"
    enum Level: String, Codable { case urgent, emergency }

    var number: Int?
    var level: Level
    var name: String
    var phone: String?
    var reason: String
    var callSid: String?
    var enteredAt: Int
    var doneAt: Int?
}
