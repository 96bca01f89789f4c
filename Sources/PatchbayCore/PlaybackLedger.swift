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

    /// When the carrier will have played everything sent so far.
    private var bufferEnd = MediaTime.zero
    private var turnStart = TimeSpan.zero
    private var pending: Deque<PlaybackMark> = []
    private var lastMark = TimeSpan.zero

    public init() {}

    /// Enters audio that has just been handed to the carrier. O(1).
    ///
    /// - Parameter continuesUtterance: Whether the utterance was already running, so that silence before it was a gap.
    public mutating func send(_ duration: TimeSpan, at now: MediaTime, continuesUtterance: Bool) {
        if bufferEnd < now {
            if continuesUtterance && sent > .zero {
                underruns += 1
                // What jitter does to a carrier's buffer is not worth a pause of speech.
                if now - bufferEnd >= Self.stall { debt = debt + (now - bufferEnd) }
            }
            bufferEnd = now
        }
        bufferEnd = bufferEnd + duration
        sent = sent + duration
    }

    /// Silence of the agent's was left out instead of sent, or there is no delay left to make up for.
    public mutating func repay(_ duration: TimeSpan) { debt = max(.zero, debt - duration) }

    /// When the carrier will have played everything sent so far; in the past when it has run dry.
    public var playedBy: MediaTime { bufferEnd }

    /// Audio that the carrier holds and has not played yet.
    public func unplayed(at now: MediaTime) -> TimeSpan { max(.zero, bufferEnd - now) }

    /// Audio that the caller has heard.
    public func played(at now: MediaTime) -> TimeSpan { max(confirmed, sent - discarded - unplayed(at: now)) }

    /// What the caller has heard of the current turn.
    public func heardInTurn(at now: MediaTime) -> TimeSpan { max(.zero, played(at: now) - turnStart) }

    /// Audio sent since the last mark.
    public var sinceLastMark: TimeSpan { sent - lastMark }

    /// Marks that the carrier has not confirmed.
    public var pendingMarkCount: Int { pending.count }

    /// Begins a turn: what is sent from here on belongs to it.
    public mutating func startTurn() { turnStart = sent - discarded }

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
            if end - bufferEnd > Self.markTolerance { bufferEnd = end }
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
    public mutating func resume(at now: MediaTime) { bufferEnd = max(bufferEnd, now) }

    /// Everything unplayed has been thrown away; the turn may go on later. Marks from before prove nothing any more.
    public mutating func pause(at now: MediaTime) {
        discarded = sent - played(at: now)
        bufferEnd = min(bufferEnd, now)
        generation &+= 1
    }
}
