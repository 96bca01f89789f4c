import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayCore
import PatchbayStore
import PatchbayWire
import Synchronization

/// What a request of an agent's vendor says of the call that it is about. Any of it may be missing.
struct VendorQuestion: Sendable {
    var callSid: String?
    var conversation: String?
    var from: String?
    var to: String?
    var tenant: String?
    var agent: String?

    /// What arguments, dynamic variables, a query and headers call these things.
    private static var names: [(WritableKeyPath<VendorQuestion, String?>, [String])] {
        [
            (\.callSid, ["call_sid", "callSid", "system__call_sid", "X-Call-Sid"]),
            (\.conversation, ["conversation_id", "conversationId", "system__conversation_id", "X-Conversation-Id"]),
            (\.from, ["caller_id", "caller_number", "callerNumber", "system__caller_id", "X-Caller-Id"]),
            (\.to, ["called_number", "calledNumber", "system__called_number", "X-Called-Number"]),
            (\.tenant, ["tenant_id", "tenantId", "X-Tenant-Id"]),
            (\.agent, ["agent_id", "agentId", "system__agent_id", "X-Agent-Id"]),
        ]
    }
    /// Longest value that is looked at, in bytes.
    private static let maximumBytes = 256

    /// The names of arguments that say whose call it is. A tool that does not declare them does not get them.
    static let arguments = Set(names.flatMap(\.1))

    /// Takes what is not known yet.
    mutating func take(_ value: (String) -> String?) {
        for (path, names) in Self.names where self[keyPath: path] == nil {
            self[keyPath: path] = names.lazy.compactMap(value).first {
                !$0.isEmpty && $0.utf8.count <= Self.maximumBytes
            }
        }
    }

    mutating func take(_ values: [String: String]) { take { values[$0] } }

    /// From the members of a JSON object and those of its `dynamic_variables`.
    mutating func take(_ text: String) {
        guard let json = JSONValue(parsing: text) else { return }
        take(json)
    }

    mutating func take(_ json: JSONValue) {
        for object in [json, json["dynamic_variables"]].compactMap(\.self) {
            take { name in if case .string(let text)? = object[name] { text } else { nil } }
        }
    }

    mutating func take(_ request: Request) {
        take { name in HTTPField.Name(name).flatMap { request.headers[$0] } }
        take { name in request.uri.queryParameters.get(name) }
    }
}

extension VendorQuestion {
    /// What a webhook says of its call: the telephone call first, then the variables that the conversation began with.
    init(_ webhook: ElevenLabsWebhook) {
        agent = webhook.agentId
        conversation = webhook.conversationId ?? webhook.sessionId
        switch webhook.event {
        case .report(let report):
            guard let phone = report.phoneCall else { break }
            callSid = phone.callSid
            // Our own number, whoever called.
            to = phone.agentNumber.isEmpty ? nil : phone.agentNumber
            from = phone.externalNumber.isEmpty ? nil : phone.externalNumber
        case .initiationFailure(let failure): callSid = failure.callSid
        case .audio, .conversationStarted, .conversationEnded, .toolCall, .unknown: break
        }
        take(webhook.variables)
    }

    /// The call's name, for the audit trail: the carrier's, else the vendor's.
    var name: String { callSid ?? conversation ?? "a call without a name" }
}

/// The call that a vendor asks about, with what it is made of.
struct VendorCall: Sendable {
    var info: CallInfo
    var call: CallVariables
    var plan: PipelinePlan
    /// What is said in its place, when a rule decides so.
    var words: String?
    /// Where what happens in it is kept, when it runs here or has run here lately.
    var recorder: CallRecorder?

    /// The vendor's agent: that of the id, else the first one.
    func backend(agent: String?) -> PipelinePlan.Backend? {
        let backends = plan.backends.filter { $0.component.spec.type == VendorAgents.type }
        return backends.first { agent != nil && $0.settings.string("agentId") == agent } ?? backends.first
    }
}

/// Whose call it is that a vendor carried.
struct VendorOwner: Sendable {
    var tenant: String?
    var pipeline: String
    var version: String
}

/// What answers a question, with the call as it would have been taken.
private struct VendorRoute: Sendable {
    var order: CallOrder
    var tenant: String?
    var route: Route
    var words: String?
}

extension Switchboard {
    /// Finds the call of a question: a running one, one on record, or what would answer the number, the tenant or the agent.
    ///
    /// - Parameter keepsContext: Whether what is known of the caller is kept for the questions that follow.
    func vendorCall(_ question: VendorQuestion, keepsContext: Bool) async throws -> VendorCall? {
        if let record = await runningCall(question), let place = record.agentPlace {
            let plan = try place.document.plan(for: place.call, variables: place.variables)
            return VendorCall(info: record.info, call: place.call, plan: plan, recorder: record.recorder)
        }
        var question = question
        var pipeline: String?
        var tenant: String?
        if question.to == nil, let stored = try await storedCall(question) {
            question.from = question.from ?? stored.from
            question.to = stored.to
            pipeline = stored.pipeline.isEmpty ? nil : stored.pipeline
            tenant = stored.tenant
        }
        guard let found = try await vendorRoute(question, pipeline: pipeline, tenant: tenant) else { return nil }
        let (order, route) = (found.order, found.route)
        var call = CallVariables(from: order.from, to: order.to, sid: question.callSid ?? "")
        let key = Self.contextKey(question)
        var logger = logger
        logger[metadataKey: "callSid"] = "\(call.sid)"
        call.context = await context.values(for: call, on: route, tenant: found.tenant, key: key, logger)
        if keepsContext, let key { await context.keep(call.context, key: key, number: order.from, for: 3600) }
        let info = CallInfo(
            id: Self.makeID(), callSid: order.callSid, from: order.from, to: order.to, pipeline: route.document.name,
            version: route.document.version, tenant: found.tenant)
        return VendorCall(info: info, call: call, plan: try route.plan(for: call), words: found.words)
    }

    /// Whose call it is that a vendor carried, and which pipeline it would have had here. A tenant is one that is known: what
    /// the vendor calls so may be anything.
    func vendorOwner(_ question: VendorQuestion) async throws(StoreError) -> VendorOwner? {
        guard let found = try await vendorRoute(question) else { return nil }
        let tenant = found.tenant.flatMap { tenants.assignment(ofTenant: $0, in: store.current.set)?.tenant }
        return VendorOwner(
            tenant: tenant, pipeline: found.route.document.name, version: found.route.document.version)
    }

    /// What answers the number of a question, its tenant or its agent; `nil` when nothing does.
    ///
    /// - Parameters:
    ///   - pipeline: The pipeline that the call has on record.
    ///   - tenant: The tenant that it has there.
    private func vendorRoute(
        _ question: VendorQuestion, pipeline: String? = nil, tenant: String? = nil
    ) async throws(StoreError) -> VendorRoute? {
        try await tenants.loadOnce()
        let set = store.current.set
        let callSid = question.callSid ?? question.conversation ?? "unknown"
        var order = CallOrder(callSid: callSid, from: question.from ?? "", to: question.to ?? "")
        order.pipeline = pipeline
        // The called number says whose call it is, before a name does: names come from agents, whom callers talk to.
        let owner = question.to.flatMap { tenants.assignment(ofNumber: $0, in: set)?.tenant }
        if owner == nil {
            order.tenant = tenant ?? question.tenant ?? question.agent.flatMap { tenants.tenant(ofAgent: $0, in: set) }
        }
        let isAssigned = order.tenant.flatMap { tenants.assignment(ofTenant: $0, in: set) } != nil
        var decision = question.to == nil && !isAssigned ? nil : decide(order)
        if decision == nil, let number = vendorAgents.number(question, store.current) {
            order.to = number
            order.pipeline = nil
            decision = decide(order)
        }
        let owned = owner ?? order.tenant
        return switch decision {
        case .pipeline(let route, _): VendorRoute(order: order, tenant: owned, route: route)
        case .say(let text, let route, _): VendorRoute(order: order, tenant: owned, route: route, words: text)
        case nil: nil
        }
    }

    /// Under which what is known of the caller is kept for the tools of a call that the vendor carries.
    private static func contextKey(_ question: VendorQuestion) -> String? {
        (question.callSid ?? question.conversation).map { "vendor-\($0)" }
    }

    private func runningCall(_ question: VendorQuestion) async -> CallRecord? {
        if let sid = question.callSid, let record = registry.latest(callSid: sid) { return record }
        guard let id = question.conversation else { return nil }
        for record in registry.all().running where await record.call.status?.counters.conversationID == id {
            return record
        }
        return nil
    }

    private func storedCall(_ question: VendorQuestion) async throws -> StoredCall? {
        if let id = question.conversation, let found = try await records.call(conversation: id) { return found }
        if let sid = question.callSid { return try await records.call(sid) }
        return nil
    }
}

/// Which numbers lead to which agents and tenants: for questions that name no number.
final class VendorAgents: Sendable {
    /// The type of ElevenLabs' agents in pipeline files.
    static let type = "elevenlabs"
    /// What the variable with the tenant may be called.
    static let tenantNames = ["tenantId", "tenant_id", "tenant"]
    /// Numbers that are looked at; what leads beyond them has to name its number.
    static let maximumNumbers = 10_000

    private struct Index {
        var revision: Int
        var agents: [String: String] = [:]
        var tenants: [String: String] = [:]
    }

    private let index = Mutex<Index?>(nil)

    /// A number whose calls lead to the tenant, or to the agent. The first look after a reload costs a plan for every number.
    func number(_ question: VendorQuestion, _ revision: PipelineStore.Revision) -> String? {
        guard question.tenant != nil || question.agent != nil else { return nil }
        let index = index.withLock { index in
            if let known = index, known.revision == revision.number { return known }
            let made = Self.makeIndex(of: revision)
            index = made
            return made
        }
        if let tenant = question.tenant { return index.tenants[tenant] }
        return question.agent.flatMap { index.agents[$0] }
    }

    private static func makeIndex(of revision: PipelineStore.Revision) -> Index {
        var index = Index(revision: revision.number)
        var count = 0
        for document in revision.set.documents {
            for number in document.numbers {
                count += 1
                guard count <= maximumNumbers else { return index }
                let called = number.pattern.description.replacing("*", with: "")
                for name in tenantNames {
                    guard let tenant = number.variables[name]?.description else { continue }
                    index.tenants[tenant] = index.tenants[tenant] ?? called
                }
                let plan = try? document.plan(for: CallVariables(to: called), variables: number.variables)
                for backend in plan?.backends ?? [] where backend.component.spec.type == type {
                    guard let agent = backend.settings.string("agentId"), !agent.isEmpty else { continue }
                    index.agents[agent] = index.agents[agent] ?? called
                }
            }
        }
        return index
    }
}
