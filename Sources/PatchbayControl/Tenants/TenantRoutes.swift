import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayStore

/// The tenants: which there are, and what is known of each.
struct TenantRoutes: Sendable {
    let switchboard: Switchboard
    private var directory: TenantDirectory { switchboard.tenants }
    private var access: Access { switchboard.access }

    func add(to router: some RouterMethods<ControlContext>) {
        for path in switchboard.settings.paths(.tenants) {
            router.get(RouterPath(path)) { request, context in
                let principal = try access.admit(request, context, .tenants)
                await directory.loadOnce()
                let set = switchboard.pipelineSet
                return try json(
                    TenantsReport(
                        tenants: directory.tenants(in: set).filter { principal.sees($0.tenant.id) }
                            .map { TenantReport($0.tenant, $0.stored, set, for: principal) }))
            }
            router.get(RouterPath("\(path)/:tenant")) { request, context in
                let principal = try access.admit(request, context, .tenants)
                await directory.loadOnce()
                return try one(context.segment("tenant"), principal)
            }
            router.put(RouterPath("\(path)/:tenant")) { request, context in
                let principal = try access.admitToWhole(request, context)
                return try await put(request, context, principal)
            }
            router.delete(RouterPath("\(path)/:tenant")) { request, context in
                let principal = try access.admitToWhole(request, context)
                return try await delete(request, context, principal)
            }
        }
    }

    private func one(_ id: String, _ principal: Principal, status: HTTPResponse.Status = .ok) throws -> Response {
        let set = switchboard.pipelineSet
        let snapshot = directory.snapshot
        guard principal.sees(id), let tenant = directory.tenant(id, in: set, snapshot) else { throw Self.unknown(id) }
        let stored = snapshot.tenants[id]
        var response = try json(TenantReport(tenant, stored, set, for: principal), status)
        response.headers[.eTag] = EntryCondition.tag(stored?.version ?? 0)
        return response
    }

    private func put(_ request: Request, _ context: ControlContext, _ principal: Principal) async throws -> Response {
        let id = context.segment("tenant")
        guard Tenant.isID(id) else {
            throw HTTPError(
                .unprocessableContent,
                message: "\"\(id.prefix(80))\" is no name of a tenant: 1 to 64 letters, digits, \"-\", \"_\" and \".\"")
        }
        let condition = try EntryCondition(request)
        let body = try await request.body.collect(upTo: switchboard.settings.limits.maximumBodyBytes)
        await directory.loadOnce()
        let set = switchboard.pipelineSet
        let source = SourceText(file: "tenant \(id)", bytes: Array(body.readableBytesView))
        var (tenant, findings) = Tenant.read(source, id: id, pipelines: Set(set.documents.map(\.name)))
        let snapshot = directory.snapshot
        for number in tenant?.numbers ?? [] {
            guard let owner = snapshot.owners[number.number], owner != id else { continue }
            findings.append(
                Diagnostic(
                    file: source.file, .duplicateNumber,
                    "\"\(number.number)\" belongs to tenant \"\(owner)\" already", path: "numbers",
                    suggestion: .init("take it from that tenant first")))
            tenant = nil
        }
        guard tenant != nil else {
            switchboard.note(
                "tenant.put", id, principal, request, context, outcome: findings.first?.message ?? "refused", tenant: id
            )
            return try json(UnusableDocument("the tenant cannot be used", findings), .unprocessableContent)
        }
        let isNew = snapshot.tenants[id] == nil
        do {
            let version = try await directory.put(
                .tenant, id, String(buffer: body), version: condition.version, by: principal)
            switchboard.note("tenant.put", "\(id) version \(version)", principal, request, context, tenant: id)
        } catch {
            switchboard.note("tenant.put", id, principal, request, context, outcome: error.message, tenant: id)
            throw HTTPError(error)
        }
        return try one(id, principal, status: isNew ? .created : .ok)
    }

    private func delete(_ request: Request, _ context: ControlContext, _ principal: Principal) async throws -> Response
    {
        let id = context.segment("tenant")
        let condition = try EntryCondition(request)
        await directory.loadOnce()
        guard let stored = directory.snapshot.tenants[id] else {
            if let file = switchboard.pipelineSet.tenants.file(of: id) {
                throw HTTPError(.conflict, message: "the tenant stands in \(file); take it out there, and reload")
            }
            throw Self.unknown(id)
        }
        try condition.check(stored.version)
        do {
            guard try await directory.remove(.tenant, id, by: principal) else { throw Self.unknown(id) }
        } catch let error as StoreError {
            throw HTTPError(error)
        }
        switchboard.note("tenant.delete", id, principal, request, context, tenant: id)
        return Response(status: .noContent)
    }

    private static func unknown(_ id: String) -> HTTPError {
        HTTPError(.notFound, message: "there is no tenant \"\(id.prefix(80))\"")
    }
}

extension EntryCondition {
    /// - Throws: 412 when another version is current.
    func check(_ current: Int) throws {
        guard let version, version != current else { return }
        throw HTTPError(
            .preconditionFailed, message: "the entry has version \(current), not \(version); read it again")
    }
}

extension Switchboard {
    /// Notes what somebody did over HTTP.
    func note(
        _ action: String, _ subject: String, _ principal: Principal, _ request: Request, _ context: ControlContext,
        outcome: String = "ok", tenant: String? = nil
    ) {
        audit.note(
            action, subject, by: principal, from: request.origin(context, options), outcome: outcome, tenant: tenant)
    }
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
