import Foundation
import HTTPTypes
import Hummingbird
import Metrics
import PatchbayConfig
import PatchbayCore

/// What operators and balancers ask: health, readiness, calls, metrics; and the one thing they may do to a call.
struct AdminRoutes: Sendable {
    let switchboard: Switchboard
    let startedAt = Date()
    var settings: ServerSettings { switchboard.settings }

    func add(to router: some RouterMethods<ControlContext>) {
        addPipelines(to: router)
        for path in settings.paths(.health) { router.get(RouterPath(path)) { _, _ in try json(["status": "ok"]) } }
        for path in settings.paths(.info) {
            router.get(RouterPath(path)) { request, context in
                try admit(request, context, .info)
                return try json(ServerInformation(switchboard))
            }
        }
        for path in settings.paths(.ready) { router.get(RouterPath(path)) { _, _ in try ready() } }
        for path in settings.paths(.metrics) {
            router.get(RouterPath(path)) { request, context in
                try admit(request, context, .metrics)
                return try await metrics()
            }
        }
        for path in settings.paths(.calls) {
            router.get(RouterPath(path)) { request, context in
                try admit(request, context, .calls)
                return try await calls(onlyActive: request.uri.queryParameters["active"] == "true")
            }
            router.get(RouterPath("\(path)/:id")) { request, context in
                try admit(request, context, .calls)
                return try json(await CallReport(try record(context), withEvents: true))
            }
            addAgents(to: router, path)
            router.post(RouterPath("\(path)/:id/recording")) { request, context in
                try admit(request, context, nil)
                return try await recording(request, context)
            }
            router.post(RouterPath("\(path)/:id/hangup")) { request, context in
                try admit(request, context, nil)
                let record = try record(context)
                guard record.end == nil else { throw HTTPError(.conflict, message: "the call has ended already") }
                await record.call.hangUp(EndReason(.operatorHungUp))
                return try json(await CallReport(record, withEvents: false))
            }
        }
    }

    /// Pauses or resumes the recordings of a call, for instance around a card number.
    private func recording(_ request: Request, _ context: ControlContext) async throws -> Response {
        struct Order: Decodable { var command: String }
        let record = try record(context)
        guard let order = try? await request.decode(as: Order.self, context: context),
            let command = RecordingCommand(rawValue: order.command)
        else { throw HTTPError(.badRequest, message: #"send {"command": "pause"} or {"command": "resume"}"#) }
        guard record.end == nil else { throw HTTPError(.conflict, message: "the call has ended already") }
        guard await record.call.recording(command) else {
            throw HTTPError(.conflict, message: "the call's pipeline has no recorder")
        }
        return try json(["recording": command.rawValue])
    }

    private func ready() throws -> Response {
        guard switchboard.isAccepting else {
            return try json(["status": switchboard.registry.isDraining ? "draining" : "full"], .serviceUnavailable)
        }
        return try json(["status": "ready"])
    }

    private func calls(onlyActive: Bool) async throws -> Response {
        let (running, past) = switchboard.registry.all()
        var reports: [CallReport] = []
        for record in running { reports.append(await CallReport(record, withEvents: false)) }
        if !onlyActive { for record in past { reports.append(await CallReport(record, withEvents: false)) } }
        return try json(CallList(active: running.count, calls: reports))
    }

    private func metrics() async throws -> Response {
        switchboard.health.forgetStale(at: .now())
        Gauge(label: "patchbay_calls_active").record(switchboard.registry.activeCount)
        let lateness = try await switchboard.mediaLoop.eventLoop.submit { switchboard.mediaLoop.takeWorstLateness() }
            .get()
        Gauge(label: "patchbay_tick_lateness_seconds").record(lateness.seconds)
        Gauge(label: "patchbay_pipelines_revision").record(switchboard.store.current.number)
        Gauge(label: "patchbay_uptime_seconds").record(Date().timeIntervalSince(startedAt))
        return Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: PrometheusMetrics.shared.text())))
    }

    func record(_ context: ControlContext) throws -> CallRecord {
        let id = context.parameters.get("id") ?? ""
        guard let record = switchboard.registry.find(id) else {
            throw HTTPError(.notFound, message: "there is no call \"\(id)\"")
        }
        return record
    }

    @discardableResult
    func admit(_ request: Request, _ context: ControlContext, _ key: ServerSettings.PathKey?) throws -> Principal {
        try switchboard.access.admit(request, context, key)
    }
}

/// One call as `/calls` shows it.
struct CallReport: Encodable, Sendable {
    var id, callSid, streamSid, direction, from, to, pipeline, version, backend, state: String
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
        var atMs: Int64
        var event, detail: String
    }

    init(_ record: CallRecord, withEvents: Bool) async {
        let status = await record.call.status
        let counters = status?.counters ?? CallCounters()
        let info = record.info
        (id, callSid, streamSid) = (info.id, info.callSid, record.log.streamSid)
        (direction, from, to) = (info.direction.rawValue, info.from, info.to)
        (pipeline, version, backend) = (info.pipeline, info.version, status?.backend ?? "")
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
        heard = status?.heard.map {
            Heard(text: $0.text, ms: $0.duration.inMilliseconds, complete: $0.isComplete)
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
            events = record.log.entries.map { Event(atMs: $0.milliseconds, event: $0.event, detail: $0.detail) }
        }
    }

    private static func name(_ state: CallCore.State) -> String {
        switch state {
        case .ringing: "ringing"
        case .streaming: "streaming"
        case .draining: "draining"
        case .ended(let reason): reason.isFailure ? "failed" : "ended"
        }
    }
}

/// What a server says of itself.
private struct ServerInformation: Encodable {
    var service = "patchbay"
    var status: String
    var activeCalls: Int
    var pipelines: [String]

    init(_ switchboard: Switchboard) {
        status = switchboard.isAccepting ? "ready" : switchboard.registry.isDraining ? "draining" : "full"
        activeCalls = switchboard.registry.activeCount
        pipelines = switchboard.pipelineSet.documents.map(\.name)
    }
}

private struct CallList: Encodable {
    var active: Int
    var calls: [CallReport]
}

extension TimeSpan {
    fileprivate var inMilliseconds: Double { Double(nanoseconds / 1000) / 1000 }
}

func json(_ value: some Encodable, _ status: HTTPResponse.Status = .ok) throws -> Response {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .iso8601
    return Response(
        status: status, headers: [.contentType: "application/json; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: try encoder.encode(value) + [0x0A])))
}
