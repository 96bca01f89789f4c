public import Foundation
public import Logging
import Metrics
import NIOCore
public import PatchbayConfig
public import PatchbayCore
public import PatchbayStore
import PatchbayTransports

/// Turns numbers into running calls: routes, admits, counts, drains. The HTTP routes and embedding services both work it.
public final class Switchboard: Sendable {
    public let mediaLoop: MediaLoop
    public let logger: Logger
    let options: ServerOptions
    let registry = CallRegistry()
    let tokens: StreamToken
    /// The pipelines in force, and how to change them.
    public let store: PipelineStore
    let settings: ServerSettings
    /// What is remembered beyond this process.
    public let records: any Store
    /// Brings what happens in calls there.
    let journal: CallJournal
    /// Tells readers of it.
    let feed = EventFeed()
    private let startedAt = Date()
    let access: Access
    let outbound: OutboundCalls
    /// How much strangers may ask.
    let traffic: TrafficLimits
    /// Whose number is called.
    let tenants: TenantDirectory
    /// Who did what, and who tried.
    let audit: AuditTrail
    /// Which agents are not worth a try just now.
    public let health: AgentHealth
    private let dialer: any AgentDialer
    let carrierREST: TwilioREST?
    let clock: @Sendable () -> Date
    private let observers: @Sendable (CallInfo) -> [any CallObserver]
    let tools: @Sendable (CallInfo) -> [Tool]
    let context: CallContext
    let vendorAgents = VendorAgents()
    /// How many call without a telephone.
    let browserPlaces = BrowserPlaces()
    /// Who is told of calls; `nil` when nobody is.
    let webhooks: WebhookOutbox?

    /// - Parameters:
    ///   - source: Where the pipelines are read again; `nil` for a host that does not read them from files.
    ///   - records: What is remembered beyond this process.
    ///   - clock: What time it is, for rules.
    ///   - observers: Makes additional watchers for each call, for instance recorders.
    ///   - tools: What the agents of a call may call beside the tools of its pipeline. A call whose tools share a name is refused.
    ///   - context: Finds out about callers, in place of the pipelines' own `context`.
    public init(
        pipelines: PipelineSet, source: PipelineSource? = nil, settings: ServerSettings, options: ServerOptions,
        mediaLoop: MediaLoop, dialer: any AgentDialer, carrierREST: TwilioREST?, records: any Store, logger: Logger,
        clock: @escaping @Sendable () -> Date = { Date() },
        observers: @escaping @Sendable (CallInfo) -> [any CallObserver] = { _ in [] },
        tools: @escaping @Sendable (CallInfo) -> [Tool] = { _ in [] },
        context: ContextProvider? = nil
    ) {
        store = PipelineStore(pipelines, source: source, clock: clock)
        self.clock = clock
        self.settings = settings
        self.options = options
        self.records = records
        webhooks = WebhookOutbox(settings.webhooks, records: records, logger: logger, clock: clock)
        journal = CallJournal(records, feed: feed, webhooks: webhooks, logger: logger)
        traffic = TrafficLimits(settings.limits)
        tenants = TenantDirectory(records, logger: logger, clock: clock)
        audit = AuditTrail(records, logger: logger, clock: clock)
        access = Access(options: options, settings: settings, audit: audit, clock: clock)
        outbound = OutboundCalls(
            settings: settings, options: options, pipelines: store, tenants: tenants, records: records,
            rest: carrierREST, logger: logger, clock: clock)
        self.mediaLoop = mediaLoop
        self.dialer = dialer
        self.carrierREST = carrierREST
        self.logger = logger
        self.observers = observers
        self.tools = tools
        self.context = CallContext(context, records: records, logger: logger, clock: clock)
        health = AgentHealth { Self.note($0, logger) }
        tokens = StreamToken(secret: options.twilioAuthToken?.reveal())
    }

    /// Why a call is not taken, with the words for the caller.
    struct Refusal: Error {
        var code: String
        var words: Spoken
        var tenant: String?

        /// A rule's words are an answer; such a call is among the calls.
        var isAnswer: Bool { code == Self.answeredByRule }
        fileprivate static let answeredByRule = "answered-by-rule"
    }

    /// Notes a call that was not taken, which is in no other record.
    ///
    /// - Parameter peer: The address that asked for it.
    func note(_ refusal: Refusal, of order: CallOrder, peer: String) {
        guard !refusal.isAnswer else { return }
        audit.note(
            AuditTrail.refusedCall, "\(order.callSid) from \(order.from) to \(order.to)", by: .carrier, peer: peer,
            outcome: refusal.code, tenant: refusal.tenant)
    }

    /// Takes a call: finds its pipeline, builds its chain and begins to connect its agent while the phone still rings.
    ///
    /// A call that runs already under the same name is returned as it is, so a repeated webhook does no harm. The call's
    /// record is on disk when this returns, unless the store fails or is slow: that keeps no caller waiting.
    func take(_ order: CallOrder) async throws(Refusal) -> CallRecord {
        if let record = registry.running(callSid: order.callSid) {
            await journal.flush()
            return record
        }
        let id = Self.makeID()
        let logger = logger(forCall: order.callSid, id)
        // Whom the files would have answered may be a stored tenant's caller.
        do throws(StoreError) {
            try await tenants.loadOnce()
        } catch {
            throw refusal(error.code.description, words[.failure], nil, order.tenant, logger)
        }
        let assignment = assignment(of: order)
        let tenant = assignment?.tenant ?? order.tenant
        guard let decision = decide(order, assignment) else {
            throw refusal("unknown-number", words[.unknownNumber], nil, tenant, logger)
        }
        let route: Route
        switch decision {
        case .pipeline(let answering, let steps):
            route = answering.setting(order.variables)
            if let step = steps.last(where: \.holds) { logger.info("a rule decides", metadata: ["rule": "\(step)"]) }
        case .say(let text, let route, let steps):
            throw spoken(text, route, steps, order, tenant, id, logger)
        }
        let words = Words(route.document.messages, settings.messages)
        let info = CallInfo(
            id: id, callSid: order.callSid, from: order.from, to: order.to, direction: order.direction,
            pipeline: route.document.name, version: route.document.version, tenant: tenant,
            session: order.session)
        let startedAt = Date()
        let recorder = CallRecorder(info, startedAt: startedAt, journal: journal)
        let log = CallLog(logger: logger, recorder: recorder)
        var variables = CallVariables(from: order.from, to: order.to, sid: order.callSid)
        variables.context = await context(for: order, variables, on: route, tenant: tenant, logger)
        let call = Call(
            info: info, on: mediaLoop, dialer: dialer, logger: logger,
            farewell: farewell(route, logger)
        ) { [registry] call, reason in
            // On the call's loop.
            recorder.ended(reason, at: Date(), call.assumeIsolated { $0.status })
            registry.ended(call.info.id, reason)
        }
        var record = CallRecord(
            order: order, info: info, call: call, recorder: recorder,
            maximumDuration: route.document.limits.maximumDuration,
            startedAt: startedAt, failureWords: words[.failure], rules: decision.steps, context: variables.context)
        // Where it would stand is only known with the plan; a call without one never runs.
        let plan = Result { () throws(PipelineError) in try route.plan(for: variables) }
        if case .success(let plan) = plan {
            if plan.transport.component is TwilioTransport {
                record.welcome = Spoken(welcome: plan.transport.settings)
                record.parameters = StreamParameters(plan.transport.settings, logger)
            }
            record.agentPlace = AgentPlace(
                document: route.document, call: variables, variables: route.variables, joint: plan.agentFormat)
        }
        let trace = CallTrace(info)
        record.trace = trace
        // In the books first: a call that ends while it starts must find its entry.
        let limits = CallRegistry.Limits(
            calls: settings.limits.maximumCalls,
            callsOfTenant: assignment?.maximumCalls ?? settings.limits.maximumCallsPerTenant)
        switch registry.admit(record, limits) {
        case .admitted: break
        case .exists(let known): return known
        case .tenantIsFull:
            RateLimiter.count("maximumCallsPerTenant")
            throw refusal("busy", words[.busy], nil, tenant, logger)
        case .full: throw refusal("busy", words[.busy], nil, tenant, logger)
        case .draining: throw refusal("draining", words[.draining], nil, tenant, logger)
        }
        trace?.begin()
        recorder.begin()
        if case .success(let plan) = plan { log.planned(plan, knowing: variables.context) }
        var wire: (any WireObserver)?
        do {
            var plan = try plan.get()
            // A call must not give up its stream before the stream's token does.
            plan.limits.stream = max(plan.limits.stream, streamTokenLifetime)
            let parts = try CallParts(plan, tools: tools(info), health: health)
            wire = options.wireLog?.observer(for: info, plan)
            var runner: any ToolRunner = parts.toolRunner(logger: call.logger)
            if let trace { runner = TracedTools(base: runner, trace: trace) }
            var observers: [any CallObserver] = [recorder, log]
            if let trace { observers.append(trace) }
            observers += outbound.observers(info) + self.observers(info)
            try await call.start(observers: observers, tools: runner, wire: wire) {
                () throws(PipelineError) in
                var plan = try parts.makePlan(info)
                if let trace { plan.backends = plan.backends.map { TracedBackend(base: $0, trace: trace) } }
                return plan
            }
        } catch {
            wire?.observe(.ended(EndReason(.failure, "\(error)")), time: .now())
            trace?.end(EndReason(.failure, error.code.description))
            recorder.ended(EndReason(.failure, "\(error)"), at: Date(), nil)
            registry.ended(info.id, EndReason(.failure, "\(error)"))
            let text = words[error.code == .agentMissing ? .missingAgent : .notConfigured]
            throw refusal(error.code.description, text, error, tenant, logger)
        }
        // The agent is being dialled meanwhile.
        await journal.flush()
        return record
    }

    /// Enters a call that a rule answered with words: it is over before it began.
    private func spoken(
        _ text: String, _ route: Route, _ steps: [RuleStep], _ order: CallOrder, _ tenant: String?, _ id: String,
        _ logger: Logger
    ) -> Refusal {
        let words = Words(route.document.messages, settings.messages).saying(text)
        let reason = EndReason(.answeredByRule, steps.last.map { "\($0.pipeline) when[\($0.index)]" } ?? "")
        logger.notice("a rule answers", metadata: ["rule": "\(steps.last.map(\.description) ?? "")"])
        // A repeated webhook gets the same answer; it is one call.
        if registry.latest(callSid: order.callSid)?.end?.kind != .answeredByRule {
            let info = CallInfo(
                id: id, callSid: order.callSid, from: order.from, to: order.to,
                pipeline: route.document.name, version: route.document.version, tenant: tenant)
            let idle = Call(info: info, on: mediaLoop, dialer: dialer, logger: logger) { _, _ in }
            let recorder = CallRecorder(info, startedAt: Date(), journal: journal)
            registry.enter(
                CallRecord(
                    order: order, info: info, call: idle, recorder: recorder, maximumDuration: .zero,
                    failureWords: words, rules: steps), ended: reason)
            recorder.ended(reason, at: Date(), nil)
            CallMetrics.count(reason, info.direction)
        }
        return Refusal(code: Refusal.answeredByRule, words: words, tenant: tenant)
    }

    /// Changes only: what is avoided for a while fails in many calls.
    private static func note(_ change: AgentHealth.Change, _ logger: Logger) {
        let identity: AgentIdentity
        let isAvoided: Bool
        switch change {
        case .avoided(let agent, let pause, let error):
            (identity, isAvoided) = (agent, true)
            logger.warning(
                "agent avoided",
                metadata: [
                    "pipeline": "\(agent.pipeline)", "backend": "\(agent.type)",
                    "seconds": "\(pause.milliseconds / 1000)", "error": "\(error)",
                ])
        case .recovered(let agent):
            (identity, isAvoided) = (agent, false)
            logger.notice(
                "agent well again", metadata: ["pipeline": "\(agent.pipeline)", "backend": "\(agent.type)"])
        case .forgotten(let agent):
            (identity, isAvoided) = (agent, false)
            logger.info(
                "agent no longer avoided: nobody has tried it for long",
                metadata: ["pipeline": "\(agent.pipeline)", "backend": "\(agent.type)"])
        }
        Gauge(
            label: CallMetrics.agentAvoided,
            dimensions: [("pipeline", identity.pipeline), ("backend", identity.type)]
        ).record(isAvoided ? 1 : 0)
    }

    private func logger(forCall callSid: String, _ id: String) -> Logger {
        var logger = logger
        logger[metadataKey: "call"] = "\(id)"
        logger[metadataKey: "callSid"] = "\(callSid)"
        return logger
    }

    private func refusal(
        _ code: String, _ words: Spoken, _ error: PipelineError?, _ tenant: String?, _ logger: Logger
    ) -> Refusal {
        var metadata: Logger.Metadata = ["reason": "\(code)"]
        if let error { metadata["error"] = "\(error)" }
        logger.warning("call refused", metadata: metadata)
        Counter(label: ServerMetrics.refusedCalls, dimensions: [("reason", code)]).increment()
        return Refusal(code: code, words: words, tenant: tenant)
    }

    /// What callers hear when nothing more specific is known.
    var words: Words { Words(settings.messages) }
    var streamTokenLifetime: TimeSpan {
        options.streamTokenLifetime ?? .seconds(Int64(settings.limits.streamTokenSeconds))
    }
    var isAccepting: Bool { !registry.isDraining && registry.activeCount < settings.limits.maximumCalls }
    /// The pipelines in force.
    public var pipelineSet: PipelineSet { store.current.set }

    /// Turns new calls away, waits for running ones and ends what is left at the limit.
    ///
    /// - Parameter timeout: The options' or settings' own when absent.
    public func drain(timeout: TimeSpan? = nil) async { await drain(timeout: timeout, wasServing: true) }

    /// - Parameter wasServing: Whether calls could come at all; otherwise nothing is said.
    func drain(timeout: TimeSpan? = nil, wasServing: Bool) async {
        let timeout = timeout ?? options.drainTimeout ?? .seconds(Int64(settings.limits.drainSeconds))
        registry.startDraining()
        let count = registry.activeCount
        if count > 0 {
            logger.notice(
                "draining", metadata: ["calls": "\(count)", "limitSeconds": "\(timeout.milliseconds / 1000)"])
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.registry.waitUntilFinished() }
                group.addTask { try? await Task.sleep(for: .nanoseconds(timeout.nanoseconds)) }
                await group.next()
                // The wait for idleness ends when the calls do, which is now.
                await self.endRunningCalls()
                group.cancelAll()
            }
        }
        registry.close()
        await journal.finish()
        feed.finish()
        await audit.flush()
        if wasServing || count > 0 { logger.notice("drained") }
    }

    /// Takes over what a process before this one has left, and keeps the records in order until the task is cancelled.
    ///
    /// The tenants of the store are read, the carrier is asked about calls that had been dialled, calls that a dead process
    /// left open are closed, and every hour goes what is older than the settings allow. ``CallDrain`` does this for services
    /// that have it in their group.
    public func keepRecords() async {
        await takeOver()
        async let _ = watchMovedCalls()
        await RecordUpkeep(
            store: records, recordings: recordings, retentionDays: settings.store.retentionDays, startedAt: startedAt,
            clock: clock, logger: logger, webhooks: webhooks
        ).run()
    }

    private func takeOver() async {
        // One that cannot be read is read with the first call, or the first order.
        if (try? await tenants.loadOnce()) != nil { complainAboutTenants() }
        do throws(StoreError) {
            try await outbound.resume(at: clock())
        } catch {
            logger.error("the sessions of before cannot be read", metadata: ["error": "\(error)"])
        }
    }

    /// Removes the files of recordings whose calls were forgotten: those below the folder of the records, and where the
    /// pipelines in force write theirs.
    var recordings: RecordingSweep {
        RecordingSweep(
            store: records,
            folders: { [options, store] in
                var folders = store.current.set.recordingFolders
                if let data = options.dataDirectory { folders.insert(RecordingFiles.directory(below: data)) }
                return folders
            }, logger: logger)
    }

    /// Notes in a call's record where a recording of it lies. When the call was erased meanwhile, the file is removed with
    /// the next round of ``keepRecords()``.
    ///
    /// - Parameters:
    ///   - path: A relative one starts from the process's folder.
    ///   - id: Patchbay's own name of the call.
    public func recorded(_ path: String, ofCall id: String) {
        // The next process may start elsewhere.
        let path = URL(fileURLWithPath: path).path
        if let recorder = registry.find(id)?.recorder {
            recorder.recorded(path)
        } else {
            journal.append(.recording(call: id, path: path), of: nil)
        }
    }

    /// Returns when everything that has been noted of calls is on disk, or cannot be brought there.
    public func flushRecords() async { await journal.finish() }

    /// Ends every running call at once. For an operator who will not wait for the drain.
    public func endRunningCalls() async {
        for record in registry.all().running { await record.call.cancel(EndReason(.shutdown)) }
    }

    static func makeID() -> String {
        var generator = SystemRandomNumberGenerator()
        return "call-" + String(generator.next() as UInt64, radix: 36)
    }
}
