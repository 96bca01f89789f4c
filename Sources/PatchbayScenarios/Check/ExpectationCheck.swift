public import PatchbayCore

/// What came of one expectation.
public struct ExpectationCheck: Sendable {
    public var expectation: Expectation
    public var isMet: Bool
    /// What was seen, in words; with what is missing when it is not met.
    public var seen: String
    /// Where it was looked for; `nil` where time does not matter or the window could not be found.
    public var window: ClosedRange<TimeSpan>?
    /// When it happened: in the window and outside.
    public var sightings: [TimeSpan]
}

/// One time at which what is looked for happened.
struct Sighting: Equatable {
    var time: TimeSpan
    var detail: String
}

extension ExpectationCheck {
    init(_ expectation: Expectation, _ trace: ScenarioTrace) {
        self.init(expectation: expectation, isMet: false, seen: "", window: nil, sightings: [])
        switch expectation.subject {
        case .pipeline(let name):
            isMet = trace.pipeline == name && trace.said == nil
            seen = trace.said.map { "a rule said \"\($0)\"" } ?? "pipeline \"\(trace.pipeline ?? "none")\""
            return
        case .said(let words):
            isMet = trace.said?.contains(words) == true
            seen = trace.said.map { "\"\($0)\"" } ?? "pipeline \"\(trace.pipeline ?? "none")\" took the call"
            return
        case .recording(let length):
            isMet = trace.recordings.contains { length.contains($0) }
            seen =
                trace.recordings.isEmpty
                ? "no recording" : "\(trace.recordings.map { "\($0) ms" }.joined(separator: ", "))"
            return
        default: break
        }
        for event in [expectation.after, expectation.before].compactMap(\.self) where trace.time(of: event) == nil {
            seen = "\"\(event)\" never happened"
            return
        }
        let window: ClosedRange<TimeSpan>
        switch Self.window(of: expectation, trace) {
        case .success(let found): window = found
        case .failure(let fault):
            seen = fault.description
            return
        }
        self.window = window
        switch expectation.subject {
        case .ledger(let played, let unplayed): check(played, unplayed, at: window.lowerBound, trace)
        case .agentSilent: checkSilence(trace)
        default:
            check(Sightings.of(expectation.subject, in: trace, window), trace)
            if !isMet, case .tone(let frequency, _) = expectation.subject {
                seen += Sightings.strongestTone(beside: frequency, in: trace, window)
            }
        }
    }

    /// Why there is no time in which the expectation could fail, or be met.
    private struct NoWindow: Error, CustomStringConvertible {
        var description: String
    }

    private static func window(
        of expectation: Expectation, _ trace: ScenarioTrace
    ) -> Result<ClosedRange<TimeSpan>, NoWindow> {
        let base = expectation.after.flatMap { trace.time(of: $0) } ?? .zero
        // Before the stream something can happen too: the agent is dialled while the phone rings.
        let isOpen = expectation.after == nil && expectation.from == nil
        let start = isOpen ? min(.zero, trace.entries.first?.time ?? .zero) : base + (expectation.from ?? .zero)
        var end = expectation.within.map { base + $0 } ?? trace.duration
        // What happens at the very end of the call may be looked for there; that nothing happens is sure behind it.
        let isBehind = start > trace.duration || start == trace.duration && start > .zero && expectation.isOfAbsence
        guard !isBehind else {
            return .failure(
                NoWindow(
                    description: "the window is empty: it begins at \(start.inSeconds), "
                        + "the call ended at \(trace.duration.inSeconds)"))
        }
        if let before = expectation.before {
            guard let time = trace.time(of: before, behind: start) else {
                return .failure(NoWindow(description: "\"\(before)\" never happened after \(start.inSeconds)"))
            }
            guard time >= start else {
                return .failure(
                    NoWindow(
                        description: "the window is empty: it begins at \(start.inSeconds), "
                            + "\"\(before)\" was at \(time.inSeconds)"))
            }
            end = min(end, time)
        }
        return .success(start...max(start, end))
    }

    // MARK: Points in time

    private mutating func check(_ all: [Sighting], _ trace: ScenarioTrace) {
        guard let window else { return }
        let inside = all.filter { window.contains($0.time) }
        sightings = all.map(\.time)
        isMet = expectation.times.map { $0 == inside.count } ?? !inside.isEmpty
        if !inside.isEmpty {
            seen = Self.list(inside)
            if !isMet, let times = expectation.times { seen = "\(inside.count) times instead of \(times): " + seen }
        } else if all.isEmpty {
            if case .ended = expectation.subject, let end = trace.end {
                seen = "\(end) at \(trace.duration.inSeconds)"
            } else {
                seen = "never in the call"
            }
        } else {
            let nearest = all.min { Self.distance($0.time, window) < Self.distance($1.time, window) }
            if let nearest {
                let distance = Self.distance(nearest.time, window)
                let side = nearest.time < window.lowerBound ? "too early" : "too late"
                seen = "\(Self.text(nearest)), \(distance.milliseconds) ms \(side)"
                if all.count > 1 { seen += " (\(all.count) times in the call)" }
            }
        }
    }

    private static func distance(_ time: TimeSpan, _ window: ClosedRange<TimeSpan>) -> TimeSpan {
        max(window.lowerBound - time, time - window.upperBound, .zero)
    }

    private static func list(_ sightings: [Sighting]) -> String {
        let shown = sightings.prefix(4).map(text).joined(separator: ", ")
        return sightings.count > 4 ? "\(shown) and \(sightings.count - 4) more" : shown
    }

    private static func text(_ sighting: Sighting) -> String {
        "at \(sighting.time.inSeconds)" + (sighting.detail.isEmpty ? "" : " (\(sighting.detail))")
    }

    // MARK: Stretches of time

    private mutating func checkSilence(_ trace: ScenarioTrace) {
        guard let window else { return }
        let loud = trace.agent.stretches.filter { $0.start < window.upperBound && $0.end > window.lowerBound }
        sightings = loud.map { max($0.start, window.lowerBound) }
        isMet = loud.isEmpty
        seen =
            loud.isEmpty
            ? "nothing from \(window.lowerBound.inSeconds) to \(window.upperBound.inSeconds)"
            : "heard " + loud.map { "from \($0.start.inSeconds) to \($0.end.inSeconds)" }.joined(separator: ", ")
    }

    private mutating func check(
        _ played: ClosedRange<Int>?, _ unplayed: ClosedRange<Int>?, at time: TimeSpan, _ trace: ScenarioTrace
    ) {
        window = time...time
        guard let playback = trace.playback.last(where: { $0.time <= time }) else {
            seen = "there is no account of playback at \(time.inSeconds)"
            return
        }
        isMet = played?.contains(playback.played) != false && unplayed?.contains(playback.unplayed) != false
        seen = "at \(time.inSeconds) \(playback.played) ms were played and \(playback.unplayed) ms waited"
    }
}
