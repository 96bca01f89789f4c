import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayStore

/// Who did what to this server, and who tried.
struct AuditRoutes: Sendable {
    /// Entries that are shown where no limit is asked for, and at most.
    static let defaultLimit = 100
    static let maximumLimit = 10_000

    let switchboard: Switchboard

    func add(to router: some RouterMethods<ControlContext>) {
        for path in switchboard.settings.paths(.audit) {
            router.get(RouterPath(path)) { request, context in
                let principal = try switchboard.access.admit(request, context, needing: .admin)
                return try await trail(request, principal)
            }
        }
    }

    private func trail(_ request: Request, _ principal: Principal) async throws -> Response {
        var limit = Self.defaultLimit
        if let text = request.uri.queryParameters["limit"] {
            guard let number = Int(text), (1...Self.maximumLimit).contains(number) else {
                throw HTTPError(.badRequest, message: "limit is \"\(text)\"; allowed are 1 to \(Self.maximumLimit)")
            }
            limit = number
        }
        let asked = request.uri.queryParameters["tenant"].map(String.init)
        if let asked, !principal.sees(asked) { throw HTTPError(.notFound, message: "there is no tenant \"\(asked)\"") }
        do {
            // What was noted before the question belongs to the answer.
            await switchboard.audit.flush(within: .seconds(1))
            let entries = try await switchboard.records.auditTrail(tenant: principal.tenant ?? asked, limit: limit)
            return try json(AuditReport(entries: entries))
        } catch let error as StoreError {
            throw HTTPError(error)
        }
    }
}

private struct AuditReport: Encodable {
    /// The newest first.
    var entries: [AuditEntry]
}
