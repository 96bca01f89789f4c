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
                try await erase(request, context, try admit(request, context, nil))
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

    private struct Erasure: Encodable {
        /// Entries that were removed or changed.
        var erased: Int
        /// Files that were removed, and those that could not be.
        var recordings, recordingsLeft: Int
    }

    /// Has everything forgotten that is known of a number. Calls that run are not touched.
    private func erase(
        _ request: Request, _ context: ControlContext, _ principal: Principal
    ) async throws -> Response {
        let number = request.number ?? ""
        func note(_ counts: String = "", outcome: String = "ok") {
            switchboard.audit.note(
                "records.erase", Self.tail(of: number) + counts, by: principal,
                from: request.origin(context, switchboard.options), outcome: outcome)
        }
        guard principal.tenant == nil else {
            note(outcome: "the token is bound to a tenant")
            throw HTTPError(
                .forbidden, message: "a number is erased for all tenants; this needs a token that is not bound to one")
        }
        guard !number.isEmpty, number.utf8.count <= 128 else {
            throw HTTPError(.badRequest, message: "name the number that is to be forgotten: ?number=+15550100001")
        }
        // What waits to be written would come back afterwards.
        await switchboard.audit.flush()
        guard await switchboard.journal.flush() else {
            note(outcome: "records are not written at present")
            throw HTTPError(.serviceUnavailable, message: "records are not written at present; try again")
        }
        let count = try await asking { try await $0.erase(number: number) }
        _ = switchboard.registry.erase(number: number)
        var files = RecordingSweep.Outcome()
        do throws(StoreError) {
            files = try await switchboard.recordings.run()
        } catch {
            // They are listed still, and removed within the hour.
            switchboard.logger.error("recordings of forgotten calls are not known", metadata: ["error": "\(error)"])
        }
        note(": \(count) entries, \(files.removed) recordings, \(files.left) left")
        switchboard.logger.notice(
            "a number was erased",
            metadata: [
                "by": "\(principal.name)", "entries": "\(count)", "recordings": "\(files.removed)",
                "recordingsLeft": "\(files.left)",
            ])
        return try json(Erasure(erased: count, recordings: files.removed, recordingsLeft: files.left))
    }

    /// Enough of a number to recognise which it was, for those who know it.
    private static func tail(of number: String) -> String {
        let digits = number.filter { $0.isASCII && $0.isNumber }
        return digits.count >= 7 ? "…\(digits.suffix(3))" : "…"
    }
}
