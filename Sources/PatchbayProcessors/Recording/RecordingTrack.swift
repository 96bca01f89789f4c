/// One channel of a ``StereoTimeline``: runs of samples put where they belong in time, as long as they can still change.
///
/// Everything is counted in samples since the start of the recording. What lies before ``base`` has been given out.
struct RecordingTrack {
    /// Where a run's position may stray from the end of the run before and still continue it.
    let jitter: Int
    /// A stray of more than this that lasts as long as `patience` was a hole, or an overlap, after all.
    let significantShift: Int
    let patience: Int
    /// A position that runs ahead of everything known by more than this is not believed.
    let largestJump: Int
    /// Samples thrown away because their place was taken or had been given out.
    private(set) var trimmed = 0

    /// The first sample that can still change.
    private(set) var base = 0
    private var samples: [Int16] = []
    /// Stretches that nobody has filled yet; a late run may.
    private var holes: [Range<Int>] = []
    /// Whether the next run may continue the one before.
    private var isContinuable = false
    private var stray: Stray?
    private var newestStart = Int.min

    /// Runs that continue each other although their positions all stray in the same direction.
    private struct Stray {
        var start: Int
        var length = 0
        /// The least of them, with its sign: what may be missing or too much at `start`.
        var least: Int
    }

    /// - Parameters:
    ///   - jitter: Milliseconds a position may stray.
    ///   - sampleRate: Of the samples, in Hz.
    init(jitterMilliseconds jitter: Double, sampleRate: Int) {
        self.jitter = max(1, Int(jitter * Double(sampleRate) / 1000))
        significantShift = max(1, sampleRate * 5 / 1000)
        patience = sampleRate * 400 / 1000
        largestJump = sampleRate * 60
    }

    /// One past the last sample.
    var end: Int { base + samples.count }

    /// Puts a run in its place.
    ///
    /// - Parameter limit: One past the last sample that the recording may have.
    mutating func place(_ run: UnsafeBufferPointer<Int16>, at position: Int, limit: Int) {
        guard !run.isEmpty else { return }
        // A clock that jumps by minutes counts anew; the sound goes on where it is.
        let start = position - end > largestJump ? end : position
        if isContinuable, start + run.count <= newestStart {
            // It comes after its successors: it may fill a hole, and nothing else.
            settle()
            fillHoles(with: run, at: start)
            return
        }
        newestStart = start
        // Runs that strayed before this one did so for a reason when this one strays too far.
        if abs(start - end) > jitter { settle() }
        let deviation = start - end
        if isContinuable, abs(deviation) <= jitter {
            append(run, limit: limit)
            follow(deviation, run.count)
            return
        }
        if deviation >= 0 {
            openHole(upTo: start, limit: limit)
            append(run, limit: limit)
        } else {
            let overlap = min(-deviation, run.count)
            fillHoles(with: run, at: start)
            append(UnsafeBufferPointer(rebasing: run.dropFirst(overlap)), limit: limit)
        }
        isContinuable = true
    }

    /// What stands from `position` on was never heard.
    mutating func cut(at position: Int) {
        let start = max(position, base)
        if start < end { samples.removeLast(end - start) }
        holes = holes.compactMap { $0.lowerBound < start ? $0.lowerBound..<min($0.upperBound, start) : nil }
        isContinuable = false
        stray = nil
        newestStart = .min
    }

    /// Decides what is undecided, because nothing will follow.
    mutating func settle() {
        guard let stray else { return }
        self.stray = nil
        shift(by: stray.least, at: stray.start)
    }

    /// Gives out everything before `position`; what was never filled is silence.
    mutating func take(upTo position: Int, _ body: (_ offset: Int, Int16) -> Void) {
        guard position > base else { return }
        // What was passed over in silence is no end to continue from: the next run goes to its exact place.
        if position > end { isContinuable = false }
        let count = min(position - base, samples.count)
        for index in 0..<count { body(index, samples[index]) }
        samples.removeFirst(count)
        base = position
        holes = holes.compactMap { $0.upperBound > position ? max($0.lowerBound, position)..<$0.upperBound : nil }
    }

    private mutating func append(_ run: UnsafeBufferPointer<Int16>, limit: Int) {
        let count = min(run.count, max(0, limit - end))
        trimmed += run.count - count
        samples.append(contentsOf: run.prefix(count))
    }

    private mutating func openHole(upTo start: Int, limit: Int) {
        let stop = min(start, limit)
        guard stop > end else { return }
        holes.append(end..<stop)
        samples.append(contentsOf: repeatElement(0, count: stop - end))
    }

    private mutating func fillHoles(with run: UnsafeBufferPointer<Int16>, at start: Int) {
        var filled = 0
        var rest: [Range<Int>] = []
        for hole in holes {
            let part = hole.clamped(to: max(start, base)..<max(start + run.count, base))
            guard !part.isEmpty else {
                rest.append(hole)
                continue
            }
            for index in part { samples[index - base] = run[index - start] }
            filled += part.count
            if hole.lowerBound < part.lowerBound { rest.append(hole.lowerBound..<part.lowerBound) }
            if part.upperBound < hole.upperBound { rest.append(part.upperBound..<hole.upperBound) }
        }
        holes = rest
        let overlap = min(max(0, end - start), run.count)
        trimmed += overlap - filled
    }

    /// Follows how positions stray from the runs that continue each other, and mends what turns out to be no jitter.
    private mutating func follow(_ deviation: Int, _ length: Int) {
        guard abs(deviation) > significantShift else {
            stray = nil
            return
        }
        if var current = stray, (current.least > 0) == (deviation > 0) {
            current.length += length
            current.least = deviation > 0 ? min(current.least, deviation) : max(current.least, deviation)
            stray = current
        } else {
            stray = Stray(start: end - length, length: length, least: deviation)
        }
        if let stray, stray.length >= patience { settle() }
    }

    /// Moves what stands from `start` on, later or earlier, without touching what has been given out.
    private mutating func shift(by count: Int, at start: Int) {
        let start = max(start, base)
        guard start <= end else { return }
        if count > 0 {
            samples.insert(contentsOf: repeatElement(0, count: count), at: start - base)
            holes = holes.map { $0.lowerBound >= start ? $0.lowerBound + count..<$0.upperBound + count : $0 }
            holes.append(start..<start + count)
        } else {
            let excess = min(-count, end - start)
            samples.removeSubrange(start - base..<start - base + excess)
            trimmed += excess
            holes = holes.compactMap {
                guard $0.lowerBound >= start else { return $0 }
                let moved = max($0.lowerBound - excess, start)..<max($0.upperBound - excess, start)
                return moved.isEmpty ? nil : moved
            }
        }
    }
}
