import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayCore
import PatchbayStore
import PatchbayWire

/// What dials, what the carrier asks and tells of dialled calls, and what became of them.
struct OutboundRoutes: Sendable {
    /// Sessions of one page, at most.
    static let maximumPage = 500

    let switchboard: Switchboard
    private var settings: ServerSettings { switchboard.settings }
    private var outbound: OutboundCalls { switchboard.outbound }
    private var records: any Store { switchboard.records }
    private var twilio: TwilioRoutes { TwilioRoutes(switchboard: switchboard) }

    func add(to router: some RouterMethods<ControlContext>) {
        for path in settings.paths(.calls) {
            router.post(RouterPath(path)) { request, context in
                let (outcome, status) = try await dial(request, context) { (body) throws(DialRefusal) in
                    try DialOrder(json: body)
                }
                return try json(DialAnswer(outcome), status)
            }
        }
        for path in settings.paths(.initiate) {
            router.post(RouterPath(path)) { request, context in
                let (outcome, status) = try await dial(request, context) { (body) throws(DialRefusal) in
                    try DialOrder(campaign: body)
                }
                return try json(DialAnswer.Campaign(answer: DialAnswer(outcome)), status)
            }
        }
        addWebhooks(to: router)
        addSessions(to: router)
        addBlockList(to: router)
        for path in settings.paths(.carrierHealth) {
            router.get(RouterPath(path)) { request, context in
                try switchboard.access.admit(request, context, .carrierHealth)
                return try json(CarrierHealth(number: switchboard.options.agentPhoneNumber))
            }
        }
        for path in settings.paths(.carrierTest) {
            router.post(RouterPath(path)) { request, context in
                _ = try await twilio.verified(request, context)
                return try twilio.twiml([.say("Hello. This server answers, and the carrier reaches it."), .hangup])
            }
        }
    }

    // MARK: Orders

    private func dial(
        _ request: Request, _ context: ControlContext, _ read: ([UInt8]) throws(DialRefusal) -> DialOrder
    ) async throws -> (OutboundCalls.Outcome, HTTPResponse.Status) {
        let principal = try switchboard.access.admitSpending(request, context)
        let body = try await request.body.collect(upTo: settings.limits.maximumBodyBytes)
        let origin = request.origin(context, switchboard.options)
        do throws(DialRefusal) {
            var order = try read(Array(body.readableBytesView))
            order.idempotencyKey = try idempotencyKey(request)
            guard !switchboard.registry.isDraining else {
                throw DialRefusal(.serviceUnavailable, "the server is about to stop", retryAfter: 30)
            }
            guard switchboard.options.canBeReached(at: origin) else {
                throw DialRefusal(
                    .serviceUnavailable,
                    "Twilio cannot reach \(origin.authority): set PUBLIC_URL to the https address of this server")
            }
            let outcome = try await outbound.place(order, by: principal) { origin.url($0) }
            if !outcome.isRepeated {
                switchboard.note(
                    "call.dial", outcome.session.id, principal, request, context, tenant: outcome.session.tenant)
            }
            let isUnknown = outcome.session.status == SessionStatus.unknown.rawValue
            return (outcome, outcome.isRepeated ? .ok : isUnknown ? .accepted : .created)
        } catch {
            // Its words name the number, which has no business in the trail.
            switchboard.note(
                "call.dial", request.uri.path, principal, request, context, outcome: "refused: \(error.status)")
            throw HTTPError(error)
        }
    }

    private func idempotencyKey(_ request: Request) throws(DialRefusal) -> String? {
        guard let key = HTTPField.Name("Idempotency-Key").flatMap({ request.headers[$0] }) else { return nil }
        guard (1...DialOrder.maximumKey).contains(key.utf8.count), key.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        else {
            throw DialRefusal(
                .badRequest, "Idempotency-Key has 1 to \(DialOrder.maximumKey) printable characters of ASCII")
        }
        return key
    }

    /// Ends the call of a session that has no running call here: it rings, or is bridged by the carrier.
    ///
    /// - Returns: `nil` when there is no such session.
    func hangUp(
        _ id: String, for principal: Principal, _ request: Request, _ context: ControlContext
    ) async throws -> Response? {
        guard let session = try await outbound.session(named: id), principal.sees(session.tenant) else { return nil }
        func note(_ outcome: String = "ok") {
            switchboard.note(
                "call.hangup", session.id, principal, request, context, outcome: outcome, tenant: session.tenant)
        }
        do throws(DialRefusal) {
            try await outbound.hangUp(session)
            note()
        } catch {
            note("refused: \(error.status)")
            throw HTTPError(error)
        }
        return try json(SessionReport(session, isWhole: false))
    }

    // MARK: Sessions

    private func addSessions(to router: some RouterMethods<ControlContext>) {
        for path in settings.paths(.sessions) {
            router.get(RouterPath(path)) { request, context in
                let principal = try switchboard.access.admit(request, context, .sessions)
                let query = request.uri.queryParameters
                let limit = try number(query["limit"], "limit", 1...Self.maximumPage) ?? 100
                let offset = try number(query["offset"], "offset", 0...10_000_000) ?? 0
                let sessions = try await records.sessions(tenant: principal.tenant, limit: limit, offset: offset)
                return try json(SessionList(sessions: sessions.map { SessionReport($0, isWhole: false) }))
            }
            router.get(RouterPath("\(path)/:id")) { request, context in
                let principal = try switchboard.access.admit(request, context, .sessions)
                let id = context.parameters.get("id") ?? ""
                guard let session = try await outbound.session(named: id), principal.sees(session.tenant) else {
                    throw HTTPError(.notFound, message: "there is no session \"\(id.prefix(64))\"")
                }
                return try json(SessionReport(session, isWhole: true))
            }
        }
    }

    private func number(_ text: Substring?, _ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        guard let text else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw HTTPError(
                .badRequest,
                message: "\(name) is \"\(text.prefix(20))\"; allowed are \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    // MARK: Numbers that must not be dialled

    private func addBlockList(to router: some RouterMethods<ControlContext>) {
        for path in settings.paths(.blocked) {
            router.get(RouterPath(path)) { request, context in
                try forAll(switchboard.access.admit(request, context, .blocked))
                return try json(["blocked": try await records.blockedNumbers().map(BlockedReport.init)])
            }
            router.get(RouterPath("\(path)/:number")) { request, context in
                try forAll(switchboard.access.admit(request, context, .blocked))
                let number = try number(context)
                guard let entry = try await records.blockedNumbers().first(where: { $0.number == number }) else {
                    throw HTTPError(.notFound, message: "\(number) is not blocked")
                }
                return try json(BlockedReport(entry))
            }
            router.put(RouterPath("\(path)/:number")) { request, context in
                let principal = try forAll(switchboard.access.admitSpending(request, context))
                let number = try number(context)
                let body = Array(
                    try await request.body.collect(upTo: settings.limits.maximumBodyBytes).readableBytesView)
                guard
                    let order = body.isEmpty
                        ? BlockOrder() : try? JSONDecoder().decode(BlockOrder.self, from: Data(body))
                else {
                    throw HTTPError(.badRequest, message: #"send {"reason": "asked not to be called"}, or nothing"#)
                }
                let entry = BlockedNumber(
                    number: number, reason: String((order.reason ?? "").prefix(500)), since: outbound.clock())
                try await records.block(number, reason: entry.reason, at: entry.since)
                switchboard.note("number.block", number, principal, request, context)
                return try json(BlockedReport(entry))
            }
            // Whoever dials has the right to dial: it is the list that is to keep them from it.
            router.delete(RouterPath("\(path)/:number")) { request, context in
                let principal = try forAll(switchboard.access.admitSpending(request, context, needing: .admin))
                let number = try number(context)
                guard try await records.unblock(number) else {
                    throw HTTPError(.notFound, message: "\(number) is not blocked")
                }
                switchboard.note("number.unblock", number, principal, request, context)
                return Response(status: .noContent)
            }
        }
    }

    private struct BlockOrder: Decodable { var reason: String? }

    private struct BlockedReport: Encodable {
        var number, reason: String
        var since: Date

        init(_ entry: BlockedNumber) { (number, reason, since) = (entry.number, entry.reason, entry.since) }
    }

    /// The list is everybody's: one tenant must not open it for another.
    @discardableResult
    private func forAll(_ principal: Principal) throws -> Principal {
        guard principal.tenant == nil else {
            throw HTTPError(.forbidden, message: "the block list belongs to the whole server, not to a tenant")
        }
        return principal
    }

    private func number(_ context: ControlContext) throws -> String {
        let text = context.parameters.get("number") ?? ""
        guard let number = PhoneNumber(text.removingPercentEncoding ?? text) else {
            throw HTTPError(
                .unprocessableContent,
                message:
                    "\"\(text.prefix(32))\" is no number; write it with its country code (E.164), such as +15550100002")
        }
        return number.description
    }
}

extension HTTPError {
    init(_ refusal: DialRefusal) {
        var headers = HTTPFields()
        if let seconds = refusal.retryAfter, let name = HTTPField.Name("Retry-After") { headers[name] = "\(seconds)" }
        self.init(refusal.status, headers: headers, message: refusal.words)
    }
}

extension ServerOptions {
    /// Whether the carrier can come to an address: Twilio itself never to one of this machine, a simulated one does.
    fileprivate func canBeReached(at origin: RequestOrigin) -> Bool {
        guard twilioAccountSid != nil, twilioAuthToken != nil, twilioBaseURL == ServerOptions().twilioBaseURL else {
            return true
        }
        let host = origin.authority.split(separator: ":").first.map(String.init) ?? ""
        return !ServerOptions.isLoopback(host) && !origin.authority.hasPrefix("[::1]")
    }
}
