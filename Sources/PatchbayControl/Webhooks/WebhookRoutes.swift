import Foundation
import Hummingbird
import PatchbayConfig
import PatchbayStore

/// Webhooks that were sent in vain: seeing them, and sending one again.
struct WebhookRoutes: Sendable {
    /// Dead letters that one answer lists.
    static let listLimit = 1000

    let switchboard: Switchboard

    private struct DeadLetter: Encodable {
        var id, event, endpoint: String
        var tenant, call, lastError: String?
        var attempts: Int
        var createdAt: Date

        init(_ message: OutboxMessage) {
            (id, event, endpoint) = (message.id, message.event, message.endpoint)
            (tenant, call, lastError) = (message.tenant, message.call, message.lastError)
            (attempts, createdAt) = (message.attempts, message.createdAt)
        }
    }

    func add(to router: some RouterMethods<ControlContext>) {
        for path in switchboard.settings.paths(.webhooks) {
            router.get(RouterPath(path)) { request, context in
                let principal = try switchboard.access.admit(request, context)
                return try json(["messages": try await deadLetters(principal).map(DeadLetter.init)])
            }
            router.post(RouterPath("\(path)/:id/retry")) { request, context in
                let principal = try switchboard.access.admit(request, context)
                let id = context.parameters.get("id") ?? ""
                // Another tenant's is not there.
                var isSeen = principal.tenant == nil
                if !isSeen { isSeen = try await deadLetters(principal).contains { $0.id == id } }
                guard isSeen,
                    try await kept({ try await switchboard.records.revive(message: id, at: switchboard.clock()) })
                else { throw HTTPError(.notFound, message: "there is no dead letter \"\(id.prefix(64))\"") }
                switchboard.audit.note(
                    "webhook.retry", id, by: principal, from: request.origin(context, switchboard.options))
                switchboard.webhooks?.wakeUp()
                return try json(["id": id, "status": "queued"])
            }
        }
    }

    private func deadLetters(_ principal: Principal) async throws -> [OutboxMessage] {
        try await kept {
            try await switchboard.records.deadLetters(tenant: principal.tenant, limit: Self.listLimit)
        }
    }

    private func kept<T>(_ body: () async throws -> T) async throws -> T {
        do { return try await body() } catch let error as StoreError {
            throw HTTPError(.serviceUnavailable, message: error.message)
        }
    }
}
