import Metrics
import PatchbayCore

extension Switchboard {
    /// Enters how calls, queues and the process stand just now.
    func measure() async throws {
        health.forgetStale(at: .now())
        // Off the loop first: it reads files.
        if let usage = ProcessUsage.now() { PrometheusMetrics.shared.enter(usage) }
        let mediaLoop = mediaLoop
        let (report, lateness) = try await mediaLoop.eventLoop.submit {
            (mediaLoop.measure(), mediaLoop.takeWorstLateness())
        }.get()
        gauge(ServerMetrics.activeCalls, Double(registry.activeCount))
        gauge(ServerMetrics.callLimit, Double(settings.limits.maximumCalls))
        gauge(ServerMetrics.tickLateness, lateness.seconds)
        gauge(RecordMetrics.waiting, Double(journal.waiting))
        // A store that fails says so elsewhere; the other metrics are told all the same.
        if !settings.webhooks.isEmpty, let waiting = try? await records.waitingMessages() {
            gauge(WebhookSender.waiting, Double(waiting))
        }
        gauge(ServerMetrics.revision, Double(store.current.number))
        for (name, queue) in [
            ("caller", report.caller), ("agent", report.agent), ("carrier-socket", report.carrierSocket),
            ("agent-socket", report.agentSocket),
        ] {
            gauge(ServerMetrics.queueBytes, Double(queue.sum), queue: name)
            gauge(ServerMetrics.largestQueueBytes, Double(queue.largest), queue: name)
        }
        gauge(ServerMetrics.queueEntries, Double(report.tools.sum), queue: "tools")
    }

    private func gauge(_ name: String, _ value: Double, queue: String? = nil) {
        Gauge(label: name, dimensions: queue.map { [("queue", $0)] } ?? []).record(value)
    }
}

/// Counts streams. Looked up each time: streams are rare, and tests bring up the metrics late.
enum StreamMeters {
    static var accepted: Counter { Counter(label: ServerMetrics.streams, dimensions: [("result", "accepted")]) }
    static var refused: Counter { Counter(label: ServerMetrics.streams, dimensions: [("result", "refused")]) }
}
