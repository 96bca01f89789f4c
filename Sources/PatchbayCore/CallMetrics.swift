import Metrics

/// Every metric of a call: names, units and labels on one screen. Entered when the call ends; the media path only counts.
public enum CallMetrics {
    /// Calls that ended, by `outcome` (an ``EndReason/Kind``).
    public static let calls = "patchbay_calls_total"
    /// How long calls lasted, in seconds from the stream's start.
    public static let duration = "patchbay_call_duration_seconds"
    /// From the stream's start to the first packet of the agent's audio, in seconds.
    public static let timeToFirstAudio = "patchbay_time_to_first_audio_seconds"
    /// From the end of the caller's speech to the first packet of the answer, in seconds; needs a `vad` stage.
    public static let responseLatency = "patchbay_response_latency_seconds"
    /// Packets by `direction`: `received` from carriers, `sent` to them, `missing` by the carrier's numbering.
    public static let packets = "patchbay_packets_total"
    /// Turns of agents that were cut.
    public static let interruptions = "patchbay_interruptions_total"
    /// Times a carrier ran dry in mid-utterance.
    public static let underruns = "patchbay_underruns_total"
    /// Messages that could not be used, by `peer`: `carrier` or `agent`.
    public static let faults = "patchbay_message_faults_total"
    /// Agents that failed, at connect or in mid-call, by `code` (a ``PipelineError/Code``).
    public static let agentFailures = "patchbay_agent_failures_total"
    /// 1 while an agent is avoided, by `pipeline` and `backend`; of several with one type the latest change shows.
    public static let agentAvoided = "patchbay_agent_avoided"
    /// Callers who were to be connected with a person, by `outcome`: `begun`, and how the carrier says it ended.
    public static let transfers = "patchbay_transfers_total"
    /// Agents that took over from another in mid-call and were heard.
    public static let agentTakeovers = "patchbay_agent_takeovers_total"
    /// The longest silence of a call after a failure of its agent, in seconds.
    public static let agentSilence = "patchbay_agent_silence_seconds"
    /// Conversations that went on over a new socket.
    public static let agentReconnects = "patchbay_agent_reconnects_total"
    /// Tools that agents called, by `outcome`: `ok` or `error`.
    public static let toolCalls = "patchbay_tool_calls_total"
    /// Final marks that carriers never confirmed.
    public static let marksMissed = "patchbay_marks_missed_total"
    /// Audio given up because a bounded queue was full, in bytes, by `queue`: `caller` or `agent`.
    public static let dropped = "patchbay_dropped_bytes_total"

    static func record(_ core: CallCore, _ reason: EndReason) {
        let counters = core.counters
        Counter(label: calls, dimensions: [("outcome", reason.kind.rawValue)]).increment()
        if let ended = counters.endedAt, counters.streamStartedAt > .zero {
            Recorder(label: duration).record((ended - counters.streamStartedAt).seconds)
        }
        if let span = counters.timeToFirstAudio { Recorder(label: timeToFirstAudio).record(span.seconds) }
        if let span = counters.responseLatency { Recorder(label: responseLatency).record(span.seconds) }
        Counter(label: packets, dimensions: [("direction", "received")]).increment(by: counters.packetsReceived)
        Counter(label: packets, dimensions: [("direction", "sent")]).increment(by: counters.packetsSent)
        Counter(label: packets, dimensions: [("direction", "missing")]).increment(by: counters.packetsMissing)
        Counter(label: interruptions).increment(by: counters.interruptions)
        Counter(label: underruns).increment(by: core.ledger.underruns)
        Counter(label: faults, dimensions: [("peer", "carrier")]).increment(by: counters.carrierFaults)
        Counter(label: faults, dimensions: [("peer", "agent")]).increment(by: counters.agentFaults)
        for (code, count) in counters.agentFailureCodes {
            Counter(label: agentFailures, dimensions: [("code", code.description)]).increment(by: count)
        }
        Counter(label: agentTakeovers).increment(by: counters.agentTakeovers)
        if counters.longestAgentSilence > .zero {
            Recorder(label: agentSilence).record(counters.longestAgentSilence.seconds)
        }
        Counter(label: agentReconnects).increment(by: counters.agentReconnects)
        Counter(label: toolCalls, dimensions: [("outcome", "ok")]).increment(
            by: counters.toolCalls - counters.toolFailures)
        Counter(label: toolCalls, dimensions: [("outcome", "error")]).increment(by: counters.toolFailures)
        Counter(label: marksMissed).increment(by: counters.marksMissed)
        Counter(label: dropped, dimensions: [("queue", "caller")]).increment(by: core.agent.backlogDroppedBytes)
        Counter(label: dropped, dimensions: [("queue", "agent")]).increment(by: core.agent.queue.droppedBytes)
    }
}
