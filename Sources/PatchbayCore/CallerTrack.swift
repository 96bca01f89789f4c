/// Where the caller's packets belong in time, by the carrier's own timestamps.
///
/// Gives each packet its position since the stream began, and finds what is missing before it and how late it comes. A carrier
/// that gives no timestamps, or starts them anew, is taken to leave nothing out.
struct CallerTrack {
    struct Placement: Equatable {
        /// Of the packet's first sample, since the stream began.
        var position: TimeSpan
        /// Audio missing before it.
        var gap: TimeSpan
        /// How much later it came than the packet that came with the least delay.
        var lateness: TimeSpan
    }

    /// A larger jump is no hole but a carrier that counts otherwise.
    static let largestGap = TimeSpan.seconds(60)
    /// Timestamps are whole milliseconds, packets need not be.
    static let tolerance = TimeSpan.milliseconds(5)

    /// A backlog is read in far less time than this.
    static let patience = TimeSpan.seconds(1)

    /// When the stream's position 0 was, by the packet that came with the least delay.
    private(set) var origin: MediaTime
    private var next = TimeSpan.zero
    /// What to add to the carrier's timestamps.
    private var offset = TimeSpan.zero

    /// Since when every packet has been later than `limit`.
    private var lateSince: MediaTime?
    private let limit: TimeSpan

    /// - Parameter limit: Lateness that can be a stall for a moment. Where it lasts, the carrier's clock stands elsewhere
    ///   than it did, because it left something out without saying so.
    init(start: MediaTime, limit: TimeSpan = .seconds(2)) {
        origin = start
        self.limit = limit
    }

    mutating func place(_ timestampMilliseconds: Int64, lasting duration: TimeSpan, at now: MediaTime) -> Placement {
        // The number is the carrier's: whatever it is, it must not stop the process.
        let timestamp = TimeSpan.milliseconds(min(max(0, timestampMilliseconds), 1 << 40))
        var position = timestamp + offset
        var gap = position - next
        if gap < Self.tolerance || gap > Self.largestGap {
            if gap > Self.largestGap { offset = next - timestamp }
            position = next
            gap = .zero
        }
        next = position + duration
        // A packet is sent when its last sample has been spoken.
        let origin = now - next
        if origin - self.origin <= limit {
            lateSince = nil
        } else if now - (lateSince ?? now) >= Self.patience {
            self.origin = origin
            lateSince = nil
        } else {
            lateSince = lateSince ?? now
        }
        self.origin = min(self.origin, origin)
        return Placement(position: position, gap: gap, lateness: origin - self.origin)
    }

    /// The position of an instant.
    func position(of time: MediaTime) -> TimeSpan { max(.zero, time - origin) }
}
