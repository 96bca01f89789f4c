import Foundation
import GRDB
import Testing

@testable import FrontDesk

@Suite struct DiaryTests {
    @Test func aTimeIsBookedOnce() async throws {
        let desk = try await Desk()
        try await desk.haircut("2026-03-02T10:00")
        #expect(try await refusal { try await desk.haircut("2026-03-02T10:00") } == .taken)
        #expect(try await refusal { try await desk.haircut("2026-03-02T10:30") } == .taken, "the cut takes 45 minutes")
        #expect(try await refusal { try await desk.haircut("2026-03-02T09:30") } == .taken)
        try await desk.haircut("2026-03-02T10:45")
        try await desk.haircut("2026-03-02T10:00", with: "alex")
    }

    @Test func ofManyWhoWantATimeAtOnceOneGetsIt() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "front-desk-\(Diary.newID())").path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let database = try DeskDatabase.open(directory: folder)
        try await Seed.plant(database)
        let now = Date(timeIntervalSince1970: 1_772_388_000)
        let booked = await withTaskGroup(of: Bool.self) { tasks in
            for index in 0..<20 {
                tasks.addTask {
                    let booking = Booking(
                        business: "salon-north", service: "haircut", employee: "kim", start: "2026-03-02T10:00",
                        customerName: "Caller \(index)")
                    let diary = Diary(database, now: { now })
                    return (try? await database.write { try diary.book(booking, $0) }) != nil
                }
            }
            return await tasks.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(booked == 1)
        #expect(try await database.read { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM appointments") } == 1)
        #expect(try await database.read { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM occupied") } == 3)
    }

    @Test func whatIsCancelledIsFreeAgain() async throws {
        let desk = try await Desk()
        let card = try await desk.haircut("2026-03-02T10:00")
        #expect(try await !desk.starts(on: "2026-03-02").contains("10:00"))
        #expect(try await desk.salons.cancel(card.appointmentId, for: "salon-north").status == "cancelled")
        #expect(try await desk.starts(on: "2026-03-02").contains("10:00"))
        try await desk.haircut("2026-03-02T10:00")
        // The second time it frees nothing: that time is somebody else's now.
        try await desk.diary.database.write { _ = try desk.diary.cancel(card.appointmentId, of: "salon-north", $0) }
        #expect(try await refusal { try await desk.haircut("2026-03-02T10:00") } == .taken)
    }

    @Test(
        arguments: [
            ("2026-03-02T09:00", nil), ("2026-03-02T16:15", nil), ("2026-03-02 10:15:00", nil),
            ("2026-03-02T10:00Z", nil), ("2026-03-02T12:00+02:00", nil), ("2026-03-02T04:30-05:00", nil),
            ("2026-03-02T08:45", .closed), ("2026-03-02T16:30", .closed), ("2026-03-07T10:00", .closed),
            ("2026-03-02T10:10", .validation), ("2026-02-27T10:00", .validation), ("2027-03-03T10:00", .validation),
            ("2026-02-30T10:00", .validation), ("2026-03-02T25:00", .validation), ("tomorrow at ten", .validation),
            ("", .validation), ("2026-03-02T10:00:30", .validation), ("2026-03-02T10:00; DROP TABLE x", .validation),
        ] as [(String, Refusal.Code?)])
    func startsAreJudged(start: String, expected: Refusal.Code?) async throws {
        let desk = try await Desk()
        #expect(try await refusal { try await desk.haircut(start) } == expected)
    }

    @Test func timesAreOfferedWithinOpeningHours() async throws {
        let desk = try await Desk()
        let day = try await desk.starts(on: "2026-03-02")
        #expect(day.first == "09:00" && day.last == "16:00" && day.count == 15)
        #expect(try await desk.starts(on: "2026-03-07").isEmpty, "Saturday")
        let noon = try await Desk(at: "2026-03-02T12:00")
        #expect(try await noon.starts(on: "2026-03-02").first == "12:30", "what is over is not offered")
        let friday = try #require(Day("2026-03-06"))
        let next = try await desk.diary.nextFree("salon-north", service: "haircut", after: friday)
        #expect(next?.start == "2026-03-09T09:00")
    }

    /// Clocks go forward in London on 29 March 2026, in New York on 8 March.
    @Test func everyBusinessHasItsOwnClock() async throws {
        let desk = try await Desk()
        func instant(_ tenant: String, _ start: String, _ employee: String) async throws -> Int? {
            let card = try await desk.haircut(start, at: tenant, with: employee)
            #expect(card.start == start)
            return try await desk.diary.database.read {
                try Int.fetchOne(
                    $0, sql: "SELECT starts_at FROM appointments WHERE id = ?", arguments: [card.appointmentId])
            }
        }
        func utc(_ text: String) -> Int { Int(WallClock(timeZone: "UTC")?.parse(text)?.timeIntervalSince1970 ?? 0) }
        #expect(try await instant("salon-north", "2026-03-27T10:00", "kim") == utc("2026-03-27T10:00"))
        #expect(try await instant("salon-north", "2026-03-30T10:00", "kim") == utc("2026-03-30T09:00"))
        #expect(try await instant("salon-south", "2026-03-06T10:00", "robin") == utc("2026-03-06T15:00"))
        #expect(try await instant("salon-south", "2026-03-09T10:00", "robin") == utc("2026-03-09T14:00"))
    }

    @Test(
        arguments: [
            ("Europe/Berlin", "2026-03-29T02:30", nil), ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00"),
            ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"), ("UTC", "2028-02-29T00:00", "2028-02-29T00:00"),
            ("UTC", "2026-02-29T00:00", nil),
        ] as [(String, String, String?)])
    func minutesThatAreSkippedOrComeTwice(zone: String, local: String, expected: String?) throws {
        let clock = try #require(WallClock(timeZone: zone)), utc = try #require(WallClock(timeZone: "UTC"))
        #expect(clock.parse(local).map(utc.text) == expected)
    }

    @Test func whatIsAskedTwiceIsDoneOnce() async throws {
        let desk = try await Desk()
        let first = try await desk.haircut("2026-03-02T10:00", key: "k1")
        #expect(try await desk.haircut("2026-03-02T10:00", key: "k1") == first)
        #expect(try await refusal { try await desk.haircut("2026-03-02T11:00", key: "k1") } == .keyReused)
        // A refusal is not kept: it may be tried again.
        #expect(try await refusal { try await desk.haircut("2026-03-02T10:00", key: "k2") } == .taken)
        try await desk.salons.cancel(first.appointmentId, for: "salon-north")
        try await desk.haircut("2026-03-02T10:00", key: "k2")
    }
}
