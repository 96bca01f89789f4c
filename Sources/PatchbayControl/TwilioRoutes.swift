import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Metrics
import PatchbayConfig
import PatchbayCore
import PatchbayWire

/// Twilio's webhooks: what to do with a call, how it went, what comes after its stream.
struct TwilioRoutes: Sendable {
    let switchboard: Switchboard
    private var options: ServerOptions { switchboard.options }
    private var settings: ServerSettings { switchboard.settings }

    func add(to router: some RouterMethods<ControlContext>) {
        for path in settings.paths(.voice) { router.post(RouterPath(path)) { try await voice($0, $1) } }
        for path in settings.paths(.next) { router.post(RouterPath(path)) { try await next($0, $1) } }
        for path in settings.paths(.status) { router.post(RouterPath(path)) { try await status($0, $1) } }
        for path in settings.paths(.error) { router.post(RouterPath(path)) { try await error($0, $1) } }
    }

    /// Call states after which there is no caller any more.
    private static let finalStates = ["completed", "busy", "failed", "no-answer", "canceled"]

    /// Longest name of a call or of one of its ends, in bytes; the longest SIP address that Twilio sends is shorter.
    private static let maximumNameBytes = 256

    // MARK: The four webhooks

    private func voice(_ request: Request, _ context: ControlContext) async throws -> Response {
        let begin = MediaTime.now()
        let (form, origin) = try await verified(request, context)
        guard let callSid = form["CallSid"], !callSid.isEmpty, let to = form["To"] else {
            throw HTTPError(.badRequest, message: "a voice webhook needs CallSid and To")
        }
        let from = form["From"] ?? ""
        // They travel with the stream, whose parameters are bounded.
        guard [callSid, from, to].allSatisfy({ $0.utf8.count <= Self.maximumNameBytes }) else {
            throw HTTPError(
                .badRequest, message: "CallSid, From and To have at most \(Self.maximumNameBytes) bytes each")
        }
        switchboard.logger.info(
            "incoming call", metadata: ["callSid": "\(callSid)", "from": "\(from)", "to": "\(to)"])
        // A repeated webhook is the same call.
        if switchboard.registry.running(callSid: callSid) == nil, !switchboard.traffic.admitCall(from: from, to: to) {
            switchboard.logger.warning("call refused", metadata: ["reason": "rate-limit", "callSid": "\(callSid)"])
            Counter(label: ServerMetrics.refusedCalls, dimensions: [("reason", "rate-limit")]).increment()
            return try twiml([.say(switchboard.words[.busy]), .hangup])
        }
        let response = try await connect(CallOrder(callSid: callSid, from: from, to: to), resumes: 0, origin)
        switchboard.registry.running(callSid: callSid)?.trace?.webhook("voice", from: begin)
        return response
    }

    /// The stream of a call has ended, and the caller is still there.
    private func next(_ request: Request, _ context: ControlContext) async throws -> Response {
        let (form, origin) = try await verified(request, context)
        let callSid = form["CallSid"] ?? "", from = form["From"] ?? "", to = form["To"] ?? ""
        if let status = form["CallStatus"], Self.finalStates.contains(status) { return try twiml([.hangup]) }
        if let outcome = form["DialCallStatus"] { return try twiml(dialled(outcome, callSid: callSid)) }
        let now = Int(Date().timeIntervalSince1970)
        let ticket = request.uri.queryParameters["ticket"].map(String.init) ?? ""
        // Taken over by itself: the claim is checked against the very call that the signed form names.
        let claim = try? switchboard.tokens.verify(ticket, .next, callSid: callSid, from: from, to: to, now: now)
        // Asking for the next step proves that the former stream is over, whatever its socket looks like from here.
        if let record = switchboard.registry.running(callSid: callSid) { await record.call.streamLost() }
        if let end = switchboard.registry.latest(callSid: callSid)?.end,
            ![.callerHungUp, .streamLost].contains(end.kind)
        {
            return try twiml(
                end.kind == .transferred
                    ? transfer(callSid: callSid, from: from, to: to, origin) : farewell(callSid: callSid, end))
        }
        guard let claim, claim.resumes < StreamTicket.maximumResumes else {
            return try twiml([.say(switchboard.words[.failure]), .hangup])
        }
        switchboard.logger.notice(
            "resuming a call whose stream broke", metadata: ["callSid": "\(callSid)", "resume": "\(claim.resumes + 1)"])
        let order = await switchboard.outbound.completed(CallOrder(callSid: callSid, from: from, to: to))
        return try await connect(order, resumes: claim.resumes + 1, origin)
    }

    private func status(_ request: Request, _ context: ControlContext) async throws -> Response {
        let begin = MediaTime.now()
        let (form, _) = try await verified(request, context)
        if let callSid = form["CallSid"], let status = form["CallStatus"], Self.finalStates.contains(status),
            let record = switchboard.registry.running(callSid: callSid)
        {
            // Its end closes the call's span, which this one belongs under.
            record.trace?.webhook("status", from: begin)
            await record.call.carrierCompleted()
        }
        return try twiml([])
    }

    /// Twilio could not fetch or understand what we answered.
    private func error(_ request: Request, _ context: ControlContext) async throws -> Response {
        let (form, _) = try await verified(request, context)
        switchboard.logger.error(
            "the carrier reports an error",
            metadata: [
                "callSid": "\(form["CallSid"] ?? "")", "code": "\(form["ErrorCode"] ?? "")",
                "url": "\(form["ErrorUrl"] ?? "")",
            ])
        return try twiml([.say(switchboard.words[.failure]), .hangup])
    }

    // MARK: Answers

    func connect(_ order: CallOrder, resumes: Int, _ origin: RequestOrigin) async throws -> Response {
        do {
            var order = order
            order.isResumed = resumes > 0
            let record = try await switchboard.take(order)
            await switchboard.outbound.began(record.info)
            let now = Int(Date().timeIntervalSince1970)
            let ticket = StreamTicket(switchboard, origin)
            let nonce = StreamToken.Claim.makeNonce()
            await switchboard.keepContext(of: record, nonce: nonce)
            return try twiml(ticket.verbs(for: record, resumes: resumes, now: now, nonce: nonce))
        } catch let refusal as Switchboard.Refusal {
            return try twiml([.say(refusal.words), .hangup])
        }
    }

    private func farewell(callSid: String, _ end: EndReason) -> [TwiML.Verb] {
        guard end.isFailure || end.kind == .shutdown else { return [.hangup] }
        let words = switchboard.registry.latest(callSid: callSid)?.failureText ?? switchboard.words[.failure]
        return [.say(words), .hangup]
    }

    /// Seconds that a person's telephone rings.
    private static let ringing = 30
    /// What Twilio says of how a dialled call ended (twilio.com/docs/voice/twiml/dial#dialcallstatus).
    private static let dialOutcomes = ["completed", "answered", "busy", "no-answer", "failed", "canceled"]

    /// Connects the caller with a person, once.
    private func transfer(callSid: String, from: String, to: String, _ origin: RequestOrigin) -> [TwiML.Verb] {
        guard let number = switchboard.registry.takeTransfer(callSid: callSid) else { return [.hangup] }
        Counter(label: CallMetrics.transfers, dimensions: [("outcome", "begun")]).increment()
        let dial = TwiML.Dial(
            .number(number.description),
            callerId: callerId(callSid: callSid, from: from, to: to),
            action: origin.url(settings.paths(.next).first ?? "/twilio/next"), method: .post, timeout: Self.ringing)
        return [.dial(dial)]
    }

    /// The caller's own number is shown where nothing is said. Where that is no number, Twilio wants one of the account's
    /// (twilio.com/docs/voice/twiml/dial#callerid): the called one, or that which an outbound call came from.
    private func callerId(callSid: String, from: String, to: String) -> String? {
        if switchboard.registry.latest(callSid: callSid)?.info.direction == .outbound { return from }
        return PhoneNumber(from) == nil ? PhoneNumber(to)?.description : nil
    }

    /// The person has hung up, or could not be reached.
    private func dialled(_ outcome: String, callSid: String) -> [TwiML.Verb] {
        let known = Self.dialOutcomes.contains(outcome) ? outcome : "other"
        Counter(label: CallMetrics.transfers, dimensions: [("outcome", known)]).increment()
        switchboard.logger.info("transfer ended", metadata: ["callSid": "\(callSid)", "outcome": "\(known)"])
        guard !["completed", "answered"].contains(outcome) else { return [.hangup] }
        return [
            .say(switchboard.registry.latest(callSid: callSid)?.failureText ?? switchboard.words[.failure]), .hangup,
        ]
    }

    func twiml(_ verbs: [TwiML.Verb]) throws -> Response {
        let document = try TwiML(verbs).document()
        return Response(
            status: .ok, headers: [.contentType: "text/xml; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: document)))
    }

    // MARK: Signatures

    /// Reads the form and checks who signed it.
    func verified(
        _ request: Request, _ context: ControlContext
    ) async throws -> (form: FormFields, origin: RequestOrigin) {
        let origin = request.origin(context, options)
        let body = try await request.body.collect(upTo: settings.limits.maximumBodyBytes)
        let form: FormFields
        do {
            form = try FormFields(parsing: body.readableBytesView)
        } catch {
            throw HTTPError(.badRequest, message: "the form cannot be read: \(error)")
        }
        guard !options.skipsSignatures else { return (form, origin) }
        let reason: String
        if let secret = options.twilioAuthToken {
            let header = HTTPField.Name("X-Twilio-Signature").flatMap { request.headers[$0] }
            let url = origin.url(request.target)
            if let header, TwilioSignature(secrets: [secret.reveal()]).verify(signature: header, url: url, form: form) {
                return (form, origin)
            }
            reason =
                header == nil
                ? "X-Twilio-Signature is missing" : "X-Twilio-Signature does not fit \(url.prefix { $0 != "?" })"
        } else {
            reason = "TWILIO_AUTH_TOKEN is not set, so no signature can be checked"
        }
        switchboard.logger.warning(
            "webhook refused",
            metadata: ["reason": "\(reason)", "peer": "\(origin.peer)", "path": "\(request.uri.path)"])
        switchboard.audit.note("webhook.refused", request.uri.path, by: .stranger, from: origin, outcome: reason)
        throw HTTPError(.forbidden, message: reason)
    }
}

/// The TwiML that brings a call's audio here, and back here once more when its stream has ended.
struct StreamTicket {
    /// How often a call whose stream broke is taken up again.
    static let maximumResumes = 3

    private let switchboard: Switchboard
    private let origin: RequestOrigin

    init(_ switchboard: Switchboard, _ origin: RequestOrigin) {
        self.switchboard = switchboard
        self.origin = origin
    }

    /// - Parameter nonce: Under which what is known of the caller has been kept.
    func verbs(
        for record: CallRecord, resumes: Int, now: Int, nonce: String = StreamToken.Claim.makeNonce()
    ) -> [TwiML.Verb] {
        let info = record.info
        let settings = switchboard.settings
        let token = switchboard.tokens.make(
            StreamToken.Claim(
                .stream, callSid: info.callSid, from: info.from, to: info.to, resumes: resumes,
                expires: now + Int(switchboard.streamTokenLifetime.seconds), nonce: nonce))
        // The next step may come as late as the longest call ends.
        let ticket = switchboard.tokens.make(
            StreamToken.Claim(
                .next, callSid: info.callSid, from: info.from, to: info.to, resumes: resumes,
                expires: now + Int((record.maximumDuration + switchboard.streamTokenLifetime).seconds) + 60))
        let parameters =
            [
                TwiML.Stream.Parameter(name: "token", value: token),
                TwiML.Stream.Parameter(name: "from", value: info.from),
                TwiML.Stream.Parameter(name: "to", value: info.to),
            ] + record.parameters.list
        let stream = TwiML.Stream(
            url: origin.webSocketURL(settings.paths(.stream).first ?? "/twilio/stream"), parameters: parameters)
        let action = origin.url(settings.paths(.next).first ?? "/twilio/next") + "?ticket=\(ticket)"
        let connect = [TwiML.Verb.connect(stream, action: action, method: .post), .hangup]
        // Who was welcomed already is only connected again.
        guard resumes == 0, let welcome = record.welcome else { return connect }
        return [.say(welcome.text, voice: welcome.voice, language: welcome.language)] + connect
    }
}
