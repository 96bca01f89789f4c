import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayStore

/// Entries that can be put in beside the files, each under its name: how they are listed, shown, changed and taken out.
protocol EntryRoutes: Sendable {
    var switchboard: Switchboard { get }
    static var kind: TenantDirectory.Kind { get }
    static var path: ServerSettings.PathKey { get }

    /// All that a principal may see.
    func list(_ request: Request, for principal: Principal) throws -> Response
    /// One as it is in force; `nil` when there is none that the principal may see.
    func show(_ id: String, for principal: Principal, _ status: HTTPResponse.Status) throws -> Response?
    /// What is wrong with a name; `nil` when it can be one.
    func fault(inName id: String) -> String?
    /// Reads what is to be put in.
    func read(_ source: SourceText, _ id: String, _ condition: EntryCondition) -> EntryDraft
    /// What the store holds under a name.
    func stored(_ id: String) -> (version: Int, tenant: String?)?
    /// Why what is in force but not in the store cannot be taken out; `nil` when nothing is in force.
    func standing(_ id: String) -> String?
    /// Says that there is none.
    func absence(_ id: String) -> String
}

/// An entry that is to be put in.
struct EntryDraft: Sendable {
    /// What is wrong with it, or to be told of it.
    var findings: [Diagnostic]
    /// Whose it is, for the trail.
    var tenant: String?
    /// Asked when it is entered; `nil` when it cannot be used.
    var check: (@Sendable (TenantDirectory.Snapshot) throws(StoreError) -> Void)?
}

extension EntryRoutes {
    var directory: TenantDirectory { switchboard.tenants }
    private var access: Access { switchboard.access }
    private var name: String { Self.kind.rawValue }

    func add(to router: some RouterMethods<ControlContext>) {
        for path in switchboard.settings.paths(Self.path) {
            router.get(RouterPath(path)) { request, context in
                let principal = try access.admit(request, context, Self.path)
                try await load()
                return try list(request, for: principal)
            }
            router.get(RouterPath("\(path)/:\(name)")) { request, context in
                let principal = try access.admit(request, context, Self.path)
                try await load()
                return try one(context.segment(name), principal)
            }
            router.put(RouterPath("\(path)/:\(name)")) { request, context in
                let principal = try access.admitToWhole(request, context)
                return try await put(request, context, principal)
            }
            router.delete(RouterPath("\(path)/:\(name)")) { request, context in
                let principal = try access.admitToWhole(request, context)
                return try await delete(request, context, principal)
            }
        }
    }

    private func load() async throws {
        do {
            try await directory.loadOnce()
        } catch {
            throw HTTPError(error)
        }
    }

    private func one(_ id: String, _ principal: Principal, _ status: HTTPResponse.Status = .ok) throws -> Response {
        guard var response = try show(id, for: principal, status) else { throw unknown(id) }
        response.headers[.eTag] = EntryCondition.tag(stored(id)?.version ?? 0)
        return response
    }

    private func unknown(_ id: String) -> HTTPError { HTTPError(.notFound, message: absence(id)) }

    private func put(_ request: Request, _ context: ControlContext, _ principal: Principal) async throws -> Response {
        let id = context.segment(name)
        if let fault = fault(inName: id) { throw HTTPError(.unprocessableContent, message: fault) }
        let condition = try EntryCondition(request)
        let body = try await request.body.collect(upTo: switchboard.settings.limits.maximumBodyBytes)
        try await load()
        let draft = read(SourceText(file: "\(name) \(id)", bytes: Array(body.readableBytesView)), id, condition)
        func note(_ subject: String, outcome: String = "ok") {
            switchboard.note(
                "\(name).put", subject, principal, request, context, outcome: outcome, tenant: draft.tenant)
        }
        guard let check = draft.check else {
            note(id, outcome: draft.findings.first?.message ?? "refused")
            return try json(UnusableDocument("the \(name) cannot be used", draft.findings), .unprocessableContent)
        }
        let isNew = stored(id) == nil
        do throws(StoreError) {
            let version = try await directory.put(
                Self.kind, id, String(buffer: body), version: condition.version, by: principal, check: check)
            note("\(id) version \(version)")
        } catch {
            note(id, outcome: error.message)
            throw HTTPError(error)
        }
        return try one(id, principal, isNew ? .created : .ok)
    }

    private func delete(_ request: Request, _ context: ControlContext, _ principal: Principal) async throws -> Response
    {
        let id = context.segment(name)
        let condition = try EntryCondition(request)
        try await load()
        guard let stored = stored(id) else {
            if let standing = standing(id) { throw HTTPError(.conflict, message: standing) }
            throw unknown(id)
        }
        try condition.check(stored.version)
        do {
            guard try await directory.remove(Self.kind, id, by: principal) else { throw unknown(id) }
        } catch let error as StoreError {
            throw HTTPError(error)
        }
        switchboard.note("\(name).delete", id, principal, request, context, tenant: stored.tenant)
        // What stood behind it in a file counts again.
        switchboard.complainAboutTenants()
        return Response(status: .noContent)
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
