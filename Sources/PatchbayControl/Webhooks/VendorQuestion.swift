import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayCore
import PatchbayStore
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

/// The call that a vendor asks about, with what it is made of.
struct VendorCall: Sendable {
    var info: CallInfo
    var call: CallVariables
    var plan: PipelinePlan
    /// What is said in its place, when a rule decides so.
    var words: String?

    /// The vendor's agent: that of the id, else the first one.
    func backend(agent: String?) -> PipelinePlan.Backend? {
        let backends = plan.backends.filter { $0.component.spec.type == VendorAgents.type }
        return backends.first { agent != nil && $0.settings.string("agentId") == agent } ?? backends.first
    }
}

extension Switchboard {
    /// Finds the call of a question: a running one, one on record, or what would answer the number, the tenant or the agent.
    ///
    /// - Parameter keepsContext: Whether what is known of the caller is kept for the questions that follow.
    func vendorCall(_ question: VendorQuestion, keepsContext: Bool) async throws -> VendorCall? {
        if let record = await runningCall(question), let place = record.agentPlace {
            let plan = try place.document.plan(for: place.call, variables: place.variables)
            return VendorCall(info: record.info, call: place.call, plan: plan)
        }
        await tenants.loadOnce()
        let set = store.current.set
        var question = question
        var pipeline: String?
        var tenant: String?
        if question.to == nil, let stored = try await storedCall(question) {
            question.from = question.from ?? stored.from
            question.to = stored.to
            pipeline = stored.pipeline.isEmpty ? nil : stored.pipeline
            tenant = stored.tenant
        }
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
        tenant = owner ?? order.tenant
        let route: Route
        var words: String?
        switch decision {
        case .pipeline(let found, _): route = found
        case .say(let text, let found, _): (route, words) = (found, text)
        case nil: return nil
        }
        var call = CallVariables(from: order.from, to: order.to, sid: question.callSid ?? "")
        let key = Self.contextKey(question)
        call.context = await context.values(for: call, on: route, tenant: tenant, key: key)
        if keepsContext, let key { await context.keep(call.context, key: key, number: order.from, for: 3600) }
        let info = CallInfo(
            id: Self.makeID(), callSid: callSid, from: order.from, to: order.to, pipeline: route.document.name,
            version: route.document.version, tenant: tenant)
        return VendorCall(info: info, call: call, plan: try route.plan(for: call), words: words)
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
