public import Foundation

/// One entry of a document's `when`: a condition, and what happens to calls that meet it instead of the document's stages.
///
/// Every condition that is written must hold; a rule without any holds for every call.
public struct CallRule: Sendable {
    /// What happens instead.
    public enum Outcome: Sendable, Hashable {
        /// The pipeline of that name answers.
        case pipeline(String)
        /// The words are spoken, then the call ends. As the document has them, `${…}` included.
        case say(String)
    }

    /// Who must be calling: one of these; `nil` for anybody.
    public var callers: [CallerPattern]?
    /// Hours in which the call must begin.
    public var during: CallingHours?
    /// Hours in which the call must not begin.
    public var outside: CallingHours?
    /// What happens instead.
    public var outcome: Outcome
    /// The words of ``Outcome/say(_:)``, taken apart.
    var speech: Settings.Text?

    /// - Parameter outcome: Words are spoken as they are; only those of a document have their `${…}` substituted.
    public init(
        callers: [CallerPattern]? = nil, during: CallingHours? = nil, outside: CallingHours? = nil, _ outcome: Outcome
    ) {
        self.callers = callers
        self.during = during
        self.outside = outside
        self.outcome = outcome
    }

    /// Whether it holds for every call, so that no rule behind it is ever asked.
    public var isUnconditional: Bool { callers == nil && during == nil && outside == nil }

    /// Whether the rule decides about a call, and why.
    ///
    /// Costs some microseconds, most of them for the offset of the time zone.
    ///
    /// - Parameters:
    ///   - from: The caller's number as the carrier sends it.
    ///   - date: When the call began.
    public func judge(from: String, at date: Date) -> (holds: Bool, reason: String) {
        var reasons: [String] = []
        if let callers {
            guard let pattern = callers.first(where: { $0.matches(from) }) else {
                return (false, "the caller is not among \(Self.list(callers))")
            }
            reasons.append("the caller is \(pattern)")
        }
        if let during {
            let moment = "\(during.moment(of: date)) is"
            guard during.contains(date) else { return (false, "\(moment) outside the hours of \"during\"") }
            reasons.append("\(moment) within the hours of \"during\"")
        }
        if let outside {
            let moment = "\(outside.moment(of: date)) is"
            guard !outside.contains(date) else { return (false, "\(moment) within the hours of \"outside\"") }
            reasons.append("\(moment) outside the hours of \"outside\"")
        }
        return (true, reasons.isEmpty ? "it holds always" : reasons.joined(separator: ", "))
    }

    private static func list(_ callers: [CallerPattern]) -> String {
        let shown = callers.prefix(5).map(\.description).joined(separator: ", ")
        return callers.count > 5 ? "\(shown) and \(callers.count - 5) more" : shown
    }

    /// What an entry of `when` can say.
    public static let fields: [Field] = [
        Field(
            "callers", .strings, example: ##"["+15551230000", "+4930*", "anonymous"]"##,
            "Who must be calling: numbers in E.164, prefixes with a star, client:… or sip:…, or \"anonymous\"."),
        Field("during", .object(CallingHours.fields), "Hours in which the call must begin."),
        Field("outside", .object(CallingHours.fields), "Hours in which the call must not begin."),
        Field("pipeline", .string, example: #""after-hours""#, "Name of the pipeline that answers instead."),
        Field("say", .string, "Words that are spoken before the call ends; either this or a pipeline."),
    ]

    /// Where a document's rule names another pipeline.
    struct Reference {
        var name: String
        var range: Range<Int>
        var path: DocumentPath
    }
}

extension Diagnostic.Code {
    /// A rule names a pipeline that does not exist.
    public static let unknownPipeline = Self("unknown-pipeline")
    /// A rule that is never asked, because one before it always holds.
    public static let unreachableRule = Self("unreachable-rule")
    /// No span of time as `09:00-17:30`.
    public static let badHours = Self("bad-hours")
    /// No day as `2026-12-24`.
    public static let badDate = Self("bad-date")
    /// No time zone of the IANA database.
    public static let unknownTimeZone = Self("unknown-time-zone")
}
