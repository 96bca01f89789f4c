/// Every metric of a call: names, units and labels on one screen.
///
/// The media path counts in plain numbers (``CallCounters``); they are added to the process's metrics when somebody
/// looks, and when the call ends. What is measured once a turn is entered at once, see ``CallMeters``.
public enum CallMetrics {
    public static let calls = "patchbay_calls_total"
    public static let duration = "patchbay_call_duration_seconds"
    public static let connecting = "patchbay_agent_connect_seconds"
    public static let timeToFirstAudio = "patchbay_time_to_first_audio_seconds"
    public static let responseLatency = "patchbay_response_latency_seconds"
    public static let interruptionLatency = "patchbay_interruption_latency_seconds"
    public static let packets = "patchbay_packets_total"
    public static let gaps = "patchbay_gaps_total"
    public static let concealed = "patchbay_concealed_seconds_total"
    public static let lateAudio = "patchbay_late_audio_seconds_total"
    public static let interruptions = "patchbay_interruptions_total"
    public static let underruns = "patchbay_underruns_total"
    public static let faults = "patchbay_message_faults_total"
    public static let agentFailures = "patchbay_agent_failures_total"
    public static let agentAvoided = "patchbay_agent_avoided"
    public static let transfers = "patchbay_transfers_total"
    public static let agentTakeovers = "patchbay_agent_takeovers_total"
    public static let agentSilence = "patchbay_agent_silence_seconds"
    public static let agentReconnects = "patchbay_agent_reconnects_total"
    public static let toolCalls = "patchbay_tool_calls_total"
    public static let marksMissed = "patchbay_marks_missed_total"
    public static let dropped = "patchbay_dropped_bytes_total"

    /// What each of them means.
    public static let all: [MetricDescription] = [
        MetricDescription(
            calls, .counter, ["direction", "outcome"],
            "Calls that are over, by how they ended: callerHungUp, failure, noStream, …; moved: another server has it."),
        MetricDescription(
            duration, .histogram(MetricDescription.durations), ["direction"],
            "How long calls lasted, from the start of their stream."),
        MetricDescription(
            connecting, .histogram(MetricDescription.waits), ["backend"],
            "From the first step towards an agent until it is ready."),
        MetricDescription(
            timeToFirstAudio, .histogram(MetricDescription.waits), ["backend"],
            "From the start of a stream to the first packet of the agent's audio."),
        MetricDescription(
            responseLatency, .histogram(MetricDescription.waits), ["backend"],
            "From where the caller fell silent to the first packet of the answer, of every turn; needs a vad stage."),
        MetricDescription(
            interruptionLatency, .histogram(MetricDescription.waits), [],
            "From where a vad stage heard the caller begin to speak until the carrier was told to fall silent."),
        MetricDescription(
            packets, .counter, ["direction"],
            "Packets of audio: received from carriers, sent to them, missing by the carrier's numbering."),
        MetricDescription(gaps, .counter, [], "Holes in callers' audio, by the carrier's timestamps."),
        MetricDescription(concealed, .counter, [], "Sound that was made up to fill holes in callers' audio."),
        MetricDescription(lateAudio, .counter, [], "Callers' audio that came too late to be given to the agent."),
        MetricDescription(interruptions, .counter, [], "Turns of agents that were cut."),
        MetricDescription(underruns, .counter, [], "Times a carrier ran dry in the middle of what an agent said."),
        MetricDescription(
            faults, .counter, ["peer"], "Messages that could not be used, of the carrier or of the agent."),
        MetricDescription(
            agentFailures, .counter, ["backend", "code"],
            "Agents that failed, when connecting or in mid-call, by cause."),
        MetricDescription(
            agentAvoided, .gauge, ["backend", "pipeline"],
            "1 while an agent is avoided; of several with one type the latest change shows."),
        MetricDescription(
            transfers, .counter, ["outcome"],
            "Callers who were to be connected with a person: begun, and how the carrier says it ended."),
        MetricDescription(
            agentTakeovers, .counter, [], "Agents that took over from another in mid-call and were heard."),
        MetricDescription(
            agentSilence, .histogram(MetricDescription.waits), [],
            "The longest silence of a call after a failure of its agent."),
        MetricDescription(agentReconnects, .counter, [], "Conversations that went on over a new socket."),
        MetricDescription(toolCalls, .counter, ["outcome"], "Tools that agents called: ok or error."),
        MetricDescription(marksMissed, .counter, [], "Final marks that carriers never confirmed."),
        MetricDescription(
            dropped, .counter, ["queue"],
            "Audio given up because a bounded queue was full: the caller's for the agent, or the agent's for the caller."
        ),
    ]
}
