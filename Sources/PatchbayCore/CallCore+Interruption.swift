import NIOCore
import PatchbayAudio

/// Whether the agent's audio may be cut now.
struct Interruptibility {
    /// By the agent's own word for this part of its audio.
    var byAgent = true
    /// By the word of a stage that takes turns.
    var byStage = true
    /// What must not be cut ends there, on the scale of the ledger's played audio.
    var protectedEnd = TimeSpan.zero

    func allows(played: TimeSpan) -> Bool { byAgent && byStage && played >= protectedEnd }

    /// One of the two takes its protection back, or gives it. What has been sent under protection, up to `end`, keeps it.
    mutating func allow(_ isAllowed: Bool, by word: WritableKeyPath<Self, Bool>, after end: TimeSpan) {
        if isAllowed, !self[keyPath: word] { protectedEnd = end }
        self[keyPath: word] = isAllowed
    }
}

/// Playback that stopped because the caller may want to speak.
struct PausedPlayback {
    /// Frames that a stage may give out while playback is paused; more are dropped.
    static let heldLimit = 500

    /// What the carrier threw away unheard, in its format.
    var unheard: ByteBuffer
    var since: MediaTime
    /// What left the agent's leg meanwhile, in order.
    var held: [Frame] = []

    /// Whether a frame has to wait for the decision. Background goes on.
    static func holds(_ frame: Frame) -> Bool {
        switch frame {
        case .audio(let audio): !audio.isBackground
        case .utteranceEnded, .hangup: true
        default: false
        }
    }

    mutating func hold(_ frame: Frame) { if held.count < Self.heldLimit { held.append(frame) } }
}

/// Cutting the agent's turn: at once, or on trial.
extension CallCore {
    /// Does what a stage asks the call for.
    mutating func act(on frame: Frame, at now: MediaTime, into output: inout CallOutput) {
        switch frame {
        case .interruption(let interruption): interruptAgent(interruption.cause, at: now, into: &output)
        case .bargeIn(.started): pausePlayback(at: now, into: &output)
        case .bargeIn(.confirmed): interruptAgent("the caller spoke", at: now, into: &output)
        case .bargeIn(.dismissed): resumePlayback(at: now, into: &output)
        case .interruptible(let isAllowed):
            interruptibility.allow(isAllowed, by: \.byStage, after: ledger.end)
        case .recording(let command): recording(command, at: now, into: &output)
        default: break
        }
    }

    /// Tells the recordings of this call to pause or to go on.
    ///
    /// Both legs hear of it too, so that whoever asks by a key knows what the state is.
    public mutating func recording(_ command: RecordingCommand, at now: MediaTime, into output: inout CallOutput) {
        guard !taps.isEmpty else { return }
        if case .ended = state { return }
        for tap in taps { tap.recording(command, at: callerTrack.position(of: now)) }
        note(.recording(command), at: now)
        sendToAgent(.recording(command), at: now, into: &output)
        sendToCaller(.recording(command), at: now, into: &output)
    }

    /// We cut the agent's turn, and tell it so.
    mutating func interruptAgent(_ cause: String, at now: MediaTime, into output: inout CallOutput) {
        let (isOfFormer, isOfAgent) = (isFormerHeard, !isOnlyOursHeard)
        guard let interruption = interrupt(cause: cause, at: now, into: &output) else { return }
        if isOfFormer {
            formerWasCut(interruption.heard, at: now, into: &output)
        } else if isOfAgent {
            // An agent that has said nothing yet, or has been heard to its end, has nothing to take back.
            agent.receive(.interruption(interruption), at: now, into: &output.agent)
        }
    }

    /// What is being played, or waits to be, are words of the agent before.
    var isFormerHeard: Bool { isTurnOfFormer && (isTurnOpen || isTurnEnding) || agent.isFormerSpeaking }

    /// The history that the agent was given held all that its predecessor had sent: the caller has heard less.
    mutating func formerWasCut(_ heard: Heard?, at now: MediaTime, into output: inout CallOutput) {
        let words = heard.map(\.text).flatMap { $0.isEmpty ? nil : $0 }.map { "only: \($0)" } ?? "nothing of it"
        agent.contextAdded(
            "The caller interrupted what was said last before you took over, and heard \(words)", at: now,
            into: &output.agent)
    }

    /// Cuts the agent's turn: what waits anywhere must not be heard.
    ///
    /// - Returns: What was cut; `nil` when nothing may be cut now.
    @discardableResult
    mutating func interrupt(cause: String, at now: MediaTime, into output: inout CallOutput) -> Interruption? {
        guard case .streaming = state else {
            agent.interrupt()
            transcript.reset()
            return nil
        }
        guard interruptibility.allows(played: ledger.played(at: now)) else {
            counters.interruptionsRefused += 1
            return nil
        }
        // The order matters: new generation, our own queue, the carrier's.
        let cutsSomething = isUtteranceOpen || !agent.isSilent || ledger.speechEnd > now || paused != nil
        // What we say ourselves is nobody's turn.
        let duration = interlude.isTurn ? .zero : ledger.heardInTurn(at: now)
        _ = ledger.interrupt(at: now)
        let text = interlude.isTurn ? "" : transcript.words(in: duration)
        let heard = Heard(text: text, duration: duration, isComplete: false)
        conversation.append(.agent, isTurnOpen || isTurnEnding ? text : "")
        forgetTurn(at: now)
        toCaller.generation = ledger.generation
        agent.interrupt()
        transcript.reset()
        carrier.clear(into: &output.carrier)
        for tap in taps { tap.agentCut(at: callerTrack.position(of: now)) }
        let interruption = Interruption(generation: ledger.generation, cause: cause, heard: heard)
        sendToCaller(.interruption(interruption), at: now, into: &output)
        // An agent may interrupt itself when all it said has been heard; nobody was cut off then.
        guard cutsSomething else { return interruption }
        counters.interruptions += 1
        counters.carrierCleared(at: now, meters)
        counters.heard = heard
        note(.interrupted(cause: cause, heard: heard), at: now)
        return interruption
    }

    /// What has been heard so far of the turn that is played; `nil` while the agent is silent.
    func heardNow(at now: MediaTime) -> Heard? {
        guard isTurnOpen || isTurnEnding else { return nil }
        let duration = ledger.heardInTurn(at: now)
        return Heard(text: transcript.words(in: duration), duration: duration, isComplete: false)
    }

    private mutating func forgetTurn(at now: MediaTime) {
        releasedUntil = now
        packetizer.reset()
        silenceSkipper.reset()
        isUtteranceOpen = false
        hasSentOfUtterance = false
        isTurnOpen = false
        isTurnEnding = false
        isTurnOfFormer = false
        interlude.cut(at: now)
        paused = nil
    }

    /// The caller may want to speak: the agent falls silent, and nothing is lost yet.
    private mutating func pausePlayback(at now: MediaTime, into output: inout CallOutput) {
        guard case .streaming = state, paused == nil, isAgentSpeaking,
            interruptibility.allows(played: ledger.played(at: now))
        else { return }
        let unheard = byteCount(of: ledger.speechEnd - now)
        // Background behind the last word is not worth keeping.
        var kept = history.last(byteCount(of: ledger.unplayed(at: now)))
        kept = kept.readSlice(length: min(unheard, kept.readableBytes)) ?? ByteBuffer()
        paused = PausedPlayback(unheard: kept, since: now)
        ledger.pause(at: now)
        carrier.clear(into: &output.carrier)
        counters.carrierCleared(at: now, meters)
        for tap in taps { tap.agentCut(at: callerTrack.position(of: now)) }
        sendToCaller(.bargeIn(.started), at: now, into: &output)
        note(.playbackPaused(heard: ledger.heardInTurn(at: now)), at: now)
    }

    /// It was nothing: the agent goes on where the caller stopped hearing it.
    mutating func resumePlayback(at now: MediaTime, into output: inout CallOutput) {
        guard case .streaming = state, let paused else { return }
        self.paused = nil
        counters.falseInterruptions += 1
        sendToCaller(.bargeIn(.dismissed), at: now, into: &output)
        note(.playbackResumed, at: now)
        ledger.resume(at: now)
        resend(paused.unheard, at: now, into: &output)
        for frame in paused.held { leave(frame, at: now, into: &output) }
        pump(at: now, into: &output)
    }

    private mutating func resend(_ unheard: ByteBuffer, at now: MediaTime, into output: inout CallOutput) {
        var unheard = unheard
        let size = carrierFormat.bytesPerPacket
        // A packet may have been cut in its middle. Silence goes in front of the rest, where there is silence already.
        var missing = (size - unheard.readableBytes % size) % size
        while unheard.readableBytes > 0 {
            packet.clear()
            packet.writeRepeatingByte(carrierFormat.encoding.silenceByte, count: missing)
            if var piece = unheard.readSlice(length: size - missing) { packet.writeBuffer(&piece) }
            missing = 0
            sendPacket(.again, at: now, into: &output)
        }
    }

    private func byteCount(of span: TimeSpan) -> Int {
        let nanoseconds = max(0, span.nanoseconds)
        return carrierFormat.byteCount(sampleFrames: Int(nanoseconds * Int64(carrierFormat.sampleRate) / 1_000_000_000))
    }
}
