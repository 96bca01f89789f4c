public import PatchbayCore
import Synchronization

/// Draws a call as text, a line for everything that people would notice: when, who, what.
///
/// ```text
///    0.000  carrier  stream MZ1 begins
///    0.240  caller   presses 5
///    0.240  agent    "Hello, this is the salon."
/// ```
///
/// The form is stable and holds nothing of a machine or a clock, so that a whole call can be compared with a golden text:
/// run it in a ``CallHarness``, or on an event loop with a script in the agent's place. Times are in seconds from the
/// beginning of the stream, negative before it.
public final class CallTranscript: CallObserver {
    private enum Who: String { case carrier, caller, agent, call }

    private struct State {
        var first: MediaTime?
        var start: MediaTime?
        var lines: [(time: MediaTime, who: Who, what: String)] = []
        var isCallerSpeaking = false
        var hasCallerTurn = false
        var dropped = 0

        mutating func enter(_ who: Who, _ what: String, _ time: MediaTime, limit: Int) {
            if first == nil { first = time }
            guard lines.count < limit else {
                dropped += 1
                return
            }
            lines.append((time, who, what))
        }
    }

    private let state = Mutex(State())
    private let limit: Int

    /// - Parameter limit: Lines that are kept; later ones are only counted.
    public init(limit: Int = 10_000) { self.limit = limit }

    /// The lines so far.
    public var lines: [String] {
        state.withLock { state in
            let zero = state.start ?? state.first ?? .zero
            var lines = state.lines.map { line in
                "\(Self.seconds(line.time - zero))  \(Self.padded(line.who.rawValue, 7))  \(line.what)"
            }
            if state.dropped > 0 { lines.append("… and \(state.dropped) lines more") }
            return lines
        }
    }

    /// The lines as one text, each ended.
    public var text: String { lines.map { $0 + "\n" }.joined() }

    /// The first line in which the call differs from a golden text, as a message; `nil` when there is none.
    ///
    /// Space at the ends of lines and empty lines at the end do not count.
    public func difference(from golden: String) -> String? {
        func clean(_ lines: [Substring]) -> [String] {
            var cleaned = lines.map { line in
                var line = line
                while line.last == " " { line.removeLast() }
                return String(line)
            }
            while cleaned.last?.isEmpty == true { cleaned.removeLast() }
            return cleaned
        }
        let expected = clean(golden.split(separator: "\n", omittingEmptySubsequences: false))
        let seen = clean(lines.map { Substring($0) })
        for index in 0..<max(expected.count, seen.count) {
            let wanted = index < expected.count ? expected[index] : "(nothing)"
            let got = index < seen.count ? seen[index] : "(nothing)"
            if wanted != got { return "line \(index + 1)\n  expected \(wanted)\n  but was  \(got)" }
        }
        return nil
    }

    public func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {
        switch frame {
        case .dtmf(let key) where joint.index == 0:
            enter(joint.leg == .toAgent ? .caller : .agent, "presses \(key)", time)
        case .text(let text) where joint == Joint(.toCaller, 0):
            let manner = text.isCorrection ? ", corrected" : text.isFinal ? "" : " …"
            enter(text.speaker == .caller ? .caller : .agent, "\"\(text.text)\"\(manner)", time)
        // Marks are made within a chain and seen at every joint behind it; the first sight counts.
        case .speechStarted where joint.leg == .toAgent: change(\.isCallerSpeaking, to: true, "speaks", time)
        case .speechStopped where joint.leg == .toAgent: change(\.isCallerSpeaking, to: false, "is silent", time)
        case .userTurnStarted where joint.leg == .toAgent: change(\.hasCallerTurn, to: true, "has the turn", time)
        case .userTurnEnded(let end) where joint.leg == .toAgent:
            change(\.hasCallerTurn, to: false, "gives the turn away (\(end.cause.rawValue))", time)
        case .agentStartedSpeaking where joint == Joint(.toAgent, 0): enter(.agent, "speaks", time)
        case .agentStoppedSpeaking where joint == Joint(.toAgent, 0): enter(.agent, "is silent", time)
        default: break
        }
    }

    public func observe(_ event: CallEvent, time: MediaTime) {
        switch event {
        case .streamStarted(let start):
            state.withLock { $0.start = time }
            enter(.carrier, "stream \(start.streamSid) begins", time)
        case .agentConnecting(let backend): enter(.agent, "\(backend) is called", time)
        case .agentReady(let backend, let input, let output):
            enter(.agent, "\(backend) is ready, takes \(input), gives \(output)", time)
        case .conversationStarted(let id): enter(.agent, "conversation \(id)", time)
        case .agentAudible(let generation): enter(.agent, "can be heard, turn \(generation)", time)
        case .interrupted(let cause, let heard): enter(.agent, "is cut (\(cause)) after \(Self.words(heard))", time)
        case .turnHeard(let heard): enter(.agent, "has been heard, \(Self.words(heard))", time)
        case .playbackPaused(let heard): enter(.call, "pauses playback after \(heard.milliseconds) ms", time)
        case .playbackResumed: enter(.call, "resumes playback", time)
        case .recording(let command): enter(.call, "recording: \(command.rawValue)", time)
        case .utteranceSent: enter(.agent, "has been sent", time)
        case .agentFailed(let error): enter(.agent, "fails: \(error)", time)
        case .agentChanged(let from, let to): enter(.call, "has \(to) take the place of \(from)", time)
        case .bridged(let silence): enter(.call, "bridges, after \(silence.milliseconds) ms of silence", time)
        case .agentTookOver(let backend, let silence):
            enter(.agent, "\(backend) takes over, after \(silence.milliseconds) ms of silence", time)
        case .agentReconnecting(let backend, let cause): enter(.agent, "\(backend) is dialled again: \(cause)", time)
        case .toolCalled(let call): enter(.agent, "calls \(call.name) \(call.arguments)", time)
        case .toolAnswered(let result, let span):
            let outcome = result.isError ? "fails" : "answers"
            enter(.call, "\(result.name) \(outcome) after \(span.milliseconds) ms: \(result.output)", time)
        case .transferring(let number): enter(.agent, "hands the caller to \(number)", time)
        case .stageFailed(let error): enter(.call, "a stage fails: \(error)", time)
        case .fault(let peer, let message): enter(.call, "drops a message of the \(peer): \(message)", time)
        case .hangingUp(let reason): enter(.call, "hangs up: \(reason)", time)
        case .ended(let reason): enter(.call, "ended: \(reason)", time)
        }
    }

    private func enter(_ who: Who, _ what: String, _ time: MediaTime) {
        state.withLock { $0.enter(who, what, time, limit: limit) }
    }

    private func change(_ mark: WritableKeyPath<State, Bool>, to value: Bool, _ what: String, _ time: MediaTime) {
        state.withLock { state in
            guard state[keyPath: mark] != value else { return }
            state[keyPath: mark] = value
            state.enter(.caller, what, time, limit: limit)
        }
    }

    private static func words(_ heard: Heard) -> String {
        "\(heard.duration.milliseconds) ms" + (heard.text.isEmpty ? "" : ": \"\(heard.text)\"")
    }

    /// Seconds with three digits behind the point, in eight columns.
    private static func seconds(_ span: TimeSpan) -> String {
        let milliseconds = abs(span.milliseconds)
        let fraction = "\(milliseconds % 1000 + 1000)".dropFirst()
        let text = "\(span.milliseconds < 0 ? "-" : "")\(milliseconds / 1000).\(fraction)"
        return String(repeating: " ", count: max(0, 8 - text.count)) + text
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
