/// Replaces what is not speech by silence, and delays the signal so that the beginning of speech is not lost.
///
/// Speech is noticed only when some of it has been heard. The gate therefore keeps the last `preRoll` samples back: when it
/// opens, what waits inside goes out, the first sound with it. It closes `hangover` samples behind the last activity, so
/// that quiet endings of words pass.
public struct SpeechGate: Sendable {
    /// The delay, in samples.
    public let preRoll: Int
    /// How long the gate stays open behind activity, in samples.
    public let hangover: Int

    /// The samples that wait, as a ring; the oldest is at `next`.
    private var waiting: [Int16]
    private var next = 0
    /// Samples given out so far, less those of the delay: where in the incoming stream the next one to go out lies.
    private var position: Int
    /// Where in the incoming stream the gate closes.
    private var openUntil = Int.min

    /// - Parameters:
    ///   - preRoll: In samples; 0 or more.
    ///   - hangover: In samples; 0 or more.
    public init(preRoll: Int, hangover: Int) {
        self.preRoll = preRoll
        self.hangover = hangover
        waiting = [Int16](repeating: 0, count: preRoll)
        position = -preRoll
    }

    /// Says that somebody spoke up to here, in samples from the start of the stream.
    public mutating func speechHeard(until offset: Int) { openUntil = max(openUntil, offset + hangover) }

    /// Takes a block and puts in its place as many samples of `preRoll` earlier, or silence. Allocates nothing.
    public mutating func process(_ samples: UnsafeMutableBufferPointer<Int16>) {
        for index in samples.indices {
            var sample = samples[index]
            if preRoll > 0 {
                swap(&sample, &waiting[next])
                next = next + 1 == preRoll ? 0 : next + 1
            }
            samples[index] = position < openUntil ? sample : 0
            position += 1
        }
    }

    /// Drops what waits and closes, as for another stream.
    public mutating func reset() { self = SpeechGate(preRoll: preRoll, hangover: hangover) }
}
