import PatchbayCore

/// Every metric of the control plane and of the process: names, units and labels on one screen.
enum ServerMetrics {
    static let activeCalls = "patchbay_calls_active"
    static let callLimit = "patchbay_calls_limit"
    static let refusedCalls = "patchbay_calls_refused_total"
    static let streams = "patchbay_streams_total"
    static let webhooks = "patchbay_webhooks_total"
    static let requests = "patchbay_http_requests_total"
    static let requestDuration = "patchbay_http_request_duration_seconds"
    static let queueBytes = "patchbay_queue_bytes"
    static let largestQueueBytes = "patchbay_queue_largest_bytes"
    static let queueEntries = "patchbay_queue_entries"
    static let tickLateness = "patchbay_tick_lateness_seconds"
    static let loopLag = "patchbay_loop_lag_seconds"
    static let revision = "patchbay_pipelines_revision"
    static let refusals = "patchbay_refused_total"
    static let limited = "patchbay_limited_total"
    static let lostAudits = "patchbay_audit_lost_total"
    static let reloads = "patchbay_reloads_total"
    static let uptime = "patchbay_uptime_seconds"
    static let droppedWireMessages = "patchbay_wire_log_dropped_messages_total"
    static let cutWireLogs = "patchbay_wire_log_cut_total"
    static let droppedLogLines = "patchbay_log_lines_dropped_total"
    static let droppedSpans = "patchbay_trace_spans_dropped_total"
    static let refusedSeries = "patchbay_metrics_refused_series_total"
    static let processCPU = "process_cpu_seconds_total"
    static let processMemory = "process_resident_memory_bytes"
    static let processVirtualMemory = "process_virtual_memory_bytes"
    static let processFiles = "process_open_fds"
    static let processFileLimit = "process_max_fds"
    static let processThreads = "process_threads"
    static let processStart = "process_start_time_seconds"

    static let all: [MetricDescription] = [
        MetricDescription(activeCalls, .gauge, [], "Calls that ring or run."),
        MetricDescription(callLimit, .gauge, [], "Calls that may run at once."),
        MetricDescription(
            refusedCalls, .counter, ["reason"],
            "Calls that were answered with words instead of an agent: unknown-number, busy, draining, …"),
        MetricDescription(
            streams, .counter, ["result"], "Streams of carriers and browsers: accepted or refused."),
        MetricDescription(
            webhooks, .counter, ["result", "webhook"],
            "Webhooks that came: ok, refused (4xx, for instance a wrong signature) or failed (5xx)."),
        MetricDescription(
            requests, .counter, ["method", "route", "status"], "Requests of the control plane."),
        MetricDescription(
            requestDuration, .histogram(MetricDescription.requests), ["route"],
            "From the head of a request to the head of its answer."),
        MetricDescription(
            queueBytes, .gauge, ["queue"],
            "What waits in bounded queues, in all calls together: caller, agent, carrier-socket, agent-socket, log, traces."
        ),
        MetricDescription(
            largestQueueBytes, .gauge, ["queue"],
            "What waits in bounded queues of calls, in the one call where most does."),
        MetricDescription(
            queueEntries, .gauge, ["queue"], "What waits in bounded queues of whole things: tools."),
        MetricDescription(
            tickLateness, .gauge, [], "The longest that the calls' clock was late since the last look."),
        MetricDescription(
            loopLag, .histogram(MetricDescription.lags), ["loop"],
            "How late an event loop does what it is given, tried ten times a second."),
        MetricDescription(revision, .gauge, [], "Which set of pipelines is in force; it grows with every change."),
        MetricDescription(reloads, .counter, ["outcome"], "Times that pipelines were read again, by what came of it."),
        MetricDescription(
            refusals, .counter, ["action"],
            "What was refused, as the audit trail has it: request.refused, stream.refused, …"),
        MetricDescription(limited, .counter, ["limit"], "Times that a limit of the settings was met, by its name."),
        MetricDescription(
            lostAudits, .counter, [],
            "Entries of the audit trail that were lost: too many at once, or a store that failed."),
        MetricDescription(
            RecordMetrics.lost, .counter, [], "Steps of calls that were never written into the records."),
        MetricDescription(RecordMetrics.waiting, .gauge, [], "Steps of calls that wait to be written."),
        MetricDescription(
            RecordMetrics.writeSeconds, .histogram(MetricDescription.requests), [],
            "How long the transactions of records took."),
        MetricDescription(
            RecordMetrics.readersDropped, .counter, [], "Readers of events that were too slow and were sent away."),
        MetricDescription(
            RecordMetrics.pruned, .counter, [], "Entries that were removed because they were older than the retention."),
        MetricDescription(
            RecordMetrics.recordings, .counter, ["outcome"],
            "Recordings whose calls were forgotten: removed, or left where the disk or the folder forbids it."),
        MetricDescription(
            OutboundCalls.refusals, .counter, ["status"], "Orders of calls that were refused, by the answer's status."),
        MetricDescription(OutboundCalls.outcomes, .counter, ["outcome"], "Calls that were dialled, by how they ended."),
        MetricDescription(OutboundCalls.inFlight, .gauge, [], "Calls that are being dialled or ring."),
        MetricDescription(
            ElevenLabsRoutes.received, .counter, ["outcome", "source", "type"],
            "Webhooks of agents' vendors: new, repeated, unknown, unreadable or refused."),
        MetricDescription(
            WebhookSender.sent, .counter, ["endpoint", "outcome"], "Webhooks of ours: sent, failed or dead."),
        MetricDescription(
            WebhookSender.waiting, .gauge, [], "Webhooks of ours that wait to be sent, now or after a pause."),
        MetricDescription(
            CallContext.lookups, .counter, ["outcome"],
            "Look-ups of callers: found, unknown, failed, timeout, or kept by another process."),
        MetricDescription(
            CallContext.duration, .histogram(MetricDescription.requests), ["outcome"], "How long those took."),
        MetricDescription(uptime, .gauge, [], "Time since the server was started."),
        MetricDescription(
            droppedWireMessages, .counter, [], "Messages that the wire log had no room for on their way to the disk."),
        MetricDescription(cutWireLogs, .counter, ["limit"], "Files of the wire log that a limit cut short."),
        MetricDescription(
            droppedLogLines, .counter, [], "Lines of the log that were lost because nobody took them fast enough."),
        MetricDescription(
            droppedSpans, .counter, [], "Spans that the file for spans had no room for, or no time."),
        MetricDescription(
            refusedSeries, .counter, [],
            "Times that a metric was not kept: too many values of its labels, or a name of another kind."),
        MetricDescription(processCPU, .counter, [], "Time of processors that the process has used."),
        MetricDescription(processMemory, .gauge, [], "Memory of the process that is in RAM."),
        MetricDescription(processVirtualMemory, .gauge, [], "Addresses that the process has reserved."),
        MetricDescription(processFiles, .gauge, [], "Files and sockets that are open."),
        MetricDescription(processFileLimit, .gauge, [], "Files and sockets that may be open."),
        MetricDescription(processThreads, .gauge, [], "Threads of the process."),
        MetricDescription(processStart, .gauge, [], "When the process began, in seconds since 1970."),
    ]
}
