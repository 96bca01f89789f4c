import PatchbayCore

/// A call drawn as text: who was heard when, what happened, and where it was expected.
///
/// ```
///              0 s     2       4       6       8
///   caller     ········██████··················
///   agent      ·█████··············████████····
///   events      r      1     i
///   expect 2              [─────]   ×
/// ```
struct TimelineDrawing {
    /// Width of the lanes in characters.
    static let columns = 96
    /// Around what is expected, when the whole call would be too small to read.
    static let surroundings = TimeSpan.seconds(4)
    /// A column is at most this long, or only the surroundings of the failures are drawn.
    private static let longestColumn = TimeSpan.milliseconds(250)
    private static let labelWidth = 10

    private let range: ClosedRange<TimeSpan>
    private let style: ReportStyle
    private let result: ScenarioResult

    init(_ result: ScenarioResult, style: ReportStyle) {
        self.result = result
        self.style = style
        let start = min(.zero, result.trace.entries.first?.time ?? .zero)
        let whole = start...max(result.trace.duration, start + .milliseconds(100))
        let failures = result.checks.filter { !$0.isMet }
        let marked = failures.flatMap { check -> [TimeSpan] in
            guard let window = check.window else { return [] }
            let nearest = check.sightings.min { Self.distance($0, window) < Self.distance($1, window) }
            return [window.lowerBound, window.upperBound] + (nearest.map { [$0] } ?? [])
        }
        let length = whole.upperBound - whole.lowerBound
        if length.nanoseconds > Self.longestColumn.nanoseconds * Int64(Self.columns), let first = marked.min(),
            let last = marked.max()
        {
            let from = max(whole.lowerBound, first - Self.surroundings)
            range = from...max(min(whole.upperBound, last + Self.surroundings), from + .seconds(1))
        } else {
            range = whole
        }
    }

    private static func distance(_ time: TimeSpan, _ window: ClosedRange<TimeSpan>) -> TimeSpan {
        max(window.lowerBound - time, time - window.upperBound, .zero)
    }

    var lines: [String] {
        var lines = [lane("", scale)]
        lines.append(lane("caller", bar(result.trace.caller.stretches, "▒"), style.caller))
        lines.append(lane("agent", bar(result.trace.agent.stretches, "█"), style.agent))
        let (events, legend) = eventLane
        lines.append(lane("events", events))
        for (index, check) in result.checks.enumerated() where check.window != nil && !check.isMet {
            lines.append(lane("expect \(index + 1)", marks(check), style.failed))
        }
        return lines + legend.map { String(repeating: " ", count: 4 + Self.labelWidth) + $0 }
    }

    // MARK: Lanes

    private func lane(_ label: String, _ text: [Character], _ colour: (String) -> String = { $0 }) -> String {
        let padding = String(repeating: " ", count: max(1, Self.labelWidth - label.count))
        return "    \(label)\(padding)" + colour(String(String(text).trimmingTrailingSpaces))
    }

    private var length: TimeSpan { range.upperBound - range.lowerBound }

    private func column(_ time: TimeSpan) -> Int {
        let offset = Double((time - range.lowerBound).nanoseconds) / Double(max(1, length.nanoseconds))
        return min(Self.columns - 1, max(0, Int(offset * Double(Self.columns))))
    }

    private var scale: [Character] {
        var lane = [Character](repeating: " ", count: Self.columns + 8)
        let steps: [Int64] = [100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000]
        // A number needs some columns of its own.
        let step = steps.first { $0 * Int64(Self.columns) / max(1, length.milliseconds) >= 8 } ?? 600_000
        var time = (range.lowerBound.milliseconds + (range.lowerBound < .zero ? 0 : step - 1)) / step * step
        while time <= range.upperBound.milliseconds {
            let text = step < 1000 ? "\(Double(time) / 1000)" : "\(time / 1000)"
            for (offset, character) in (text + (time == 0 ? " s" : "")).enumerated() {
                lane[min(lane.count - 1, column(.milliseconds(time)) + offset)] = character
            }
            time += step
        }
        return lane
    }

    private func bar(_ stretches: [SoundTrack.Stretch], _ character: Character) -> [Character] {
        var lane = [Character](repeating: "·", count: Self.columns)
        for stretch in stretches where stretch.end >= range.lowerBound && stretch.start <= range.upperBound {
            for index in column(stretch.start)...column(max(stretch.start, stretch.end - .milliseconds(1))) {
                lane[index] = character
            }
        }
        return lane
    }

    /// The other events as letters, with their meaning below.
    private var eventLane: (lane: [Character], legend: [String]) {
        var lane = [Character](repeating: " ", count: Self.columns)
        var legend: [String] = []
        let drawn: Set<EventName> = [.streamStarted, .agentSpeaks, .agentStops, .callerSpeaks, .callerStops]
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        let entries = result.trace.entries.filter { !drawn.contains($0.event) && range.contains($0.time) }
            .sorted { $0.time < $1.time }
        for (index, entry) in entries.prefix(letters.count).enumerated() {
            let column = column(entry.time)
            lane[column] = lane[column] == " " ? letters[index] : "+"
            let detail = entry.detail.isEmpty ? "" : ": \(String(entry.detail.prefix(80)))"
            legend.append("\(letters[index])  \(entry.time.inSeconds.padded(8)) \(entry.event)\(detail)")
        }
        if entries.count > letters.count { legend.append("and \(entries.count - letters.count) more events") }
        return (lane, legend)
    }

    /// The window in brackets, and crosses where it really happened.
    private func marks(_ check: ExpectationCheck) -> [Character] {
        var lane = [Character](repeating: " ", count: Self.columns)
        guard let window = check.window else { return lane }
        let from = column(window.lowerBound), to = column(window.upperBound)
        for index in from...max(from, to) { lane[index] = "─" }
        lane[from] = "["
        lane[max(from, to)] = from == to ? "|" : "]"
        for sighting in check.sightings where range.contains(sighting) { lane[column(sighting)] = "×" }
        return lane
    }
}

extension StringProtocol {
    fileprivate var trimmingTrailingSpaces: SubSequence {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return text
    }
}

extension String {
    func padded(_ width: Int) -> String {
        count < width ? String(repeating: " ", count: width - count) + self : self
    }
}
