public import PatchbayCore

/// Something that must come of a call, within bounds of time.
public struct Expectation: Sendable {
    /// What is looked for.
    public enum Subject: Sendable {
        /// The agent begins to be heard at the caller's ear.
        case agentSpeaks
        /// The agent has been heard, and is not any more.
        case agentStops
        /// Nothing of the agent is heard, all the time.
        case agentSilent
        /// A tone is heard, at least this loud in dBFS.
        case tone(frequency: Double, level: Double)
        /// Words of the agent, as it told them.
        case agentSays(String)
        /// Words of the caller, as the agent understood them.
        case callerSays(String)
        /// Words of the agent that the caller has really heard when a turn ended or was cut.
        case callerHeard(String)
        /// The agent's turn was cut.
        case interrupted
        /// A message to the agent with these members.
        case sent(MessagePattern)
        /// An agent called this tool, with these members in its arguments.
        case toolCalled(String, MessagePattern?)
        /// A message to the carrier with these members, other than audio.
        case sentToCarrier(MessagePattern)
        /// The end of the call, and words of its reason.
        case ended(EndReason.Kind, detail: String?)
        /// An agent of that type is ready to talk.
        case backend(String)
        /// The pipeline of that name took the call.
        case pipeline(String)
        /// The words that a rule said instead of any pipeline.
        case said(String)
        /// What has been played and what waits at the carrier, in milliseconds.
        case ledger(played: ClosedRange<Int>?, unplayed: ClosedRange<Int>?)
        /// The length of the recording that the call has left, in milliseconds.
        case recording(ClosedRange<Int>)
    }

    public var subject: Subject
    /// What the bounds count from; the beginning of the stream without.
    public var after: EventName?
    /// An end of the window beside ``within``.
    public var before: EventName?
    public var from: TimeSpan?
    public var within: TimeSpan?
    /// How often exactly; `nil` for at least once.
    public var times: Int?
    public var place: StepPlace
}

extension Expectation {
    /// Whether it is met by something not happening.
    var isOfAbsence: Bool { if case .agentSilent = subject { true } else { times == 0 } }
}

extension Expectation: CustomStringConvertible {
    /// The expectation in words, without its bounds.
    public var description: String {
        let words =
            switch subject {
            case .agentSpeaks: "the agent begins to speak"
            case .agentStops: "the agent stops speaking"
            case .agentSilent: "the agent is silent"
            case .tone(let frequency, _): "a tone of \(Int(frequency.rounded())) Hz is heard"
            case .agentSays(let text): "the agent says \"\(text)\""
            case .callerSays(let text): "the agent understands \"\(text)\""
            case .callerHeard(let text): "the caller has heard \"\(text)\""
            case .interrupted: "the agent is interrupted"
            case .sent(let pattern): "the agent is sent \(pattern)"
            case .toolCalled(let tool, let pattern):
                "the tool \"\(tool)\" is called\(pattern.map { " with \($0)" } ?? "")"
            case .sentToCarrier(let pattern): "the carrier is sent \(pattern)"
            case .ended(let kind, let detail): "the call ends: \(kind.rawValue)\(detail.map { ", \"\($0)\"" } ?? "")"
            case .backend(let type): "\"\(type)\" answers"
            case .pipeline(let name): "pipeline \"\(name)\" takes the call"
            case .said(let words): "the caller is told \"\(words)\""
            case .ledger(let played, let unplayed):
                [
                    played.map { "\($0.lowerBound) to \($0.upperBound) ms are played" },
                    unplayed.map { "\($0.lowerBound) to \($0.upperBound) ms wait at the carrier" },
                ].compactMap(\.self).joined(separator: " and ")
            case .recording(let length): "the recording has \(length.lowerBound) to \(length.upperBound) ms"
            }
        switch times {
        case nil: return words
        case 0: return "never: \(words)"
        case 1: return "once: \(words)"
        case let times?: return "\(times) times: \(words)"
        }
    }

    /// The bounds in words.
    var bounds: String {
        var words = ""
        if case .ledger = subject {
            words = " at \((from ?? .zero).milliseconds) ms"
        } else if let from, let within {
            words = " \(from.milliseconds) to \(within.milliseconds) ms"
        } else if let within {
            words = " within \(within.milliseconds) ms"
        } else if let from {
            words = " later than \(from.milliseconds) ms"
        }
        if let after {
            words += " after \"\(after)\""
        } else if !words.isEmpty {
            words += " after the start"
        }
        if let before { words += " and before \"\(before)\"" }
        return words
    }
}
