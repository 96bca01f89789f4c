import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayCore
import PatchbayStore
import PatchbayWire

/// What the carrier asks and tells of a dialled call; the last part of each path names its session.
extension OutboundRoutes {
    func addWebhooks(to router: some RouterMethods<ControlContext>) {
        for path in switchboard.settings.paths(.connect) {
            router.post(RouterPath("\(path)/:session")) { try await answered($0, $1) }
        }
        for path in switchboard.settings.paths(.status) {
            router.post(RouterPath("\(path)/:session")) { try await status($0, $1) }
        }
        for path in switchboard.settings.paths(.machine) {
            router.post(RouterPath("\(path)/:session")) { try await machine($0, $1) }
        }
    }

    private var outbound: OutboundCalls { switchboard.outbound }
    private var twilio: TwilioRoutes { TwilioRoutes(switchboard: switchboard) }

    /// Somebody has answered: their audio comes here, or they are connected with the vendor's own number.
    ///
    /// The agent is connected only now. While the telephone rings it is too early: most campaigns ring for many who do not
    /// answer, and a vendor counts the minutes of a conversation from its beginning.
    private func answered(_ request: Request, _ context: ControlContext) async throws -> Response {
        let (form, origin) = try await twilio.verified(request, context)
        let id = context.parameters.get("session") ?? ""
        guard var report = OutboundCalls.report(form) else {
            throw HTTPError(.badRequest, message: "a connect webhook needs CallSid")
        }
        let known = try await switchboard.records.session(id)
        if let status = known.flatMap({ SessionStatus(rawValue: $0.status) }), status.isEnd {
            return try twilio.twiml([.hangup])
        }
        if report.status?.isEnd != true { report.status = .answered }
        guard let session = try await entered(report, of: id, known) else {
            return try twilio.twiml([switchboard.words[.failure].verb, .hangup])
        }
        if switchboard.settings.outbound.bridge == .dial { return try twilio.twiml(bridge(form)) }
        var order = CallOrder(
            callSid: report.callSid, from: form["From"] ?? "", to: form["To"] ?? session.customerPhone)
        order.adopt(session)
        switchboard.logger.info(
            "outbound call answered",
            metadata: OutboundCalls.metadata(session).merging(["callSid": "\(report.callSid)"]) { $1 })
        return try await twilio.connect(order, resumes: 0, origin)
    }

    /// The session after a report. Whoever has answered is not hung up on because the store cannot write that down.
    private func entered(
        _ report: OutboundCalls.Report, of id: String, _ known: VoiceSession?
    ) async throws(StoreError) -> VoiceSession? {
        do throws(StoreError) {
            return try await outbound.enter(report, of: id)
        } catch {
            guard let known, known.callSid == nil || known.callSid == report.callSid else { throw error }
            switchboard.logger.error(
                "a session could not be written; its call goes on",
                metadata: ["session": "\(id)", "callSid": "\(report.callSid)", "error": "\(error)"])
            return known
        }
    }

    private func bridge(_ form: FormFields) -> [TwiML.Verb] {
        guard let number = switchboard.options.agentPhoneNumber else {
            return [switchboard.words[.missingAgent].verb, .hangup]
        }
        let callerId = switchboard.options.twilioPhoneNumber ?? form["From"].flatMap { PhoneNumber($0)?.description }
        return [.dial(TwiML.Dial(.number(number), callerId: callerId)), .hangup]
    }

    private func status(_ request: Request, _ context: ControlContext) async throws -> Response {
        let (form, _) = try await twilio.verified(request, context)
        guard let report = OutboundCalls.report(form) else {
            throw HTTPError(.badRequest, message: "a status webhook needs CallSid")
        }
        if let session = try await outbound.enter(report, of: context.parameters.get("session") ?? "") {
            switchboard.logger.info(
                "outbound call",
                metadata: OutboundCalls.metadata(session).merging(
                    ["callSid": "\(report.callSid)", "status": "\(form["CallStatus"] ?? "")"]) { $1 })
            if report.status?.isEnd == true, let record = switchboard.registry.running(callSid: report.callSid) {
                await switchboard.carrierCompleted(record)
            }
        }
        return try twilio.twiml([])
    }

    /// The carrier has heard who answered.
    private func machine(_ request: Request, _ context: ControlContext) async throws -> Response {
        let (form, _) = try await twilio.verified(request, context)
        guard var report = OutboundCalls.report(form) else {
            throw HTTPError(.badRequest, message: "a machine webhook needs CallSid")
        }
        report.status = nil
        if let session = try await outbound.enter(report, of: context.parameters.get("session") ?? "") {
            switchboard.logger.info(
                "who answered",
                metadata: OutboundCalls.metadata(session).merging(["answeredBy": "\(session.answeredBy ?? "")"]) { $1 })
            if ["machine", "fax"].contains(report.answeredBy), SessionStatus(rawValue: session.status)?.isEnd == false {
                await outbound.machineAnswered(session)
            }
        }
        return try twilio.twiml([])
    }
}
