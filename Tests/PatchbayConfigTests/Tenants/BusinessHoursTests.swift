import Testing

@testable import PatchbayConfig

@Suite("Business hours")
struct BusinessHoursTests {
    struct Case: CustomTestStringConvertible, Sendable {
        /// A letter for each day: `-` closed, `?` unknown, others the hours of ``spans``.
        var week: String
        var sentence: String?
        var testDescription: String { week }
    }

    private static let spans: [Character: String] = [
        "a": "09:00-17:00", "b": "10:00-14:00", "c": "18:00-02:00", "d": "00:00-24:00", "e": "08:30-24:00",
    ]

    @Test(
        "A week is one sentence",
        arguments: [
            Case(week: "aaaaa--", sentence: "We're open Monday through Friday from 09:00 to 17:00."),
            Case(week: "aaaaa??", sentence: "We're open Monday through Friday from 09:00 to 17:00."),
            Case(week: "aaaaaaa", sentence: "We're open every day from 09:00 to 17:00."),
            Case(week: "ddddddd", sentence: "We're open every day all day."),
            Case(
                week: "aaaaab-",
                sentence: "We're open Monday through Friday from 09:00 to 17:00, and Saturday from 10:00 to 14:00."),
            Case(
                week: "aabbbec",
                sentence:
                    "We're open Monday and Tuesday from 09:00 to 17:00, Wednesday through Friday from 10:00 to 14:00, "
                    + "Saturday from 08:30 to 24:00, and Sunday from 18:00 to 02:00."),
            Case(week: "a-a-a--", sentence: "We're open Monday, Wednesday and Friday from 09:00 to 17:00."),
            Case(
                week: "aaa-a--", sentence: "We're open Monday through Wednesday and Friday from 09:00 to 17:00."),
            Case(
                week: "abab---",
                sentence:
                    "We're open Monday and Wednesday from 09:00 to 17:00, and Tuesday and Thursday from 10:00 to 14:00."
            ),
            Case(week: "------a", sentence: "We're open Sunday from 09:00 to 17:00."),
            Case(week: "-------", sentence: "We're closed every day."),
            Case(week: "-??????", sentence: "We're closed every day."),
            Case(week: "???????", sentence: nil),
        ])
    func summary(_ test: Case) throws {
        let days = try test.week.map { letter -> BusinessHours.Day? in
            switch letter {
            case "-": return .closed
            case "?": return nil
            default:
                let hours = try #require(Self.spans[letter])
                return .open(try #require(CallingHours.Span(hours)))
            }
        }
        #expect(BusinessHours(days).summary == test.sentence)
    }

    @Test("Too few days are unknown, too many are left out")
    func length() {
        #expect(BusinessHours().days.count == 7 && BusinessHours().summary == nil)
        #expect(BusinessHours(Array(repeating: .closed, count: 9)).days.count == 7)
    }
}
