import Foundation

/// When a webhook that was not taken is tried again: after 1, 4, 16, 64, 256 and 1024 seconds, then every hour, a day in all.
struct WebhookSchedule: Sendable {
    static let maximumPause: TimeInterval = 3600
    /// Tries after which a message is a dead letter.
    static let maximumAttempts = 30
    /// Time that a message waits at most for a receiver that does not answer.
    static let longestWait: TimeInterval = 2 * 86_400
    /// Time that a receiver that does not answer is left alone at most.
    static let maximumRest: TimeInterval = 300
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
        return max(spread(attempts, upTo: maximumPause, random), min(asked ?? 0, maximumPause))
    }

    /// Seconds for which a receiver is left alone.
    ///
    /// - Parameter attempts: Tries in a row that it did not answer.
    static func rest(after attempts: Int, random: Double) -> TimeInterval {
        spread(attempts, upTo: maximumRest, random)
    }

    private static func spread(_ attempts: Int, upTo limit: TimeInterval, _ random: Double) -> TimeInterval {
        // Beyond any limit, and still a number.
        let plain = min(limit, pow(4, Double(min(max(1, attempts), 20) - 1)))
        return plain * (1 + jitter * (2 * random - 1))
    }
}
