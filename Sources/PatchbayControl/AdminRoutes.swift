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
        addCalls(to: router)
        addRecords(to: router)
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
                try switchboard.access.admitToWhole(request, context, .metrics)
                return try await metrics()
            }
        }
        for path in settings.paths(.calls) {
            addAgents(to: router, path)
            router.post(RouterPath("\(path)/:id/recording")) { request, context in
                let principal = try switchboard.access.admit(request, context, needing: .calls)
                return try await recording(request, context, principal)
            }
            router.post(RouterPath("\(path)/:id/hangup")) { request, context in
                let principal = try switchboard.access.admit(request, context, needing: .calls)
                let id = context.parameters.get("id") ?? ""
                // A call that only rings is the carrier's alone.
                if switchboard.registry.find(id)?.end != nil || switchboard.registry.find(id) == nil,
                    let answer = try await OutboundRoutes(switchboard: switchboard).hangUp(
                        id, for: principal, request, context)
                {
                    return answer
                }
                let record = try record(context, seenBy: principal)
                guard record.end == nil else { throw HTTPError(.conflict, message: "the call has ended already") }
                await record.call.hangUp(EndReason(.operatorHungUp))
                note("call.hangup", record, principal, request, context)
                return try json(await CallReport(record, withEvents: false))
            }
        }
    }

    /// Pauses or resumes the recordings of a call, for instance around a card number.
    private func recording(
        _ request: Request, _ context: ControlContext, _ principal: Principal
    ) async throws -> Response {
        struct Order: Decodable { var command: String }
        let record = try record(context, seenBy: principal)
        guard let order = try? await request.decode(as: Order.self, context: context),
            let command = RecordingCommand(rawValue: order.command)
        else { throw HTTPError(.badRequest, message: #"send {"command": "pause"} or {"command": "resume"}"#) }
        guard record.end == nil else { throw HTTPError(.conflict, message: "the call has ended already") }
        guard await record.call.recording(command) else {
            throw HTTPError(.conflict, message: "the call's pipeline has no recorder")
        }
        note("call.recording.\(command.rawValue)", record, principal, request, context)
        return try json(["recording": command.rawValue])
    }

    private func ready() throws -> Response {
        guard switchboard.isAccepting else {
            return try json(["status": switchboard.registry.isDraining ? "draining" : "full"], .serviceUnavailable)
        }
        return try json(["status": "ready"])
    }

    private func metrics() async throws -> Response {
        switchboard.health.forgetStale(at: .now())
        try await switchboard.measure()
        Gauge(label: ServerMetrics.uptime).record(Date().timeIntervalSince(startedAt))
        return Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: PrometheusMetrics.shared.text())))
    }

    /// The call that a path names; one that the principal may not see is not there.
    func record(_ context: ControlContext, seenBy principal: Principal) throws -> CallRecord {
        let id = context.parameters.get("id") ?? ""
        guard let record = switchboard.registry.find(id), principal.sees(record.info.tenant) else {
            throw Self.noCall(id)
        }
        return record
    }

    static func noCall(_ id: String) -> HTTPError { HTTPError(.notFound, message: "there is no call \"\(id)\"") }
    /// Notes what was done to a call.
    func note(
        _ action: String, _ record: CallRecord, _ principal: Principal, _ request: Request, _ context: ControlContext,
        outcome: String = "ok"
    ) {
        switchboard.audit.note(
            action, record.info.id, by: principal, from: request.origin(context, switchboard.options),
            outcome: outcome, tenant: record.info.tenant)
    }

    @discardableResult
    func admit(_ request: Request, _ context: ControlContext, _ key: ServerSettings.PathKey?) throws -> Principal {
        try switchboard.access.admit(request, context, key)
    }
}

/// What a server says of itself.
private struct ServerInformation: Encodable {
    var service = "patchbay"
    var version = ServerVersion.text
    var status: String
    var activeCalls: Int
    var pipelines: [String]

    init(_ switchboard: Switchboard) {
        status = switchboard.isAccepting ? "ready" : switchboard.registry.isDraining ? "draining" : "full"
        activeCalls = switchboard.registry.activeCount
        pipelines = switchboard.pipelineSet.documents.map(\.name)
    }
}

func json(_ value: some Encodable, _ status: HTTPResponse.Status = .ok) throws -> Response {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .iso8601
    return Response(
        status: status, headers: [.contentType: "application/json; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: try encoder.encode(value) + [0x0A])))
}
