import Crypto
import Foundation
import PatchbayConfig
import PatchbayCore
import PatchbayTransports

/// An order with everything it left open decided.
struct DialPlan: Sendable {
    /// Of the session.
    var id: String
    var to: PhoneNumber
    /// Empty where nothing is dialled.
    var from: String
    var pipeline: String
    var variables: [String: VariableValue]
    var agentName: String?
    var customerID: String?
    var tenant: String?
    var detectsMachines: Bool
    var ringSeconds: Int
    /// The longest call that the pipeline allows.
    var maximumSeconds: Int
    var idempotencyKey: String?
}

extension OutboundCalls {
    /// Checks everything about an order that does not depend on what was dialled before.
    func plan(_ order: DialOrder, by principal: Principal) throws(DialRefusal) -> DialPlan {
        guard let to = PhoneNumber(order.to) else {
            throw DialRefusal(
                .unprocessableContent,
                "\"\(order.to.prefix(32))\" is no number; write it with its country code (E.164), such as +15550100002")
        }
        let from = try callingNumber(order)
        let tenant = try tenant(of: order, principal)
        let agent = try agent(of: order)
        let document = try document(order.pipeline ?? agent?.pipeline, agentType: order.agentType, from: from)
        try checkScope(of: order, document, principal)
        guard document.transportType == TwilioTransport().spec.type else {
            throw DialRefusal(
                .unprocessableContent,
                "the pipeline \"\(document.name)\" has the transport \"\(document.transportType)\", which does not dial"
            )
        }
        if settings.outbound.bridge == .dial, options.agentPhoneNumber == nil {
            throw DialRefusal(
                .serviceUnavailable, "outbound.bridge is \"dial\", but ELEVENLABS_PHONE_NUMBER is not set or no number")
        }
        return DialPlan(
            id: Self.sessionID(order.idempotencyKey, tenant: tenant), to: to, from: from ?? "", pipeline: document.name,
            variables: (agent?.variables ?? [:]).merging(order.variables) { $1 }, agentName: order.agentType,
            customerID: order.customerID, tenant: tenant,
            detectsMachines: order.detectsMachines ?? settings.outbound.detectsMachines,
            ringSeconds: order.ringSeconds ?? settings.outbound.ringSeconds,
            maximumSeconds: Int(document.limits.maximumDuration.seconds), idempotencyKey: order.idempotencyKey)
    }

    private func callingNumber(_ order: DialOrder) throws(DialRefusal) -> String? {
        let text = order.from ?? settings.outbound.from?.description ?? options.twilioPhoneNumber
        guard let text else {
            guard rest != nil else { return nil }
            throw DialRefusal(
                .unprocessableContent,
                "there is no number to call from: send \"from\", or set outbound.from in server.json or TWILIO_PHONE_NUMBER"
            )
        }
        guard PhoneNumber(text) != nil else {
            throw DialRefusal(
                .unprocessableContent, "\"\(text.prefix(32))\" is no number to call from (E.164), such as +15550100001")
        }
        return text
    }

    /// Variables that say whose call it is; nobody sets them with an order.
    private static let reserved = ["tenantId", "tenantName"]

    /// What an order must not reach for: another tenant's name, and with a token of one tenant, others' numbers, pipelines
    /// and agents.
    private func checkScope(
        of order: DialOrder, _ document: PipelineDocument, _ principal: Principal
    ) throws(DialRefusal) {
        let own = principal.tenant
        for name in Self.reserved + (own == nil ? [] : ["agentId"]) where order.variables[name] != nil {
            throw DialRefusal(.unprocessableContent, "the variable \"\(name)\" is not an order's to set; leave it out")
        }
        guard let own else { return }
        let set = pipelines.current.set
        if let from = order.from, tenants.assignment(ofNumber: from, in: set)?.tenant != own {
            throw DialRefusal(.forbidden, "this token dials from the numbers of \"\(own)\" only")
        }
        let named = order.pipeline != nil || order.agentType.map { settings.outbound.agents[$0] == nil } ?? false
        guard named, document.name != tenants.assignment(ofTenant: own, in: set)?.pipeline else { return }
        throw DialRefusal(
            .forbidden, "this token dials with the pipeline of \"\(own)\", or by an agentType of server.json, only")
    }

    private func tenant(of order: DialOrder, _ principal: Principal) throws(DialRefusal) -> String? {
        guard let own = principal.tenant else { return order.tenant }
        guard order.tenant == nil || order.tenant == own else {
            throw DialRefusal(.forbidden, "this token dials for \"\(own)\" only")
        }
        return own
    }

    /// What `server.json` says about the kind of agent; where it says nothing of any, a kind is only kept as a name.
    private func agent(of order: DialOrder) throws(DialRefusal) -> ServerSettings.Outbound.Agent? {
        guard let type = order.agentType else { return nil }
        if let agent = settings.outbound.agents[type] { return agent }
        if pipelines.current.set.document(named: type) != nil { return .init(pipeline: type) }
        guard !settings.outbound.agents.isEmpty else { return nil }
        throw DialRefusal(
            .unprocessableContent,
            "there is no agent \"\(type.prefix(64))\"; there are \(Self.list(Array(settings.outbound.agents.keys)))")
    }

    private func document(
        _ name: String?, agentType: String?, from: String?
    ) throws(DialRefusal) -> PipelineDocument {
        let set = pipelines.current.set
        let names = Self.list(set.documents.map(\.name))
        if let name {
            if let document = set.document(named: name) { return document }
            throw DialRefusal(
                .unprocessableContent, "there is no pipeline \"\(name.prefix(64))\"; there are \(names)")
        }
        if let from, let document = set.route(from)?.document { return document }
        if set.documents.count == 1, let only = set.documents.first { return only }
        throw DialRefusal(
            .unprocessableContent,
            "no pipeline answers \(from ?? "the calling number"): name one by \"pipeline\"; there are \(names)")
    }

    /// Names, as many as a line takes.
    private static func list(_ names: [String]) -> String {
        let shown = names.sorted().prefix(20).map { "\"\($0)\"" }.joined(separator: ", ")
        return names.isEmpty ? "none" : names.count > 20 ? "\(shown) and \(names.count - 20) more" : shown
    }

    /// The same for the same key, so that an order which is sent again finds its session.
    private static func sessionID(_ key: String?, tenant: String?) -> String {
        guard let key else {
            var generator = SystemRandomNumberGenerator()
            let words = (0..<2).map { _ in String(generator.next() as UInt64, radix: 16) }
            return "session-" + words.map { String(repeating: "0", count: 16 - $0.count) + $0 }.joined()
        }
        let named = SHA256.hash(data: Data("\(tenant?.utf8.count ?? -1):\(tenant ?? ""):\(key)".utf8))
        return "session-" + named.prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
