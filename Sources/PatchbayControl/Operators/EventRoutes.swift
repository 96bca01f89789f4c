import Foundation
import HTTPTypes
import Hummingbird
import PatchbayStore

/// What happens in calls, as server-sent events (html.spec.whatwg.org/multipage/server-sent-events.html).
extension AdminRoutes {
    /// Time after which a silent line gets a comment, so that proxies leave it open.
    static let keepAlive = Duration.seconds(15)

    private struct Moment: Encodable {
        var callId: String
        var sequence: Int
        var atMs: Int64
        var event, detail: String

        init(_ event: StoredEvent) {
            (callId, sequence, atMs) = (event.call, event.sequence, event.atMs)
            (self.event, detail) = (event.event, event.detail)
        }
    }

    /// One call: what has happened since the event that `Last-Event-ID` names, then what happens, until it is over.
    func events(_ request: Request, _ context: ControlContext, _ principal: Principal) async throws -> Response {
        let call = try await storedCall(context.parameters.get("id") ?? "", principal)
        let last = try lastSequence(request)
        // Before it is looked what there is already, so that nothing falls between.
        let reading = call.endedAt == nil ? try subscribe(to: call.id, principal, context) : nil
        await switchboard.journal.flush()
        let now = switchboard.registry.find(call.id)
        let past = try await pastEvents(of: call.id, now).filter { $0.sequence > last }
        // A call that is not known here is over, or runs in another process, which tells of it.
        let isOver = now == nil || now?.end != nil
        if now?.end != nil || call.endedAt != nil, past.isEmpty, last >= 0 {
            // The one answer that tells a browser not to come again.
            return Response(status: .noContent)
        }
        return stream(reading) { writer in
            var next = last + 1
            for event in past {
                try await writer.write(try Self.message(event, id: "\(event.sequence)"))
                next = event.sequence + 1
            }
            guard !isOver, let reading else { return }
            for await item in reading.items {
                switch item {
                case .event(let event) where event.sequence >= next:
                    try await writer.write(try Self.message(event, id: "\(event.sequence)"))
                    next = event.sequence + 1
                case .event: break
                case .pause: try await writer.write(Self.comment)
                case .ended: return
                }
            }
        }
    }

    /// All calls, from now on, until the server stops.
    func allEvents(_ context: ControlContext, _ principal: Principal) throws -> Response {
        let reading = try subscribe(to: nil, principal, context)
        return stream(reading) { writer in
            // At once, so that whoever reads knows that it does.
            try await writer.write(Self.comment)
            for await item in reading.items {
                switch item {
                case .event(let event):
                    try await writer.write(try Self.message(event, id: "\(event.call)/\(event.sequence)"))
                case .pause: try await writer.write(Self.comment)
                case .ended: break
                }
            }
        }
    }

    private func subscribe(
        to call: String?, _ principal: Principal, _ context: ControlContext
    ) throws -> EventFeed.Reading {
        let channel = context.channel
        guard
            let reading = switchboard.feed.subscribe(
                to: call, as: principal, dropped: { channel?.close(promise: nil) })
        else {
            throw HTTPError(
                .serviceUnavailable,
                message: "\(EventFeed.readerLimit) readers follow events already, or the server is stopping")
        }
        return reading
    }

    private func lastSequence(_ request: Request) throws -> Int {
        guard let name = HTTPField.Name("Last-Event-ID"), let text = request.headers[name], !text.isEmpty else {
            return -1
        }
        guard let sequence = Int(text), sequence >= 0 else {
            throw HTTPError(.badRequest, message: "Last-Event-ID is \"\(text)\"; it is the id of an event of this call")
        }
        return sequence
    }

    /// What is kept, and what is only known here while the store fails.
    private func pastEvents(of call: String, _ record: CallRecord?) async throws -> [StoredEvent] {
        guard let record else { return try await asking { try await $0.events(ofCall: call) } }
        let stored = (try? await switchboard.records.events(ofCall: call)) ?? []
        var events = Dictionary(stored.map { ($0.sequence, $0) }) { first, _ in first }
        for event in record.recorder.entries { events[event.sequence] = event }
        return events.values.sorted { $0.sequence < $1.sequence }
    }

    private static let comment = ByteBuffer(string: ": patchbay\n\n")

    private static func message(_ event: StoredEvent, id: String) throws -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // JSON escapes line breaks, so that the data is one line.
        var buffer = ByteBuffer(string: "id: \(id)\ndata: ")
        buffer.writeBytes(try encoder.encode(Moment(event)))
        buffer.writeString("\n\n")
        return buffer
    }

    private func stream(
        _ reading: EventFeed.Reading?,
        _ body: @escaping @Sendable (inout any ResponseBodyWriter) async throws -> Void
    ) -> Response {
        var headers: HTTPFields = [.contentType: "text/event-stream", .cacheControl: "no-store"]
        // nginx holds answers back otherwise (nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering).
        if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                let pauses = Task {
                    while true {
                        try await Task.sleep(for: Self.keepAlive)
                        reading?.pause()
                    }
                }
                defer { pauses.cancel() }
                try await body(&writer)
                try await writer.finish(nil)
            })
    }
}
