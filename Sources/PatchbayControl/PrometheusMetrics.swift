public import CoreMetrics
import Synchronization

/// Keeps the process's metrics and prints them in Prometheus' text format, version 0.0.4.
///
/// Timers and recorders become summaries without quantiles: a sum and a count.
public final class PrometheusMetrics: MetricsFactory {
    /// The one that ``MetricsSystem`` uses.
    public static let shared = PrometheusMetrics()

    private struct Series: Hashable {
        var name: String
        var labels: String
    }

    private struct State {
        var counters: [Series: Int64] = [:]
        var gauges: [Series: Double] = [:]
        var summaries: [Series: (sum: Double, count: Int64)] = [:]
    }

    private let state = Mutex(State())

    public init() {}

    /// Makes this the process's metrics. Only the first call of a process counts, as swift-metrics demands.
    public static func bootstrap() { _ = bootstrapped }
    private static let bootstrapped: Void = MetricsSystem.bootstrap(shared)

    /// Everything in text form, sorted by name.
    public func text() -> String {
        let (counters, gauges, summaries) = state.withLock { ($0.counters, $0.gauges, $0.summaries) }
        var lines: [String: [String]] = [:]
        for (series, value) in counters {
            lines["\(series.name) counter", default: []].append("\(series.name)\(series.labels) \(value)")
        }
        for (series, value) in gauges {
            lines["\(series.name) gauge", default: []].append("\(series.name)\(series.labels) \(value)")
        }
        for (series, value) in summaries {
            lines["\(series.name) summary", default: []] += [
                "\(series.name)_sum\(series.labels) \(value.sum)",
                "\(series.name)_count\(series.labels) \(value.count)",
            ]
        }
        return lines.sorted { $0.key < $1.key }.map { key, values in
            "# TYPE \(key)\n" + values.sorted().joined(separator: "\n") + "\n"
        }.joined()
    }

    private func series(_ label: String, _ dimensions: [(String, String)]) -> Series {
        let labels = dimensions.map { "\(Self.name($0.0))=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
        return Series(name: Self.name(label), labels: labels.isEmpty ? "" : "{\(labels)}")
    }

    private static func name(_ text: String) -> String {
        String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") ? $0 : "_" })
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    private final class Counter: CounterHandler {
        private let body: @Sendable (Int64) -> Void
        init(_ body: @escaping @Sendable (Int64) -> Void) { self.body = body }
        func increment(by amount: Int64) { body(amount) }
        // Prometheus' counters only grow.
        func reset() {}
    }

    private final class Meter: RecorderHandler, TimerHandler {
        private let body: @Sendable (Double) -> Void
        init(_ body: @escaping @Sendable (Double) -> Void) { self.body = body }
        func record(_ value: Int64) { body(Double(value)) }
        func record(_ value: Double) { body(value) }
        func recordNanoseconds(_ duration: Int64) { body(Double(duration) / 1e9) }
    }

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        let series = series(label, dimensions)
        state.withLock { $0.counters[series, default: 0] += 0 }
        return Counter { amount in self.state.withLock { $0.counters[series, default: 0] &+= amount } }
    }

    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        let series = series(label, dimensions)
        return Meter { value in
            self.state.withLock { state in
                if aggregate {
                    let old = state.summaries[series] ?? (0, 0)
                    state.summaries[series] = (old.sum + value, old.count + 1)
                } else {
                    state.gauges[series] = value
                }
            }
        }
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let series = series(label, dimensions)
        return Meter { value in
            self.state.withLock { state in
                let old = state.summaries[series] ?? (0, 0)
                state.summaries[series] = (old.sum + value, old.count + 1)
            }
        }
    }

    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    public func destroyTimer(_ handler: any TimerHandler) {}
}
