import NIOCore
import PatchbayAudio

/// The way of the agent's audio to the caller: paced, packetized, marked, entered in the ledger.
extension CallCore {
    /// Sends what is due: as much as keeps the carrier `lead` ahead of the playback clock.
    mutating func pump(at now: MediaTime, into output: inout CallOutput) {
        guard case .streaming = state else { return }
        let packetDuration = TimeSpan.milliseconds(Int64(carrierFormat.packetMilliseconds))
        let lead = max(limits.lead, packetDuration)
        while case .streaming = state {
            if let point = agent.queue.takePoint() {
                endUtterance(at: now, into: &output)
                if case .hangup(let reason) = point { sendToCaller(.hangup(reason), at: now, into: &output) }
                continue
            }
            guard max(ledger.unplayed(at: now), releasedUntil - now) + packetDuration <= lead,
                let audio = agent.takePacket(generation: ledger.generation)
            else { return }
            releasedUntil = max(releasedUntil, now) + audio.duration
            if !isTurnOpen {
                isTurnOpen = true
                ledger.startTurn()
                sendToCaller(.agentTurnStarted(generation: ledger.generation), at: now, into: &output)
            }
            sendToCaller(.audio(audio), at: now, into: &output)
        }
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
            case .callStarted, .callEnded, .interruption, .dtmf, .speechStarted, .speechStopped, .failure, .text,
                .agentTurnStarted, .custom:
                break
            }
        }
        toCaller.takeReturns(into: &frames)
        for case .interruption(let interruption) in frames { interruptAgent(interruption, at: now, into: &output) }
        giveBack(&frames)
    }

    /// A stage of ours cuts the agent's turn.
    mutating func interruptAgent(_ interruption: Interruption, at now: MediaTime, into output: inout CallOutput) {
        interrupt(cause: interruption.cause, at: now, into: &output)
        agent.receive(.interruption(interruption), at: now, into: &output.agent)
    }

    /// Cuts the agent's turn: what waits anywhere must not be heard.
    mutating func interrupt(cause: String, at now: MediaTime, into output: inout CallOutput) {
        guard case .streaming = state else {
            agent.interrupt()
            return
        }
        // The order matters: new generation, our own queue, the carrier's.
        let cutsSomething = isUtteranceOpen || !agent.queue.isEmpty || ledger.unplayed(at: now) > .zero
        let heard = ledger.interrupt(at: now)
        releasedUntil = now
        toCaller.generation = ledger.generation
        agent.interrupt()
        packetizer.reset()
        isUtteranceOpen = false
        hasSentOfUtterance = false
        isTurnOpen = false
        carrier.clear(into: &output.carrier)
        sendToCaller(.interruption(Interruption(generation: ledger.generation, cause: cause)), at: now, into: &output)
        // An agent may interrupt itself when all it said has been heard; nobody was cut off then.
        guard cutsSomething else { return }
        counters.interruptions += 1
        note(.interrupted(cause: cause, heard: heard), at: now)
    }

    private mutating func send(_ audio: AudioFrame, at now: MediaTime, into output: inout CallOutput) {
        audio.payload.withUnsafeReadableBytes { packetizer.append($0) }
        while takePacket() { sendPacket(at: now, into: &output) }
        if ledger.sinceLastMark >= limits.markInterval { placeMark(into: &output) }
    }

    private mutating func takePacket() -> Bool {
        packet.clear()
        let size = carrierFormat.bytesPerPacket
        return packet.writeWithUnsafeMutableBytes(minimumWritableBytes: size) {
            packetizer.takePacket(into: UnsafeMutableRawBufferPointer(rebasing: $0.prefix(size))) ? size : 0
        } > 0
    }

    private mutating func sendPacket(at now: MediaTime, into output: inout CallOutput) {
        carrier.audio(packet, into: &output.carrier)
        let duration = TimeSpan(nanoseconds: carrierFormat.nanoseconds(byteCount: packet.readableBytes))
        ledger.send(duration, at: now, continuesUtterance: hasSentOfUtterance)
        counters.packetsSent += 1
        if !hasSentOfUtterance {
            hasSentOfUtterance = true
            counters.agentAudible(at: now)
            note(.agentAudible(generation: ledger.generation), at: now)
        }
    }

    mutating func padLastPacket(at now: MediaTime, into output: inout CallOutput) {
        packetizer.flush(padding: carrierFormat.encoding.silenceByte)
        while takePacket() { sendPacket(at: now, into: &output) }
    }

    mutating func placeMark(into output: inout CallOutput) {
        carrier.mark(ledger.placeMark(), into: &output.carrier)
    }
}
