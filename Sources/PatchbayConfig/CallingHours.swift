public import Foundation

/// Hours of the week in one place of the world, with other hours on some days.
///
/// They are read off the wall: a span that begins in the hour which a change of the clocks skips begins when the clocks have
/// changed, and one in the hour that comes twice holds both times. A span that ends after midnight belongs to the day it
/// begins, also where the next day has hours of its own.
public struct CallingHours: Sendable, Equatable {
    /// A stretch of a day.
    public struct Span: Hashable, Sendable {
        /// Minutes after the midnight with which the day begins, 0 to 1439.
        public var begin: Int
        /// The first minute that is not in it; more than 1440 when it lies behind the next midnight.
        public var end: Int

        /// Reads `09:00-17:30`. An end of 24:00 is the day's own; one before the beginning belongs to the next day.
        ///
        /// `nil` for any other form, and when the span is empty.
        public init?(_ text: String) {
            let parts = text.split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count == 2, let begin = Self.minutes(parts[0]), let end = Self.minutes(parts[1]),
                begin < CallingHours.minutesADay, begin != end
            else { return nil }
            self.begin = begin
            self.end = end > begin ? end : end + CallingHours.minutesADay
        }

        func contains(_ minute: Int) -> Bool { (begin..<end).contains(minute) }

        /// `HH:MM`, up to 24:00.
        private static func minutes(_ text: Substring) -> Int? {
            let bytes = Array(text.utf8)
            guard bytes.count == 5, bytes[2] == UInt8(ascii: ":"),
                [0, 1, 3, 4].allSatisfy({ bytes[$0].isDigit })
            else { return nil }
            let digits = bytes.map { Int($0) - 48 }
            let hours = digits[0] * 10 + digits[1]
            let minutes = digits[3] * 10 + digits[4]
            guard minutes < 60, hours * 60 + minutes <= CallingHours.minutesADay else { return nil }
            return hours * 60 + minutes
        }
    }

    static let minutesADay = 24 * 60
    /// The keys of a week, Monday first (ISO 8601).
    public static let weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

    /// Where the hours are kept.
    public var timeZone: TimeZone
    /// The spans of each weekday, Monday first; a weekday that is not there has none.
    public var week: [[Span]]
    /// The spans of single days, which go before those of their weekday.
    public var dates: [CivilDay: [Span]]

    public init(timeZone: TimeZone, week: [[Span]] = [], dates: [CivilDay: [Span]] = [:]) {
        self.timeZone = timeZone
        self.week = week
        self.dates = dates
    }

    /// Whether a moment lies within the hours.
    public func contains(_ date: Date) -> Bool {
        let moment = moment(of: date)
        return spans(on: moment.day).contains { $0.contains(moment.minute) }
            || spans(on: moment.day.before).contains { $0.contains(moment.minute + Self.minutesADay) }
    }

    /// What calendar and clock on the wall say.
    public func moment(of date: Date) -> Moment { Moment(date, in: timeZone) }

    private func spans(on day: CivilDay) -> [Span] {
        if let spans = dates[day] { return spans }
        return week.indices.contains(day.weekday) ? week[day.weekday] : []
    }

    /// A minute on the wall.
    public struct Moment: Hashable, Sendable, CustomStringConvertible {
        public var day: CivilDay
        /// Minutes after midnight, 0 to 1439.
        public var minute: Int

        init(_ date: Date, in timeZone: TimeZone) {
            // Beyond some thousand years nobody telephones; the bound keeps the arithmetic whole.
            let seconds = min(max(date.timeIntervalSince1970, -1e11), 1e11).rounded(.down)
            let wall = Int(seconds.isNaN ? 0 : seconds) + timeZone.secondsFromGMT(for: date)
            let days = (Double(wall) / 86_400).rounded(.down)
            day = CivilDay(days: Int(days))
            minute = (wall - Int(days) * 86_400) / 60
        }

        /// `Wednesday 2026-12-23 19:05`
        public var description: String {
            "\(CallingHours.weekdays[day.weekday].capitalized) \(day) \(twoDigits(minute / 60)):\(twoDigits(minute % 60))"
        }
    }

    /// What `during` and `outside` can say.
    public static let fields: [Field] =
        [
            Field(
                "timeZone", .string, isRequired: true, example: #""Europe/Berlin""#,
                "Where the hours are kept, by its name in the IANA time zone database.")
        ]
        + weekdays.map { day in
            Field(
                day, .strings, example: #"["09:00-12:30", "14:00-18:00"]"#,
                "Hours of every \(day.capitalized) as \"HH:MM-HH:MM\"; without any, it is closed.")
        } + [
            Field(
                "dates", .json, example: ##"{ "2026-12-24": ["09:00-12:00"], "2026-12-25": [] }"##,
                "Hours of single days, which go before those of their weekday.")
        ]
}

/// A day of the Gregorian calendar, wherever it is.
public struct CivilDay: Hashable, Sendable, CustomStringConvertible {
    /// Days after 1 January 1970.
    public var days: Int

    public init(days: Int) { self.days = days }

    /// Reads `2026-12-24`; `nil` for any other form, and for days that no calendar has.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 10, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-") else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            guard bytes[range].allSatisfy(\.isDigit) else { return nil }
            return bytes[range].reduce(0) { $0 * 10 + Int($1) - 48 }
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), (1...12).contains(month),
            (1...31).contains(day)
        else { return nil }
        // Years that begin in March put the day that comes and goes at their end.
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        guard description == text else { return nil }
    }

    var before: CivilDay { CivilDay(days: days - 1) }

    /// 0 for Monday to 6 for Sunday. 1 January 1970 was a Thursday.
    public var weekday: Int { ((days + 3) % 7 + 7) % 7 }

    /// `2026-12-24`
    public var description: String {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let digits = String(year)
        return String(repeating: "0", count: max(0, 4 - digits.count))
            + "\(digits)-\(twoDigits(month))-\(twoDigits(day))"
    }
}

func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
