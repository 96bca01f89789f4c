import NIOCore
import PatchbayAudio

/// Whether the agent's audio may be cut now.
struct Interruptibility {
    /// By the agent's own word for this part of its audio.
    var byAgent = true
    /// By the word of a stage that takes turns.
    var byStage = true
    /// What must not be cut is played until then.
    var protectedUntil = MediaTime.zero

    func allows(at now: MediaTime) -> Bool { byAgent && byStage && now >= protectedUntil }
}

/// Playback that stopped because the caller may want to speak.
struct PausedPlayback {
    /// What the carrier threw away unheard, in its format.
    var unheard: ByteBuffer
    var since: MediaTime
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
            if isAllowed, !interruptibility.byStage {
                interruptibility.protectedUntil = max(interruptibility.protectedUntil, speechPlayedBy)
            }
            interruptibility.byStage = isAllowed
        case .recording(let command): recording(command, at: now)
        default: break
        }
    }

    /// Tells the recordings of this call to pause or to go on.
    public mutating func recording(_ command: RecordingCommand, at now: MediaTime) {
        guard !taps.isEmpty else { return }
        for tap in taps { tap.recording(command, at: callerTrack.position(of: now)) }
        note(.recording(command), at: now)
    }

    /// We cut the agent's turn, and tell it so.
    mutating func interruptAgent(_ cause: String, at now: MediaTime, into output: inout CallOutput) {
        guard let interruption = interrupt(cause: cause, at: now, into: &output) else { return }
        agent.receive(.interruption(interruption), at: now, into: &output.agent)
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
        guard interruptibility.allows(at: now) else {
            counters.interruptionsRefused += 1
            return nil
        }
        // The order matters: new generation, our own queue, the carrier's.
        let cutsSomething = isUtteranceOpen || !agent.queue.isEmpty || speechPlayedBy > now || paused != nil
        let duration = ledger.interrupt(at: now)
        let heard = Heard(text: transcript.words(in: duration), duration: duration, isComplete: false)
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
        speechPlayedBy = min(speechPlayedBy, now)
        packetizer.reset()
        silenceSkipper.reset()
        isUtteranceOpen = false
        hasSentOfUtterance = false
        isTurnOpen = false
        isTurnEnding = false
        paused = nil
    }

    /// The caller may want to speak: the agent falls silent, and nothing is lost yet.
    private mutating func pausePlayback(at now: MediaTime, into output: inout CallOutput) {
        guard case .streaming = state, paused == nil, isAgentSpeaking, interruptibility.allows(at: now) else { return }
        let unplayed = ledger.unplayed(at: now)
        let bytes = carrierFormat.byteCount(
            sampleFrames: Int(unplayed.nanoseconds * Int64(carrierFormat.sampleRate) / 1_000_000_000))
        let position = callerTrack.position(of: now)
        paused = PausedPlayback(unheard: history.last(bytes), since: now)
        ledger.pause(at: now)
        speechPlayedBy = min(speechPlayedBy, now)
        carrier.clear(into: &output.carrier)
        for tap in taps { tap.agentCut(at: position) }
        sendToCaller(.bargeIn(.started), at: now, into: &output)
        note(.playbackPaused(heard: ledger.heardInTurn(at: now)), at: now)
    }

    /// It was nothing: the agent goes on where the caller stopped hearing it.
    mutating func resumePlayback(at now: MediaTime, into output: inout CallOutput) {
        guard case .streaming = state, var unheard = paused?.unheard else { return }
        paused = nil
        counters.falseInterruptions += 1
        sendToCaller(.bargeIn(.dismissed), at: now, into: &output)
        note(.playbackResumed, at: now)
        ledger.resume(at: now)
        while unheard.readableBytes > 0 {
            let size = min(unheard.readableBytes, carrierFormat.bytesPerPacket)
            packet.clear()
            if var piece = unheard.readSlice(length: size) { packet.writeBuffer(&piece) }
            // A packet may have been cut in its middle.
            packet.writeRepeatingByte(carrierFormat.encoding.silenceByte, count: carrierFormat.bytesPerPacket - size)
            sendPacket(isSpeech: true, at: now, into: &output)
        }
        pump(at: now, into: &output)
    }
}
