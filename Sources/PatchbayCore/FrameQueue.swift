import DequeModule

/// Frames that wait to enter a chain, each with the stage that is to get it.
///
/// When it is full, the data that has waited longest is given up and counted. System and control frames never are: a stage that
/// missed one would not know how the call stands. They are few, so the queue may be longer than its capacity by them.
struct FrameQueue {
    let capacity: Int
    /// Data frames given up because the queue was full.
    private(set) var droppedCount = 0
    private var entries: Deque<(stage: Int, frame: Frame)> = []

    /// - Parameter capacity: Frames that may wait, 1 or more.
    init(capacity: Int) { self.capacity = max(1, capacity) }

    var isEmpty: Bool { entries.isEmpty }

    /// Adds a frame for the stage at that index of the chain.
    ///
    /// - Returns: The frame that was given up for it, if any.
    @discardableResult
    mutating func append(_ frame: Frame, stage: Int = 0) -> Frame? {
        var dropped: Frame?
        if entries.count >= capacity {
            if let oldest = entries.firstIndex(where: { $0.frame.family == .data }) {
                dropped = entries.remove(at: oldest).frame
                droppedCount += 1
            } else if frame.family == .data {
                droppedCount += 1
                return frame
            }
        }
        entries.append((stage, frame))
        return dropped
    }

    mutating func popFirst() -> (stage: Int, frame: Frame)? { entries.popFirst() }
}
