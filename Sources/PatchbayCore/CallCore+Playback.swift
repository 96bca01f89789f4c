import NIOCore
import PatchbayAudio

/// The way of the agent's audio to the caller: paced, packetized, marked, entered in the ledger.
extension CallCore {
    /// Sends what is due: as much as keeps the carrier `lead` ahead of the playback clock.
    mutating func pump(at now: MediaTime, into output: inout CallOutput) {
        guard case .streaming = state, paused == nil else { return }
        let packetDuration = TimeSpan(nanoseconds: Int64(carrierFormat.packetMicroseconds) * 1000)
        let lead = max(limits.lead, packetDuration)
        guard announce(lead, packetDuration, at: now, into: &output),
            playInterlude(lead, packetDuration, at: now, into: &output)
        else { return }
        while case .streaming = state, paused == nil {
            if let point = agent.takePoint() {
                reach(point, at: now, into: &output)
                continue
            }
            guard mayRelease(packetDuration, within: lead, at: now) else { return }
            guard let audio = agent.takePacket(generation: ledger.generation) else { return }
            transcript.audioTaken(audio.duration)
            // Only what is too far ahead is left out: a packet that is awaited would be missed, and make a new gap.
            if ledger.debt > .zero, ledger.speechEnd - now > packetDuration, silenceSkipper.canSkip(audio) {
                ledger.repay(audio.duration)
                transcript.audioSkipped(audio.duration)
                counters.silenceSkipped = counters.silenceSkipped + audio.duration
                continue
            }
            releasedUntil = max(releasedUntil, now) + audio.duration
            if !isTurnOpen { startTurn(at: now, into: &output) }
            // The end of the turn before may have been reached after this one's sound came.
            isUtteranceOpen = true
            sendToCaller(.audio(audio), at: now, into: &output)
        }
    }

    /// Whether another packet keeps within the lead. Background that is ahead of the agent does not hold it back.
    func mayRelease(_ packetDuration: TimeSpan, within lead: TimeSpan, at now: MediaTime) -> Bool {
        let ahead = hasBackground ? ledger.speechEnd - now : ledger.unplayed(at: now)
        return max(ahead, releasedUntil - now) + packetDuration <= lead
    }

    private mutating func startTurn(at now: MediaTime, into output: inout CallOutput) {
        turnHeard(at: now, into: &output)
        isTurnOpen = true
        interlude.isTurn = false
        isTurnOfFormer = agent.isFormerSpeaking
        if !isTurnOfFormer { takeoverHeard(at: now) }
        ledger.startTurn()
        transcript.startTurn()
        sendToCaller(.agentTurnStarted(generation: ledger.generation), at: now, into: &output)
    }

    /// Playback has come to a point that the agent put between its audio.
    private mutating func reach(_ point: AgentAudioQueue.Point, at now: MediaTime, into output: inout CallOutput) {
        switch point {
        case .pause:
            endUtterance(at: now, into: &output)
        case .turnEnded:
            endUtterance(at: now, into: &output)
            isTurnEnding = isTurnEnding || isTurnOpen
            isTurnOpen = false
        case .interruptible(let isAllowed):
            interruptibility.allow(isAllowed, by: \.byAgent, after: ledger.end)
        case .hangup(let reason):
            endUtterance(at: now, into: &output)
            sendToCaller(.hangup(reason), at: now, into: &output)
        }
    }

    /// The turn is over without its agent's having said so, if nothing of it is left to be said. Not every vendor tells.
    mutating func endTurnIfSaid() {
        guard isTurnOpen, !isUtteranceOpen, agent.queue.isEmpty else { return }
        isTurnOpen = false
        isTurnEnding = true
        transcript.turnCame()
    }

    /// The call ends: a turn whose last word had been played by then was heard whole.
    mutating func closeTurn(at now: MediaTime, into output: inout CallOutput) {
        guard paused == nil, ledger.speechEnd <= now else { return }
        endTurnIfSaid()
        turnHeard(at: now, into: &output)
    }

    /// A turn that was sent to its end has been played to its end.
    mutating func turnHeard(at now: MediaTime, into output: inout CallOutput) {
        guard isTurnEnding else { return }
        isTurnEnding = false
        // The next turn may begin while the end of this one is still with the carrier: it will be heard.
        let heard = Heard(text: transcript.wordsTaken, duration: ledger.sentInTurn, isComplete: !isTurnOfFormer)
        counters.heard = heard
        conversation.append(.agent, heard.text)
        if !isTurnOfFormer { agent.receive(.heard(heard), at: now, into: &output.agent) }
        note(.turnHeard(heard), at: now)
    }

    /// Sends what is due of the announcement, which comes before everything else.
    ///
    /// - Returns: Whether all of it has been sent.
    private mutating func announce(
        _ lead: TimeSpan, _ packetDuration: TimeSpan, at now: MediaTime, into output: inout CallOutput
    ) -> Bool {
        guard isAnnouncing else { return true }
        let size = agent.joint.bytesPerPacket
        while size > 0, announcement.readableBytes > 0 {
            guard mayRelease(packetDuration, within: lead, at: now) else { return false }
            let chunk = announcement.readSlice(length: min(size, announcement.readableBytes)) ?? ByteBuffer()
            let audio = AudioFrame(chunk, format: agent.joint, generation: ledger.generation)
            releasedUntil = max(releasedUntil, now) + audio.duration
            sendToCaller(.audio(audio), at: now, into: &output)
            interruptibility.protectedEnd = ledger.end
        }
        sendToCaller(.utteranceEnded(generation: ledger.generation), at: now, into: &output)
        interruptibility.protectedEnd = ledger.end
        announcementEnd = ledger.end
        // Given back: it is played once.
        announcement = ByteBuffer()
        isAnnouncing = false
        return true
    }

    /// Gives out the tails of the utterance that has been taken from the queue.
    mutating func endUtterance(at now: MediaTime, into output: inout CallOutput) {
        guard isUtteranceOpen else { return }
        isUtteranceOpen = false
        if let tail = agent.flushTail(generation: ledger.generation) {
            sendToCaller(.audio(tail), at: now, into: &output)
        }
        sendToCaller(.utteranceEnded(generation: ledger.generation), at: now, into: &output)
    }

    /// Sends a frame through the agent's leg and what comes out to the carrier.
    mutating func sendToCaller(_ frame: Frame, at now: MediaTime, into output: inout CallOutput) {
        do {
            try toCaller.send(frame, at: now)
        } catch {
            finish(EndReason(.failure, error.description), at: now, into: &output)
            return
        }
        collectForCaller(at: now, into: &output)
    }

    /// Hands what left the agent's leg to the carrier.
    mutating func collectForCaller(at now: MediaTime, into output: inout CallOutput) {
        var frames = borrowScratch()
        toCaller.takeExits(into: &frames)
        for frame in frames { leave(frame, at: now, into: &output) }
        toCaller.takeReturns(into: &frames)
        for frame in frames { act(on: frame, at: now, into: &output) }
        giveBack(&frames)
    }

    /// Does what a frame at the end of the agent's leg stands for.
    mutating func leave(_ frame: Frame, at now: MediaTime, into output: inout CallOutput) {
        if paused != nil, PausedPlayback.holds(frame) {
            paused?.hold(frame)
            return
        }
        switch frame {
        case .audio(let audio):
            send(audio, at: now, into: &output)
        case .utteranceEnded:
            padLastPacket(at: now, into: &output)
            placeMark(into: &output)
            hasSentOfUtterance = false
            if !isOurVoice { note(.utteranceSent, at: now) }
        case .hangup(let reason):
            beginDraining(reason, at: now, into: &output)
        case .failure(let error):
            note(.stageFailed(error), at: now)
        default:
            break
        }
    }

    private mutating func send(_ audio: AudioFrame, at now: MediaTime, into output: inout CallOutput) {
        audio.payload.withUnsafeReadableBytes { packetizer.append($0) }
        while takePacket() { sendPacket(audio.isBackground ? .background : .speech, at: now, into: &output) }
        if ledger.sinceLastMark >= limits.markInterval { placeMark(into: &output) }
    }

    private mutating func takePacket() -> Bool {
        packet.clear()
        let size = carrierFormat.bytesPerPacket
        return packet.writeWithUnsafeMutableBytes(minimumWritableBytes: size) {
            packetizer.takePacket(into: UnsafeMutableRawBufferPointer(rebasing: $0.prefix(size))) ? size : 0
        } > 0
    }

    /// What a packet is to the books.
    enum PacketKind {
        case speech
        /// Speech that was sent before and thrown away unheard.
        case again
        case background
    }

    /// Hands ``packet`` to the carrier and enters it in the books.
    mutating func sendPacket(_ kind: PacketKind, at now: MediaTime, into output: inout CallOutput) {
        carrier.audio(packet, into: &output.carrier)
        history.append(packet)
        if !taps.isEmpty {
            let position = callerTrack.position(of: now + ledger.unplayed(at: now))
            for tap in taps { tap.agentAudio(packet, at: position) }
        }
        let duration = TimeSpan(nanoseconds: carrierFormat.nanoseconds(byteCount: packet.readableBytes))
        ledger.send(
            duration, at: now, isSpeech: kind != .background,
            continuesUtterance: kind == .speech && hasSentOfUtterance)
        counters.packetsSent += 1
        switch kind {
        case .background: hasBackground = true
        case .again: break
        case .speech where !hasSentOfUtterance && !isOurVoice:
            hasSentOfUtterance = true
            counters.agentAudible(at: now, agentMeters)
            note(.agentAudible(generation: ledger.generation), at: now)
        case .speech: break
        }
    }

    mutating func padLastPacket(at now: MediaTime, into output: inout CallOutput) {
        packetizer.flush(padding: carrierFormat.encoding.silenceByte)
        while takePacket() { sendPacket(.speech, at: now, into: &output) }
    }

    mutating func placeMark(into output: inout CallOutput) {
        carrier.mark(ledger.placeMark(), into: &output.carrier)
    }
}
