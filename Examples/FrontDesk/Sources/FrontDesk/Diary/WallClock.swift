import Foundation

/// A day as the calendar on a wall has it, in no time zone.
struct Day: Hashable, Comparable, Sendable, CustomStringConvertible {
    let year: Int, month: Int, day: Int

    init(year: Int, month: Int, day: Int) { (self.year, self.month, self.day) = (year, month, day) }

    /// `2026-01-31`; `nil` for anything else, and for days that do not exist.
    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [4, 2, 2], text.utf8.allSatisfy({ $0 == 0x2D || (0x30...0x39).contains($0) }),
            let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]),
            DateComponents(calendar: WallClock.gregorian, year: year, month: month, day: day).isValidDate
        else { return nil }
        self.init(year: year, month: month, day: day)
    }

    /// - Throws: ``Refusal`` for what is no day.
    static func checked(_ text: String, _ name: String) throws -> Day {
        guard let day = Day(text.trimmed) else {
            throw Refusal(.validation, "\(name) is \"\(text.prefix(32))\"; it must be a date such as 2026-01-31")
        }
        return day
    }

    var description: String { String(format: "%04d-%02d-%02d", year, month, day) }

    static func < (a: Day, b: Day) -> Bool { (a.year, a.month, a.day) < (b.year, b.month, b.day) }
}

/// What the clock on the wall of a business shows, and which instant is meant by what people read off it.
struct WallClock: Sendable {
    static let gregorian: Calendar = {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        return calendar
    }()
    static let weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]

    private let calendar: Calendar

    init?(timeZone identifier: String) {
        guard let zone = TimeZone(identifier: identifier) else { return nil }
        var calendar = Self.gregorian
        calendar.timeZone = zone
        self.calendar = calendar
    }

    /// The instant of a minute of a day; `nil` where summer time skips it. Of a minute that comes twice, the first.
    func instant(_ day: Day, minute: Int) -> Date? {
        let parts = DateComponents(
            year: day.year, month: day.month, day: day.day, hour: minute / 60, minute: minute % 60)
        guard let date = calendar.date(from: parts), reading(date) == (day, minute) else { return nil }
        return date
    }

    func reading(_ date: Date) -> (day: Day, minute: Int) {
        let parts = calendar.dateComponents([.year, .month, .day, .hour, .minute], from: date)
        return (
            Day(year: parts.year ?? 0, month: parts.month ?? 0, day: parts.day ?? 0),
            (parts.hour ?? 0) * 60 + (parts.minute ?? 0)
        )
    }

    func weekday(_ day: Day) -> String {
        let noon = calendar.date(from: DateComponents(year: day.year, month: day.month, day: day.day, hour: 12))
        return Self.weekdays[noon.map { calendar.component(.weekday, from: $0) - 1 } ?? 0]
    }

    func day(after day: Day) -> Day {
        let noon = DateComponents(year: day.year, month: day.month, day: day.day, hour: 12)
        guard let date = calendar.date(from: noon), let next = calendar.date(byAdding: .day, value: 1, to: date) else {
            return day
        }
        return reading(next).day
    }

    /// `2026-03-02T10:00` on this clock; with `Z` or an offset behind it, the same instant anywhere (RFC 3339).
    func parse(_ text: String) -> Date? {
        guard let match = text.trimmed.wholeMatch(of: Self.form), let day = Day(match.1), let hour = Int(match.2),
            let minute = Int(match.3), hour < 24, minute < 60
        else { return nil }
        guard let offset = match.4 else { return instant(day, minute: hour * 60 + minute) }
        var seconds = 0
        if offset != "Z" {
            guard let hours = Int(offset.dropFirst().prefix(2)), let minutes = Int(offset.suffix(2)) else { return nil }
            seconds = (hours * 60 + minutes) * 60 * (offset.hasPrefix("-") ? -1 : 1)
        }
        let parts = DateComponents(year: day.year, month: day.month, day: day.day, hour: hour, minute: minute)
        return Self.gregorian.date(from: parts)?.addingTimeInterval(-Double(seconds))
    }

    private static var form: Regex<(Substring, Substring, Substring, Substring, Substring?)> {
        /([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::00(?:\.0+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?/
    }

    /// As people read it: `2026-03-02T10:00`.
    func text(_ date: Date) -> String {
        let (day, minute) = reading(date)
        return "\(day)T\(Self.time(minute))"
    }

    /// `09:30`, of minutes since midnight.
    static func time(_ minute: Int) -> String { String(format: "%02d:%02d", minute / 60, minute % 60) }
}
