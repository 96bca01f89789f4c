import Foundation
import GRDB

/// What a clinic's telephone agent may ask and do. Appointments are the ``Diary``'s; patients and the queue are its own.
struct Clinic: Sendable {
    /// The clinic in the diary.
    static let business = "clinic"

    let diary: Diary
    private var database: any DatabaseWriter { diary.database }

    // MARK: Patients

    struct Lookup: Codable, Sendable {
        var success = true
        var found: Bool
        var patients: [PatientCard]
    }

    /// By name and day of birth, or by telephone; by a name alone nobody learns who else is a patient.
    func lookup(name: String?, born: String?, phone: String?) async throws -> Lookup {
        let found: [Patient]
        if let name = name?.nonEmpty, let born = born?.nonEmpty {
            let name = try PlainText.checked(name, "name")
            let born = try Day.checked(born, "born")
            found = try await database.read { try Patient.find(name: name, born: born, $0).map { [$0] } ?? [] }
        } else if let phone = phone?.nonEmpty {
            let phone = try PlainText.phone(phone)
            found = try await database.read {
                try Patient.filter(Column("phone") == phone).order(Column("born"))
                    .limit(Patient.maximumOfOnePhone).fetchAll($0)
            }
        } else {
            throw Refusal(.validation, "name and born, or phone, are required")
        }
        return Lookup(found: !found.isEmpty, patients: found.map(PatientCard.init))
    }

    struct PatientDraft: Codable, Sendable {
        var name: String?
        var born: String?
        var phone: String?
        var insurance: String?
    }

    struct Saved: Codable, Sendable {
        var success = true
        var created: Bool
        var patient: PatientCard
    }

    /// Enters a patient, or changes what is given of one who is known by name and day of birth.
    func save(_ draft: PatientDraft, _ once: Once) async throws -> Saved {
        guard let name = draft.name?.nonEmpty, let born = draft.born?.nonEmpty else {
            throw Refusal(.validation, "name and born are required")
        }
        let day = try Day.checked(born, "born")
        let shown = try PlainText.checked(name, "name")
        let phone = try draft.phone?.nonEmpty.map(PlainText.phone)
        let insurance = try draft.insurance?.nonEmpty.map { try PlainText.checked($0, "insurance") }
        let now = diary.now()
        return try await database.write { database in
            try once.perform(database, at: now) {
                let known = try Patient.find(name: shown, born: day, database)
                var patient =
                    known
                    ?? Patient(id: Diary.newID(), name: shown, nameKey: Patient.key(shown), born: day.description)
                patient.phone = phone ?? patient.phone
                patient.insurance = insurance ?? patient.insurance
                try patient.save(database)
                return Saved(created: known == nil, patient: PatientCard(patient))
            }
        }
    }

    // MARK: Appointments

    struct Slots: Codable, Sendable {
        var success = true
        var date: String
        var kind: String
        var slots: [FreeSlot]
        /// The first free time behind that day, when it has none.
        var next: FreeSlot?
    }

    func slots(date: String?, kind: String?) async throws -> Slots {
        guard let date = date?.nonEmpty, let kind = kind?.nonEmpty else {
            throw Refusal(.validation, "date and kind are required")
        }
        let day = try Day.checked(date, "date")
        let slots = try await diary.free(Self.business, service: kind, on: day)
        let next = slots.isEmpty ? try await diary.nextFree(Self.business, service: kind, after: day) : nil
        return Slots(date: day.description, kind: kind, slots: slots, next: next)
    }

    struct AppointmentDraft: Codable, Sendable {
        var patientId: String?
        var kind: String?
        var start: String?
    }

    struct Booked: Codable, Sendable {
        var success = true
        var appointment: AppointmentCard
    }

    func book(_ draft: AppointmentDraft, _ once: Once) async throws -> Booked {
        guard let id = draft.patientId?.nonEmpty, let kind = draft.kind?.nonEmpty, let start = draft.start?.nonEmpty
        else { throw Refusal(.validation, "patientId, kind, and start are required") }
        let now = diary.now()
        return try await database.write { database in
            try once.perform(database, at: now) {
                guard let patient = try Patient.fetchOne(database, key: id) else {
                    throw Refusal(.notFound, "there is no patient \"\(id.prefix(64))\"; look the patient up first")
                }
                let booking = Booking(
                    business: Self.business, service: kind, start: start, customerName: patient.name,
                    customerPhone: patient.phone, patient: patient.id)
                return Booked(appointment: try diary.book(booking, database))
            }
        }
    }

    // MARK: The queue

    struct QueueDraft: Codable, Sendable {
        var name: String?
        var phone: String?
        var reason: String?
        var callSid: String?
    }

    struct Queued: Codable, Sendable {
        var success = true
        var number: Int
        var level: QueueEntry.Level
        /// People of this level that come before, this one included.
        var position: Int
    }

    /// Has the staff call back, or take the call over. An emergency is entered whatever is known of the caller's number.
    func enter(_ draft: QueueDraft, as level: QueueEntry.Level, _ once: Once) async throws -> Queued {
        guard let name = draft.name?.nonEmpty, let reason = draft.reason?.nonEmpty else {
            throw Refusal(.validation, "name and reason are required")
        }
        guard level == .emergency || draft.phone?.nonEmpty != nil else {
            throw Refusal(.validation, "phone is required: somebody will call back")
        }
        let phone = draft.phone?.nonEmpty ?? ""
        let now = diary.now()
        let entry = QueueEntry(
            level: level, name: try PlainText.checked(name, "name"),
            phone: level == .emergency ? try? PlainText.phone(phone) : try PlainText.phone(phone),
            reason: try PlainText.checked(reason, "reason", limit: 500),
            callSid: try draft.callSid?.nonEmpty.map { try PlainText.checked($0, "callSid", limit: 64) },
            enteredAt: Int(now.timeIntervalSince1970))
        return try await database.write { database in
            try once.perform(database, at: now) {
                try entry.insert(database)
                let position = try QueueEntry.filter(Column("level") == level.rawValue && Column("done_at") == nil)
                    .fetchCount(database)
                return Queued(number: Int(database.lastInsertedRowID), level: level, position: position)
            }
        }
    }
}
