import Foundation
import Logging
import PatchbayConfig
import PatchbayCore

/// Who answers a call: whose number it is, what is known of the caller, which pipeline follows from that.
extension Switchboard {
    /// What is known of the caller, before the plan is made. A call that goes on keeps what it had.
    func context(
        for order: CallOrder, _ call: CallVariables, on route: Route, tenant: String?, _ logger: Logger
    ) async -> [String: VariableValue] {
        if order.isResumed, let known = registry.latest(callSid: order.callSid) { return known.context }
        // Nobody is looked up for a call that is going to be turned away.
        guard isAccepting || order.isResumed else { return [:] }
        return await context.values(for: call, on: route, tenant: tenant, key: order.contextKey, logger)
    }

    /// Keeps what is known of a caller for the process that the stream will reach.
    ///
    /// - Parameter nonce: That of the stream's token.
    func keepContext(of record: CallRecord, nonce: String) async {
        let info = record.info
        await context.keep(
            record.context, key: nonce, number: info.direction == .outbound ? info.to : info.from,
            for: TimeInterval(streamTokenLifetime.seconds))
    }

    /// Whose call it is: the tenant's that whoever dialled has named, else that of our own number.
    func assignment(of order: CallOrder) -> NumberAssignment? {
        let set = store.current.set
        if let tenant = order.tenant { return tenants.assignment(ofTenant: tenant, in: set) }
        return tenants.assignment(ofNumber: order.ownNumber, in: set)
    }

    /// Who answers a call; `nil` when nobody does.
    func decide(_ order: CallOrder) -> RouteDecision? { decide(order, assignment(of: order)) }

    func decide(_ order: CallOrder, _ assignment: NumberAssignment?) -> RouteDecision? {
        let variables = assignment?.variables ?? [:]
        let known = order.isResumed ? registry.latest(callSid: order.callSid)?.info : nil
        let former = order.former.map { ($0.pipeline, $0.version) } ?? known.map { ($0.pipeline, $0.version) }
        if let (pipeline, version) = former,
            let (document, set) = store.document(named: pipeline, version: version),
            var route = set.route(order.ownNumber) ?? set.route(order.ownNumber, by: pipeline)
        {
            route.document = document
            return .pipeline(route.setting(variables), by: [])
        }
        if let name = order.pipeline {
            return store.current.set.route(order.ownNumber, by: name).map { .pipeline($0.setting(variables), by: []) }
        }
        let call = CallVariables(from: order.from, to: order.to, sid: order.callSid)
        let set = store.current.set
        var assigned = assignment
        // A number that nobody has is nobody's at this path either.
        if let name = order.pathPipeline, set.route(order.to, assigned: assignment) != nil {
            assigned = assignment ?? NumberAssignment()
            assigned?.pipeline = name
        }
        return set.decide(call, assigned: assigned, at: clock())
    }
}
