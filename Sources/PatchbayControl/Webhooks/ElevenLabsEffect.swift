import Foundation
import PatchbayConfig
import PatchbayStore
import PatchbayWire

/// What one webhook of ElevenLabs changes in the records.
struct ElevenLabsEffect: Sendable {
    /// A report says of a call that it began at most so long ago; beyond that its word is not taken.
    static let longestDelay: TimeInterval = 400 * 86_400
    /// Written together with the note that the webhook has been seen.
    var delivery = DeliveryEffect()
    /// The call and the session that it is about.
    var call: String?
    var session: String?

    /// The dynamic variables by which a conversation may name its session and its call.
    static let sessionNames = ["session", "session_id", "sessionId", "voice_session", "voice_session_id"]
    static let callNames = ["call_sid", "callSid", "system__call_sid"]

    /// Finds what a webhook is about: by the conversation's id, then by what the conversation was begun with.
    ///
    /// - Parameter recording: Where a recording lies that came with it.
    init(
        of webhook: ElevenLabsWebhook, in records: any Store, at date: Date, recording: String? = nil
    ) async throws(StoreError) {
        var callSids = Self.callNames.compactMap { webhook.variables[$0] }
        switch webhook.event {
        case .report(let report): if let sid = report.phoneCall?.callSid { callSids.append(sid) }
        case .initiationFailure(let failure): if let sid = failure.callSid { callSids.append(sid) }
        default: break
        }
        var session = try await Self.session(webhook, callSids, records)
        let call = try await Self.call(webhook, callSids, session, records)
        if session == nil, let id = call?.session { session = try await records.session(id) }
        self.call = call?.id
        self.session = session?.id
        switch webhook.event {
        case .report(let report): try await add(report, of: webhook, call, records, at: date)
        case .audio:
            guard let recording, var call, !call.recordings.contains(recording) else { break }
            call.recordings.append(recording)
            call.conversationID = call.conversationID ?? webhook.conversationId
            delivery.calls.append(.call(call))
        case .initiationFailure, .conversationStarted, .conversationEnded, .toolCall, .unknown: break
        }
        if let session { change(session.id, by: webhook, call: call, at: date) }
    }

    private static func session(
        _ webhook: ElevenLabsWebhook, _ callSids: [String], _ records: any Store
    ) async throws(StoreError) -> VoiceSession? {
        if let id = webhook.conversationId, let found = try await records.session(conversation: id) { return found }
        let names = sessionNames.compactMap { webhook.variables[$0] } + [webhook.sessionId].compactMap(\.self)
        for id in names { if let found = try await records.session(id) { return found } }
        for sid in callSids { if let found = try await records.session(callSid: sid) { return found } }
        return nil
    }

    private static func call(
        _ webhook: ElevenLabsWebhook, _ callSids: [String], _ session: VoiceSession?, _ records: any Store
    ) async throws(StoreError) -> StoredCall? {
        if let id = webhook.conversationId, let found = try await records.call(conversation: id) { return found }
        for sid in callSids { if let found = try await records.call(sid) { return found } }
        if let id = session?.call ?? session?.callSid { return try await records.call(id) }
        return nil
    }

    // MARK: The session

    /// States that nothing leads out of, but for a transcript that comes although nobody was dialled.
    private static let ends: Set<String> = ["completed", "busy", "no-answer", "failed", "canceled"]

    private mutating func change(_ id: String, by webhook: ElevenLabsWebhook, call: StoredCall?, at date: Date) {
        let event = webhook.event
        let conversation = webhook.conversationId
        delivery.session = (
            id,
            { session in
                session.conversationID = session.conversationID ?? conversation
                session.call = session.call ?? call?.id
                session.updatedAt = date
                let isOver = Self.ends.contains(session.status)
                switch event {
                case .report(let report):
                    if !isOver { session.status = report.status == "failed" ? "failed" : "completed" }
                    session.transcript = report.transcriptJSON
                    session.extractedData = report.extractedJSON
                    session.extractedIntent = report.intent ?? session.extractedIntent
                    if report.status == "failed", session.failure == nil {
                        session.failure =
                            report.terminationReason.flatMap { $0.isEmpty ? nil : $0 }
                            ?? "the agent's vendor says that the conversation failed"
                    }
                case .initiationFailure(let failure):
                    guard !isOver else { break }
                    session.status = ["busy", "no-answer"].contains(failure.reason) ? failure.reason : "failed"
                    session.failure = "the agent's vendor could not begin the call: \(failure.reason)"
                case .conversationStarted:
                    if ["created", "dialing", "ringing"].contains(session.status) { session.status = "answered" }
                case .conversationEnded: if !isOver { session.status = "completed" }
                case .audio, .toolCall, .unknown: break
                }
            }
        )
    }

    // MARK: The call

    private mutating func add(
        _ report: ElevenLabsReport, of webhook: ElevenLabsWebhook, _ known: StoredCall?, _ records: any Store,
        at date: Date
    ) async throws(StoreError) {
        guard var call = known ?? Self.call(report, of: webhook, at: date) else { return }
        self.call = call.id
        call.conversationID = call.conversationID ?? webhook.conversationId
        delivery.calls.append(.call(call))
        var events: [StoredEvent] = []
        var hasTurns = false
        if known != nil {
            events = try await records.events(ofCall: call.id)
            hasTurns = try await !records.turns(ofCall: call.id).isEmpty
        }
        delivery.calls.append(
            .event(
                StoredEvent(
                    call: call.id, sequence: (events.last?.sequence ?? -1) + 1, atMs: events.last?.atMs ?? 0,
                    event: "analysed by the agent's vendor", detail: report.extractedJSON)))
        // What we heard ourselves is the better account: it knows what was really played.
        guard !hasTurns else { return }
        for (index, turn) in report.turns.enumerated() {
            let speaker = turn.role == "user" ? "caller" : "agent"
            delivery.calls.append(
                .turn(
                    StoredTurn(
                        call: call.id, sequence: index, atMs: turn.seconds.asMilliseconds, speaker: speaker,
                        text: turn.message, heard: turn.message, isInterrupted: turn.isInterrupted)))
        }
        for (index, tool) in report.tools.enumerated() {
            delivery.calls.append(
                .toolCall(
                    StoredToolCall(
                        call: call.id, sequence: index, atMs: tool.seconds.asMilliseconds, name: tool.name,
                        arguments: tool.arguments, output: tool.output, isError: tool.isError,
                        milliseconds: tool.latencySeconds?.asMilliseconds)))
        }
    }

    /// A call that the vendor's own telephony carried, and that is only known by its report.
    private static func call(_ report: ElevenLabsReport, of webhook: ElevenLabsWebhook, at date: Date) -> StoredCall? {
        guard let phone = report.phoneCall, let conversation = webhook.conversationId else { return nil }
        let isInbound = phone.direction == "inbound"
        // Another unit than seconds would give a year that no calendar knows.
        let told = report.startedAt.map { Date(timeIntervalSince1970: Double($0)) }
        let begin = told.flatMap { abs($0.timeIntervalSince(date)) < Self.longestDelay ? $0 : nil } ?? date
        var call = StoredCall(
            id: "elevenlabs-\(conversation)", callSid: phone.callSid ?? conversation, direction: phone.direction,
            from: isInbound ? phone.externalNumber : phone.agentNumber,
            to: isInbound ? phone.agentNumber : phone.externalNumber, pipeline: "", version: "",
            status: report.status == "failed" ? "failed" : "ended", createdAt: begin)
        call.backend = "elevenlabs"
        call.endedAt = begin.addingTimeInterval(Double(min(max(0, report.durationSeconds ?? 0), 86_400)))
        call.endReason = report.terminationReason
        return call
    }
}

extension Double {
    /// Seconds as whole milliseconds; 0 for what is no time.
    fileprivate var asMilliseconds: Int64 { isFinite && self > 0 ? Int64(min(self, 1e9) * 1000) : 0 }
}

extension ElevenLabsReport {
    /// `[{"role", "message", "atMs"}]`
    var transcriptJSON: String {
        JSONValue.array(
            turns.map { turn in
                .object([
                    .init("role", .string(turn.role)), .init("message", .string(turn.message)),
                    .init("atMs", JSONValue(Int(turn.seconds.asMilliseconds))),
                ])
            }
        ).line
    }

    /// What was collected, with the analysis' own words as `transcript_summary` and `call_successful`.
    var extractedJSON: String {
        var members: [JSONValue.Member] = []
        for value in collected {
            guard let json = JSONValue(parsing: value.json), !members.contains(where: { $0.key == value.name }) else {
                continue
            }
            members.append(.init(value.name, json))
        }
        for (name, text) in [("transcript_summary", summary), ("call_successful", outcome)] {
            guard let text, !members.contains(where: { $0.key == name }) else { continue }
            members.append(.init(name, .string(text)))
        }
        return JSONValue.object(members).line
    }
}
