import Metrics
import Synchronization

/// One named limit with a bucket for each key, in bounded memory: the keys that were used least lately are forgotten first.
///
/// Two tables take turns. A key is looked for in the young one, then in the old one, from which it moves; when the young one
/// is full it becomes the old one, and what nobody has asked for since then is gone. So a step costs the same however many
/// keys there are.
final class RateLimiter: Sendable {
    /// Keys that are remembered; a flood from more than so many finds fresh buckets.
    static let maximumKeys = 20_000

    private struct State {
        var young: [String: TokenBucket] = [:]
        var old: [String: TokenBucket] = [:]
    }

    let name: String
    private let capacity: Int
    private let perMinute: Int
    private let maximumKeys: Int
    private let clock: @Sendable () -> Double
    private let state = Mutex(State())

    /// - Parameters:
    ///   - name: What the metric calls it.
    ///   - perMinute: How much passes in a minute, and at once after a pause.
    ///   - clock: Seconds that do not go back.
    init(
        _ name: String, perMinute: Int, maximumKeys: Int = RateLimiter.maximumKeys,
        clock: @escaping @Sendable () -> Double
    ) {
        self.name = name
        capacity = perMinute
        self.perMinute = perMinute
        self.maximumKeys = max(maximumKeys, 2)
        self.clock = clock
    }

    /// Counts one for a key.
    ///
    /// - Returns: `nil` when it may pass, else the seconds until one more may; that is counted in a metric.
    func take(_ key: String) -> Double? {
        let now = clock()
        let wait = state.withLock { state in
            var bucket =
                state.young[key] ?? state.old[key]
                ?? TokenBucket(capacity: capacity, perMinute: perMinute, at: now)
            let wait = bucket.take(at: now)
            if state.young.count >= maximumKeys / 2, state.young[key] == nil {
                state.old = state.young
                state.young = [:]
            }
            state.young[key] = bucket
            return wait
        }
        if wait != nil { Self.count(name) }
        return wait
    }

    /// How many keys are remembered.
    var count: Int { state.withLock { Set($0.young.keys).union($0.old.keys).count } }

    /// Counts that a limit was hit.
    static func count(_ limit: String) {
        Counter(label: ServerMetrics.limited, dimensions: [("limit", limit)]).increment()
    }
}
