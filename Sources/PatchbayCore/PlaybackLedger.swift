import DequeModule

/// The account of what the caller has really heard.
///
/// Positions are lengths of audio since the stream began. The carrier's marks confirm positions; between marks the ledger
/// interpolates with the rule that a carrier plays at real-time speed and never skips. What an interruption threw away counts as
/// discarded, so ``sent`` is always ``played(at:)`` plus what still waits plus ``discarded``.
public struct PlaybackLedger: Sendable {
    /// Marks that may be outstanding; older ones are forgotten first. Ten minutes at four a second.
    public static let maximumPendingMarks = 2400
    /// A mark's way back takes time too; only what exceeds this is taken for a stall of the carrier.
    public static let markTolerance = TimeSpan.milliseconds(500)

    /// An under-run of this length leaves a delay that is made up for.
    public static let stall = TimeSpan.milliseconds(60)

    /// Audio handed to the carrier.
    public private(set) var sent = TimeSpan.zero
    /// Audio that the carrier threw away before it was heard.
    public private(set) var discarded = TimeSpan.zero
    /// Highest position that a mark has confirmed.
    public private(set) var confirmed = TimeSpan.zero
    /// Counts the times that audio was thrown away; marks from before the last time prove nothing. An interruption begins a new
    /// turn of the agent with it.
    public private(set) var generation: UInt32 = 0
    /// Times the carrier ran dry in the middle of an utterance.
    public private(set) var underruns = 0
    /// Silence that stalls have put into the agent's speech and that no pause has made up for yet.
    public private(set) var debt = TimeSpan.zero

    /// When the last of the agent's own speech will have been played; background may go on after it.
    public private(set) var speechEnd = MediaTime.zero

    /// When the carrier will have played everything sent so far.
    private var bufferEnd = MediaTime.zero
    /// Speech handed to the carrier, less what was thrown away.
    private var speechSent = TimeSpan.zero
    /// ``speechSent`` where the turn begins.
    private var turnStart = TimeSpan.zero
    /// The last that was sent, as runs of speech and of background; more than the carrier can hold.
    private var runs: Deque<(isSpeech: Bool, duration: TimeSpan)> = []
    private static let maximumRuns = 64
    private var pending: Deque<PlaybackMark> = []
    private var lastMark = TimeSpan.zero

    public init() {}

    /// Enters audio that has just been handed to the carrier. O(1).
    ///
    /// - Parameters:
    ///   - isSpeech: Whether it is the agent's; background is played and is nobody's turn.
    ///   - continuesUtterance: Whether the utterance was already running, so that what lies between was a gap.
    public mutating func send(
        _ duration: TimeSpan, at now: MediaTime, isSpeech: Bool = true, continuesUtterance: Bool
    ) {
        bufferEnd = max(bufferEnd, now)
        if isSpeech {
            let gap = bufferEnd - speechEnd
            if continuesUtterance, gap > .zero, speechSent > .zero {
                underruns += 1
                // What jitter does to a carrier's buffer is not worth a pause of speech.
                if gap >= Self.stall { debt = debt + gap }
            }
            speechSent = speechSent + duration
            speechEnd = bufferEnd + duration
        }
        bufferEnd = bufferEnd + duration
        sent = sent + duration
        if let last = runs.indices.last, runs[last].isSpeech == isSpeech {
            runs[last].duration = runs[last].duration + duration
        } else {
            if runs.count == Self.maximumRuns { runs.removeFirst() }
            runs.append((isSpeech, duration))
        }
    }

    /// Silence of the agent's was left out instead of sent, or there is no delay left to make up for.
    public mutating func repay(_ duration: TimeSpan) { debt = max(.zero, debt - duration) }

    /// Audio that the carrier holds and has not played yet.
    public func unplayed(at now: MediaTime) -> TimeSpan { max(.zero, bufferEnd - now) }

    /// Audio that the caller has heard.
    public func played(at now: MediaTime) -> TimeSpan { max(confirmed, sent - discarded - unplayed(at: now)) }

    /// What the caller has heard of the current turn.
    public func heardInTurn(at now: MediaTime) -> TimeSpan {
        max(.zero, speechSent - unplayedSpeech(at: now) - turnStart)
    }

    /// What has been sent of the current turn, heard or not.
    public var sentInTurn: TimeSpan { max(.zero, speechSent - turnStart) }

    /// Position behind everything sent so far, on the scale of ``played(at:)``.
    public var end: TimeSpan { sent - discarded }

    /// The speech in what the carrier holds.
    private func unplayedSpeech(at now: MediaTime) -> TimeSpan {
        var rest = unplayed(at: now), speech = TimeSpan.zero
        for run in runs.reversed() where rest > .zero {
            let part = min(run.duration, rest)
            if run.isSpeech { speech = speech + part }
            rest = rest - part
        }
        return speech
    }

    /// Audio sent since the last mark.
    public var sinceLastMark: TimeSpan { sent - lastMark }

    /// Marks that the carrier has not confirmed.
    public var pendingMarkCount: Int { pending.count }

    /// Begins a turn: what is sent from here on belongs to it.
    public mutating func startTurn() { turnStart = speechSent }

    /// Places a mark after everything sent so far.
    public mutating func placeMark() -> PlaybackMark {
        let mark = PlaybackMark(generation: generation, offsetMilliseconds: (sent - discarded).milliseconds)
        if pending.count == Self.maximumPendingMarks { pending.removeFirst() }
        pending.append(mark)
        lastMark = sent
        return mark
    }

    /// The carrier reports a mark.
    ///
    /// Carriers echo marks at once when a clear threw their audio away; such marks carry an old generation and prove nothing.
    /// A mark that comes much later than the clock expected it shows that the carrier stood still; the account follows it.
    /// - Returns: Whether the mark was expected.
    public mutating func confirm(_ mark: PlaybackMark, at now: MediaTime) -> Bool {
        guard let index = pending.firstIndex(of: mark) else { return false }
        pending.removeSubrange(...index)
        if mark.generation == generation {
            let offset = TimeSpan.milliseconds(mark.offsetMilliseconds)
            confirmed = max(confirmed, offset)
            let end = now + (sent - discarded - offset)
            if end - bufferEnd > Self.markTolerance {
                speechEnd = speechEnd + (end - bufferEnd)
                bufferEnd = end
            }
        }
        return true
    }

    /// Everything unplayed has been thrown away; a new turn begins.
    ///
    /// - Returns: How much of the cut turn the caller has heard.
    public mutating func interrupt(at now: MediaTime) -> TimeSpan {
        let heard = heardInTurn(at: now)
        pause(at: now)
        debt = .zero
        startTurn()
        return heard
    }

    /// The turn goes on; the silence since it was paused was meant and is no under-run.
    public mutating func resume(at now: MediaTime) {
        bufferEnd = max(bufferEnd, now)
        speechEnd = bufferEnd
    }

    /// Everything unplayed has been thrown away; the turn may go on later. Marks from before prove nothing any more.
    public mutating func pause(at now: MediaTime) {
        speechSent = speechSent - unplayedSpeech(at: now)
        var rest = unplayed(at: now)
        while rest > .zero, let last = runs.indices.last {
            let part = min(runs[last].duration, rest)
            runs[last].duration = runs[last].duration - part
            rest = rest - part
            if runs[last].duration == .zero { runs.removeLast() }
        }
        discarded = sent - played(at: now)
        bufferEnd = min(bufferEnd, now)
        speechEnd = min(speechEnd, now)
        generation &+= 1
    }
}
