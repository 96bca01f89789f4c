import NIOCore
import PatchbayAudio

/// Words of our own between the agents': paced, pausable and cut like theirs, and in nobody's transcript.
///
/// What bridges the change from one agent to the next has to suit an ear that waits:
/// - What the failed agent had sent is played to its end first; often the next one is ready by then and nothing is noticed.
/// - Then the bridge is heard, unless the next agent is ready within 300 ms of the failure. It is not repeated within six
///   seconds, however many agents fail.
/// - An agent that is ready and owes the caller words, but says nothing for two seconds after the failure, is bridged too, up
///   to three times.
/// - When the next agent speaks, a bridge that is nearly over is heard to its end, and a long one (music) stops.
/// - A caller who speaks cuts it or pauses it, as the pipeline has it for the agent.
struct Interlude {
    /// What has not been sent, in the format of the agent's joint.
    var audio = ByteBuffer()
    var isPlaying = false
    /// It was the last that was heard: no turn of an agent has begun since.
    var isTurn = false
    /// When the last one will have been heard to its end.
    var end: MediaTime?

    mutating func cut(at now: MediaTime) {
        if isPlaying { end = now }
        audio = ByteBuffer()
        isPlaying = false
        isTurn = false
    }
}

/// An agent failed in mid-call, and the next one has not been heard.
struct AgentTakeover {
    var failedAt: MediaTime
    /// The caller waits for words, because a sentence was cut off or a question has no answer.
    var isAnswerAwaited: Bool
    /// How often the silence since has been bridged.
    var bridges = 0
}

extension CallCore {
    /// An agent that is ready by then needs no bridge.
    static let bridgePatience = TimeSpan.milliseconds(300)
    /// An agent that owes words and says none for this long after the failure is bridged.
    static let answerPatience = TimeSpan.seconds(2)
    /// Bridges after which an agent that is ready and owes words is bridged no more.
    static let bridgesOfReady = 3
    /// From the end of one bridge to the next.
    static let bridgeRest = TimeSpan.seconds(6)
    /// What is left of a bridge when the agent speaks is heard to its end, if it is no longer than this.
    static let bridgeRemainder = TimeSpan.milliseconds(1500)

    /// Sound of ours is being sent: no agent can be heard for the first time by it.
    var isOurVoice: Bool { isAnnouncing || interlude.isPlaying }

    /// The last that was heard are words of ours, and nothing of the agent's waits: an interruption cuts nothing of its own, and
    /// what was heard of the agent it knows.
    var isOnlyOursHeard: Bool { interlude.isTurn && agent.isSilent }

    /// Plays words of our own as soon as everything that waits before them has been sent.
    ///
    /// - Parameter audio: In the format of the agent's joint.
    mutating func startInterlude(_ audio: ByteBuffer, at now: MediaTime, into output: inout CallOutput) {
        guard audio.readableBytes > 0, !interlude.isPlaying else { return }
        isTurnEnding = isTurnEnding || isTurnOpen
        isTurnOpen = false
        turnHeard(at: now, into: &output)
        ledger.startTurn()
        transcript.startTurn()
        interlude = Interlude(audio: audio, isPlaying: true, isTurn: true, end: interlude.end)
        pump(at: now, into: &output)
    }

    /// Sends what is due of our own words, before what waits of the agent's.
    ///
    /// - Returns: Whether the agent may be heard.
    mutating func playInterlude(
        _ lead: TimeSpan, _ packetDuration: TimeSpan, at now: MediaTime, into output: inout CallOutput
    ) -> Bool {
        guard interlude.isPlaying else { return true }
        let size = agent.joint.bytesPerPacket
        let rest = TimeSpan(nanoseconds: agent.joint.nanoseconds(byteCount: interlude.audio.readableBytes))
        if agent.waitingBytes > 0, rest > Self.bridgeRemainder { interlude.audio.clear() }
        while size > 0, interlude.audio.readableBytes > 0 {
            guard mayRelease(packetDuration, within: lead, at: now) else { return false }
            let chunk = interlude.audio.readSlice(length: min(size, interlude.audio.readableBytes)) ?? ByteBuffer()
            let audio = AudioFrame(chunk, format: agent.joint, generation: ledger.generation)
            releasedUntil = max(releasedUntil, now) + audio.duration
            sendToCaller(.audio(audio), at: now, into: &output)
            // A stage may have cut it.
            guard interlude.isPlaying else { return true }
        }
        sendToCaller(.utteranceEnded(generation: ledger.generation), at: now, into: &output)
        interlude.audio = ByteBuffer()
        interlude.isPlaying = false
        interlude.end = max(now, ledger.speechEnd)
        return true
    }

    /// Bridges the silence after a failure when it is time to. Called every packet duration.
    mutating func bridgeIfDue(at now: MediaTime, into output: inout CallOutput) {
        guard let takeover, case .streaming = state, paused == nil, !isOurVoice, agent.isSilent,
            ledger.speechEnd <= now
        else { return }
        // An agent that is ready and stays silent all the same does so on purpose.
        guard !agent.isReady || takeover.bridges < Self.bridgesOfReady else { return }
        let patience = agent.isReady ? Self.answerPatience : Self.bridgePatience
        guard now - takeover.failedAt >= patience, mayBridge(at: now) else { return }
        playBridge(at: now, into: &output)
    }

    func mayBridge(at now: MediaTime) -> Bool {
        bridge.readableBytes > 0 && interlude.end.map { now - $0 >= Self.bridgeRest } ?? true
    }

    mutating func playBridge(at now: MediaTime, into output: inout CallOutput) {
        note(.bridged(after: silenceEnds(at: now)), at: now)
        takeover?.bridges += 1
        startInterlude(bridge, at: now, into: &output)
    }

    /// The caller hears something again.
    ///
    /// - Returns: For how long nothing was.
    @discardableResult
    private mutating func silenceEnds(at now: MediaTime) -> TimeSpan {
        guard let takeover else { return .zero }
        let silence = max(.zero, now - max(takeover.failedAt, ledger.speechEnd))
        counters.longestAgentSilence = max(counters.longestAgentSilence, silence)
        return silence
    }

    /// The caller speaks: whoever is ready now is spoken to, and the silence is nobody's fault.
    mutating func callerSpoke() {
        if agent.isReady { takeover = nil }
    }

    /// The agent that took over begins its first turn.
    mutating func takeoverHeard(at now: MediaTime) {
        guard takeover != nil else { return }
        let silence = silenceEnds(at: now)
        counters.agentTakeovers += 1
        note(.agentTookOver(backend: backend, after: silence), at: now)
        takeover = nil
    }
}
