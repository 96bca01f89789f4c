import Foundation
import PatchbayCore

/// Whether a report is coloured.
public struct ReportStyle: Sendable {
    private let isOn: Bool

    /// - Parameter colour: Whether to use ANSI escape sequences.
    public init(colour: Bool = false) { isOn = colour }

    func passed(_ text: String) -> String { escaped(text, "32") }
    func failed(_ text: String) -> String { escaped(text, "1;31") }
    func caller(_ text: String) -> String { escaped(text, "36") }
    func agent(_ text: String) -> String { escaped(text, "35") }

    private func escaped(_ text: String, _ code: String) -> String { isOn ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
}

extension ScenarioResult {
    /// One line when the test is passed, else what was expected and seen, and the call as a drawing.
    public func text(style: ReportStyle = ReportStyle()) -> String {
        let times = "\(trace.duration.inSeconds) of call in \(took.inMilliseconds)"
        guard !isPassed else { return "\(style.passed("✓")) \(scenario.name)  (\(times))" }
        var lines = ["\(style.failed("✗")) \(scenario.name)  (\(times))  \(file):\(scenario.line)"]
        for problem in trace.problems { lines.append("    \(style.failed("!")) \(problem)") }
        for (index, check) in checks.enumerated() {
            let sign = check.isMet ? style.passed("✓") : style.failed("✗")
            let expectation = check.expectation
            lines.append("    \(sign) \(index + 1). \(expectation)\(expectation.bounds)")
            if !check.isMet {
                lines.append("         line \(expectation.place.line)" + (check.window.map { ": \($0.words)" } ?? ""))
                lines.append("         seen: \(check.seen)")
            }
        }
        return (lines + [""] + TimelineDrawing(self, style: style).lines).joined(separator: "\n") + "\n"
    }

    fileprivate var report: Report {
        Report(
            name: scenario.name, file: file, line: scenario.line, passed: isPassed,
            callMs: Int(trace.duration.milliseconds), tookMs: took.milliseconds, problems: trace.problems,
            expectations: checks.map { check in
                Report.Check(
                    line: check.expectation.place.line, path: check.expectation.place.path,
                    expected: "\(check.expectation)\(check.expectation.bounds)", passed: check.isMet, seen: check.seen,
                    fromMs: check.window.map { Int($0.lowerBound.milliseconds) },
                    toMs: check.window.map { Int($0.upperBound.milliseconds) },
                    seenAtMs: check.sightings.map { Int($0.milliseconds) })
            },
            segments: (trace.caller.stretches.map { ("caller", $0) } + trace.agent.stretches.map { ("agent", $0) })
                .sorted { $0.1.start < $1.1.start }
                .map {
                    Report.Segment(
                        side: $0.0, startMs: Int($0.1.start.milliseconds), endMs: Int($0.1.end.milliseconds))
                },
            events: trace.entries.map {
                Report.Event(atMs: Int($0.time.milliseconds), event: $0.event.description, detail: $0.detail)
            })
    }

    fileprivate struct Report: Encodable {
        struct Check: Encodable {
            var line: Int
            var path, expected: String
            var passed: Bool
            var seen: String
            var fromMs, toMs: Int?
            var seenAtMs: [Int]
        }
        struct Segment: Encodable {
            var side: String
            var startMs, endMs: Int
        }
        struct Event: Encodable {
            var atMs: Int
            var event, detail: String
        }
        var name, file: String
        var line: Int
        var passed: Bool
        var callMs: Int
        var tookMs: Double
        var problems: [String]
        var expectations: [Check]
        var segments: [Segment]
        var events: [Event]
    }
}

extension [ScenarioResult] {
    /// `5 tests passed, 1 failed, in 0.31 s (95 s of call)`.
    public var summary: String {
        let failed = filter { !$0.isPassed }.count
        let call = reduce(TimeSpan.zero) { $0 + $1.trace.duration }
        let took = reduce(Duration.zero) { $0 + $1.took }
        return "\(count - failed) \(count - failed == 1 ? "test" : "tests") passed, \(failed) failed, in "
            + "\(took.inMilliseconds) (\(call.milliseconds / 1000) s of call)"
    }

    /// Everything for tools: a list with one object for each test.
    public var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(map(\.report)), as: UTF8.self)
        }
    }
}

extension ClosedRange<TimeSpan> {
    fileprivate var words: String {
        lowerBound == upperBound ? lowerBound.inSeconds : "from \(lowerBound.inSeconds) to \(upperBound.inSeconds)"
    }
}

extension Duration {
    fileprivate var milliseconds: Double {
        let (seconds, attoseconds) = components
        return (Double(seconds) * 1e4 + Double(attoseconds) / 1e14).rounded() / 10
    }

    fileprivate var inMilliseconds: String { "\(milliseconds < 10 ? "\(milliseconds)" : "\(Int(milliseconds))") ms" }
}
