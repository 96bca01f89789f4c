import Foundation

/// Reads `during` and `outside`.
struct CallingHoursReader {
    private let linter: Linter

    init(_ linter: Linter) { self.linter = linter }

    /// - Returns: `nil` when nothing of it can be used; what is wrong has been reported then.
    func read(_ node: JSONNode, _ name: String, _ path: DocumentPath) -> CallingHours? {
        let path = path.key(name)
        guard let members = linter.members(node, path, name) else { return nil }
        let misspelt = linter.checkKeys(members, allowed: CallingHours.fields.map(\.name), owner: quoted(name), path)
        var week: [[CallingHours.Span]] = []
        for day in CallingHours.weekdays {
            week.append(members[day].map { spans($0, day, path.key(day)) } ?? [])
        }
        let dates = members["dates"].map { readDates($0, path.key("dates")) } ?? [:]
        let days = CallingHours.weekdays + ["dates"]
        if misspelt.isDisjoint(with: days), !days.contains(where: { members[$0] != nil }) {
            linter.report(
                .missingField, node.headRange, path, "\(quoted(name)) names no hours",
                .init("add at least one weekday: \"monday\": [\"09:00-17:00\"]", replacement: "monday"))
        }
        guard let zone = members["timeZone"] else {
            if !misspelt.contains("timeZone") {
                linter.report(
                    .missingField, node.headRange, path, "\(quoted(name)) needs \"timeZone\"",
                    .init("add \"timeZone\": \"Europe/Berlin\"", replacement: "timeZone"))
            }
            return nil
        }
        return timeZone(zone, path.key("timeZone")).map { CallingHours(timeZone: $0, week: week, dates: dates) }
    }

    // MARK: Places

    func timeZone(_ node: JSONNode, _ path: DocumentPath) -> TimeZone? {
        guard case .string(let name) = node.content else {
            linter.reportWrongType(node, path, "timeZone", expected: "the name of a time zone")
            return nil
        }
        // Foundation also takes abbreviations and offsets, which know nothing of summer.
        if name == "UTC" || name.contains("/"), let zone = TimeZone(identifier: name) { return zone }
        if let place = Self.abbreviations[name.uppercased()] {
            linter.report(
                .unknownTimeZone, node.range, path,
                "\(quoted(name)) is an abbreviation; a time zone is named by a place of the IANA database, or \"UTC\"",
                .init("did you mean \"\(place)\"?", replacement: place))
            return nil
        }
        linter.report(
            .unknownTimeZone, node.range, path,
            "\(quoted(name)) is no time zone of the IANA database, such as \"Europe/Berlin\" or \"UTC\"",
            suggestion(for: name))
        return nil
    }

    /// Short names, each with a place that keeps that time. Some are in the database too, but many of them know no summer.
    private static let abbreviations = [
        "GMT": "UTC", "UCT": "UTC", "Z": "UTC", "ZULU": "UTC", "WET": "Europe/Lisbon",
        "BST": "Europe/London", "CET": "Europe/Berlin", "CEST": "Europe/Berlin", "MET": "Europe/Berlin",
        "MEZ": "Europe/Berlin", "MESZ": "Europe/Berlin", "EET": "Europe/Athens", "EEST": "Europe/Athens",
        "MSK": "Europe/Moscow", "EST": "America/New_York", "EDT": "America/New_York",
        "EST5EDT": "America/New_York", "CST": "America/Chicago", "CDT": "America/Chicago",
        "CST6CDT": "America/Chicago", "MST": "America/Denver", "MDT": "America/Denver", "MST7MDT": "America/Denver",
        "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "PST8PDT": "America/Los_Angeles",
        "HST": "Pacific/Honolulu", "JST": "Asia/Tokyo",
    ]

    private func suggestion(for name: String) -> Diagnostic.Suggestion? {
        guard name.utf8.count <= 64 else { return nil }
        let known = TimeZone.knownTimeZoneIdentifiers
        let word = name.replacing(" ", with: "_")
        // People name a city, or get its letters' case wrong.
        let match =
            known.first { $0.lowercased() == word.lowercased() }
            ?? known.first { $0.split(separator: "/").last?.lowercased() == word.lowercased() }
            ?? closestMatch(to: word, in: known)
            ?? closestMatch(to: word, in: known.compactMap { $0.split(separator: "/").last.map(String.init) })
            .flatMap { city in known.first { $0.hasSuffix("/" + city) } }
        return match.map { .init("did you mean \"\($0)\"?", replacement: $0) }
    }

    // MARK: Times

    private func readDates(_ node: JSONNode, _ path: DocumentPath) -> [CivilDay: [CallingHours.Span]] {
        guard let members = linter.members(node, path, "dates", expected: "an object with days as its keys") else {
            return [:]
        }
        var dates: [CivilDay: [CallingHours.Span]] = [:]
        for member in linter.distinct(members) {
            let place = path.key(member.key)
            let spans = spans(member.value, member.key, place)
            if let day = CivilDay(member.key) {
                dates[day] = spans
            } else {
                linter.report(
                    .badDate, member.keyRange, place, "\(quoted(member.key)) is no day; write it as \"2026-12-24\"")
            }
        }
        return dates
    }

    private func spans(_ node: JSONNode, _ name: String, _ path: DocumentPath) -> [CallingHours.Span] {
        guard case .array(let elements) = node.content else {
            var remedy: String?
            if case .string(let text) = node.content { remedy = Self.listRemedy(for: text) }
            if case .null = node.content { remedy = "write [] for a day that is closed" }
            linter.reportWrongType(node, path, name, expected: "a list of hours", remedy: remedy)
            return []
        }
        var spans: [CallingHours.Span] = []
        for (index, element) in elements.enumerated() {
            let place = path.index(index)
            guard case .string(let text) = element.content else {
                linter.reportWrongType(element, place, "\(name)[\(index)]", expected: "a string")
                continue
            }
            if let span = CallingHours.Span(text) {
                spans.append(span)
            } else {
                linter.report(
                    .badHours, element.range, place,
                    "\(quoted(text)) are no hours; write them as \"HH:MM-HH:MM\", from 00:00 to 24:00",
                    Self.suggestion(for: text))
            }
        }
        return spans
    }

    /// The list for somebody who wrote a text: only with hours that would be taken.
    private static func listRemedy(for text: String) -> String {
        if let remedy = dayRemedy(for: text) { return remedy }
        let hours = CallingHours.Span(text) == nil ? suggestion(for: text)?.replacement ?? "09:00-17:00" : text
        return "write a list: [\(quoted(hours))]"
    }

    /// What stands for a day that somebody put into a word.
    private static func dayRemedy(for text: String) -> String? {
        switch text.lowercased() {
        case "closed", "none", "off", "never", "": "for a day that is closed write []"
        case "24h", "24/7", "open", "always", "all day": "for the whole day write [\"00:00-24:00\"]"
        default: nil
        }
    }

    /// What somebody meant who wrote `9-17`, `9:00 - 17.30` or `09:00–17:00`.
    private static func suggestion(for text: String) -> Diagnostic.Suggestion? {
        guard text.utf8.count <= 40 else { return nil }
        if let remedy = dayRemedy(for: text) { return .init(remedy) }
        let times = text.split { "-–—".contains($0) }.map { part in
            part.filter { !$0.isWhitespace }.split(omittingEmptySubsequences: false) { ":.".contains($0) }
        }
        guard times.count == 2, times.allSatisfy({ (1...2).contains($0.count) }) else { return nil }
        var words: [String] = []
        for time in times {
            guard time.allSatisfy({ (1...2).contains($0.utf8.count) && $0.utf8.allSatisfy(\.isDigit) }) else {
                return nil
            }
            let parts = time.map { $0.utf8.count == 1 ? "0\($0)" : String($0) }
            words.append(parts.count == 1 ? "\(parts[0]):00" : parts.joined(separator: ":"))
        }
        let candidate = words.joined(separator: "-")
        if CallingHours.Span(candidate) != nil {
            return .init("did you mean \"\(candidate)\"?", replacement: candidate)
        }
        return words[0] == words[1] ? .init("for the whole day write \"00:00-24:00\"") : nil
    }
}
