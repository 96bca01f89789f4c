import Crypto
import Foundation
import PatchbayConfig
import PatchbayStore

/// What somebody is told of a call: `{"id", "type", "at", "data": {"call": …}}`.
enum WebhookMessage {
    /// Turns that one message holds; of longer calls the last ones.
    static let maximumTurns = 2000

    /// A call as messages have it.
    struct CallData: Encodable, Sendable {
        var id, callSid, direction, from, to, pipeline, version, state: String
        var tenant, session, backend, conversationId, endReason: String?
        var startedAt: Date
        var endedAt: Date?
        var durationSeconds: Double?

        init(_ call: StoredCall) {
            (id, callSid, direction) = (call.id, call.callSid, call.direction)
            (from, to, pipeline, version) = (call.from, call.to, call.pipeline, call.version)
            (tenant, session, backend) = (call.tenant, call.session, call.backend)
            (conversationId, endReason, state) = (call.conversationID, call.endReason, call.status)
            (startedAt, endedAt) = (call.createdAt, call.endedAt)
            durationSeconds = call.endedAt?.timeIntervalSince(call.createdAt)
        }
    }

    private struct Turn: Encodable {
        var speaker, text, heard: String
        var interrupted: Bool
        var atMs: Int64
    }

    private struct Envelope: Encodable {
        struct Content: Encodable {
            var call: CallData
            var turns: [Turn]?
        }
        var id, type: String
        var at: Date
        var data: Content
    }

    /// A message for everybody who is told of such events of the call's tenant.
    static func messages(
        _ event: WebhookEndpoint.Event, _ call: CallData, turns: [StoredTurn]? = nil,
        to endpoints: [WebhookEndpoint], at date: Date
    ) throws -> [OutboxMessage] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        let turns = turns?.suffix(maximumTurns).map {
            Turn(speaker: $0.speaker, text: $0.text, heard: $0.heard, interrupted: $0.isInterrupted, atMs: $0.atMs)
        }
        return try endpoints.filter { $0.takes(event, of: call.tenant) }.map { endpoint in
            let id = id(event, call.id, endpoint.name)
            let body = try encoder.encode(
                Envelope(id: id, type: event.rawValue, at: date, data: .init(call: call, turns: turns)))
            return OutboxMessage(
                id: id, event: event.rawValue, tenant: call.tenant, call: call.id, endpoint: endpoint.name,
                body: String(decoding: body, as: UTF8.self), createdAt: date)
        }
    }

    /// The same for the same event of a call, so that a receiver who is told twice knows it.
    private static func id(_ event: WebhookEndpoint.Event, _ call: String, _ endpoint: String) -> String {
        let hash = SHA256.hash(data: Data("\(call)\n\(event.rawValue)\n\(endpoint)".utf8)).prefix(16)
        return "evt-" + hash.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// The header by which a receiver knows who sent the message: `t=<seconds>,v1=<hex HMAC-SHA256 of "t.body">`.
    static func signature(of body: String, at date: Date, _ secret: Secret) -> String {
        let time = Int(date.timeIntervalSince1970)
        let code = HMAC<SHA256>.authenticationCode(
            for: Data("\(time).\(body)".utf8), using: SymmetricKey(data: Data(secret.reveal().utf8)))
        return "t=\(time),v1=" + code.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

extension WebhookEndpoint {
    func takes(_ event: Event, of tenant: String?) -> Bool {
        events.contains(event) && (self.tenant == nil || self.tenant == tenant)
    }
}
