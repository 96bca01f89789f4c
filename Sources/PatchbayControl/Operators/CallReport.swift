import Foundation
import PatchbayCore
import PatchbayStore

/// One call of this process as `/calls` shows it.
struct CallReport: Encodable, Sendable {
    var id, callSid, streamSid, direction, from, to, pipeline, version, backend, state: String
    var tenant, session: String?
    var startedAt: Date
    var endedAt: Date?
    var endReason: String?
    var conversationId: String?
    var playedMs, unplayedMs, delayMs: Double
    var timeToFirstAudioMs, responseLatencyMs: Double?
    var packetsReceived, packetsSent, packetsMissing, gaps, underruns: Int
    var interruptions, falseInterruptions, interruptionsRefused, carrierFaults, agentFaults: Int
    var agentFailures, agentTakeovers, agentChanges, agentReconnects: Int
    /// The longest silence after a failure of the agent.
    var agentSilenceMs: Double
    var concealedMs, lateDroppedMs, silenceSkippedMs: Double
    /// What the caller has really heard of the agent's turn that is played, or of its last one.
    var heard: Heard?
    var events: [Event]?
    /// The rules that were asked about the call, in order.
    var rules: [String]?

    struct Heard: Encodable, Sendable {
        var text: String
        var ms: Double
        var complete: Bool
    }

    struct Event: Encodable, Sendable {
        var sequence: Int
        var atMs: Int64
        var event, detail: String

        init(_ event: StoredEvent) {
            (sequence, atMs, self.event, detail) = (event.sequence, event.atMs, event.event, event.detail)
        }
    }

    init(_ record: CallRecord, withEvents: Bool) async {
        let status = await record.call.status
        let counters = status?.counters ?? CallCounters()
        let info = record.info
        (id, callSid, streamSid) = (info.id, info.callSid, record.recorder.row.streamSid ?? "")
        (direction, from, to) = (info.direction.rawValue, info.from, info.to)
        (pipeline, version, backend) = (info.pipeline, info.version, status?.backend ?? "")
        (tenant, session) = (info.tenant, info.session)
        (startedAt, endedAt, endReason) = (record.startedAt, record.endedAt, record.end?.description)
        state = Self.name(record.end.map(CallCore.State.ended) ?? status?.state ?? .ringing)
        conversationId = counters.conversationID
        playedMs = (status?.played ?? .zero).inMilliseconds
        unplayedMs = (status?.unplayed ?? .zero).inMilliseconds
        delayMs = (status?.delay ?? .zero).inMilliseconds
        timeToFirstAudioMs = counters.timeToFirstAudio?.inMilliseconds
        responseLatencyMs = counters.responseLatency?.inMilliseconds
        packetsReceived = counters.packetsReceived
        packetsSent = counters.packetsSent
        packetsMissing = counters.packetsMissing
        gaps = counters.gaps
        underruns = status?.underruns ?? 0
        interruptions = counters.interruptions
        falseInterruptions = counters.falseInterruptions
        interruptionsRefused = counters.interruptionsRefused
        concealedMs = counters.concealed.inMilliseconds
        lateDroppedMs = counters.lateDropped.inMilliseconds
        silenceSkippedMs = counters.silenceSkipped.inMilliseconds
        let isHeardWithheld = record.recorder.isHeardWithheld
        heard = status?.heard.map {
            Heard(
                text: isHeardWithheld ? CallRecorder.withheld : $0.text, ms: $0.duration.inMilliseconds,
                complete: $0.isComplete)
        }
        carrierFaults = counters.carrierFaults
        agentFaults = counters.agentFaults
        agentFailures = counters.agentFailures
        agentTakeovers = counters.agentTakeovers
        agentChanges = counters.agentChanges
        agentReconnects = counters.agentReconnects
        agentSilenceMs = counters.longestAgentSilence.inMilliseconds
        if withEvents {
            if !record.rules.isEmpty { rules = record.rules.map(\.description) }
            events = record.recorder.entries.map(Event.init)
        }
    }

    private static func name(_ state: CallCore.State) -> String {
        switch state {
        case .ringing: "ringing"
        case .streaming: "streaming"
        case .draining: "draining"
        case .ended(let reason): reason.state
        }
    }
}

extension EndReason {
    /// How a call that ended so stands.
    var state: String { kind == .moved ? "moved" : isFailure ? "failed" : "ended" }
}

/// A call that this process does not know any more, as `/calls` shows it: with what the store keeps.
struct StoredCallReport: Encodable, Sendable {
    var id, callSid, streamSid, direction, from, to, pipeline, version, backend, state: String
    var tenant, session: String?
    var startedAt: Date
    var endedAt: Date?
    var endReason: String?
    var conversationId: String?
    var timeToFirstAudioMs, responseLatencyMs: Double?
    var interruptions, agentTakeovers: Int
    var recordings: [String]
    var events: [CallReport.Event]?

    init(_ call: StoredCall, events: [StoredEvent]? = nil) {
        (id, callSid, streamSid) = (call.id, call.callSid, call.streamSid ?? "")
        (direction, from, to) = (call.direction, call.from, call.to)
        (pipeline, version, backend, state) = (call.pipeline, call.version, call.backend ?? "", call.status)
        (tenant, session) = (call.tenant, call.session)
        (startedAt, endedAt, endReason) = (call.createdAt, call.endedAt, call.endReason)
        conversationId = call.conversationID
        (timeToFirstAudioMs, responseLatencyMs) = (call.timeToFirstAudioMs, call.responseLatencyMs)
        (interruptions, agentTakeovers) = (call.interruptions, call.agentTakeovers)
        recordings = call.recordings
        self.events = events?.map(CallReport.Event.init)
    }
}

/// A call of either kind.
enum AnyCallReport: Encodable, Sendable {
    case known(CallReport)
    case stored(StoredCallReport)

    func encode(to encoder: any Encoder) throws {
        switch self {
        case .known(let report): try report.encode(to: encoder)
        case .stored(let report): try report.encode(to: encoder)
        }
    }
}
