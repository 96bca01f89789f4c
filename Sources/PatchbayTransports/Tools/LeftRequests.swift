import Logging
import Metrics
import PatchbayCore
import Synchronization

/// Requests that go on although nobody waits for their answers any more: those that may change something at their service,
/// where a cut connection would leave open whether they did.
///
/// They are the process's, for the calls they belong to are over. Each ends within its tool's time.
final class LeftRequests: Sendable {
    /// Requests beyond this many are cut off.
    static let limit = 256
    /// How many there were, by `tool` and `outcome` (`ok`, `error`, `timeout`, `cancelled`).
    static let counter = "patchbay_tools_left_total"

    static let shared = LeftRequests()

    private let count = Atomic(0)

    /// Requests that are under way.
    var current: Int { count.load(ordering: .relaxed) }

    /// What becomes of a request of `tool` when its call ends.
    func afterwards(_ tool: String, _ logger: Logger) -> Deadline.Afterwards<String> {
        Deadline.Afterwards {
            guard self.count.add(1, ordering: .relaxed).newValue <= Self.limit else {
                self.count.subtract(1, ordering: .relaxed)
                logger.warning(
                    "tool cut off: too many go on after their calls",
                    metadata: ["tool": "\(tool)", "limit": "\(Self.limit)"])
                return false
            }
            return true
        } ended: { outcome in
            self.count.subtract(1, ordering: .relaxed)
            let label =
                switch outcome {
                case .finished: "ok"
                case .expired, .failed(is Deadline.Passed): "timeout"
                case .failed: "error"
                case .cancelled: "cancelled"
                }
            logger.notice(
                "tool ended when nobody waited any more", metadata: ["tool": "\(tool)", "outcome": "\(label)"])
            Counter(label: Self.counter, dimensions: [("tool", tool), ("outcome", label)]).increment()
        }
    }
}
