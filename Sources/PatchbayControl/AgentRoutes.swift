import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayCore

/// Another agent for a running call, or a person.
extension AdminRoutes {
    /// Longest description of an agent, in bytes.
    static let maximumAgentBytes = 256 * 1024

    func addAgents(to router: some RouterMethods<ControlContext>, _ path: String) {
        router.post(RouterPath("\(path)/:id/agent")) { request, context in
            let principal = try switchboard.access.admitSpending(request, context, needing: .calls)
            return try await changeAgent(request, context, principal)
        }
        router.post(RouterPath("\(path)/:id/transfer")) { request, context in
            let principal = try switchboard.access.admitSpending(request, context, needing: .calls)
            return try await transfer(request, context, principal)
        }
    }

    /// `{"to": "+4930123456"}` connects the caller with a person.
    private func transfer(
        _ request: Request, _ context: ControlContext, _ principal: Principal
    ) async throws -> Response {
        struct Order: Decodable { var to: String }
        let record = try record(context, seenBy: principal)
        guard let order = try? await request.decode(as: Order.self, context: context) else {
            throw HTTPError(.badRequest, message: #"send {"to": "+4930123456"}"#)
        }
        guard let number = PhoneNumber(order.to) else {
            throw HTTPError(.unprocessableContent, message: "\"\(order.to.prefix(32))\" is no number (E.164)")
        }
        guard try await !asking({ try await $0.isBlocked(number.description) }) else {
            note("call.transfer", record, principal, request, context, outcome: "blocked")
            throw HTTPError(.forbidden, message: "\(number) must not be dialled: it is on the block list")
        }
        let isBegun = await record.call.transfer(to: number)
        note("call.transfer", record, principal, request, context, outcome: isBegun ? "ok" : "the call has ended")
        guard isBegun else { throw Self.isOver }
        return try json(await CallReport(record, withEvents: false))
    }

    /// `{"backend": 1}` names one of the call's own agents; anything else is an agent as a pipeline file has it, with the same
    /// checks. Such a text may name any credential of the server's environment and any host, so it needs the right to change the
    /// server, for all tenants.
    private func changeAgent(
        _ request: Request, _ context: ControlContext, _ principal: Principal
    ) async throws -> Response {
        let record = try record(context, seenBy: principal)
        let body = Array(try await request.body.collect(upTo: Self.maximumAgentBytes).readableBytesView)
        guard record.end == nil, let place = record.agentPlace else { throw Self.isOver }
        let isChanged: Bool
        do {
            if let index = AgentOrder.index(in: body) {
                isChanged = try await record.call.changeAgent(to: index)
            } else {
                try switchboard.access.admitToWhole(request, context, needing: .admin)
                guard let (backend, diagnostics) = await switchboard.store.readAgent(body, for: place) else {
                    throw HTTPError(.conflict, message: "this server's host gave no means to read agents")
                }
                guard let backend else { return try json(Refused(diagnostics), .unprocessableContent) }
                let made = try backend.component.makeBackend(backend.settings)
                await switchboard.options.wireLog?.hide(backend.secrets, inCall: record.info.id)
                isChanged = try await record.call.changeAgent(
                    to: made,
                    identity: backend.identity(in: record.info.pipeline))
            }
        } catch let error as PipelineError {
            throw HTTPError(.unprocessableContent, message: "\(error)")
        }
        note("call.agent", record, principal, request, context, outcome: isChanged ? "ok" : "the call has ended")
        guard isChanged else { throw Self.isOver }
        return try json(await CallReport(record, withEvents: false))
    }

    private static let isOver = HTTPError(.conflict, message: "the call has ended already")

    private enum AgentOrder {
        /// The place in the call's own list; `nil` when the text describes an agent, and be it with a slip.
        static func index(in body: [UInt8]) -> Int? {
            let order = try? JSONDecoder().decode([String: Int].self, from: Data(body))
            return order?.count == 1 ? order?["backend"] : nil
        }
    }

    private struct Refused: Encodable {
        var error = "the agent cannot be used"
        var diagnostics: [Finding]

        init(_ diagnostics: [Diagnostic]) { self.diagnostics = diagnostics.map(Finding.init) }
    }
}

/// An agent that is not simply well, as `/pipelines` shows it.
struct AvoidedAgent: Encodable, Sendable {
    var backend: String
    /// `suspect` when it has failed lately, `avoided`, or `probing` while one call tries it.
    var state: String
    var failures: Int
    /// When it is tried again, in milliseconds from now.
    var triedInMs: Int64?
    var error: String

    init(_ report: AgentHealth.Report, at now: MediaTime) {
        backend = report.identity.type
        failures = report.failures
        error = report.lastError.description
        switch report.state {
        case .suspect: state = "suspect"
        case .probing: state = "probing"
        case .avoided(let until):
            state = "avoided"
            triedInMs = max(0, (until - now).milliseconds)
        }
    }
}
