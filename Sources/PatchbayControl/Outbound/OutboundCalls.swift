import Crypto
import Foundation
import Logging
import Metrics
import PatchbayConfig
import PatchbayCore
import PatchbayStore
import Synchronization

/// Dials: from an order to a session, from a session to a call, and from the carrier's reports to the session's end.
///
/// Everything here waits for disks and for the carrier, so nothing of it runs on an event loop.
final class OutboundCalls: Sendable {
    /// Sessions that a starting process looks at for those that still ring or run.
    static let resumedSessions = 1000
    /// What Twilio is given beyond the longest call of a pipeline, so that ours ends first.
    static let spareSeconds = 60
    /// The longest call that Twilio allows, in seconds.
    static let longestCall = 14_400
    /// Waits before each look for a call whose order was not answered.
    static let searches: [Duration] = [.milliseconds(500), .milliseconds(1500), .seconds(4)]

    let settings: ServerSettings
    let options: ServerOptions
    let pipelines: PipelineStore
    let tenants: TenantDirectory
    let records: any Store
    let rest: TwilioREST?
    let logger: Logger
    let clock: @Sendable () -> Date
    private let turns = Turns()
    private let state: Mutex<State>

    private struct State: Sendable {
        var limits: DialLimits
        var hasResumed = false
    }

    init(
        settings: ServerSettings, options: ServerOptions, pipelines: PipelineStore, tenants: TenantDirectory,
        records: any Store, rest: TwilioREST?, logger: Logger, clock: @escaping @Sendable () -> Date
    ) {
        self.settings = settings
        self.options = options
        self.pipelines = pipelines
        self.tenants = tenants
        self.records = records
        self.rest = rest
        self.logger = logger
        self.clock = clock
        state = Mutex(
            State(limits: DialLimits(server: settings.outbound.limits, tenants: settings.outbound.tenantLimits)))
        for (type, agent) in settings.outbound.agents.sorted(by: { $0.key < $1.key }) {
            guard let name = agent.pipeline, pipelines.current.set.document(named: name) == nil else { continue }
            logger.warning(
                "server.json names a pipeline that is not there; orders for its agent will be refused",
                metadata: ["agent": "\(type)", "pipeline": "\(name)"])
        }
    }

    /// What an order led to.
    struct Outcome: Sendable {
        var session: VoiceSession
        /// Whether the same order was taken before.
        var isRepeated = false
        var message: String
    }

    /// Takes an order: a session is on disk before the carrier is asked.
    ///
    /// - Parameter url: Makes the public address of a path.
    func place(
        _ order: DialOrder, by principal: Principal, url: @escaping @Sendable (String) -> String
    ) async throws(DialRefusal) -> Outcome {
        let plan = try plan(order, by: principal)
        do {
            // What was begun is finished, whether or not whoever ordered still listens.
            return try await Task { try await self.begin(plan, url: url) }.value
        } catch let refusal as DialRefusal {
            Counter(label: Self.refusals, dimensions: [("status", "\(refusal.status.code)")]).increment()
            throw refusal
        } catch is Turns.Crowded {
            throw DialRefusal(.serviceUnavailable, "too many orders wait already", retryAfter: 5)
        } catch {
            throw DialRefusal(.serviceUnavailable, "the order cannot be kept: \(error)", retryAfter: 5)
        }
    }

    static let refusals = "patchbay_outbound_refused_total"
    static let outcomes = "patchbay_outbound_calls_total"
    static let inFlight = "patchbay_outbound_in_flight"

    private func begin(_ plan: DialPlan, url: @escaping @Sendable (String) -> String) async throws -> Outcome {
        let (session, isNew) = try await turns.take { try await self.enter(plan) }
        guard isNew else {
            guard session.customerPhone == plan.to.description, session.agentName == plan.agentName,
                session.customerID == plan.customerID
            else {
                throw DialRefusal(
                    .conflict, "this Idempotency-Key was used for another order; give each order a key of its own")
            }
            return Outcome(session: session, isRepeated: true, message: Self.words(session))
        }
        guard session.status == SessionStatus.dialing.rawValue, let rest else {
            logger.info("outbound session without a call: simulation", metadata: Self.metadata(session))
            return Outcome(session: session, message: Self.words(session))
        }
        return try await dial(session, plan, rest, url: url)
    }

    /// Checks what may be dialled now, and enters the session. One order after the other.
    private func enter(_ plan: DialPlan) async throws -> (VoiceSession, isNew: Bool) {
        if plan.idempotencyKey != nil, let known = try await records.session(plan.id) { return (known, false) }
        if try await records.isBlocked(plan.to.description) {
            throw DialRefusal(.forbidden, "\(plan.to) must not be dialled: it is on the block list")
        }
        let now = clock()
        if let hours = settings.outbound.hours, !hours.contains(now) {
            throw DialRefusal(
                .forbidden,
                "nobody is called now: \(hours.moment(of: now)) in \(hours.timeZone.identifier) is outside outbound.hours"
            )
        }
        var session = VoiceSession(
            id: plan.id, status: SessionStatus.simulated.rawValue, tenant: plan.tenant, agentName: plan.agentName,
            customerID: plan.customerID, customerPhone: plan.to.description, pipeline: plan.pipeline,
            variables: plan.variables.json, createdAt: now, idempotencyKey: plan.idempotencyKey)
        if rest != nil {
            try await reserve(plan, at: now)
            session.status = SessionStatus.dialing.rawValue
        }
        do {
            let kept = try await records.insert(session)
            if kept.id != session.id { end(session.id) }
            return (kept, kept.id == session.id)
        } catch {
            end(session.id)
            throw error
        }
    }

    private func reserve(_ plan: DialPlan, at now: Date) async throws {
        try await resume(at: now)
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = settings.outbound.hours?.timeZone ?? .gmt
        let day = calendar.startOfDay(for: now)
        let next = calendar.date(byAdding: .day, value: 1, to: day) ?? now.addingTimeInterval(86_400)
        let all = try await records.dialledSessions(since: day, tenant: nil)
        let tenants = plan.tenant == nil ? 0 : try await records.dialledSessions(since: day, tenant: plan.tenant)
        let today = DialLimits.Today(
            all: all, tenant: tenants, rest: max(1, Int(next.timeIntervalSince(now).rounded(.up))))
        let until = now.addingTimeInterval(Double(plan.ringSeconds + plan.maximumSeconds + Self.spareSeconds))
        do throws(DialLimits.Excess) {
            let inFlight = try state.withLock { state throws(DialLimits.Excess) in
                try state.limits.begin(plan.id, tenant: plan.tenant, today: today, until: until, at: now)
                return state.limits.inFlight
            }
            Gauge(label: Self.inFlight).record(inFlight)
        } catch {
            throw DialRefusal(.tooManyRequests, "\(error); try again later", retryAfter: error.retryAfter)
        }
    }

    /// Takes over the calls of a process before this one that may still ring or run, once: they count, and the carrier is asked
    /// what became of those whose reports found nobody.
    func resume(at now: Date) async throws(StoreError) {
        guard !state.withLock({ $0.hasResumed }) else { return }
        let sessions = try await records.sessions(tenant: nil, limit: Self.resumedSessions, offset: 0)
            .filter { SessionStatus(rawValue: $0.status)?.isEnd == false }
        let isFirst = state.withLock { state in
            guard !state.hasResumed else { return false }
            state.hasResumed = true
            for session in sessions {
                let longest = pipelines.current.set.document(named: session.pipeline)?.limits.maximumDuration
                let seconds =
                    Double(longest?.seconds ?? 3600) + Double(settings.outbound.ringSeconds + Self.spareSeconds)
                let until = session.createdAt.addingTimeInterval(seconds)
                if until > now { state.limits.resume(session.id, tenant: session.tenant, until: until) }
            }
            return true
        }
        if isFirst, let rest, !sessions.isEmpty { Task { await catchUp(sessions, rest) } }
    }

    /// A session's call is over, or never was.
    ///
    /// - Returns: Whether that is news.
    @discardableResult
    func end(_ id: String) -> Bool {
        let (isNews, inFlight) = state.withLock { ($0.limits.end(id), $0.limits.inFlight) }
        Gauge(label: Self.inFlight).record(inFlight)
        return isNews
    }

    // MARK: The carrier

    private func dial(
        _ session: VoiceSession, _ plan: DialPlan, _ rest: TwilioREST, url: @Sendable (String) -> String
    ) async throws -> Outcome {
        func address(_ key: ServerSettings.PathKey) -> String {
            url((settings.paths(key).first ?? key.defaultPath) + "/\(session.id)")
        }
        let order = TwilioCallOrder(
            to: plan.to.description, from: plan.from, url: address(.connect),
            fallbackURL: url(settings.paths(.error).first ?? ServerSettings.PathKey.error.defaultPath),
            statusCallback: address(.status), machineCallback: plan.detectsMachines ? address(.machine) : nil,
            ringSeconds: plan.ringSeconds,
            maximumSeconds: min(plan.maximumSeconds + Self.spareSeconds, Self.longestCall))
        logger.info("dialling", metadata: Self.metadata(session))
        let asked = clock()
        do throws(TwilioError) {
            let call = try await rest.create(order)
            return try await dialled(session, sid: call.sid)
        } catch {
            guard error.fate == .uncertain else { return try await refuse(session, error) }
            logger.error(
                "the carrier's answer to an order is missing; looking for the call",
                metadata: Self.metadata(session).merging(["error": "\(error)"]) { $1 })
            if let sid = await search(session, order, since: asked, rest) {
                return try await dialled(session, sid: sid)
            }
            return try await leaveOpen(session, error)
        }
    }

    private func dialled(_ session: VoiceSession, sid: String) async throws(TwilioError) -> Outcome {
        do {
            let now = clock()
            let kept = try await records.updateSession(session.id) { session in
                session.callSid = sid
                session.advance(to: .dialing, at: now)
            }
            var result = kept ?? session
            result.callSid = sid
            logger.info(
                "the carrier dials", metadata: Self.metadata(result).merging(["callSid": "\(sid)"]) { $1 })
            return Outcome(session: result, message: Self.words(result))
        } catch {
            // The call is under way and its reports name the session: they bring what could not be written now.
            logger.error("a dialled call could not be entered", metadata: ["callSid": "\(sid)", "error": "\(error)"])
            var result = session
            result.callSid = sid
            return Outcome(session: result, message: Self.words(result))
        }
    }

    private func refuse(_ session: VoiceSession, _ error: TwilioError) async throws -> Outcome {
        let words = error.fate == .notSent ? "\(error)" : "Twilio refuses the call: \(error)"
        let now = clock()
        _ = try await records.updateSession(session.id) { session in
            session.failure = words
            session.advance(to: .failed, at: now)
        }
        end(session.id)
        Counter(label: Self.outcomes, dimensions: [("outcome", "refused")]).increment()
        logger.warning(
            "the call was not dialled",
            metadata: Self.metadata(session).merging(["error": "\(error)", "code": "\(error.code ?? 0)"]) { $1 })
        let pause = error.retryAfter
        throw switch (error.fate, error.cause) {
        case (.notSent, _): DialRefusal(.serviceUnavailable, words, retryAfter: pause ?? 5)
        case (_, .called), (_, .calling): DialRefusal(.unprocessableContent, words)
        case (_, .forbidden): DialRefusal(.forbidden, words)
        case (_, .tooMuch): DialRefusal(.tooManyRequests, words, retryAfter: pause ?? 1)
        case (_, .account), (_, .carrier): DialRefusal(.badGateway, words)
        }
    }

    /// Looks for the call of an order that was not answered. A report of the call may be faster.
    ///
    /// - Returns: `nil` when it cannot be found, which does not prove that there is none.
    private func search(
        _ session: VoiceSession, _ order: TwilioCallOrder, since asked: Date, _ rest: TwilioREST
    ) async -> String? {
        for wait in Self.searches {
            do {
                try await rest.pause(wait)
                if let sid = try await records.session(session.id)?.callSid { return sid }
                for call in try await rest.calls(to: order.to, from: order.from) {
                    // Its clock has whole seconds, and is not ours.
                    guard call.direction == "outbound-api", let created = call.created,
                        created >= asked.addingTimeInterval(-5), try await records.session(callSid: call.sid) == nil
                    else { continue }
                    return call.sid
                }
            } catch {
                logger.warning(
                    "the carrier's calls cannot be looked through",
                    metadata: Self.metadata(session).merging(["error": "\(error)"]) { $1 })
            }
        }
        return nil
    }

    private func leaveOpen(_ session: VoiceSession, _ error: TwilioError) async throws -> Outcome {
        let words =
            "\(error.message); no such call was found at Twilio, but it may have been dialled: it is not dialled again by itself"
        let now = clock()
        let kept = try await records.updateSession(session.id) { session in
            guard session.callSid == nil else { return }
            session.failure = words
            session.advance(to: .unknown, at: now)
        }
        let result = kept ?? session
        return Outcome(session: result, message: Self.words(result))
    }

    // MARK: Words

    static func metadata(_ session: VoiceSession) -> Logger.Metadata {
        ["session": "\(session.id)", "to": "\(session.customerPhone)", "pipeline": "\(session.pipeline)"]
    }

    /// What a session's status means.
    static func words(_ session: VoiceSession) -> String {
        switch SessionStatus(rawValue: session.status) {
        case .created, .dialing: "the carrier has been asked to dial"
        case .unknown: session.failure ?? "it is not known whether the carrier has dialled"
        case .ringing: "the telephone rings"
        case .answered: "somebody has answered"
        case .completed: session.failure ?? "the call is over"
        case .busy: "the line was busy"
        case .noAnswer: "nobody answered"
        case .failed: session.failure ?? "the call could not be connected"
        case .canceled: "the call was ended before anybody answered"
        case .simulated:
            "simulation: nobody is called, because TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN are not set"
        case nil: session.status
        }
    }
}

extension VoiceSession {
    /// Moves the status forward, if the report says anything new.
    mutating func advance(to report: SessionStatus, at now: Date) {
        let next = (SessionStatus(rawValue: status) ?? .created).after(report)
        guard next.rawValue != status else { return }
        status = next.rawValue
        updatedAt = now
    }
}
