import Foundation

/// When a webhook that was not taken is tried again: after 1, 4, 16, 64, 256 and 1024 seconds, then every hour, a day in all.
struct WebhookSchedule: Sendable {
    static let maximumPause: TimeInterval = 3600
    /// Tries after which a message is a dead letter.
    static let maximumAttempts = 30
    /// By how much of itself a pause is longer or shorter, so that receivers are not asked by everybody at once.
    static let jitter = 0.2

    /// Seconds to the next try; `nil` when there is none.
    ///
    /// - Parameters:
    ///   - attempts: Tries that have failed, this one included.
    ///   - asked: What the receiver asked for, in seconds.
    ///   - random: 0 to 1.
    static func pause(after attempts: Int, asked: TimeInterval? = nil, random: Double) -> TimeInterval? {
        guard attempts < maximumAttempts else { return nil }
        let plain = min(maximumPause, pow(4, Double(max(1, attempts) - 1)))
        let spread = plain * (1 + jitter * (2 * random - 1))
        return max(spread, min(asked ?? 0, maximumPause))
    }
}
