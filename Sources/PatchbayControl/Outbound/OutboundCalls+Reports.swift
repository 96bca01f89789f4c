import Foundation
import Metrics
import PatchbayConfig
import PatchbayCore
import PatchbayStore
import PatchbayWire

/// What the carrier tells of a dialled call.
extension OutboundCalls {
    /// A report of the carrier, about a session's call.
    struct Report: Sendable {
        var callSid: String
        var status: SessionStatus?
        /// Of an end: why it was not a better one.
        var failure: String?
        /// `human`, `machine`, `fax` or `unknown`.
        var answeredBy: String?
    }

    /// Enters a report; one that comes late or again changes nothing.
    ///
    /// - Returns: The session; `nil` when there is none, or when the report is about another call than its own.
    func enter(_ report: Report, of id: String) async throws(StoreError) -> VoiceSession? {
        let now = clock()
        let session = try await records.updateSession(id) { session in
            guard session.callSid == nil || session.callSid == report.callSid else { return }
            // An order whose answer never came has its call after all.
            if session.callSid == nil, session.status != SessionStatus.simulated.rawValue {
                session.callSid = report.callSid
                if session.status == SessionStatus.unknown.rawValue { session.failure = nil }
            }
            let before = session.status
            if let status = report.status { session.advance(to: status, at: now) }
            if session.status != before, let failure = report.failure { session.failure = failure }
            if let answeredBy = report.answeredBy { session.answeredBy = answeredBy }
        }
        guard let session, session.callSid == report.callSid else {
            logger.warning(
                "a report names a session that is not its own", metadata: ["session": "\(id.prefix(64))"])
            return nil
        }
        if let status = report.status, status.isEnd, end(id) {
            Counter(label: Self.outcomes, dimensions: [("outcome", status.rawValue)]).increment()
        }
        return session
    }

    /// What a status callback says (twilio.com/docs/voice/api/call-resource#statuscallback).
    static func report(_ form: FormFields) -> Report? {
        guard let callSid = form["CallSid"], !callSid.isEmpty else { return nil }
        var report = Report(callSid: callSid)
        report.status = form["CallStatus"].flatMap { SessionStatus(carrier: $0) }
        report.answeredBy = form["AnsweredBy"].flatMap(answerer)
        if report.status == .failed {
            let code = form["ErrorCode"].flatMap(Int.init).map { " with error \($0)" } ?? ""
            let sip = form["SipResponseCode"].flatMap(Int.init).map { ", SIP response \($0)" } ?? ""
            report.failure = "the carrier could not connect the call\(code)\(sip)"
        }
        return report
    }

    /// Who answered, in a word (twilio.com/docs/voice/answering-machine-detection). What could not be told apart is treated as
    /// a person.
    static func answerer(_ text: String) -> String? {
        switch text {
        case "human", "fax", "unknown": text
        case _ where text.hasPrefix("machine"): "machine"
        default: nil
        }
    }

    /// A machine has been heard: it is told the message, and the call ends. A fax is not told anything.
    func machineAnswered(_ session: VoiceSession) async {
        guard let rest, let callSid = session.callSid else { return }
        let message = session.answeredBy == "machine" ? settings.outbound.machineMessage : nil
        let change =
            message.map {
                TwilioCallChange.instructions(TwiML([Words(settings.messages).saying($0).verb, .hangup]))
            } ?? .hangUp
        do {
            try await rest.update(callSid, change)
        } catch {
            if error.isOver { return }
            logger.warning(
                "a machine answered, and the call could not be ended",
                metadata: Self.metadata(session).merging(["error": "\(error)"]) { $1 })
        }
    }

    /// Ends a session's call, whether it rings or runs.
    ///
    /// - Throws: ``DialRefusal`` when there is nothing to end, or the carrier does not do it.
    func hangUp(_ session: VoiceSession) async throws(DialRefusal) {
        guard SessionStatus(rawValue: session.status)?.isEnd == false else {
            throw DialRefusal(.conflict, "the call has ended already: \(Self.words(session))")
        }
        guard let rest else {
            throw DialRefusal(
                .conflict, "nothing can be ended: TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN are not set")
        }
        guard let callSid = session.callSid else {
            let isUnknown = session.status == SessionStatus.unknown.rawValue
            throw DialRefusal(
                .conflict,
                isUnknown
                    ? "there is no call that could be ended: \(Self.words(session))"
                    : "the carrier has not named the call yet; try again in a moment")
        }
        do {
            try await rest.update(callSid, .hangUp)
        } catch {
            // Its report is on the way.
            if error.isOver { return }
            throw DialRefusal(.badGateway, "Twilio did not end the call: \(error)")
        }
    }

    /// The session that had a call dialled, by its own name or the carrier's.
    func session(named name: String) async throws(StoreError) -> VoiceSession? {
        if let session = try await records.session(name) { return session }
        return try await records.session(callSid: name)
    }

    /// An order to take a call, with what its session says, where it has one.
    func completed(_ order: CallOrder) async -> CallOrder {
        guard let session = try? await records.session(callSid: order.callSid) else { return order }
        var order = order
        order.adopt(session)
        return order
    }
}

extension CallOrder {
    /// Takes over what was ordered for the session's call.
    mutating func adopt(_ session: VoiceSession) {
        direction = .outbound
        pipeline = session.pipeline
        variables = [String: VariableValue](json: session.variables)
        tenant = session.tenant
        self.session = session.id
    }

    /// Takes over by what the same call was taken before.
    mutating func adopt(_ former: CallOrder) {
        (direction, pipeline, variables) = (former.direction, former.pipeline, former.variables)
        (tenant, session) = (former.tenant, former.session)
    }

    /// The number on our side of the call: its variables are those of the call.
    var ownNumber: String { direction == .outbound ? from : to }
}

extension OutboundCalls {
    /// Connects a session with the call that was begun for it.
    func began(_ info: CallInfo) async {
        guard let id = info.session else { return }
        do throws(StoreError) {
            _ = try await records.updateSession(id) { $0.call = info.id }
        } catch {
            logger.warning("a session could not be written", metadata: ["session": "\(id)", "error": "\(error)"])
        }
    }

    /// Who watches a call for its session.
    func observers(_ info: CallInfo) -> [any CallObserver] {
        info.session.map { [SessionWatch($0, records: records, logger: logger, clock: clock)] } ?? []
    }
}
