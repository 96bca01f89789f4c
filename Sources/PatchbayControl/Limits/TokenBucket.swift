/// Lets so many things pass at once, and then so many a second. A value without a clock.
struct TokenBucket: Sendable, Hashable {
    /// How much passes at once after a pause.
    let capacity: Double
    /// How much of it comes back in a second.
    let refill: Double
    private var level: Double
    /// Seconds, on the caller's clock.
    private var time: Double

    /// - Parameter time: Seconds, on any clock that does not go back; where it does, nothing comes back meanwhile.
    init(capacity: Int, perMinute: Int, at time: Double) {
        self.capacity = Double(max(capacity, 1))
        refill = Double(max(perMinute, 1)) / 60
        level = self.capacity
        self.time = time
    }

    /// Takes one.
    ///
    /// - Returns: `nil` when it may pass, else the seconds until one more may.
    mutating func take(at now: Double) -> Double? {
        level = min(capacity, level + max(0, now - time) * refill)
        time = max(time, now)
        guard level < 1 else {
            level -= 1
            return nil
        }
        return (1 - level) / refill
    }
}
