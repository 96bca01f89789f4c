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
    /// What Twilio is given beyond the longest call of a pipeline, so that ours ends first.
    static let spareSeconds = 60
    /// The longest call that Twilio allows, in seconds.
    static let longestCall = 14_400

    let settings: ServerSettings
    let options: ServerOptions
    let pipelines: PipelineStore
    let tenants: TenantDirectory
    let records: any Store
    let rest: TwilioREST?
    let logger: Logger
    let clock: @Sendable () -> Date
    private let turns = Turns()
    let state: Mutex<State>

    struct State: Sendable {
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
        do throws(StoreError) {
            try await tenants.loadOnce()
        } catch {
            throw DialRefusal(.serviceUnavailable, "the tenants cannot be read: \(error)", retryAfter: 5)
        }
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
            session.callingNumber = plan.from
        }
        do {
            let (kept, isNew) = try await records.insert(session)
            // Another process has taken the same order meanwhile: the call is its own, and so is the place.
            if !isNew { end(plan.id) }
            return (kept, isNew)
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
        do throws(TwilioError) {
            let call = try await rest.create(order)
            return await dialled(session, sid: call.sid, rest)
        } catch {
            guard error.fate == .uncertain else { throw await refuse(session, error, rest) }
            logger.error(
                "the carrier's answer to an order is missing; looking for the call",
                metadata: Self.metadata(session).merging(["error": "\(error)"]) { $1 })
            if case .call(let call) = await search(session, rest, after: Self.searches) {
                return await dialled(session, sid: call.sid, rest)
            }
            return await leaveOpen(session, error, rest)
        }
    }

    private func dialled(_ session: VoiceSession, sid: String, _ rest: TwilioREST) async -> Outcome {
        let now = clock()
        let kept = await change(session, rest) { session in
            guard session.callSid == nil || session.callSid == sid else { return }
            session.callSid = sid
            if session.status == SessionStatus.unknown.rawValue { session.failure = nil }
            session.advance(to: .dialing, at: now)
        }
        logger.info("the carrier dials", metadata: Self.metadata(kept).merging(["callSid": "\(sid)"]) { $1 })
        return Outcome(session: kept, message: Self.words(kept))
    }

    private func refuse(_ session: VoiceSession, _ error: TwilioError, _ rest: TwilioREST) async -> DialRefusal {
        end(session.id)
        let words = error.fate == .notSent ? "\(error)" : "Twilio refuses the call: \(error)"
        let now = clock()
        _ = await change(session, rest) { session in
            session.failure = words
            session.advance(to: .failed, at: now)
        }
        Counter(label: Self.outcomes, dimensions: [("outcome", "refused")]).increment()
        logger.warning(
            "the call was not dialled",
            metadata: Self.metadata(session).merging(["error": "\(error)", "code": "\(error.code ?? 0)"]) { $1 })
        let pause = error.retryAfter
        return switch (error.fate, error.cause) {
        case (.notSent, _): DialRefusal(.serviceUnavailable, words, retryAfter: pause ?? 5)
        case (_, .called), (_, .calling): DialRefusal(.unprocessableContent, words)
        case (_, .forbidden): DialRefusal(.forbidden, words)
        case (_, .tooMuch): DialRefusal(.tooManyRequests, words, retryAfter: pause ?? 1)
        case (_, .account), (_, .carrier): DialRefusal(.badGateway, words)
        }
    }

    private func leaveOpen(_ session: VoiceSession, _ error: TwilioError, _ rest: TwilioREST) async -> Outcome {
        let words = "\(error.message); \(Self.mayHaveDialled)"
        let now = clock()
        let kept = await change(session, rest) { session in
            guard session.callSid == nil else { return }
            session.failure = words
            session.advance(to: .unknown, at: now)
        }
        return Outcome(session: kept, message: Self.words(kept))
    }

    // MARK: Words

    static func metadata(_ session: VoiceSession) -> Logger.Metadata {
        ["session": "\(session.id)", "to": "\(session.customerPhone)", "pipeline": "\(session.pipeline)"]
    }

    /// What a session's status means.
    static func words(_ session: VoiceSession) -> String {
        switch SessionStatus(rawValue: session.status) {
        case .created, .dialing:
            session.callSid == nil ? "the carrier is being asked to dial" : "the carrier has been asked to dial"
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
