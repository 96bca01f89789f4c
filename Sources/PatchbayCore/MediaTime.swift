/// An instant on a call's clock, in nanoseconds from an arbitrary start.
///
/// Time is a value here: nothing in this module reads a clock. A live call takes it from its event loop,
/// a test or a replay from a variable.
public struct MediaTime: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    public init(milliseconds: Int64) { self.nanoseconds = milliseconds * 1_000_000 }

    public static let zero = MediaTime(nanoseconds: 0)

    /// Whole milliseconds, rounded down.
    public var milliseconds: Int64 { nanoseconds / 1_000_000 }

    public static func < (lhs: Self, rhs: Self) -> Bool { lhs.nanoseconds < rhs.nanoseconds }
    public static func + (time: Self, span: TimeSpan) -> Self { Self(nanoseconds: time.nanoseconds + span.nanoseconds) }
    public static func - (time: Self, span: TimeSpan) -> Self { Self(nanoseconds: time.nanoseconds - span.nanoseconds) }
    public static func - (lhs: Self, rhs: Self) -> TimeSpan { TimeSpan(nanoseconds: lhs.nanoseconds - rhs.nanoseconds) }
}

/// A length of time in nanoseconds; negative when it points backwards.
///
/// Half the size of `Duration` and one machine word, which is what the media path wants.
public struct TimeSpan: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = TimeSpan(nanoseconds: 0)
    public static func milliseconds(_ value: Int64) -> Self { Self(nanoseconds: value * 1_000_000) }
    public static func seconds(_ value: Int64) -> Self { Self(nanoseconds: value * 1_000_000_000) }

    /// Whole milliseconds, rounded towards zero.
    public var milliseconds: Int64 { nanoseconds / 1_000_000 }
    /// Seconds as a fraction, for people and metrics.
    public var seconds: Double { Double(nanoseconds) / 1e9 }

    public static func < (lhs: Self, rhs: Self) -> Bool { lhs.nanoseconds < rhs.nanoseconds }
    public static func + (lhs: Self, rhs: Self) -> Self { Self(nanoseconds: lhs.nanoseconds + rhs.nanoseconds) }
    public static func - (lhs: Self, rhs: Self) -> Self { Self(nanoseconds: lhs.nanoseconds - rhs.nanoseconds) }
}
