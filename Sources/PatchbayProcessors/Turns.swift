public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `turns`: who speaks when.
public struct Turns: StageComponent {
    public init() {}

    public let spec = ComponentSpec(
        "turns", .stage,
        summary:
            "Takes turns: finds the end of the caller's turn, and decides when the caller's speech stops the agent's. Stands behind a vad.",
        fields: [
            Field(
                "end", .choice(["silence", "agent", "both"]), default: "silence",
                "What ends the caller's turn: silence, the agent's own word (a transcript, an answer), or whichever comes first."
            ),
            Field(
                "pauseMs", .integer(0...5000), default: 0,
                "Silence beyond the vad's minimumSilenceMs that ends the turn, in milliseconds."),
            Field(
                "maximumWaitMs", .integer(500...20_000), default: 5000,
                "With \"end\": \"agent\", silence that ends the turn when the agent says nothing, in milliseconds."),
            Field(
                "uninterruptible", .choice(["nothing", "greeting", "everything"]), default: "nothing",
                "What of the agent's speech the caller cannot interrupt."),
            Field(
                "minimumBargeInMs", .integer(0...3000), default: 300,
                "Speech beyond the vad's minimumSpeechMs before the agent stops speaking, in milliseconds: shorter sounds (\"mhm\") are let pass."
            ),
            Field(
                "confirmMs", .integer(0...5000), default: 700,
                "Speech after the agent has stopped that makes the interruption final, in milliseconds."),
            Field(
                "resumeAfterMs", .integer(0...10_000), default: 1500,
                "Silence after which an interruption that nobody went on with is taken back and the agent goes on where it stopped, in milliseconds; 0 never takes back."
            ),
        ])

    public var marksSpeech: Bool { true }

    public func problems(in settings: Settings, at place: StagePlace) -> [SettingsProblem] {
        guard place.isBeforeAgent else {
            return [
                SettingsProblem(
                    .misplacedStage, "behind the agent nobody hears the caller",
                    remedy: "put it before the agent, behind a \"vad\"")
            ]
        }
        guard !place.earlier.contains(where: \.marksSpeech) else { return [] }
        return [
            SettingsProblem(
                .misplacedStage, "no stage before it hears where speech begins and ends",
                remedy: "put a \"vad\" before it")
        ]
    }

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat { input }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        var rules = TurnRules()
        rules.end = settings.string("end").flatMap(TurnRules.End.init) ?? rules.end
        rules.uninterruptible = settings.string("uninterruptible").flatMap(TurnRules.Part.init) ?? rules.uninterruptible
        rules.pause = settings.span("pauseMs") ?? rules.pause
        rules.maximumWait = settings.span("maximumWaitMs") ?? rules.maximumWait
        rules.minimumBargeIn = settings.span("minimumBargeInMs") ?? rules.minimumBargeIn
        rules.confirmation = settings.span("confirmMs") ?? rules.confirmation
        rules.resumption = settings.span("resumeAfterMs") ?? rules.resumption
        return TurnStage(rules)
    }
}

extension Settings {
    fileprivate func span(_ field: String) -> TimeSpan? { integer(field).map { .milliseconds(Int64($0)) } }
}

/// When turns end and what may interrupt.
struct TurnRules {
    enum End: String { case silence, agent, both }
    enum Part: String { case nothing, greeting, everything }

    var end = End.silence
    var uninterruptible = Part.nothing
    /// Silence, after the VAD's own, that ends the caller's turn.
    var pause = TimeSpan.zero
    /// The same where the agent ends turns and keeps quiet.
    var maximumWait = TimeSpan.milliseconds(5000)
    /// Speech before the agent stops.
    var minimumBargeIn = TimeSpan.milliseconds(300)
    /// Speech after that before there is no way back.
    var confirmation = TimeSpan.milliseconds(700)
    /// Silence that takes a barge-in back; zero for never.
    var resumption = TimeSpan.milliseconds(1500)
}

/// Turns speech edges into turns and barge-ins. Swallows the edges: what follows it hears of turns only.
///
/// While the agent speaks, the caller's speech has three ends. Shorter than `minimumBargeIn` it is a back-channel and changes
/// nothing. Longer, it stops playback; when it lasts for `confirmation` more, or the agent transcribes it, the agent's turn is
/// cut and the caller's begins. When it stops before that and silence follows for `resumption`, playback goes on where it
/// stopped.
struct TurnStage: Processor {
    private enum Trial {
        case none
        /// The caller speaks over the agent, not long enough yet.
        case waiting(until: MediaTime)
        /// Playback has stopped. While the caller speaks, `until` confirms; while they do not, it dismisses.
        case paused(until: MediaTime, spoken: TimeSpan, since: MediaTime)
    }

    private let rules: TurnRules
    private var isAgentSpeaking = false
    /// Between the VAD's edges, silence that it waits out included.
    private var isCallerSpeaking = false
    /// Right now.
    private var isVoiced = false
    private var isTurnOpen = false
    private var isLocked = false
    private var trial = Trial.none
    private var turnEnd: MediaTime?
    private var speechStoppedAt: MediaTime?

    init(_ rules: TurnRules) { self.rules = rules }

    var marksSpeech: Bool { true }

    var deadline: MediaTime? {
        switch trial {
        case .none: turnEnd
        case .waiting(let until), .paused(let until, _, _): turnEnd.map { min($0, until) } ?? until
        }
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        switch frame {
        case .speechStarted: return speechStarted(at: now, into: &output)
        case .speechStopped: return speechStopped(at: now, into: &output)
        case .speechPaused: return voiceStopped(at: now)
        case .speechResumed: return voiceStarted(at: now)
        case .userTurnEnded(let end) where end.cause == .agent: return agentHeardTurn(at: now, into: &output)
        case .callStarted:
            output.emit(frame)
            if rules.uninterruptible != .nothing { lock(true, into: &output) }
        case .agentStartedSpeaking:
            output.emit(frame)
            isAgentSpeaking = true
            if rules.end != .silence { endTurn(.agent, into: &output) }
            // It speaks over the caller, who has to be able to say so.
            if isVoiced, !isLocked { trial = .waiting(until: now + rules.minimumBargeIn) }
        case .agentStoppedSpeaking:
            output.emit(frame)
            agentStoppedSpeaking(into: &output)
        default: output.emit(frame)
        }
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        switch trial {
        case .waiting(let until) where until <= now:
            output.emitUpstream(.bargeIn(.started))
            trial = .paused(until: now + rules.confirmation, spoken: .zero, since: now)
            if rules.resumption == .zero { confirm(at: now, into: &output) }
        case .paused(let until, _, _) where until <= now:
            if isVoiced {
                confirm(at: now, into: &output)
            } else {
                output.emitUpstream(.bargeIn(.dismissed))
                trial = .none
            }
        default: break
        }
        if let end = turnEnd, end <= now { endTurn(.silence, into: &output) }
    }

    private mutating func speechStarted(at now: MediaTime, into output: inout FrameOutput) {
        isCallerSpeaking = true
        turnEnd = nil
        speechStoppedAt = nil
        if !isAgentSpeaking, case .none = trial { startTurn(into: &output) }
        voiceStarted(at: now)
    }

    private mutating func voiceStarted(at now: MediaTime) {
        guard !isVoiced else { return }
        isVoiced = true
        if case .paused(_, let spoken, _) = trial {
            trial = .paused(until: now + max(.zero, rules.confirmation - spoken), spoken: spoken, since: now)
        } else if isAgentSpeaking, !isLocked {
            trial = .waiting(until: now + rules.minimumBargeIn)
        }
    }

    private mutating func voiceStopped(at now: MediaTime) {
        guard isVoiced else { return }
        isVoiced = false
        switch trial {
        case .waiting: trial = .none
        case .paused(_, let spoken, let since):
            trial = .paused(until: now + rules.resumption, spoken: spoken + (now - since), since: now)
        case .none: break
        }
    }

    private mutating func speechStopped(at now: MediaTime, into output: inout FrameOutput) {
        isCallerSpeaking = false
        voiceStopped(at: now)
        speechStoppedAt = now
        guard isTurnOpen else { return }
        awaitEnd(at: now)
        if rules.end != .agent, rules.pause == .zero { endTurn(.silence, into: &output) }
    }

    /// The agent has transcribed a turn of the caller.
    private mutating func agentHeardTurn(at now: MediaTime, into output: inout FrameOutput) {
        if case .paused = trial { confirm(at: now, into: &output) }
        if rules.end != .silence { endTurn(.agent, into: &output) }
    }

    private mutating func agentStoppedSpeaking(into output: inout FrameOutput) {
        isAgentSpeaking = false
        trial = .none
        if rules.uninterruptible == .greeting { lock(false, into: &output) }
        // Whoever spoke over the end of the agent's turn has the floor now.
        if isCallerSpeaking { startTurn(into: &output) }
    }

    private mutating func confirm(at now: MediaTime, into output: inout FrameOutput) {
        trial = .none
        output.emitUpstream(.bargeIn(.confirmed))
        startTurn(into: &output)
        if !isCallerSpeaking { awaitEnd(at: now) }
    }

    private mutating func awaitEnd(at now: MediaTime) {
        turnEnd = now + (rules.end == .agent ? rules.maximumWait : rules.pause)
    }

    private mutating func startTurn(into output: inout FrameOutput) {
        guard !isTurnOpen else { return }
        isTurnOpen = true
        output.emit(.userTurnStarted)
    }

    private mutating func endTurn(_ cause: TurnEnd.Cause, into output: inout FrameOutput) {
        turnEnd = nil
        guard isTurnOpen else { return }
        isTurnOpen = false
        output.emit(.userTurnEnded(TurnEnd(cause, speechStoppedAt: speechStoppedAt)))
        // The agent let the caller speak first: what it says from now on is no greeting.
        if rules.uninterruptible == .greeting { lock(false, into: &output) }
    }

    private mutating func lock(_ isLocked: Bool, into output: inout FrameOutput) {
        guard self.isLocked != isLocked else { return }
        self.isLocked = isLocked
        output.emitUpstream(.interruptible(!isLocked))
    }
}
