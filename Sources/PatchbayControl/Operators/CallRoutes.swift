import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayCore
import PatchbayStore

/// Running and past calls: lists, one of them, what was said in it.
extension AdminRoutes {
    func addCalls(to router: some RouterMethods<ControlContext>) {
        for path in settings.paths(.calls) {
            router.get(RouterPath(path)) { request, context in
                try await calls(try CallListQuery(request, try admit(request, context, .calls)))
            }
            router.get(RouterPath("\(path)/:id")) { request, context in
                try await call(context, try admit(request, context, .calls))
            }
            router.get(RouterPath("\(path)/:id/transcript")) { request, context in
                try await transcript(context, try admit(request, context, .calls))
            }
            router.get(RouterPath("\(path)/:id/events")) { request, context in
                try await events(request, context, try admit(request, context, .calls))
            }
        }
        for path in settings.paths(.conversations) {
            router.get(RouterPath(path)) { request, context in
                try await conversations(try admit(request, context, .conversations))
            }
        }
        for path in settings.paths(.events) {
            router.get(RouterPath(path)) { request, context in
                try allEvents(context, try admit(request, context, .events))
            }
        }
    }

    // MARK: Lists

    private struct CallList: Encodable {
        var active: Int
        var calls: [AnyCallReport]
        /// Why the list may lack calls.
        var incomplete: String?
    }

    private func calls(_ query: CallListQuery) async throws -> Response {
        guard let query = query.visible else { return try json(CallList(active: 0, calls: [])) }
        let isWritten = await switchboard.journal.flush()
        let (running, past) = switchboard.registry.all()
        let active = running.filter(query.wants)
        var reports: [AnyCallReport] = []
        for record in active.dropFirst(query.offset).prefix(query.limit) {
            reports.append(.known(await CallReport(record, withEvents: false)))
        }
        var list = CallList(active: active.count, calls: reports)
        guard !query.onlyActive, reports.count < query.limit else { return try json(list) }
        let offset = max(0, query.offset - active.count), limit = query.limit - reports.count
        var stored: [StoredCall] = []
        do throws(StoreError) {
            stored = try await switchboard.records.calls(query.ended(limit: limit, offset: offset))
        } catch {
            list.incomplete = error.message
        }
        if !isWritten || list.incomplete != nil {
            // What the store does not have is still known here, for a while.
            list.incomplete =
                list.incomplete ?? "records are not written at present; calls of earlier runs are complete"
            let known = past.filter(query.wants).map(\.recorder.row)
            let missing = known.filter { call in !stored.contains { $0.id == call.id } }
            stored = Array((missing + stored).sorted { $0.createdAt > $1.createdAt }.prefix(limit))
        }
        let recent = Dictionary(past.map { ($0.info.id, $0) }) { first, _ in first }
        for call in stored {
            if let record = recent[call.id] {
                list.calls.append(.known(await CallReport(record, withEvents: false)))
            } else {
                list.calls.append(.stored(StoredCallReport(call)))
            }
        }
        return try json(list)
    }

    // MARK: One call

    private struct Transcript: Encodable {
        struct Turn: Encodable {
            var speaker, text, heard: String
            var interrupted: Bool
            var atMs: Int64
        }

        struct ToolCall: Encodable {
            var name, arguments: String
            var output: String?
            var error: Bool
            var atMs: Int64
            var milliseconds: Int64?
        }

        var callId: String
        var turns: [Turn]
        var toolCalls: [ToolCall]
    }

    private func call(_ context: ControlContext, _ principal: Principal) async throws -> Response {
        let id = context.parameters.get("id") ?? ""
        if let record = switchboard.registry.find(id) {
            guard principal.sees(record.info.tenant) else { throw Self.noCall(id) }
            // First what is told, then the promise that it is kept.
            let report = await CallReport(record, withEvents: true)
            await switchboard.journal.flush()
            return try json(report)
        }
        let call = try await storedCall(id, principal)
        return try json(StoredCallReport(call, events: try await asking { try await $0.events(ofCall: call.id) }))
    }

    /// A call, running or past, as it is kept.
    func storedCall(_ id: String, _ principal: Principal) async throws -> StoredCall {
        let known = switchboard.registry.find(id)?.recorder.row
        let call: StoredCall?
        if let known { call = known } else { call = try await asking { try await $0.call(id) } }
        guard let call, principal.sees(call.tenant) else { throw Self.noCall(id) }
        return call
    }

    private func transcript(_ context: ControlContext, _ principal: Principal) async throws -> Response {
        let call = try await storedCall(context.parameters.get("id") ?? "", principal)
        await switchboard.journal.flush()
        let turns = try await asking { try await $0.turns(ofCall: call.id) }
        let toolCalls = try await asking { try await $0.toolCalls(ofCall: call.id) }
        return try json(
            Transcript(
                callId: call.id,
                turns: turns.map {
                    Transcript.Turn(
                        speaker: $0.speaker, text: $0.text, heard: $0.heard, interrupted: $0.isInterrupted,
                        atMs: $0.atMs)
                },
                toolCalls: toolCalls.map {
                    Transcript.ToolCall(
                        name: $0.name, arguments: $0.arguments, output: $0.output, error: $0.isError, atMs: $0.atMs,
                        milliseconds: $0.milliseconds)
                }))
    }

    /// Asks the store; when it fails that is an answer in words.
    func asking<Answer>(_ body: (any Store) async throws -> Answer) async throws -> Answer {
        do {
            return try await body(switchboard.records)
        } catch let error as StoreError {
            throw HTTPError(.serviceUnavailable, message: error.message)
        }
    }

    // MARK: Conversations

    /// In the spelling of those who ask for it.
    private struct Conversation: Encodable {
        var conversationID: String?
        var callSid, from, to, status: String
        var startedAt: Date

        enum CodingKeys: String, CodingKey {
            case conversationID = "conversation_id"
            case callSid = "call_sid"
            case from, to, status
            case startedAt = "started_at"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            // There even while there is none.
            try container.encode(conversationID, forKey: .conversationID)
            try container.encode(callSid, forKey: .callSid)
            try container.encode(from, forKey: .from)
            try container.encode(to, forKey: .to)
            try container.encode(status, forKey: .status)
            try container.encode(startedAt, forKey: .startedAt)
        }
    }

    private struct Conversations: Encodable {
        var active: Int
        var conversations: [Conversation]
    }

    private func conversations(_ principal: Principal) async throws -> Response {
        let rows = switchboard.registry.all().running.map(\.recorder.row).filter { principal.sees($0.tenant) }
        await switchboard.journal.flush()
        let list = rows.map {
            Conversation(
                conversationID: $0.conversationID, callSid: $0.callSid, from: $0.from, to: $0.to, status: $0.status,
                startedAt: $0.createdAt)
        }
        return try json(Conversations(active: list.count, conversations: list))
    }
}

/// What a list of calls is asked for.
struct CallListQuery: Sendable {
    /// Calls in one answer.
    static let maximum = 1000

    var onlyActive: Bool
    var limit: Int
    var offset: Int
    var number: String?
    var tenant: String?
    var since: Date?
    private var principal: Principal

    init(_ request: Request, _ principal: Principal) throws {
        let parameters = request.uri.queryParameters
        onlyActive = parameters["active"] == "true"
        limit = try request.integer("limit", in: 1...Self.maximum) ?? 100
        offset = try request.integer("offset", in: 0...1_000_000) ?? 0
        number = request.number
        tenant = parameters["tenant"].map(String.init)
        since = try parameters["since"].map { text in
            guard let date = Date(instant: String(text)) else {
                throw HTTPError(
                    .badRequest, message: "since is \"\(text)\"; write a time as 2026-05-01T08:00:00Z or 2026-05-01")
            }
            return date
        }
        self.principal = principal
    }

    /// The same for the tenant that the asker is bound to; `nil` when it asks for another's.
    var visible: CallListQuery? {
        guard let own = principal.tenant else { return self }
        guard tenant == nil || tenant == own else { return nil }
        var query = self
        query.tenant = own
        return query
    }

    func wants(_ record: CallRecord) -> Bool {
        let info = record.info
        if let number, info.from != number, info.to != number { return false }
        if let tenant, info.tenant != tenant { return false }
        if let since, record.startedAt <= since { return false }
        return true
    }

    /// The ended calls of it.
    func ended(limit: Int, offset: Int) -> CallQuery {
        var query = CallQuery(tenant: tenant, number: number, limit: limit, offset: offset)
        query.createdAfter = since
        query.isEnded = true
        return query
    }
}

extension Request {
    /// The parameter `number`. A `+` that somebody forgot to escape arrives as a space in some clients' requests.
    var number: String? {
        uri.queryParameters["number"].map { $0.hasPrefix(" ") ? "+" + $0.dropFirst() : String($0) }
    }

    func integer(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let text = uri.queryParameters[Substring(name)] else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw HTTPError(
                .badRequest,
                message: "\(name) is \"\(text)\"; allowed are \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }
}

extension Date {
    /// An instant as ISO 8601 has it, or the beginning of a day in UTC.
    init?(instant text: String) {
        let strategies = [
            ISO8601FormatStyle(), ISO8601FormatStyle(includingFractionalSeconds: true),
            ISO8601FormatStyle().year().month().day(),
        ]
        for strategy in strategies {
            if let date = try? strategy.parse(text) {
                self = date
                return
            }
        }
        return nil
    }

    private typealias ISO8601FormatStyle = Date.ISO8601FormatStyle
}
