import Foundation
import PatchbayConfig
import PatchbayCore
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
    /// - Parameters:
    ///   - recording: Where a recording lies that came with it.
    ///   - owner: Whose call it is, for one that is not known yet.
    init(
        of webhook: ElevenLabsWebhook, in records: any Store, at date: Date, recording: String? = nil,
        owner: VendorOwner? = nil
    ) async throws(StoreError) {
        var callSids = Self.callNames.compactMap { webhook.variables[$0] }
        switch webhook.event {
        case .report(let report): if let sid = report.phoneCall?.callSid { callSids.append(sid) }
        case .initiationFailure(let failure): if let sid = failure.callSid { callSids.append(sid) }
        default: break
        }
        let sessions = Self.sessionNames.compactMap { webhook.variables[$0] } + [webhook.sessionId].compactMap(\.self)
        var session = try await Self.session(webhook, sessions, callSids, records)
        let call = try await Self.call(webhook, callSids, session, records)
        if session == nil, let id = call?.session { session = try await records.session(id) }
        self.session = session?.id
        let names = [webhook.conversationId, call?.id, call?.callSid, session?.id, session?.call, session?.callSid]
        delivery.names = names.compactMap(\.self) + callSids + sessions
        let account = try await OwnAccount(of: call, in: records)
        var addition: CallAddition?
        switch webhook.event {
        case .report(let report): addition = Self.addition(report, of: webhook, call, account, owner, at: date)
        case .audio: addition = Self.addition(recording, of: webhook, call, owner, at: date)
        case .initiationFailure, .conversationStarted, .conversationEnded, .toolCall, .unknown: break
        }
        delivery.call = addition
        self.call = addition?.id ?? call?.id
        if let session { change(session.id, by: webhook, call: call, account, at: date) }
    }

    /// What we know ourselves of what was said in a call.
    private struct OwnAccount: Sendable {
        /// Recordings were paused in it, so that the vendor's words of it are not for the records.
        var wasPaused = false
        var turns: [StoredTurn] = []

        init(of call: StoredCall?, in records: any Store) async throws(StoreError) {
            guard let call else { return }
            let pause = (event: "recording", detail: RecordingCommand.pause.rawValue)
            wasPaused = try await records.events(ofCall: call.id).contains { ($0.event, $0.detail) == pause }
            if wasPaused { turns = try await records.turns(ofCall: call.id) }
        }
    }

    private static func session(
        _ webhook: ElevenLabsWebhook, _ names: [String], _ callSids: [String], _ records: any Store
    ) async throws(StoreError) -> VoiceSession? {
        if let id = webhook.conversationId, let found = try await records.session(conversation: id) { return found }
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

    private mutating func change(
        _ id: String, by webhook: ElevenLabsWebhook, call: StoredCall?, _ account: OwnAccount, at date: Date
    ) {
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
                    session.transcript = account.wasPaused ? account.turns.transcriptJSON : report.transcriptJSON
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

    private static func addition(
        _ report: ElevenLabsReport, of webhook: ElevenLabsWebhook, _ known: StoredCall?, _ account: OwnAccount,
        _ owner: VendorOwner?, at date: Date
    ) -> CallAddition? {
        let told = call(report, of: webhook, owner, at: date)
        guard let id = known?.id ?? told?.id else { return nil }
        var addition = CallAddition(id: id, new: told)
        let conversation = webhook.conversationId
        addition.change = { call in
            // Its recording came first, and said nothing of who spoke.
            if call.from.isEmpty, call.to.isEmpty, let told {
                let tenant = call.tenant
                call = told
                call.tenant = told.tenant ?? tenant
            }
            call.conversationID = call.conversationID ?? conversation
        }
        addition.event = ("analysed by the agent's vendor", report.extractedJSON)
        // Only for a call without such: what we heard ourselves is the better account, it knows what was really played.
        guard !account.wasPaused else { return addition }
        addition.turns = report.turns.enumerated().map { index, turn in
            StoredTurn(
                call: id, sequence: index, atMs: turn.seconds.asMilliseconds,
                speaker: turn.role == "user" ? "caller" : "agent", text: turn.message, heard: turn.message,
                isInterrupted: turn.isInterrupted)
        }
        addition.toolCalls = report.tools.enumerated().map { index, tool in
            StoredToolCall(
                call: id, sequence: index, atMs: tool.seconds.asMilliseconds, name: tool.name,
                arguments: tool.arguments, output: tool.output, isError: tool.isError,
                milliseconds: tool.latencySeconds?.asMilliseconds)
        }
        return addition
    }

    /// A recording belongs to a call, so that it is removed with one; where none is known yet, to one of its own.
    private static func addition(
        _ recording: String?, of webhook: ElevenLabsWebhook, _ known: StoredCall?, _ owner: VendorOwner?, at date: Date
    ) -> CallAddition? {
        guard let recording else { return nil }
        let conversation = webhook.conversationId
        let id = name(conversation ?? "")
        var call = StoredCall(
            id: id, callSid: conversation ?? id, direction: "inbound", from: "", to: "", tenant: owner?.tenant,
            pipeline: owner?.pipeline ?? "", version: owner?.version ?? "", status: "ended", createdAt: date)
        call.backend = "elevenlabs"
        call.conversationID = conversation
        call.endedAt = date
        var addition = CallAddition(id: known?.id ?? id, new: known == nil ? call : nil)
        addition.change = { $0.conversationID = $0.conversationID ?? conversation }
        addition.recordings = [recording]
        return addition
    }

    /// The name of a call that only the vendor knows.
    private static func name(_ conversation: String) -> String { "elevenlabs-\(conversation)" }

    /// A call that the vendor's own telephony carried, and that is only known by its report.
    private static func call(
        _ report: ElevenLabsReport, of webhook: ElevenLabsWebhook, _ owner: VendorOwner?, at date: Date
    ) -> StoredCall? {
        guard let phone = report.phoneCall, let conversation = webhook.conversationId else { return nil }
        let isInbound = phone.direction == "inbound"
        // Another unit than seconds would give a year that no calendar knows.
        let told = report.startedAt.map { Date(timeIntervalSince1970: Double($0)) }
        let begin = told.flatMap { abs($0.timeIntervalSince(date)) < Self.longestDelay ? $0 : nil } ?? date
        var call = StoredCall(
            id: name(conversation), callSid: phone.callSid ?? conversation, direction: phone.direction,
            from: isInbound ? phone.externalNumber : phone.agentNumber,
            to: isInbound ? phone.agentNumber : phone.externalNumber, tenant: owner?.tenant,
            pipeline: owner?.pipeline ?? "", version: owner?.version ?? "",
            status: report.status == "failed" ? "failed" : "ended", createdAt: begin)
        call.backend = "elevenlabs"
        call.endedAt = begin.addingTimeInterval(Double(min(max(0, report.durationSeconds ?? 0), 86_400)))
        call.endReason = report.terminationReason
        call.conversationID = conversation
        return call
    }
}

extension Double {
    /// Seconds as whole milliseconds; 0 for what is no time.
    fileprivate var asMilliseconds: Int64 { isFinite && self > 0 ? Int64(min(self, 1e9) * 1000) : 0 }
}

/// As a session has it before its report, too.
private func transcript(_ turns: [(speaker: String, text: String, atMs: Int64)]) -> String {
    JSONValue.array(
        turns.map { turn in
            .object([
                .init("atMs", JSONValue(Int(turn.atMs))), .init("speaker", .string(turn.speaker)),
                .init("text", .string(turn.text)),
            ])
        }
    ).line
}

extension [StoredTurn] {
    fileprivate var transcriptJSON: String { transcript(map { ($0.speaker, $0.text, $0.atMs) }) }
}

extension ElevenLabsReport {
    var transcriptJSON: String {
        transcript(turns.map { ($0.role == "user" ? "caller" : "agent", $0.message, $0.seconds.asMilliseconds) })
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
