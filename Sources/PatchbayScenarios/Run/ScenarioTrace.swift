public import NIOCore
public import PatchbayCore

/// Everything that happened in a call. Times count from the beginning of the carrier's stream.
public struct ScenarioTrace: Sendable {
    /// One event, as steps and expectations name it.
    public struct Entry: Sendable, Equatable {
        public var event: EventName
        public var time: TimeSpan
        public var detail: String
    }

    /// Words of one side.
    public struct Words: Sendable, Equatable {
        public var time: TimeSpan
        public var speaker: TextFrame.Speaker
        public var text: String
    }

    /// A message of the call to a peer.
    public struct Message: Sendable {
        public var time: TimeSpan
        public var payload: ByteBuffer
    }

    /// A call of a tool.
    public struct ToolUse: Sendable {
        public var time: TimeSpan
        /// The tool's name and its aliases, or what the agent called where there is no such tool.
        public var names: [String]
        /// JSON on one line, as the tool got it.
        public var arguments: String
    }

    /// How the account of playback stood at one tick, in milliseconds.
    public struct Playback: Sendable, Equatable {
        public var time: TimeSpan
        public var played, unplayed: Int
    }

    /// In the order in which they were noticed; see ``SoundTrack`` for why that is not always the order of their times.
    public internal(set) var entries: [Entry] = []
    public internal(set) var words: [Words] = []
    /// What the caller had heard, whenever a turn of the agent ended or was cut.
    public internal(set) var heard: [Words] = []
    public internal(set) var sent: [Message] = []
    public internal(set) var toolCalls: [ToolUse] = []
    /// Without audio.
    public internal(set) var sentToCarrier: [Message] = []
    public internal(set) var playback: [Playback] = []
    public internal(set) var caller: SoundTrack
    public internal(set) var agent: SoundTrack
    public internal(set) var end: EndReason?
    /// The length of the call on the line.
    public internal(set) var duration = TimeSpan.zero
    public internal(set) var pipeline: String?
    /// What a rule said instead of any pipeline.
    public internal(set) var said: String?
    /// Lengths of the recordings that were left, in milliseconds.
    public internal(set) var recordings: [Int] = []
    /// What went otherwise than the test is written: steps that never came, messages that a peer would refuse.
    public internal(set) var problems: [String] = []

    init(soundThreshold: Int) {
        caller = SoundTrack(threshold: soundThreshold)
        agent = SoundTrack(threshold: soundThreshold)
    }

    mutating func note(_ event: EventName, at time: TimeSpan, _ detail: String = "") {
        entries.append(Entry(event: event, time: time, detail: detail))
    }

    /// When the event happened: the numbered one, or the first after the first `count` entries.
    func time(of event: EventName, after count: Int = 0) -> TimeSpan? {
        guard let number = event.number else {
            return entries.dropFirst(count).first { $0.event.name == event.name }?.time
        }
        return entries.lazy.filter { $0.event.name == event.name }.dropFirst(number - 1).first?.time
    }

    /// When the event happened: the numbered one, or the first behind `start`.
    func time(of event: EventName, behind start: TimeSpan) -> TimeSpan? {
        guard event.number == nil else { return time(of: event) }
        return entries.lazy.filter { $0.event.name == event.name && $0.time > start }.map(\.time).min()
    }

    func times(of event: EventName) -> [Entry] { entries.filter { $0.event.name == event.name } }
}
