import Metrics

/// Where the calls of one event loop enter what they measure.
///
/// Made once: to enter a value looks nothing up and allocates nothing.
package final class CallMeters: Sendable {
    /// A number of a call that only grows.
    private struct Column: Sendable {
        let counter: Counter
        let value: @Sendable (CallCore) -> Int
    }

    /// A time of a call that only grows.
    private struct SpanColumn: Sendable {
        let counter: FloatingPointCounter
        let value: @Sendable (CallCore) -> TimeSpan
    }

    /// What of a call has been entered.
    struct Entered {
        fileprivate var counts: [Int] = []
        fileprivate var spans: [TimeSpan] = []
    }

    private let columns: [Column]
    private let spanColumns: [SpanColumn]
    let interruptionLatency = Recorder(label: CallMetrics.interruptionLatency)
    private let agentSilence = Recorder(label: CallMetrics.agentSilence)

    init() {
        func column(
            _ name: String, _ labels: [(String, String)] = [], _ value: @escaping @Sendable (CallCore) -> Int
        ) -> Column { Column(counter: Counter(label: name, dimensions: labels), value: value) }
        columns = [
            column(CallMetrics.packets, [("direction", "received")]) { $0.counters.packetsReceived },
            column(CallMetrics.packets, [("direction", "sent")]) { $0.counters.packetsSent },
            column(CallMetrics.packets, [("direction", "missing")]) { $0.counters.packetsMissing },
            column(CallMetrics.gaps) { $0.counters.gaps },
            column(CallMetrics.interruptions) { $0.counters.interruptions },
            column(CallMetrics.underruns) { $0.ledger.underruns },
            column(CallMetrics.faults, [("peer", "carrier")]) { $0.counters.carrierFaults },
            column(CallMetrics.faults, [("peer", "agent")]) { $0.counters.agentFaults },
            column(CallMetrics.agentTakeovers) { $0.counters.agentTakeovers },
            column(CallMetrics.agentReconnects) { $0.counters.agentReconnects },
            column(CallMetrics.toolCalls, [("outcome", "ok")]) { $0.counters.toolSuccesses },
            column(CallMetrics.toolCalls, [("outcome", "error")]) { $0.counters.toolFailures },
            column(CallMetrics.marksMissed) { $0.counters.marksMissed },
            column(CallMetrics.dropped, [("queue", "caller")]) { $0.agent.backlogDroppedBytes },
            column(CallMetrics.dropped, [("queue", "agent")]) { $0.agent.queue.droppedBytes },
        ]
        spanColumns = [
            SpanColumn(counter: FloatingPointCounter(label: CallMetrics.concealed)) { $0.counters.concealed },
            SpanColumn(counter: FloatingPointCounter(label: CallMetrics.lateAudio)) { $0.counters.lateDropped },
        ]
    }

    /// Adds what has come since the last time.
    func enter(_ core: CallCore, since entered: inout Entered) {
        if entered.counts.isEmpty {
            entered.counts = Array(repeating: 0, count: columns.count)
            entered.spans = Array(repeating: .zero, count: spanColumns.count)
        }
        for (index, column) in columns.enumerated() {
            let value = column.value(core)
            guard value > entered.counts[index] else { continue }
            column.counter.increment(by: value - entered.counts[index])
            entered.counts[index] = value
        }
        for (index, column) in spanColumns.enumerated() {
            let value = column.value(core)
            guard value > entered.spans[index] else { continue }
            column.counter.increment(by: (value - entered.spans[index]).seconds)
            entered.spans[index] = value
        }
    }

    /// Enters a call that is over.
    func ended(_ core: CallCore, _ reason: EndReason, since entered: inout Entered) {
        enter(core, since: &entered)
        let direction = core.info.direction.rawValue
        Self.ended(reason, direction: core.info.direction)
        let counters = core.counters
        if let ended = counters.endedAt, counters.streamStartedAt > .zero {
            Recorder(label: CallMetrics.duration, dimensions: [("direction", direction)])
                .record((ended - counters.streamStartedAt).seconds)
        }
        if counters.longestAgentSilence > .zero { agentSilence.record(counters.longestAgentSilence.seconds) }
    }

    static func ended(_ reason: EndReason, direction: CallInfo.Direction) {
        Counter(
            label: CallMetrics.calls,
            dimensions: [("direction", direction.rawValue), ("outcome", reason.kind.rawValue)]
        ).increment()
    }

    func agentFailed(_ backend: String, _ error: PipelineError) {
        Counter(
            label: CallMetrics.agentFailures, dimensions: [("backend", backend), ("code", error.code.description)]
        ).increment()
    }
}

extension CallMetrics {
    /// Counts a call that was over before it began.
    public static func count(_ reason: EndReason, _ direction: CallInfo.Direction) {
        CallMeters.ended(reason, direction: direction)
    }
}

/// What is measured of one agent. Looked up when it is opened.
struct AgentMeters: Sendable {
    let connecting: Recorder
    let timeToFirstAudio: Recorder
    let responseLatency: Recorder

    init(_ backend: String) {
        let labels = [("backend", backend)]
        connecting = Recorder(label: CallMetrics.connecting, dimensions: labels)
        timeToFirstAudio = Recorder(label: CallMetrics.timeToFirstAudio, dimensions: labels)
        responseLatency = Recorder(label: CallMetrics.responseLatency, dimensions: labels)
    }
}
