import NIOCore
import PatchbayAudio

/// The way of the agent's audio to the caller: paced, packetized, marked, entered in the ledger.
extension CallCore {
    /// Sends what is due: as much as keeps the carrier `lead` ahead of the playback clock.
    mutating func pump(at now: MediaTime, into output: inout CallOutput) {
        guard case .streaming = state, paused == nil else { return }
        let packetDuration = TimeSpan(nanoseconds: Int64(carrierFormat.packetMicroseconds) * 1000)
        let lead = max(limits.lead, packetDuration)
        guard announce(lead, packetDuration, at: now, into: &output) else { return }
        while case .streaming = state, paused == nil {
            if let point = agent.queue.takePoint() {
                reach(point, at: now, into: &output)
                continue
            }
            let ahead = hasBackground ? speechPlayedBy - now : ledger.unplayed(at: now)
            guard max(ahead, releasedUntil - now) + packetDuration <= lead else { return }
            guard let audio = agent.takePacket(generation: ledger.generation) else { return }
            transcript.audioTaken(audio.duration)
            // Only what is too far ahead is left out: a packet that is awaited would be missed, and make a new gap.
            if ledger.debt > .zero, ledger.unplayed(at: now) > packetDuration,
                silenceSkipper.canSkip(audio)
            {
                ledger.repay(audio.duration)
                counters.silenceSkipped = counters.silenceSkipped + audio.duration
                continue
            }
            releasedUntil = max(releasedUntil, now) + audio.duration
            if !isTurnOpen { startTurn(at: now, into: &output) }
            sendToCaller(.audio(audio), at: now, into: &output)
        }
    }

    private mutating func startTurn(at now: MediaTime, into output: inout CallOutput) {
        turnHeard(at: now, into: &output)
        isTurnOpen = true
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
            if isAllowed { interruptibility.protectedUntil = max(interruptibility.protectedUntil, speechPlayedBy) }
            interruptibility.byAgent = isAllowed
        case .hangup(let reason):
            endUtterance(at: now, into: &output)
            sendToCaller(.hangup(reason), at: now, into: &output)
        }
    }

    /// A turn that was sent to its end has been played to its end.
    mutating func turnHeard(at now: MediaTime, into output: inout CallOutput) {
        guard isTurnEnding else { return }
        isTurnEnding = false
        let duration = ledger.heardInTurn(at: now)
        let heard = Heard(text: transcript.words(in: duration), duration: duration, isComplete: true)
        counters.heard = heard
        agent.receive(.heard(heard), at: now, into: &output.agent)
        note(.turnHeard(heard), at: now)
    }

    /// Sends what is due of the announcement, which comes before everything else.
    ///
    /// - Returns: Whether all of it has been sent.
    private mutating func announce(
        _ lead: TimeSpan, _ packetDuration: TimeSpan, at now: MediaTime, into output: inout CallOutput
    ) -> Bool {
        while announcement.readableBytes > 0 {
            guard ledger.unplayed(at: now) + packetDuration <= lead else { return false }
            packet.clear()
            let size = min(announcement.readableBytes, carrierFormat.bytesPerPacket)
            if var piece = announcement.readSlice(length: size) { packet.writeBuffer(&piece) }
            packet.writeRepeatingByte(carrierFormat.encoding.silenceByte, count: carrierFormat.bytesPerPacket - size)
            sendPacket(isSpeech: true, at: now, into: &output)
            interruptibility.protectedUntil = ledger.playedBy
            guard announcement.readableBytes == 0 else { continue }
            // Given back: it is played once.
            announcement = ByteBuffer()
            hasSentOfUtterance = false
        }
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
        for frame in frames {
            switch frame {
            case .audio(let audio):
                send(audio, at: now, into: &output)
            case .utteranceEnded:
                padLastPacket(at: now, into: &output)
                placeMark(into: &output)
                hasSentOfUtterance = false
                note(.utteranceSent, at: now)
            case .hangup(let reason):
                beginDraining(reason, at: now, into: &output)
            default:
                break
            }
        }
        toCaller.takeReturns(into: &frames)
        for frame in frames { act(on: frame, at: now, into: &output) }
        giveBack(&frames)
    }

    private mutating func send(_ audio: AudioFrame, at now: MediaTime, into output: inout CallOutput) {
        audio.payload.withUnsafeReadableBytes { packetizer.append($0) }
        while takePacket() { sendPacket(isSpeech: !audio.isBackground, at: now, into: &output) }
        if ledger.sinceLastMark >= limits.markInterval { placeMark(into: &output) }
    }

    private mutating func takePacket() -> Bool {
        packet.clear()
        let size = carrierFormat.bytesPerPacket
        return packet.writeWithUnsafeMutableBytes(minimumWritableBytes: size) {
            packetizer.takePacket(into: UnsafeMutableRawBufferPointer(rebasing: $0.prefix(size))) ? size : 0
        } > 0
    }

    /// Hands ``packet`` to the carrier and enters it in the books.
    mutating func sendPacket(isSpeech: Bool, at now: MediaTime, into output: inout CallOutput) {
        carrier.audio(packet, into: &output.carrier)
        history.append(packet)
        if !taps.isEmpty {
            let position = callerTrack.position(of: max(now, ledger.playedBy))
            for tap in taps { tap.agentAudio(packet, at: position) }
        }
        let duration = TimeSpan(nanoseconds: carrierFormat.nanoseconds(byteCount: packet.readableBytes))
        ledger.send(duration, at: now, continuesUtterance: isSpeech && hasSentOfUtterance)
        counters.packetsSent += 1
        guard isSpeech else {
            hasBackground = true
            return
        }
        speechPlayedBy = ledger.playedBy
        if !hasSentOfUtterance {
            hasSentOfUtterance = true
            counters.agentAudible(at: now)
            note(.agentAudible(generation: ledger.generation), at: now)
        }
    }

    mutating func padLastPacket(at now: MediaTime, into output: inout CallOutput) {
        packetizer.flush(padding: carrierFormat.encoding.silenceByte)
        while takePacket() { sendPacket(isSpeech: true, at: now, into: &output) }
    }

    mutating func placeMark(into output: inout CallOutput) {
        carrier.mark(ledger.placeMark(), into: &output.carrier)
    }
}
