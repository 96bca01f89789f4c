/// When a business is open in an ordinary week.
public struct BusinessHours: Sendable, Hashable {
    /// One weekday.
    public enum Day: Sendable, Hashable {
        case closed
        case open(CallingHours.Span)
    }

    /// Seven days, Monday first (ISO 8601); `nil` for one of which nothing is known.
    public var days: [Day?]

    public init(_ days: [Day?] = []) {
        self.days = Array((days + [Day?](repeating: nil, count: 7)).prefix(7))
    }

    /// The week in one English sentence, for an agent to say: `We're open Monday through Friday from 09:00 to 17:00.`
    ///
    /// Days with the same hours are told together, three or more in a row as `Monday through Friday`. Days that are closed, and
    /// those of which nothing is known, are left out. `nil` when nothing is known of any day.
    public var summary: String? {
        guard days.contains(where: { $0 != nil }) else { return nil }
        var groups: [(span: CallingHours.Span, days: [Int])] = []
        for (index, day) in days.enumerated() {
            guard case .open(let span)? = day else { continue }
            if let known = groups.firstIndex(where: { $0.span == span }) {
                groups[known].days.append(index)
            } else {
                groups.append((span, [index]))
            }
        }
        guard !groups.isEmpty else { return "We're closed every day." }
        let parts = groups.map { "\(Self.name($0.days)) \($0.span.sentencePart)" }
        return "We're open \(Self.list(parts, beforeLast: parts.count > 1 ? ", and " : ""))."
    }

    /// `Monday through Wednesday and Friday`
    private static func name(_ days: [Int]) -> String {
        if days.count == 7 { return "every day" }
        var runs: [ClosedRange<Int>] = []
        for day in days {
            if let last = runs.last, last.upperBound == day - 1 {
                runs[runs.count - 1] = last.lowerBound...day
            } else {
                runs.append(day...day)
            }
        }
        let names = CallingHours.weekdays.map(\.capitalized)
        let phrases = runs.flatMap { run in
            run.count > 2
                ? ["\(names[run.lowerBound]) through \(names[run.upperBound])"] : run.map { names[$0] }
        }
        return list(phrases, beforeLast: " and ")
    }

    private static func list(_ parts: [String], beforeLast separator: String) -> String {
        guard let last = parts.last, parts.count > 1 else { return parts.first ?? "" }
        return parts.dropLast().joined(separator: ", ") + separator + last
    }

    /// What each weekday can say.
    static let fields: [Field] = CallingHours.weekdays.map { day in
        Field(
            day,
            .object([
                Field("open", .string, example: #""09:00""#, "When it opens, as \"HH:MM\"."),
                Field("close", .string, example: #""17:00""#, "When it closes, as \"HH:MM\", up to \"24:00\"."),
                Field("enabled", .boolean, default: true, "Whether it is open on that day at all."),
            ]), "Hours of every \(day.capitalized).")
    }
}

extension CallingHours.Span {
    /// `from 09:00 to 17:00`
    fileprivate var sentencePart: String {
        if begin == 0, end == CallingHours.minutesADay { return "all day" }
        func clock(_ minutes: Int) -> String { "\(twoDigits(minutes / 60)):\(twoDigits(minutes % 60))" }
        let close = end > CallingHours.minutesADay ? end - CallingHours.minutesADay : end
        return "from \(clock(begin)) to \(clock(close))"
    }
}
