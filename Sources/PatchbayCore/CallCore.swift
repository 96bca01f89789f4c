public import NIOCore
public import PatchbayAudio

/// What a call wants done by whoever owns its sockets.
public enum CallAction: Sendable {
    /// Find the agent's address and dial it; report under this link number.
    case dialAgent(link: Int, resolve: @Sendable () async throws -> AgentTarget)
    /// Dial the same agent once more while its former socket, if it still stands, goes on serving; report under this link
    /// number. Once the new socket is open the former one is closed.
    case redialAgent(link: Int, resolve: @Sendable () async throws -> AgentTarget)
    case closeAgent(code: UInt16, reason: String)
    /// Run a tool and hand the answer to ``CallCore/toolAnswered(_:link:at:into:)``.
    case runTool(ToolCall, link: Int)
    /// The answers of these calls are not wanted any more; of all where there are none named.
    case cancelTools(ids: [String])
    case closeCarrier(code: UInt16, reason: String)
    /// The call is over; nothing follows.
    case finished(EndReason)
}

/// Everything one step of a call produced. Reused from step to step.
public struct CallOutput {
    /// Messages for the carrier, in order.
    public var carrier = MessageBatch()
    /// Messages for the agent, in order, and its events until the call has handled them.
    public var agent = AgentOutput()
    public internal(set) var actions: [CallAction] = []

    public init() {}

    /// Takes the actions so far.
    public mutating func takeActions() -> [CallAction] {
        guard !actions.isEmpty else { return [] }
        defer { actions.removeAll() }
        return actions
    }
}

/// What a call is made of, ready to run.
public struct CallPlan {
    public var info: CallInfo
    public var limits: CallLimits
    public var carrier: any CarrierSerializer
    public var carrierFormat: AudioFormat
    public var toAgent: Chain
    /// The format of the agent's joint.
    public var joint: AudioFormat
    /// The backends in the order they are tried; at least one.
    public var backends: [any AgentBackend]
    public var toCaller: Chain
    /// What agents are told of; their calls leave as ``CallAction/runTool(_:link:)``.
    public var tools: [ToolDefinition]
    /// What the caller hears while an agent waits for a tool, by every name that agents call it by.
    public var waitingSounds: [String: WaitingSound] = [:]
    /// The same for tools that one backend alone has, for each of them.
    public var ownWaitingSounds: [[String: WaitingSound]] = []
    /// Hear what both sides hear; for recordings.
    public var taps: [any MediaTap]
    /// Whose failures other calls are to learn from; `nil` tries the backends in their order and tells nobody.
    public var health: AgentHealth?
    /// Who the backends are to ``health``, in the same order; those without an identity are always tried.
    public var identities: [AgentIdentity?] = []
    /// Heard while a failed agent is replaced in mid-call, in the format of the agent's joint.
    public var bridge = ByteBuffer()
    /// Whether the agent is connected while the phone rings, or only when the stream begins.
    public var connectsEarly = true
    /// Who the caller is connected with when every agent has failed.
    public var transferTo: PhoneNumber?
    /// Played first, in the format of the agent's joint, whatever the caller does: for instance that the call is recorded.
    public var announcement: ByteBuffer
    /// Where what is measured once a turn is entered; `nil` measures for the call alone.
    package var meters: CallMeters?

    public init(
        info: CallInfo, limits: CallLimits = CallLimits(), carrier: any CarrierSerializer, carrierFormat: AudioFormat,
        toAgent: Chain, joint: AudioFormat, backends: [any AgentBackend], toCaller: Chain,
        tools: [ToolDefinition] = [], taps: [any MediaTap] = [], announcement: ByteBuffer = ByteBuffer()
    ) {
        self.info = info
        self.limits = limits
        self.carrier = carrier
        self.carrierFormat = carrierFormat
        self.toAgent = toAgent
        self.joint = joint
        self.backends = backends
        self.toCaller = toCaller
        self.tools = tools
        self.taps = taps
        self.announcement = announcement
    }

    /// Gives stages that work asynchronously their way back.
    mutating func attach(_ mailbox: (Joint) -> StageMailbox) {
        toAgent.attach { mailbox(Joint(.toAgent, $0 + 1)) }
        toCaller.attach { mailbox(Joint(.toCaller, $0 + 1)) }
    }
}

/// A call as a synchronous value: messages and time go in; messages and actions come out.
///
/// It never knows a socket, a clock or a thread, so a five-minute call runs in milliseconds and the same inputs give the
/// same outputs. One step runs a frame through the whole chain to completion. ``Call`` puts it on an event loop.
public struct CallCore {
    /// Where a call is in its life.
    public enum State: Sendable, Equatable {
        /// Created; the carrier's stream has not begun.
        case ringing
        /// The stream runs.
        case streaming
        /// The last audio is being played; then the call ends.
        case draining(EndReason, until: MediaTime)
        case ended(EndReason)
    }

    public private(set) var info: CallInfo
    let limits: CallLimits
    var carrier: any CarrierSerializer
    let carrierFormat: AudioFormat
    var toAgent: Chain
    var toCaller: Chain
    var agent: AgentStage
    var backends: [any AgentBackend]
    var identities: [AgentIdentity?]
    /// Backends that the pipeline names; those behind them were given by somebody while the call ran.
    let declaredBackends: Int
    let health: AgentHealth?
    let transferTo: PhoneNumber?
    let tools: [ToolDefinition]
    /// Tools whose answers are awaited, by the vendor's id of the call, with the time of the call.
    var pendingTools: [String: MediaTime] = [:]
    var waiting: ToolWaiting
    public internal(set) var backendIndex = 0
    var choice = AgentChoice()
    /// An agent failed in mid-call, and the next one has not been heard yet.
    var takeover: AgentTakeover?
    /// What an agent that takes over is told.
    var conversation = ConversationHistory()
    let bridge: ByteBuffer
    var interlude = Interlude()
    /// The turn that is played is that of an agent that is gone.
    var isTurnOfFormer = false
    /// Counts the agents dialled, so that a late word of an abandoned one is not taken for its successor's.
    var link = 0
    /// Counts the links; the newest is the highest.
    var lastLink = 0
    /// The agent is being dialled again for the conversation that runs.
    var redial: AgentRedial?
    /// The agent's socket has closed.
    var isSocketDown = false
    /// When the conversation was dialled again, within the last minute.
    var redials: [MediaTime] = []
    /// Where the current agent is reached, for dialling it again.
    var endpoint = AgentEndpoint.local
    public internal(set) var state = State.ringing
    public internal(set) var ledger = PlaybackLedger()
    var packetizer: Packetizer
    var packet = ByteBuffer()
    /// What the carrier said when the stream began; every agent that comes later is told too.
    var callStart: CallStart?
    /// Sound of the agent has come that has not been ended yet.
    var isUtteranceOpen = false
    /// Something of the utterance has been handed to the carrier.
    var hasSentOfUtterance = false
    /// Something of the agent's turn has been sent through the chain. A pause does not end a turn; the vendor's word does.
    var isTurnOpen = false
    /// A turn has been sent to its end and not been played to its end.
    var isTurnEnding = false
    /// The agent's turn can be heard, or will be at once.
    var isAgentSpeaking = false
    /// A stage plays background; what it is ahead must not hold the agent back.
    var hasBackground = false
    var transcript = AgentTranscript()
    var history: SentHistory
    var interruptibility = Interruptibility()
    /// What playback was stopped at, while a barge-in is undecided.
    var paused: PausedPlayback?
    var silenceSkipper = SilenceSkipper()
    var announcement: ByteBuffer
    var isAnnouncing: Bool
    /// Where the announcement ends, on the scale of the ledger's played audio.
    var announcementEnd = TimeSpan.zero
    var callerTrack: CallerTrack
    var concealer: GapConcealer
    let taps: [any MediaTap]
    /// When everything released from the agent's queue will have been played. Runs ahead of the ledger where a stage
    /// answers late.
    var releasedUntil = MediaTime.zero
    var finalMark: PlaybackMark?
    var agentDeadline: MediaTime?
    /// How long the agent had when ``agentDeadline`` was set.
    var agentPatience = TimeSpan.zero
    var lastCarrierMessage = MediaTime.zero
    var lastAgentAudio = MediaTime.zero
    var createdAt = MediaTime.zero
    public internal(set) var counters = CallCounters()
    let meters: CallMeters?
    var agentMeters: AgentMeters?
    /// When the agent began to be connected.
    var agentOpenedAt = MediaTime.zero
    // Arrays that take turns with those of the chains and the output, so that a step allocates nothing.
    private var scratch: [Frame] = []
    var eventScratch: [AgentEvent] = []

    /// - Parameter observers: See every frame at every joint and every event, from the first on.
    /// - Throws: When no backend can be opened and there is nobody to transfer the caller to.
    public init(
        _ plan: CallPlan, at now: MediaTime, observers: [any CallObserver] = [], into output: inout CallOutput
    ) throws(PipelineError) {
        info = plan.info
        limits = plan.limits
        carrier = plan.carrier
        carrierFormat = plan.carrierFormat
        toAgent = plan.toAgent
        toCaller = plan.toCaller
        backends = plan.backends
        identities = plan.identities
        declaredBackends = plan.backends.count
        health = plan.health
        transferTo = plan.transferTo
        bridge = plan.bridge
        tools = plan.tools
        waiting = ToolWaiting(plan.waitingSounds, own: plan.ownWaitingSounds)
        packetizer = Packetizer(packetBytes: plan.carrierFormat.bytesPerPacket)
        taps = plan.taps
        meters = plan.meters
        announcement = plan.announcement
        isAnnouncing = plan.announcement.readableBytes > 0
        // The longest lead, of the pump or of a stage that speaks itself, and a key's tone: more is never unplayed.
        history = SentHistory(
            capacity: plan.carrierFormat.byteCount(milliseconds: max(450, Int(plan.limits.lead.milliseconds)) + 250))
        callerTrack = CallerTrack(start: now, limit: plan.limits.callerLateness)
        concealer = GapConcealer(format: plan.carrierFormat)
        createdAt = now
        lastCarrierMessage = now
        info.marksSpeech = plan.toAgent.stages.contains { $0.processor.marksSpeech }
        agent = AgentStage(NoConversation(), joint: plan.joint, limits: plan.limits)
        toAgent.observers = observers
        toCaller.observers = observers
        if plan.connectsEarly {
            do {
                try openAgent(within: limits.agentReady, at: now, into: &output)
            } catch {
                // A person can be reached as soon as the stream begins.
                guard transferTo != nil else { throw error }
                giveUp(error, at: now, into: &output)
            }
        }
    }

    /// Whether an agent that has just been connected is still of use.
    var wantsAgent: Bool {
        switch state {
        case .ringing, .streaming: true
        case .draining, .ended: false
        }
    }

    /// Whether an agent's socket of this number is still of use.
    func wants(link: Int) -> Bool { wantsAgent && (link == self.link || link == redial?.link) }

    /// The backend that runs now.
    public var backend: String { backendIndex < backends.count ? backends[backendIndex].type : "" }

    /// Agent audio that waits to be played, in bytes of the agent's encoding.
    public var waitingAgentBytes: Int { agent.waitingBytes }

    /// Data frames of cut turns that were dropped inside the chain.
    public var staleFrames: Int { toAgent.staleCount + toCaller.staleCount }

    // MARK: The caller's leg

    /// Sends a frame through the caller's leg and what comes out to the agent.
    mutating func sendToAgent(_ frame: Frame, at now: MediaTime, into output: inout CallOutput) {
        do {
            try toAgent.send(frame, at: now)
        } catch {
            finish(EndReason(.failure, error.description), at: now, into: &output)
            return
        }
        collectForAgent(at: now, into: &output)
    }

    /// Hands what left the caller's leg to the agent.
    mutating func collectForAgent(at now: MediaTime, into output: inout CallOutput) {
        var frames = borrowScratch()
        toAgent.takeExits(into: &frames)
        for frame in frames {
            switch frame {
            case .speechStarted:
                counters.speech.started(at: now)
                callerSpoke()
            case .speechPaused: counters.speech.paused(at: now)
            case .speechResumed: counters.speech.resumed()
            case .speechStopped: counters.speech.stopped(at: now)
            case .userTurnEnded(let end): counters.speech.turnEnded(end, isMarked: info.marksSpeech, at: now)
            case .failure(let error): note(.stageFailed(error), at: now)
            default: break
            }
            if case .ended = state { break }
            agent.receive(frame, at: now, into: &output.agent)
        }
        toAgent.takeReturns(into: &frames)
        for frame in frames { act(on: frame, at: now, into: &output) }
        giveBack(&frames)
        handleAgentEvents(at: now, into: &output)
    }

    /// An empty array with storage from an earlier step. A step inside a step gets a fresh one.
    mutating func borrowScratch() -> [Frame] {
        let frames = scratch
        scratch = []
        return frames
    }

    mutating func giveBack(_ frames: inout [Frame]) {
        frames.removeAll(keepingCapacity: true)
        swap(&frames, &scratch)
    }

    func note(_ event: CallEvent, at now: MediaTime) {
        for observer in toAgent.observers { observer.observe(event, time: now) }
    }
}

/// Stands in the agent's place until the first backend has been opened.
struct NoConversation: AgentConversation {
    mutating func opened(at now: MediaTime, into output: inout AgentOutput) {}
    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {}
}
