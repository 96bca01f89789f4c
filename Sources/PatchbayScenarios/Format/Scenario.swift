public import Foundation
public import PatchbayConfig
public import PatchbayCore

/// The tests of one `*.test.json`.
public struct ScenarioFile: Sendable {
    /// The file as the user named it.
    public var file: String
    /// The folder of the file, which sounds and other files are looked for in.
    public var directory: String
    /// What the document says under `description`.
    public var summary: String?
    /// The path of the pipeline that is tested.
    public var pipeline: String
    /// The only environment variables that the pipeline sees.
    public var environment: [String: String]
    /// The keys of such a file.
    public static let fields = ScenarioFields.document

    /// In the order of the file.
    public var scenarios: [Scenario]
}

/// One call that is written down: who says what and when, and what must come of it.
public struct Scenario: Sendable {
    public var name: String
    /// The line of the file where it begins.
    public var line: Int
    /// The called number; `nil` for the first that the pipeline answers.
    public var number: String?
    public var from: String
    /// When the call comes, for rules that look at the clock.
    public var at: Date
    public var context: [String: VariableValue]
    /// From the moment the call is made until its stream begins: the phone rings.
    public var ring: TimeSpan
    /// After this long on the line the caller hangs up in any case.
    public var limit: TimeSpan
    /// Peak of a packet that counts as sound, of 32,768.
    public var soundThreshold: Int
    /// The voice of espeak-ng that texts are spoken with.
    public var voice: String
    public var caller: [CallerStep]
    /// The agents' side of each connection, in the order in which they are dialled.
    public var connections: [AgentScript]
    /// What the tools of the pipeline answer.
    public var tools: [ScriptedTool] = []
    public var expectations: [Expectation]
}

/// When a step begins.
public enum StepTime: Sendable, Equatable {
    /// This long after the stream began; before it when negative.
    case at(TimeSpan)
    /// This long after something; `nil` is the end of the step before.
    case after(EventName?, TimeSpan)
}

/// Something that happens in a call, by its name in test files.
public struct EventName: Sendable, Hashable, CustomStringConvertible {
    /// For instance `agent speaks`, or `question ends` of a step that is called `question`.
    public var name: String
    /// Which one of the call, from 1. `nil`: the next one for a step, the first one for an expectation. A step's beginning
    /// and end happen once, whenever that was.
    public var number: Int?

    public init(_ name: String, number: Int? = nil) {
        self.name = name
        self.number = number
    }

    public var description: String { number.map { "\(name) \($0)" } ?? name }
}

extension EventName {
    public static let streamStarted = EventName("start")
    public static let agentConnected = EventName("agent connected")
    public static let agentReady = EventName("agent ready")
    public static let agentClosed = EventName("agent closed")
    public static let agentSpeaks = EventName("agent speaks")
    public static let agentStops = EventName("agent stops")
    public static let callerSpeaks = EventName("caller speaks")
    public static let callerStops = EventName("caller stops")
    public static let keyPressed = EventName("key pressed")
    public static let interrupted = EventName("interrupted")
    public static let playbackPaused = EventName("playback paused")
    public static let playbackResumed = EventName("playback resumed")
    public static let turnHeard = EventName("turn heard")
    public static let toolCalled = EventName("tool called")
    public static let toolAnswered = EventName("tool answered")
    public static let ended = EventName("call ends")

    /// All that every call knows; a step that has a name adds two.
    public static let all = [
        streamStarted, agentConnected, agentReady, agentClosed, agentSpeaks, agentStops, callerSpeaks, callerStops,
        keyPressed, interrupted, playbackPaused, playbackResumed, turnHeard, toolCalled, toolAnswered,
        ended,
    ]

    /// Whether it is a step's beginning or end.
    var isOfAStep: Bool { !Self.all.contains { $0.name == name } }

    /// The name of a step's beginning and end.
    static func begin(of step: String) -> EventName { EventName("\(step) begins") }
    static func end(of step: String) -> EventName { EventName("\(step) ends") }
}

/// One thing that the caller does.
public struct CallerStep: Sendable {
    public enum Action: Sendable {
        /// Speaks a text, or plays a WAV file.
        case say(String)
        case tone(frequency: Double, duration: TimeSpan, level: Double)
        /// Says nothing for a while.
        case silence(TimeSpan)
        /// Presses keys, a quarter of a second apart.
        case press(String)
        case hangUp
        /// The line goes dead without a word.
        case cutOff
    }

    /// What other steps and expectations call it.
    public var name: String?
    public var time: StepTime
    public var action: Action
    public var place: StepPlace
}

/// What the vendor's server does on one connection.
public struct AgentScript: Sendable {
    /// The type of the agent that must have dialled; `nil` for any.
    public var backend: String?
    /// From dialling until the connection stands.
    public var connect: TimeSpan
    /// Why the connection fails; `nil` when it does not.
    public var refusal: String?
    public var steps: [AgentStep]
    public var place: StepPlace
}

/// One thing that the vendor's server does.
public struct AgentStep: Sendable {
    public enum Action: Sendable {
        /// Begins the conversation and announces its formats.
        case accept(AcceptedConversation)
        case say(SpokenTurn)
        /// Tells what it understood the caller to say.
        case hears(String)
        /// Cuts its own turn.
        case interrupt
        /// Sends a message as it stands.
        case send(String)
        /// Sends bytes as a binary message.
        case sendBinary([UInt8])
        /// Does nothing for a while.
        case silence(TimeSpan)
        case close(code: UInt16, reason: String)
    }

    public var name: String?
    public var time: StepTime
    public var action: Action
    public var place: StepPlace
}

/// How a vendor's server begins a conversation.
public struct AcceptedConversation: Sendable, Equatable {
    public var conversation: String
    /// Formats by the vendor's names; `nil` for the vendor's usual ones.
    public var inputFormat: String?
    public var outputFormat: String?
}

/// A turn that a vendor's server speaks.
public struct SpokenTurn: Sendable, Equatable {
    /// A text, or the path of a WAV file.
    public var speech: String
    /// The words that go with it; `nil` when the file's name tells nothing.
    public var words: String?
    /// Audio in one message.
    public var chunk: TimeSpan
    /// Time between two messages.
    public var pace: TimeSpan
    /// Whether the turn's end is told.
    public var isComplete: Bool
}

/// An answer of a tool, in place of the service that would give it.
public struct ScriptedTool: Sendable {
    /// The tool's name or one of its aliases.
    public var tool: String
    /// What the arguments must have; `nil` for any.
    public var arguments: MessagePattern?
    /// Text or JSON.
    public var answer: String
    public var isError: Bool
    /// From the call of the tool until the answer.
    public var after: TimeSpan
}

/// Where a step stands in its file.
public struct StepPlace: Sendable, Equatable, CustomStringConvertible {
    /// For instance `tests[0].caller[2]`.
    public var path: String
    public var line: Int

    public var description: String { "\(path) (line \(line))" }
}

extension TimeSpan {
    /// For people: `3.42 s`.
    var inSeconds: String {
        let milliseconds = abs(self.milliseconds)
        let hundredths = String(milliseconds % 1000 / 10)
        return
            "\(nanoseconds < 0 && milliseconds >= 10 ? "-" : "")\(milliseconds / 1000).\(hundredths.count < 2 ? "0" : "")\(hundredths) s"
    }
}
