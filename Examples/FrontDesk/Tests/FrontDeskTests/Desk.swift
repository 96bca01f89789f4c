import Foundation
import GRDB
import Logging

@testable import FrontDesk

/// A front desk in memory, on a Sunday evening in winter: 2026-03-01, 18:00 in London.
struct Desk {
    let diary: Diary
    var salons: Salons { Salons(diary: diary) }
    var clinic: Clinic { Clinic(diary: diary) }

    init(at now: String = "2026-03-01T18:00") async throws {
        let clock = WallClock(timeZone: "UTC")
        let date = clock?.parse(now) ?? .distantPast
        diary = Diary(try DeskDatabase.inMemory(), now: { date })
        try await Seed.plant(diary.database)
    }

    /// Books a haircut, 45 minutes in the north and 30 in the south.
    @discardableResult
    func haircut(
        _ start: String, at tenant: String = "salon-north", with employee: String = "kim", key: String? = nil,
        name: String = "Ada Test", phone: String? = "+15550100001"
    ) async throws -> AppointmentCard {
        let draft = Salons.Draft(
            employeeId: employee, serviceId: "haircut", customerName: name, customerPhone: phone, startTime: start)
        return try await salons.book(
            draft, for: tenant, try Once(scope: tenant, key: key, request: JSONEncoder.sorted.encode(draft)))
    }

    func starts(_ tenant: String = "salon-north", on day: String, employee: String = "kim") async throws -> [String] {
        guard let day = Day(day) else { return [] }
        return try await diary.free(tenant, service: "haircut", on: day, employee: employee)
            .map { String($0.start.suffix(5)) }
    }
}

extension JSONEncoder {
    static var sorted: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return encoder
    }
}

/// The code of what is refused; `nil` when it is done.
func refusal(_ work: () async throws -> Void) async throws -> Refusal.Code? {
    do {
        try await work()
        return nil
    } catch let refusal as Refusal {
        return refusal.code
    }
}

/// A text under a path of keys in a JSON text.
func text(_ json: String, _ keys: String...) -> String? {
    var value = try? JSONSerialization.jsonObject(with: Data(json.utf8))
    for key in keys { value = (value as? [String: Any])?[key] }
    return value as? String
}
