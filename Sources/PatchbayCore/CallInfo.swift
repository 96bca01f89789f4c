public import PatchbayAudio

/// Who calls whom, by which pipeline. Fixed when the call is created.
public struct CallInfo: Sendable {
    public enum Direction: String, Sendable { case inbound, outbound }

    /// Patchbay's own name for the call.
    public var id: String
    /// The carrier's name for it; `CA…` at Twilio.
    public var callSid: String
    public var from: String
    public var to: String
    public var direction: Direction
    /// The pipeline document's name and the version the call began with.
    public var pipeline: String
    public var version: String
    /// Whose call it is; `nil` where there are no tenants.
    public var tenant: String?
    /// The voice session that had the call dialled.
    public var session: String?
    /// Whether a stage before the agent marks where the caller's speech begins and ends. Set by the call.
    public internal(set) var marksSpeech = false

    public init(
        id: String, callSid: String, from: String, to: String, direction: Direction = .inbound,
        pipeline: String, version: String = "", tenant: String? = nil, session: String? = nil
    ) {
        self.id = id
        self.callSid = callSid
        self.from = from
        self.to = to
        self.direction = direction
        self.pipeline = pipeline
        self.version = version
        self.tenant = tenant
        self.session = session
    }
}

/// The limits of one call. Every one has a name and a default, and is counted when it is hit.
public struct CallLimits: Sendable {
    /// The call ends after this long.
    public var maximumDuration = TimeSpan.seconds(3600)
    /// The call ends when the carrier sends nothing for this long.
    public var idle = TimeSpan.seconds(15)
    /// An agent that has not become ready by then has failed.
    public var agentReady = TimeSpan.seconds(10)
    /// The same for an agent that takes over in mid-call, and for one that is tried again after it has been avoided.
    public var agentTakeover = TimeSpan.seconds(3)
    /// After this long of service an agent's failure is a new one: every other backend is tried again.
    public var agentSettled = TimeSpan.seconds(60)
    /// Times that one conversation may be dialled anew within a minute.
    public var agentReconnects = 10
    /// Agents that one call may be given beside its own backends.
    public var agentChanges = 32
    /// A call whose stream has not begun by then ends.
    public var stream = TimeSpan.seconds(120)
    /// How far audio is sent ahead of the playback clock.
    public var lead = TimeSpan.milliseconds(200)
    /// A pause in the agent's audio that ends an utterance when the vendor does not say so.
    public var utterancePause = TimeSpan.milliseconds(300)
    /// Caller audio kept for an agent that is not ready yet; the oldest is dropped beyond it.
    public var callerBacklog = TimeSpan.seconds(5)
    /// Agent audio that may wait to be played, in bytes of the agent's own encoding.
    public var agentBacklogBytes = 16 << 20
    /// Audio between two marks.
    public var markInterval = TimeSpan.milliseconds(240)
    /// Caller audio that is older than this when it comes is not given to the agent: after a long stall the newest matters.
    public var callerLateness = TimeSpan.seconds(2)
    /// Missing audio of the caller that is filled in; a longer hole is only counted.
    public var concealment = TimeSpan.milliseconds(200)
    /// The longest that a barge-in may stay undecided; then playback resumes.
    public var bargeIn = TimeSpan.seconds(20)
    /// Tools that an agent may await at once; further calls are dropped and counted.
    public var pendingTools = 32
    /// Unusable carrier messages after which the call is given up.
    public var carrierFaults = 500

    public init() {}
}

/// Something that happened to a call as a whole; what timelines, logs and records are made of.
public enum CallEvent: Sendable {
    case streamStarted(CallStart)
    case agentConnecting(backend: String)
    case agentReady(backend: String, input: AudioFormat, output: AudioFormat)
    case conversationStarted(id: String)
    /// The first packet of an utterance has been handed to the carrier.
    case agentAudible(generation: UInt32)
    /// The agent's turn was cut after this much of it.
    case interrupted(cause: String, heard: Heard)
    /// A turn of the agent has been played to its end.
    case turnHeard(Heard)
    /// Playback stopped because the caller may want to speak.
    case playbackPaused(heard: TimeSpan)
    /// Recordings were paused, or go on.
    case recording(RecordingCommand)
    /// The caller did not go on; what they had not heard follows.
    case playbackResumed
    /// A turn has been sent completely.
    case utteranceSent
    case agentFailed(PipelineError)
    /// Somebody gave the call another agent.
    case agentChanged(from: String, to: String)
    /// After a failure of the agent our own words are heard; for so long nothing was.
    case bridged(after: TimeSpan)
    /// An agent that took over in mid-call can be heard, so long after the caller heard anything.
    case agentTookOver(backend: String, after: TimeSpan)
    /// The same conversation goes on over a new socket.
    case agentReconnecting(backend: String, cause: String)
    /// The agent called a tool.
    case toolCalled(ToolCall)
    case toolAnswered(ToolResult, after: TimeSpan)
    /// The agent hands the caller to a person.
    case transferring(to: String)
    /// A stage failed in a way that the call survives, for instance one of a side chain.
    case stageFailed(PipelineError)
    /// A message of a peer was dropped.
    case fault(peer: String, message: String)
    case hangingUp(EndReason)
    case ended(EndReason)
}
