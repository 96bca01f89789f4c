import CoreMetrics
import PatchbayCore
import Synchronization

/// How a series is kept.
enum PrometheusKind: Equatable {
    case counter, gauge, summary
    case histogram([Double])

    init(_ kind: MetricDescription.Kind) {
        switch kind {
        case .counter: self = .counter
        case .gauge: self = .gauge
        case .histogram(let limits): self = .histogram(limits)
        }
    }

    /// What is entered in it.
    enum Entry { case increments, settings, observations }

    var takes: Entry {
        switch self {
        case .counter: .increments
        case .gauge: .settings
        case .summary, .histogram: .observations
        }
    }

    /// As `# TYPE` has it.
    var name: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .summary: "summary"
        case .histogram: "histogram"
        }
    }
}

/// One series: what every handler of one name and one set of labels shares.
///
/// Entering a value takes one lock that is held for some instructions, and allocates nothing.
final class PrometheusCell: CounterHandler, FloatingPointCounterHandler, RecorderHandler, MeterHandler, TimerHandler {
    struct Value {
        /// Of a counter or a gauge the value, of the others the sum.
        var sum = 0.0
        var count: Int64 = 0
        /// How many values fell into each range, those beyond the last limit at the end.
        var ranges: [Int64] = []
    }

    let kind: PrometheusKind
    private let limits: [Double]
    private let state: Mutex<Value>

    init(_ kind: PrometheusKind) {
        self.kind = kind
        if case .histogram(let limits) = kind { self.limits = limits } else { limits = [] }
        state = Mutex(Value(ranges: Array(repeating: 0, count: limits.isEmpty ? 0 : limits.count + 1)))
    }

    var value: Value { state.withLock { $0 } }

    func set(_ value: Double) { state.withLock { $0.sum = value } }

    private func enter(_ value: Double) {
        guard kind.takes == .observations else {
            set(value)
            return
        }
        // Not a number is no observation; it would spoil the sum for good.
        guard value.isFinite else { return }
        state.withLock { state in
            state.sum += value
            state.count &+= 1
            guard !limits.isEmpty else { return }
            state.ranges[limits.firstIndex { value <= $0 } ?? limits.count] &+= 1
        }
    }

    func increment(by amount: Int64) { increment(by: Double(amount)) }
    func increment(by amount: Double) {
        // Prometheus' counters only grow.
        guard amount.isFinite, amount > 0 || kind == .gauge else { return }
        state.withLock { $0.sum += amount }
    }
    func decrement(by amount: Double) { increment(by: -amount) }
    func reset() {}
    func record(_ value: Int64) { enter(Double(value)) }
    func record(_ value: Double) { enter(value) }
    func recordNanoseconds(_ duration: Int64) { enter(Double(duration) / 1e9) }
    func set(_ value: Int64) { set(Double(value)) }
}
