public import PatchbayCore

/// Something that an agent does against the open agent protocol, or not well.
public struct AgentFinding: Sendable, Equatable {
    public enum Severity: String, Sendable {
        /// Calls with the agent do not work as they should.
        case error
        /// They work, and callers will notice.
        case warning
    }

    /// What was found; the same names as in machine-readable reports.
    public enum Code: String, Sendable, CaseIterable {
        case unreachable, refused
        case neverReady = "never-ready"
        case readyTwice = "ready-twice"
        case formatNotOffered = "format-not-offered"
        case soundBeforeReady = "sound-before-ready"
        case oddBytes = "odd-bytes"
        case emptySound = "empty-sound"
        case brokenMessage = "broken-message"
        case unknownType = "unknown-type"
        case messageTooLong = "message-too-long"
        case noAnswer = "no-answer"
        case lateAnswer = "late-answer"
        case silentSound = "silent-sound"
        case holesInSound = "holes-in-sound"
        case tooMuchSound = "too-much-sound"
        case noTurnEnd = "no-turn-end"
        case keepsTalking = "keeps-talking"
        case interruptionUnanswered = "interruption-unanswered"
        case noPong = "no-pong"
        case unknownTool = "unknown-tool"
        case toolIdUsedTwice = "tool-id-used-twice"
        case reportedError = "reported-error"
        case hungUpEarly = "hung-up-early"
        case closedEarly = "closed-early"
        case closedBadly = "closed-badly"
    }

    public var code: Code
    public var severity: Severity
    /// In plain words, with what to do.
    public var message: String
    /// The section of the page "Agents of your own" that has the rule.
    public var section: String
    /// Since the socket was open, the first time.
    public var time: TimeSpan
    /// How often it was found.
    public var count = 1
}

/// What came of a conversation with an agent.
public struct AgentCheckReport: Sendable {
    /// In the order in which they were first found.
    public var findings: [AgentFinding] = []
    /// From `start` to `ready`.
    public var ready: TimeSpan?
    /// The formats that were chosen, by the protocol's names.
    public var formats: (input: String, output: String)?
    public var conversation: String?
    /// From the end of each of the caller's turns to the first sound of the answer.
    public var answers: [TimeSpan] = []
    /// The agent's sound altogether.
    public var sound = TimeSpan.zero
    /// Names of the tools that were called.
    public var tools: [String] = []
    /// From the interruption to the agent's `turnEnded`; `nil` when there was nothing to interrupt.
    public var stopped: TimeSpan?
    /// What could not be tried, in words.
    public var notes: [String] = []
    public var duration = TimeSpan.zero

    /// Whether nothing is wrong; warnings are allowed.
    public var isPassed: Bool { !findings.contains { $0.severity == .error } }

    public init() {}
}

extension AgentFinding.Code {
    var section: String {
        switch self {
        case .unreachable, .refused: "Connecting"
        case .neverReady, .readyTwice, .formatNotOffered, .soundBeforeReady: "Ready"
        case .oddBytes, .emptySound, .silentSound, .holesInSound, .tooMuchSound: "Sound"
        case .brokenMessage, .unknownType: "Messages"
        case .messageTooLong: "Limits"
        case .noAnswer, .lateAnswer, .noTurnEnd: "Turns"
        case .keepsTalking, .interruptionUnanswered: "Interruptions"
        case .noPong: "Staying alive"
        case .unknownTool, .toolIdUsedTwice: "Tools"
        case .reportedError, .hungUpEarly, .closedEarly, .closedBadly: "The end"
        }
    }

    var severity: AgentFinding.Severity {
        switch self {
        case .emptySound, .unknownType, .lateAnswer, .silentSound, .holesInSound, .interruptionUnanswered, .closedBadly:
            .warning
        default: .error
        }
    }
}
