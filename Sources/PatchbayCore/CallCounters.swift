/// What a call counts while it runs. Plain numbers; read by `/calls`, added to the metrics when the call ends.
public struct CallCounters: Sendable {
    /// The vendor's name for the conversation, when it gave one.
    public internal(set) var conversationID: String?
    public internal(set) var streamStartedAt = MediaTime.zero
    public internal(set) var agentReadyAt: MediaTime?
    public internal(set) var endedAt: MediaTime?
    public internal(set) var packetsReceived = 0
    public internal(set) var packetsSent = 0
    /// Packets of the caller that never came, by the carrier's own numbering.
    public internal(set) var packetsMissing = 0
    /// Holes in the caller's audio, by the carrier's own timestamps, and how much of them was filled in.
    public internal(set) var gaps = 0
    public internal(set) var concealed = TimeSpan.zero
    /// Caller audio that came too late to be given to the agent.
    public internal(set) var lateDropped = TimeSpan.zero
    /// Silence of the agent's that was left out to make up for a stall.
    public internal(set) var silenceSkipped = TimeSpan.zero
    public internal(set) var interruptions = 0
    /// Interruptions that came while the agent must not be interrupted.
    public internal(set) var interruptionsRefused = 0
    /// Times playback was resumed because the caller had not meant to interrupt.
    public internal(set) var falseInterruptions = 0
    /// What the caller heard of the agent's last turn.
    public internal(set) var heard: Heard?
    /// Messages that could not be used.
    public internal(set) var carrierFaults = 0
    public internal(set) var agentFaults = 0
    public var agentFailures: Int { agentFailureCodes.values.reduce(0, +) }
    /// Failures of agents, at connect or in mid-call, by their code.
    public internal(set) var agentFailureCodes: [PipelineError.Code: Int] = [:]
    /// Agents that took over from another in mid-call and were heard.
    public internal(set) var agentTakeovers = 0
    /// Times somebody gave the call another agent.
    public internal(set) var agentChanges = 0
    /// Times one conversation went on over a new socket.
    public internal(set) var agentReconnects = 0
    /// The longest that the caller heard nothing after a failure of the agent: neither what was left of its words, nor ours,
    /// nor the next agent.
    public internal(set) var longestAgentSilence = TimeSpan.zero
    /// Tools that agents called, and calls among them that were answered with an error.
    public internal(set) var toolCalls = 0
    public internal(set) var toolFailures = 0
    /// Calls of tools that were answered without one.
    public internal(set) var toolSuccesses = 0
    /// Final marks that never came.
    public internal(set) var marksMissed = 0
    /// What the caller had heard of the agent when the call ended.
    public internal(set) var played = TimeSpan.zero
    /// From the start of the stream to the first packet of the agent's audio.
    public internal(set) var timeToFirstAudio: TimeSpan?
    /// From where the caller fell silent, as the pipeline's VAD heard it, to the answer's first packet: the last value. What a
    /// VAD waits before it calls speech over is part of it: the caller waits too.
    public internal(set) var responseLatency: TimeSpan?
    var speech = CallerSpeech()

    /// All at zero.
    public init() {}

    private var nextChunk: Int64?
    /// A larger jump is no gap but a carrier that counts otherwise: ten minutes of packets.
    private static let largestGap: Int64 = 30_000

    mutating func count(packet position: CarrierPosition) {
        packetsReceived += 1
        guard let chunk = position.chunk else { return }
        if let expected = nextChunk {
            // The numbers are the carrier's: whatever they are, they must not stop the process.
            let (gap, overflows) = chunk.subtractingReportingOverflow(expected)
            if !overflows, (1...Self.largestGap).contains(gap) { packetsMissing += Int(gap) }
        }
        nextChunk = chunk &+ 1
    }

    mutating func agentAudible(at now: MediaTime, _ meters: AgentMeters?) {
        if timeToFirstAudio == nil {
            let span = now - streamStartedAt
            timeToFirstAudio = span
            meters?.timeToFirstAudio.record(span.seconds)
        }
        if let stopped = speech.answered() {
            let span = now - stopped
            responseLatency = span
            meters?.responseLatency.record(span.seconds)
        }
    }

    /// The carrier has been told to fall silent.
    mutating func carrierCleared(at now: MediaTime, _ meters: CallMeters?) {
        guard let started = speech.interrupted() else { return }
        meters?.interruptionLatency.record((now - started).seconds)
    }
}
