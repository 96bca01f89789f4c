public import NIOCore
import PatchbayAudio

/// The carrier's side of a call: its messages, the caller's audio, its goodbye.
extension CallCore {
    /// A message of the carrier has come.
    public mutating func carrierReceived(_ message: ByteBuffer, at now: MediaTime, into output: inout CallOutput) {
        if case .ended = state { return }
        lastCarrierMessage = now
        let event: CarrierEvent
        do {
            event = try carrier.deserialize(message)
        } catch {
            carrierFault("\(error)", at: now, into: &output)
            return
        }
        switch event {
        case .audio(let payload, let position):
            callerAudio(payload, position, at: now, into: &output)
        case .mark(let mark):
            if let mark { confirm(mark, at: now, into: &output) }
        case .dtmf(let digit):
            sendToAgent(.dtmf(digit), at: now, into: &output)
        case .started(let start, let format):
            started(start, format, at: now, into: &output)
        case .stopped:
            callerLeft(at: now, into: &output)
        case .ignored:
            break
        }
    }

    /// The carrier's socket is gone, with or without a word.
    public mutating func carrierClosed(at now: MediaTime, into output: inout CallOutput) {
        carrierEnded(EndReason(.streamLost, "the carrier's socket closed without a stop"), at: now, into: &output)
    }

    /// The carrier says by other means that the caller is gone.
    public mutating func callerLeft(at now: MediaTime, into output: inout CallOutput) {
        carrierEnded(EndReason(.callerHungUp), at: now, into: &output)
    }

    private mutating func started(
        _ start: CallStart, _ format: AudioFormat, at now: MediaTime, into output: inout CallOutput
    ) {
        guard case .ringing = state else {
            carrierFault("a second start on one stream", at: now, into: &output)
            return
        }
        guard format.encoding == carrierFormat.encoding, format.sampleRate == carrierFormat.sampleRate,
            format.channelCount == carrierFormat.channelCount
        else {
            let message = "the carrier's stream is \(format), the pipeline was built for \(carrierFormat)"
            finish(EndReason(.failure, message), at: now, into: &output)
            return
        }
        state = .streaming
        callStart = start
        counters.streamStartedAt = now
        callerTrack = CallerTrack(start: now, limit: limits.callerLateness)
        note(.streamStarted(start), at: now)
        sendToAgent(.callStarted(start), at: now, into: &output)
        sendToCaller(.callStarted(start), at: now, into: &output)
        if link == 0 { connectAnswered(at: now, into: &output) }
        pump(at: now, into: &output)
    }

    private mutating func carrierEnded(_ reason: EndReason, at now: MediaTime, into output: inout CallOutput) {
        // Who leaves during the last words before a transfer is not transferred.
        if case .draining(let planned, _) = state, planned.kind != .transferred || reason.kind != .callerHungUp {
            finish(planned, at: now, into: &output)
        } else {
            finish(reason, at: now, into: &output)
        }
    }

    private mutating func carrierFault(_ message: String, at now: MediaTime, into output: inout CallOutput) {
        counters.carrierFaults += 1
        note(.fault(peer: "carrier", message: message), at: now)
        if counters.carrierFaults >= limits.carrierFaults {
            finish(
                EndReason(.failure, "the carrier sent \(counters.carrierFaults) unusable messages"), at: now,
                into: &output)
        }
    }

    private mutating func confirm(_ mark: PlaybackMark, at now: MediaTime, into output: inout CallOutput) {
        guard ledger.confirm(mark, at: now) else { return }
        if case .draining(let reason, _) = state, mark == finalMark { finish(reason, at: now, into: &output) }
    }

    /// Puts a packet of the caller where it belongs: fills a hole before it, hands it to whoever listens.
    private mutating func callerAudio(
        _ payload: ByteBuffer, _ position: CarrierPosition, at now: MediaTime, into output: inout CallOutput
    ) {
        counters.count(packet: position)
        let duration = TimeSpan(nanoseconds: carrierFormat.nanoseconds(byteCount: payload.readableBytes))
        let place = callerTrack.place(position.timestampMilliseconds, lasting: duration, at: now)
        for tap in taps { tap.callerAudio(payload, at: place.position) }
        guard place.lateness <= limits.callerLateness else {
            counters.lateDropped = counters.lateDropped + duration
            return
        }
        var payload = payload
        if place.gap > .zero { conceal(place.gap, before: &payload, lasting: duration, at: now, into: &output) }
        payload.withUnsafeReadableBytes { concealer.remember($0) }
        sendToAgent(
            .audio(AudioFrame(payload, format: carrierFormat, generation: ledger.generation)), at: now, into: &output)
    }

    /// Fills a hole in the caller's audio, so that it does not click and whoever counts samples still tells the time.
    private mutating func conceal(
        _ gap: TimeSpan, before payload: inout ByteBuffer, lasting duration: TimeSpan, at now: MediaTime,
        into output: inout CallOutput
    ) {
        counters.gaps += 1
        guard duration > .zero else { return }
        let size = payload.readableBytes
        for _ in 0..<min(gap, limits.concealment).nanoseconds / duration.nanoseconds {
            var filling = ByteBuffer()
            filling.writeWithUnsafeMutableBytes(minimumWritableBytes: size) {
                concealer.conceal(into: UnsafeMutableRawBufferPointer(rebasing: $0.prefix(size)))
                return size
            }
            counters.concealed = counters.concealed + duration
            sendToAgent(
                .audio(AudioFrame(filling, format: carrierFormat, generation: ledger.generation)), at: now,
                into: &output)
        }
        payload.withUnsafeMutableReadableBytes { concealer.fadeIn($0) }
    }
}
