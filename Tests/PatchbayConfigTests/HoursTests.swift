import Foundation
import Testing

@testable import PatchbayConfig

@Suite("Calling hours")
struct HoursTests {
    static func hours(
        _ zone: String, _ week: [String: [String]], dates: [String: [String]] = [:]
    ) throws -> CallingHours {
        func spans(_ texts: [String]) throws -> [CallingHours.Span] {
            try texts.map { try #require(CallingHours.Span($0), "\($0)") }
        }
        var hours = CallingHours(timeZone: try #require(TimeZone(identifier: zone)))
        hours.week = try CallingHours.weekdays.map { try spans(week[$0] ?? []) }
        for (day, texts) in dates { hours.dates[try #require(CivilDay(day))] = try spans(texts) }
        return hours
    }

    static func date(_ text: String) throws -> Date { try Date(text, strategy: .iso8601) }

    struct Case: CustomTestStringConvertible, Sendable {
        var zone: String
        var week: [String: [String]]
        var dates: [String: [String]] = [:]
        var open: [String]
        var closed: [String]
        var testDescription: String { "\(zone) \(week) \(dates)" }
    }

    @Test(
        "Hours are read off the wall",
        arguments: [
            // An ordinary Wednesday: ends are not in it, the pause at noon is closed.
            Case(
                zone: "Europe/Berlin", week: ["wednesday": ["09:00-12:30", "14:00-18:00"]],
                open: ["2026-12-23T08:00:00Z", "2026-12-23T11:29:59Z", "2026-12-23T13:00:00Z", "2026-12-23T16:59:59Z"],
                closed: [
                    "2026-12-23T07:59:59Z", "2026-12-23T11:30:00Z", "2026-12-23T17:00:00Z", "2026-12-24T09:00:00Z",
                ]),
            // The clocks go forward from 02:00 to 03:00 on 29 March 2026, at 01:00 UTC.
            Case(
                zone: "Europe/Berlin", week: ["sunday": ["01:30-02:30", "03:00-03:10"]],
                open: ["2026-03-29T00:30:00Z", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-03-29T01:09:00Z"],
                closed: ["2026-03-29T00:29:59Z", "2026-03-29T01:10:00Z", "2026-03-29T01:45:00Z"]),
            // And back from 03:00 to 02:00 on 25 October, at 01:00 UTC: 02:15 comes twice.
            Case(
                zone: "Europe/Berlin", week: ["sunday": ["02:15-02:45"]],
                open: ["2026-10-25T00:15:00Z", "2026-10-25T00:44:00Z", "2026-10-25T01:15:00Z", "2026-10-25T01:44:00Z"],
                closed: [
                    "2026-10-25T00:14:00Z", "2026-10-25T00:45:00Z", "2026-10-25T01:14:00Z", "2026-10-25T01:45:00Z",
                ]),
            // The same opening is another hour of the world on both sides of the change.
            Case(
                zone: "Europe/Berlin", week: ["monday": ["09:00-17:00"]],
                open: ["2026-03-23T08:00:00Z", "2026-03-30T07:00:00Z"],
                closed: ["2026-03-23T07:30:00Z", "2026-03-30T15:00:00Z"]),
            // New York: forward on 8 March 2026 at 07:00 UTC, with a span that belongs to Saturday.
            Case(
                zone: "America/New_York", week: ["saturday": ["22:00-02:30"]],
                open: ["2026-03-08T03:00:00Z", "2026-03-08T06:59:00Z"],
                closed: ["2026-03-08T02:59:00Z", "2026-03-08T07:00:00Z", "2026-03-09T05:00:00Z"]),
            // And back on 1 November at 06:00 UTC.
            Case(
                zone: "America/New_York", week: ["sunday": ["01:00-02:00"]],
                open: ["2026-11-01T05:00:00Z", "2026-11-01T05:59:00Z", "2026-11-01T06:00:00Z", "2026-11-01T06:59:00Z"],
                closed: ["2026-11-01T04:59:00Z", "2026-11-01T07:00:00Z"]),
            // Offsets of half hours, and a change of the clocks by one (Lord Howe, 5 April 2026 at 02:00 to 01:30).
            Case(
                zone: "Asia/Kolkata", week: ["friday": ["09:00-09:30"]],
                open: ["2026-12-25T03:30:00Z", "2026-12-25T03:59:00Z"],
                closed: ["2026-12-25T03:29:00Z", "2026-12-25T04:00:00Z"]),
            Case(
                zone: "Australia/Lord_Howe", week: ["sunday": ["01:30-01:45"]],
                open: ["2026-04-04T14:30:00Z", "2026-04-04T14:44:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:14:00Z"],
                closed: ["2026-04-04T14:45:00Z", "2026-04-04T14:59:00Z", "2026-04-04T15:15:00Z"]),
            // Midnight: 24:00 ends the day, 00:00 as an end is the same, and a night belongs to the day it begins.
            Case(
                zone: "UTC", week: ["friday": ["20:00-24:00"], "saturday": ["00:00-00:01", "22:00-00:00"]],
                open: ["2026-12-25T23:59:59Z", "2026-12-26T00:00:30Z", "2026-12-26T23:59:59Z"],
                closed: ["2026-12-26T00:01:00Z", "2026-12-27T00:00:00Z", "2026-12-25T00:00:30Z"]),
            Case(
                zone: "UTC", week: ["monday": ["00:00-24:00"]], open: ["2026-12-28T00:00:00Z", "2026-12-28T23:59:59Z"],
                closed: ["2026-12-27T23:59:59Z", "2026-12-29T00:00:00Z"]),
            // Days of their own: the Friday night goes on into a Saturday that is closed; a Friday that is closed has no night.
            Case(
                zone: "UTC", week: ["friday": ["22:00-02:00"], "saturday": ["09:00-17:00"]],
                dates: ["2026-12-26": [], "2027-01-01": [], "2027-01-02": ["12:00-13:00"]],
                open: ["2026-12-26T01:59:00Z", "2026-12-19T10:00:00Z", "2027-01-02T12:30:00Z"],
                closed: [
                    "2026-12-26T10:00:00Z", "2027-01-01T23:00:00Z", "2027-01-02T01:00:00Z", "2027-01-02T10:00:00Z",
                ]),
            // Without weekdays, and before 1970.
            Case(
                zone: "UTC", week: [:], dates: ["1969-07-20": ["20:00-21:00"]],
                open: ["1969-07-20T20:17:40Z"], closed: ["1969-07-21T20:17:40Z"]),
        ])
    func table(_ test: Case) throws {
        let hours = try Self.hours(test.zone, test.week, dates: test.dates)
        for moment in test.open { #expect(hours.contains(try Self.date(moment)), "\(moment) is open") }
        for moment in test.closed { #expect(!hours.contains(try Self.date(moment)), "\(moment) is closed") }
    }

    @Test("They agree with the calendar of the system")
    func calendar() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let zones = [
            "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "UTC",
        ]
        for _ in 0..<300 {
            let zone = try #require(TimeZone(identifier: zones.randomElement(using: &random) ?? ""))
            var calendar = Calendar(identifier: .gregorian)
            calendar.timeZone = zone
            var hours = CallingHours(timeZone: zone)
            let begin = Int.random(in: 0..<1440, using: &random)
            let end = begin + Int.random(in: 1...1440, using: &random)
            let weekday = Int.random(in: 0..<7, using: &random)
            hours.week = (0..<7).map { _ in [] }
            // Read back from its text, as a document has it; an end of exactly a day later is none.
            let text =
                String(format: "%02d:%02d-%02d:%02d", begin / 60, begin % 60, end % 1440 / 60, end % 1440 % 60)
            guard let span = CallingHours.Span(text) else {
                #expect(end == begin + 1440, "\(text)")
                continue
            }
            hours.week[weekday] = [span]
            // Around the changes of the clocks as well as anywhere.
            var date = Date(timeIntervalSince1970: Double.random(in: 0...2_500_000_000, using: &random))
            if Bool.random(using: &random), let change = zone.nextDaylightSavingTimeTransition(after: date) {
                date = change.addingTimeInterval(Double.random(in: -14_400...14_400, using: &random))
            }
            let parts = calendar.dateComponents([.year, .month, .day, .weekday, .hour, .minute], from: date)
            let (hour, minutes) = (try #require(parts.hour), try #require(parts.minute))
            let minute = hour * 60 + minutes
            let today = (try #require(parts.weekday) + 5) % 7
            let expected =
                today == weekday && (begin..<end).contains(minute)
                || today == (weekday + 1) % 7 && (begin..<end).contains(minute + 1440)
            #expect(hours.contains(date) == expected, "\(zone.identifier) \(text) \(weekday) \(date)")
            let day = hours.moment(of: date).day
            let (year, month, dayOfMonth) = (
                try #require(parts.year), try #require(parts.month), try #require(parts.day)
            )
            #expect(day.description == String(format: "%04d-%02d-%02d", year, month, dayOfMonth))
            #expect(day.weekday == today)
            #expect(CivilDay(day.description) == day)
        }
    }

    @Test(
        "Spans are HH:MM-HH:MM",
        arguments: [
            ("09:00-17:30", 540, 1050), ("00:00-24:00", 0, 1440), ("22:00-02:00", 1320, 1560),
            ("23:59-24:00", 1439, 1440),
            ("22:00-00:00", 1320, 1440), ("00:00-00:01", 0, 1),
        ])
    func spans(_ text: String, _ begin: Int, _ end: Int) throws {
        let span = try #require(CallingHours.Span(text))
        #expect(span.begin == begin && span.end == end)
    }

    @Test(
        "Anything else is none",
        arguments: [
            "", "-", "09:00", "09:00-", "9:00-17:00", "09:00 - 17:00", "09:00–17:00", "09:00-17:60", "09:00-24:01",
            "24:00-24:00",
            "24:00-01:00", "09:00-09:00", "09:00-17:00-18:00", "-1:00-02:00", "٠٩:00-17:00", "0a:00-17:00",
            "09.00-17.00",
            "25:00-26:00", "09:00-17:00 ",
        ])
    func badSpans(_ text: String) { #expect(CallingHours.Span(text) == nil) }

    @Test(
        "Days are those of the calendar",
        arguments: [
            ("2026-12-24", true), ("2024-02-29", true), ("2000-02-29", true), ("0001-01-01", true),
            ("9999-12-31", true),
            ("2026-02-29", false), ("1900-02-29", false), ("2026-13-01", false), ("2026-00-10", false),
            ("2026-04-31", false), ("2026-1-1", false), ("26-12-24", false), ("24.12.2026", false),
            ("2026/12/24", false),
            ("", false), ("2026-12-24T00:00", false), ("٢026-12-2", false),
        ])
    func days(_ text: String, _ isDay: Bool) {
        #expect((CivilDay(text) != nil) == isDay)
        if let day = CivilDay(text) { #expect(day.description == text) }
    }

    @Test("Strange moments are answered too")
    func extremes() throws {
        let hours = try Self.hours("Europe/Berlin", ["monday": ["09:00-17:00"]])
        for seconds in [Double.nan, .infinity, -.infinity, 1e300, -1e300] {
            _ = hours.contains(Date(timeIntervalSince1970: seconds))
        }
    }
}
