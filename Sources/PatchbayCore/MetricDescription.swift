/// What a metric is called, measures and is split by: what `/metrics` says of it, and what its documentation is held
/// to.
public struct MetricDescription: Sendable, Hashable {
    /// How values are kept.
    public enum Kind: Sendable, Hashable {
        /// A sum that only grows.
        case counter
        /// A value that goes up and down.
        case gauge
        /// How often values fell into ranges that end at these limits, in rising order, beside their sum and number.
        case histogram([Double])
    }

    /// With its unit at the end, and `_total` behind that of a counter (prometheus.io/docs/practices/naming).
    public var name: String
    public var kind: Kind
    /// The names of its labels. Values are never names that a stranger may choose.
    public var labels: [String]
    /// One sentence.
    public var help: String

    public init(_ name: String, _ kind: Kind, _ labels: [String] = [], _ help: String) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.help = help
    }

    /// Limits, in seconds, for what somebody waits for in a conversation: where 300 ms and 500 ms are two worlds.
    public static let waits: [Double] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10]
    /// Limits, in seconds, for requests.
    public static let requests: [Double] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    /// Limits, in seconds, for calls.
    public static let durations: [Double] = [5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600]
    /// Limits, in seconds, for what should take no time at all.
    public static let lags: [Double] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1]
}
