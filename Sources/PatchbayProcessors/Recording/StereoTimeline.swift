public import PatchbayCore

/// Puts what was heard on both sides of a call on one line of time: caller left, agent right, aligned to the sample.
///
/// Positions count from the start of the carrier's stream. Runs that follow each other abut exactly: small jitter of their
/// positions makes neither gaps nor overlaps, a hole becomes silence of its true length, what overlaps is trimmed. Agent
/// audio lies ahead of its playback and can still be cut, so samples become final only ``horizon`` behind the newest
/// position; then they are given out once and never change.
///
/// A value without clock or I/O. Memory is bounded by the horizon, apart from a hole that has just been filled.
public struct StereoTimeline: Sendable {
    /// Samples per second and channel, in Hz.
    public let sampleRate: Int
    /// How far behind the newest position samples become final. More than the longest lead of playback (450 ms).
    public let horizon: TimeSpan
    /// Sample frames that the recording may have.
    public let maximumFrames: Int

    private var caller: RecordingTrack
    private var agent: RecordingTrack
    private var newest = 0
    private var final = 0
    /// Where the recording ends, once that is known.
    private var length: Int?
    private var pauses: [Range<Int>] = []
    private var pausedSince: Int?
    private var silence: [Int16] = []

    /// - Parameters:
    ///   - sampleRate: Of the samples that go in and come out, in Hz.
    ///   - maximumDuration: What lies behind it is not recorded.
    public init(
        sampleRate: Int, horizon: TimeSpan = .seconds(1), maximumDuration: TimeSpan = .seconds(24 * 3600)
    ) {
        self.sampleRate = max(1, sampleRate)
        self.horizon = horizon
        maximumFrames = Self.frames(maximumDuration, max(1, sampleRate))
        // A carrier's timestamps are milliseconds, or the clock at arrival. The agent's come from the ledger and move
        // against the caller's when a packet shows that the network can be faster than it was so far.
        caller = RecordingTrack(jitterMilliseconds: 30, sampleRate: max(1, sampleRate))
        agent = RecordingTrack(jitterMilliseconds: 10, sampleRate: max(1, sampleRate))
    }

    /// Whether the recording has reached its longest duration.
    public var isFull: Bool { final >= maximumFrames }

    /// Sample frames given out so far.
    public var finalFrames: Int { final }

    /// Samples thrown away because their place was taken already, had been given out, or lay behind the end.
    public var trimmedSamples: Int { caller.trimmed + agent.trimmed }

    /// Audio of the caller.
    ///
    /// While the recording is paused it is silenced whatever its position: what arrives then was said then.
    public mutating func callerAudio(_ samples: UnsafeBufferPointer<Int16>, at position: TimeSpan) {
        guard length == nil else { return }
        if pausedSince == nil {
            caller.place(samples, at: frames(position), limit: maximumFrames)
        } else {
            if silence.count < samples.count {
                silence.append(contentsOf: repeatElement(0, count: samples.count - silence.count))
            }
            silence.withUnsafeBufferPointer {
                let quiet = UnsafeBufferPointer(rebasing: $0.prefix(samples.count))
                caller.place(quiet, at: frames(position), limit: maximumFrames)
            }
        }
        advance(to: caller.end)
    }

    /// Audio of the agent, whose playback begins at `position`.
    public mutating func agentAudio(_ samples: UnsafeBufferPointer<Int16>, at position: TimeSpan) {
        guard length == nil else { return }
        let start = frames(position)
        agent.place(samples, at: start, limit: maximumFrames)
        // Not its end: a long run reaches beyond what a cut may still take away.
        advance(to: min(start, agent.end))
    }

    /// The agent's audio from `position` on will not be heard.
    public mutating func agentCut(at position: TimeSpan) {
        guard length == nil else { return }
        agent.cut(at: frames(position))
        advance(to: min(frames(position), newest + sampleRate))
    }

    /// Both channels are silent from here on.
    public mutating func pause(at position: TimeSpan) {
        guard length == nil, pausedSince == nil else { return }
        pausedSince = frames(position)
    }

    /// Both channels are recorded again.
    public mutating func resume(at position: TimeSpan) {
        guard length == nil, let start = pausedSince else { return }
        pausedSince = nil
        let end = max(start, frames(position))
        if end > final, start < end { pauses.append(start..<end) }
    }

    /// The call ended at `position`, or with its last sound: everything becomes final, and nothing is taken any more.
    public mutating func end(at position: TimeSpan?) {
        guard length == nil else { return }
        caller.settle()
        agent.settle()
        var end = max(caller.end, final)
        if let position {
            agent.cut(at: frames(position))
            // An end that lies minutes behind the last sound is a mistake in somebody's clock.
            end = max(end, min(frames(position), max(newest, end) + 60 * sampleRate))
        }
        length = min(max(end, agent.end), maximumFrames)
    }

    /// Appends every sample frame that has become final, interleaved: caller, agent, caller, agent …
    public mutating func takeFinal(into output: inout [Int16]) {
        let horizon = frames(horizon)
        let stop = length ?? min(newest - horizon, maximumFrames)
        guard stop > final else { return }
        let start = output.count
        output.append(contentsOf: repeatElement(0, count: 2 * (stop - final)))
        output.withUnsafeMutableBufferPointer { output in
            caller.take(upTo: stop) { output[start + 2 * $0] = $1 }
            agent.take(upTo: stop) { output[start + 2 * $0 + 1] = $1 }
            for pause in pauses + (pausedSince.map { [$0..<max($0, stop)] } ?? []) {
                for index in pause.clamped(to: final..<stop) {
                    output[start + 2 * (index - final)] = 0
                    output[start + 2 * (index - final) + 1] = 0
                }
            }
        }
        final = stop
        pauses.removeAll { $0.upperBound <= stop }
    }

    private mutating func advance(to frame: Int) {
        // Nothing comes behind the longest duration, so nothing before it has to wait for it.
        newest = max(newest, frame >= maximumFrames ? maximumFrames + frames(horizon) : frame)
    }

    private func frames(_ span: TimeSpan) -> Int { Self.frames(span, sampleRate) }

    /// The sample at a position, rounded to the nearest. Cannot overflow, whatever a carrier says; never negative.
    private static func frames(_ span: TimeSpan, _ sampleRate: Int) -> Int {
        let nanoseconds = Int(clamping: max(0, span.nanoseconds))
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return seconds * sampleRate + (rest * sampleRate + 500_000_000) / 1_000_000_000
    }
}
