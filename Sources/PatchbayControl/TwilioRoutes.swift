import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Metrics
import PatchbayConfig
import PatchbayCore
import PatchbayStore
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
        var order = CallOrder(callSid: callSid, from: from, to: to)
        // A repeated webhook is the same call.
        if switchboard.registry.running(callSid: callSid) == nil, !switchboard.traffic.admitCall(from: from, to: to) {
            switchboard.logger.warning("call refused", metadata: ["reason": "rate-limit", "callSid": "\(callSid)"])
            Counter(label: ServerMetrics.refusedCalls, dimensions: [("reason", "rate-limit")]).increment()
            let refusal = Switchboard.Refusal(code: "rate-limit", words: switchboard.words[.busy])
            switchboard.note(refusal, of: order, peer: origin.client)
            return try twiml([refusal.words.verb, .hangup])
        }
        order.pathPipeline = settings.pathPipelines[request.uri.path]
        let response = try await connect(order, resumes: 0, origin)
        switchboard.registry.running(callSid: callSid)?.trace?.webhook("voice", from: begin)
        return response
    }

    /// The stream of a call has ended, and the caller is still there.
    private func next(_ request: Request, _ context: ControlContext) async throws -> Response {
        let (form, origin) = try await verified(request, context)
        let callSid = form["CallSid"] ?? "", from = form["From"] ?? "", to = form["To"] ?? ""
        if let status = form["CallStatus"], Self.finalStates.contains(status) { return try twiml([.hangup]) }
        if let outcome = form["DialCallStatus"] { return try await twiml(dialled(outcome, callSid: callSid)) }
        let now = Int(Date().timeIntervalSince1970)
        let ticket = request.uri.queryParameters["ticket"].map(String.init) ?? ""
        // Taken over by itself: the claim is checked against the very call that the signed form names.
        let claim = try? switchboard.tokens.verify(ticket, .next, callSid: callSid, from: from, to: to, now: now)
        // Asking for the next step proves that the former stream is over, whatever its socket looks like from here.
        let running = switchboard.registry.running(callSid: callSid)
        if let running, running.hadStream { await running.call.streamLost() }
        let entry = await entryElsewhere(callSid)
        if let running, !running.hadStream, await !switchboard.moved(running, to: entry) {
            await running.call.streamLost()
        }
        if let end = switchboard.ending(of: callSid, entry) {
            guard end.reason.kind == .transferred else { return try twiml(farewell(end)) }
            return try await twiml(transfer(end, callSid: callSid, from: from, to: to, origin))
        }
        guard let claim, claim.resumes < StreamTicket.maximumResumes else {
            return try twiml([switchboard.words[.failure].verb, .hangup])
        }
        switchboard.logger.notice(
            "resuming a call whose stream broke", metadata: ["callSid": "\(callSid)", "resume": "\(claim.resumes + 1)"])
        var order = CallOrder(callSid: callSid, from: from, to: to)
        order.isResumed = true
        return try await connect(
            await switchboard.completed(order, former: entry), resumes: claim.resumes + 1, origin)
    }

    /// The newest entry of another process, unless what is known here decides: a call that had its stream here, and ended in a
    /// way that nobody resumes, is nowhere else.
    private func entryElsewhere(_ callSid: String) async -> StoredCall? {
        let known = switchboard.registry.latest(callSid: callSid)
        if let known, known.hadStream, CallEnding(known) != nil { return nil }
        return await switchboard.entry(of: callSid, besides: known)
    }

    private func status(_ request: Request, _ context: ControlContext) async throws -> Response {
        let begin = MediaTime.now()
        let (form, _) = try await verified(request, context)
        if let callSid = form["CallSid"], let status = form["CallStatus"], Self.finalStates.contains(status),
            let record = switchboard.registry.running(callSid: callSid)
        {
            // Its end closes the call's span, which this one belongs under.
            record.trace?.webhook("status", from: begin)
            await switchboard.carrierCompleted(record)
        }
        return try twiml([])
    }

    /// Twilio could not fetch or understand what we answered.
    private func error(_ request: Request, _ context: ControlContext) async throws -> Response {
        let (form, _) = try await verified(request, context)
        let callSid = form["CallSid"] ?? "", code = form["ErrorCode"] ?? ""
        switchboard.logger.error(
            "the carrier reports an error",
            metadata: ["callSid": "\(callSid)", "code": "\(code)", "url": "\(form["ErrorUrl"] ?? "")"])
        // It is hung up below: no stream comes any more.
        if let record = switchboard.registry.running(callSid: callSid) {
            await record.call.cancel(EndReason(.failure, "the carrier reports error \(code.prefix(16))"))
        }
        return try twiml([switchboard.words[.failure].verb, .hangup])
    }

    // MARK: Answers

    func connect(_ order: CallOrder, resumes: Int, _ origin: RequestOrigin) async throws -> Response {
        var order = order
        order.isResumed = resumes > 0
        let record: CallRecord
        do throws(Switchboard.Refusal) {
            record = try await switchboard.take(order)
        } catch {
            switchboard.note(error, of: order, peer: origin.client)
            return try twiml([error.words.verb, .hangup])
        }
        await switchboard.outbound.began(record.info)
        let now = Int(Date().timeIntervalSince1970)
        let ticket = StreamTicket(switchboard, origin)
        let nonce = StreamToken.Claim.makeNonce()
        await switchboard.keepContext(of: record, nonce: nonce)
        do {
            return try twiml(ticket.verbs(for: record, resumes: resumes, now: now, nonce: nonce))
        } catch {
            // Without the way to a stream nobody comes for the call.
            record.call.logger.error("the carrier cannot be answered", metadata: ["reason": "\(error)"])
            await record.call.cancel(EndReason(.failure, "\(error)"))
            return try twiml([record.failureWords.verb, .hangup])
        }
    }

    private func farewell(_ end: CallEnding) -> [TwiML.Verb] {
        guard end.reason.isFailure || [.shutdown, .answeredByRule].contains(end.reason.kind) else { return [.hangup] }
        return [end.failureWords.verb, .hangup]
    }

    /// Seconds that a person's telephone rings.
    private static let ringing = 30
    /// What Twilio says of how a dialled call ended (twilio.com/docs/voice/twiml/dial#dialcallstatus).
    private static let dialOutcomes = ["completed", "answered", "busy", "no-answer", "failed", "canceled"]

    /// Connects the caller with a person, once, whichever processes are asked.
    private func transfer(
        _ end: CallEnding, callSid: String, from: String, to: String, _ origin: RequestOrigin
    ) async -> [TwiML.Verb] {
        guard end.isElsewhere || switchboard.registry.takeTransfer(callSid: callSid),
            let number = PhoneNumber(end.reason.detail), await switchboard.isFirst("transfer", end.id) ?? true
        else { return [.hangup] }
        Counter(label: CallMetrics.transfers, dimensions: [("outcome", "begun")]).increment()
        let dial = TwiML.Dial(
            .number(number.description),
            callerId: callerId(end.direction, from: from, to: to),
            action: origin.url(settings.paths(.next).first ?? "/twilio/next"), method: .post, timeout: Self.ringing,
            timeLimit: limit(callSid: callSid))
        return [.dial(dial)]
    }

    /// Seconds that the caller may talk with the person: as many as with an agent, and four hours at the most, which is what
    /// Twilio allows without a limit (twilio.com/docs/voice/twiml/dial#timelimit).
    private func limit(callSid: String) -> Int {
        let longest = switchboard.registry.latest(callSid: callSid)?.maximumDuration ?? CallLimits().maximumDuration
        return min(max(1, Int(longest.milliseconds / 1000)), OutboundCalls.longestCall)
    }

    /// The caller's own number is shown where nothing is said. Where that is no number, Twilio wants one of the account's
    /// (twilio.com/docs/voice/twiml/dial#callerid): the called one, or that which an outbound call came from.
    private func callerId(_ direction: CallInfo.Direction, from: String, to: String) -> String? {
        if direction == .outbound { return from }
        return PhoneNumber(from) == nil ? PhoneNumber(to)?.description : nil
    }

    /// The person has hung up, or could not be reached.
    private func dialled(_ outcome: String, callSid: String) async -> [TwiML.Verb] {
        let known = Self.dialOutcomes.contains(outcome) ? outcome : "other"
        Counter(label: CallMetrics.transfers, dimensions: [("outcome", known)]).increment()
        switchboard.logger.info("transfer ended", metadata: ["callSid": "\(callSid)", "outcome": "\(known)"])
        guard !["completed", "answered"].contains(outcome) else { return [.hangup] }
        return [await switchboard.failureWords(callSid: callSid).verb, .hangup]
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
        let url = origin.url(request.target)
        let fault = CarrierProof(options, settings).fault(of: request.headers, url: url) {
            $0.verify(signature: $1, url: url, form: form)
        }
        guard let reason = fault else { return (form, origin) }
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
        return [welcome.verb] + connect
    }
}
