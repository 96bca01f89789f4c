public import CoreMetrics
public import PatchbayCore
import PatchbayTransports
import Synchronization

/// Keeps the process's metrics and prints them in Prometheus' text format, version 0.0.4
/// (prometheus.io/docs/instrumenting/exposition_formats).
///
/// A metric that was described (``describe(_:)``) is of the kind that its description says; others are counters,
/// gauges, and, for timers and aggregating recorders, histograms with limits for seconds when their name ends in
/// `_seconds`, else summaries without quantiles. One name has one kind: what is asked for as another kind goes
/// nowhere and is counted.
///
/// Series are bounded, so that a label with too many values costs no memory without end: what is beyond goes nowhere
/// and is counted in `patchbay_metrics_refused_series_total`.
public final class PrometheusMetrics: MetricsFactory {
    /// The one that ``MetricsSystem`` uses.
    public static let shared = PrometheusMetrics()

    /// Series of one name.
    public static let maximumSeriesPerMetric = 500
    /// Names.
    public static let maximumMetrics = 1000
    /// Characters of a label's value; longer ones are cut.
    public static let maximumLabelLength = 120

    /// All series of one name.
    struct Family {
        var kind: PrometheusKind
        /// By their labels as they are printed.
        var cells: [String: PrometheusCell] = [:]
    }

    private struct State {
        var families: [String: Family] = [:]
        var descriptions: [String: MetricDescription] = [:]
        var refused: Int64 = 0
        var watched: [String: @Sendable () -> Int] = [:]
    }

    private let state = Mutex(State())
    private let nowhere = PrometheusCell(.summary)

    public init() { describe(CallMetrics.all + CallTools.metrics + ServerMetrics.all) }

    /// Makes this the process's metrics. Only the first call of a process counts, as swift-metrics demands.
    public static func bootstrap() { _ = bootstrapped }
    private static let bootstrapped: Void = MetricsSystem.bootstrap(shared)

    /// Says what metrics are, before they are used: for their kind, their histograms' limits and their `# HELP`.
    public func describe(_ descriptions: [MetricDescription]) {
        state.withLock { state in
            for description in descriptions { state.descriptions[description.name] = description }
        }
    }

    /// What has been described, by name.
    public var descriptions: [MetricDescription] {
        state.withLock { $0.descriptions.values.sorted { $0.name < $1.name } }
    }

    /// Asks how much waits in a bounded queue whenever somebody looks: `patchbay_queue_bytes{queue="…"}`.
    public func watch(queue name: String, bytes: @escaping @Sendable () -> Int) {
        state.withLock { $0.watched[name] = bytes }
    }

    /// Everything in text form, sorted by name.
    public func text() -> String {
        for (name, bytes) in state.withLock({ $0.watched }) {
            makeRecorder(label: ServerMetrics.queueBytes, dimensions: [("queue", name)], aggregate: false)
                .record(Int64(bytes()))
        }
        // Only references are copied here; whoever enters values meanwhile does not wait for the printing.
        var (families, descriptions, refused) = state.withLock { ($0.families, $0.descriptions, $0.refused) }
        let counter = PrometheusCell(.counter)
        counter.increment(by: refused)
        families[ServerMetrics.refusedSeries] = Family(kind: .counter, cells: ["": counter])
        return PrometheusText.print(families, descriptions)
    }

    /// The cell of a series; the same one for the same name and labels.
    private func cell(
        _ label: String, _ dimensions: [(String, String)], as natural: (String) -> PrometheusKind
    ) -> PrometheusCell {
        let name = PrometheusText.name(label)
        let labels = PrometheusText.labels(dimensions)
        return state.withLock { state in
            let kind = natural(name)
            var family = state.families[name]
            if family == nil {
                let described = state.descriptions[name].map { PrometheusKind($0.kind) }
                // A description that does not fit what the code enters would hide it.
                let isFitting = described.map { $0.takes == kind.takes } ?? true
                guard isFitting, state.families.count < Self.maximumMetrics else {
                    state.refused &+= 1
                    return nowhere
                }
                family = Family(kind: described ?? kind)
            }
            guard let known = family, known.kind.takes == kind.takes else {
                state.refused &+= 1
                return nowhere
            }
            if let cell = known.cells[labels] { return cell }
            guard known.cells.count < Self.maximumSeriesPerMetric else {
                state.refused &+= 1
                return nowhere
            }
            let cell = PrometheusCell(known.kind)
            state.families[name, default: known].cells[labels] = cell
            return cell
        }
    }

    /// Sets a counter to what somebody else has counted.
    func set(_ label: String, toTotal total: Double) { cell(label, [], as: { _ in .counter }).set(total) }

    private static func aggregate(_ name: String) -> PrometheusKind {
        name.hasSuffix("_seconds") ? .histogram(MetricDescription.requests) : .summary
    }

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        cell(label, dimensions, as: { _ in .counter })
    }

    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler { cell(label, dimensions, as: { _ in .counter }) }

    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        cell(label, dimensions, as: { aggregate ? Self.aggregate($0) : .gauge })
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        cell(label, dimensions, as: { _ in .gauge })
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        cell(label, dimensions, as: Self.aggregate)
    }

    // A series stays until the process ends: Prometheus' counters only grow.
    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    public func destroyMeter(_ handler: any MeterHandler) {}
    public func destroyTimer(_ handler: any TimerHandler) {}
}
