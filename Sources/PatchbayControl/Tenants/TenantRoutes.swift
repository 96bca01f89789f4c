import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayStore

/// The tenants: which there are, and what is known of each.
struct TenantRoutes: EntryRoutes {
    static let kind = TenantDirectory.Kind.tenant
    static let path = ServerSettings.PathKey.tenants
    let switchboard: Switchboard

    func list(_ request: Request, for principal: Principal) throws -> Response {
        let set = switchboard.pipelineSet
        return try json(
            TenantsReport(
                tenants: directory.tenants(in: set).filter { principal.sees($0.tenant.id) }
                    .map { TenantReport($0.tenant, $0.stored, set, for: principal) }))
    }

    func show(_ id: String, for principal: Principal, _ status: HTTPResponse.Status) throws -> Response? {
        let (set, snapshot) = (switchboard.pipelineSet, directory.snapshot)
        guard principal.sees(id), let tenant = snapshot.tenant(id, in: set) else { return nil }
        return try json(TenantReport(tenant, snapshot.tenants[id], set, for: principal), status)
    }

    func fault(inName id: String) -> String? {
        Tenant.isID(id)
            ? nil
            : "\"\(id.prefix(80))\" is no name of a tenant: 1 to 64 letters, digits, \"-\", \"_\" and \".\""
    }

    func read(_ source: SourceText, _ id: String, _ condition: EntryCondition) -> EntryDraft {
        let set = switchboard.pipelineSet
        let (tenant, findings) = Tenant.read(source, id: id, pipelines: Set(set.documents.map(\.name)))
        var draft = EntryDraft(findings: findings, tenant: id)
        if let tenant { draft.check = { (snapshot) throws(StoreError) in try snapshot.check(tenant, in: set) } }
        return draft
    }

    func stored(_ id: String) -> (version: Int, tenant: String?)? {
        directory.snapshot.tenants[id].map { ($0.version, id) }
    }

    func standing(_ id: String) -> String? {
        switchboard.pipelineSet.tenants.file(of: id).map {
            "the tenant stands in \($0); take it out there, and reload"
        }
    }

    func absence(_ id: String) -> String { "there is no tenant \"\(id.prefix(80))\"" }
}

private struct TenantsReport: Encodable {
    var tenants: [TenantReport]
}

/// A tenant as `/tenants` shows it.
private struct TenantReport: Encodable {
    struct Number: Encodable {
        var number: String
        var sid: String?
    }

    var id, name: String
    var pipeline: String?
    var numbers: [Number]
    /// `store`, or the file that it stands in.
    var origin: String
    /// 0 for one of a file.
    var version: Int
    var updatedAt: Date?
    var updatedBy: String?
    var businessHoursSummary: String?
    /// What its calls are given; secrets withheld.
    var variables: [String: ShownValue]
    /// As it was put in, for who may change it; `nil` for others, because texts in it may be credentials.
    var settings: VerbatimJSON?

    init(_ tenant: Tenant, _ stored: TenantDirectory.Stored<Tenant>?, _ set: PipelineSet, for principal: Principal) {
        (id, name, pipeline) = (tenant.id, tenant.name, tenant.pipeline)
        numbers = tenant.numbers.map { Number(number: $0.number, sid: $0.sid) }
        origin = stored == nil ? set.tenants.file(of: tenant.id) ?? "file" : "store"
        version = stored?.version ?? 0
        (updatedAt, updatedBy) = (stored?.updatedAt, stored?.updatedBy)
        businessHoursSummary = tenant.businessHours?.summary
        variables = tenant.callVariables.withSecretsWithheld.mapValues { ShownValue(value: $0) }
        settings = principal.rights.contains(.admin) ? stored.flatMap { VerbatimJSON($0.body) } : nil
    }
}

/// A variable's value with its JSON type.
struct ShownValue: Encodable, Sendable {
    var value: VariableValue

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch value {
        case .string(let text): try container.encode(text)
        case .number(let number): try container.encode(number)
        case .bool(let flag): try container.encode(flag)
        }
    }
}
