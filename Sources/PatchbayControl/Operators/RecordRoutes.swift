import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayStore

/// Use by day, and the right to be forgotten.
extension AdminRoutes {
    private struct Usage: Encodable {
        var usage: [StoredUsage]
    }

    func addRecords(to router: some RouterMethods<ControlContext>) {
        for path in settings.paths(.usage) {
            router.get(RouterPath(path)) { request, context in
                try await usage(request, try admit(request, context, .usage))
            }
        }
        for path in settings.paths(.records) {
            router.delete(RouterPath(path)) { request, context in
                try await erase(request, try admit(request, context, nil))
            }
        }
    }

    private func usage(_ request: Request, _ principal: Principal) async throws -> Response {
        let days = try request.integer("days", in: 1...3660) ?? 30
        let wanted = request.uri.queryParameters["tenant"].map(String.init)
        if let own = principal.tenant, let wanted, wanted != own { return try json(Usage(usage: [])) }
        await switchboard.journal.flush()
        let tenant = principal.tenant ?? wanted
        return try json(Usage(usage: try await asking { try await $0.usage(tenant: tenant, days: days) }))
    }

    /// Has everything forgotten that is known of a number. Calls that run are not touched.
    private func erase(_ request: Request, _ principal: Principal) async throws -> Response {
        guard principal.tenant == nil else {
            throw HTTPError(
                .forbidden, message: "a number is erased for all tenants; this needs a token that is not bound to one")
        }
        guard let number = request.number, !number.isEmpty, number.utf8.count <= 128 else {
            throw HTTPError(.badRequest, message: "name the number that is to be forgotten: ?number=+15550100001")
        }
        // What waits to be written would come back afterwards.
        guard await switchboard.journal.flush() else {
            throw HTTPError(.serviceUnavailable, message: "records are not written at present; try again")
        }
        let count = try await asking { try await $0.erase(number: number) }
        _ = switchboard.registry.erase(number: number)
        switchboard.logger.notice(
            "a number was erased", metadata: ["by": "\(principal.name)", "entries": "\(count)"])
        return try json(["erased": count])
    }
}
