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
    let access: Access
    /// Which agents are not worth a try just now.
    public let health: AgentHealth
    private let dialer: any AgentDialer
    private let carrierREST: TwilioREST?
    private let clock: @Sendable () -> Date
    private let observers: @Sendable (CallInfo) -> [any CallObserver]
    private let tools: @Sendable (CallInfo) -> [Tool]

    /// - Parameters:
    ///   - source: Where the pipelines are read again; `nil` for a host that does not read them from files.
    ///   - records: What is remembered beyond this process.
    ///   - clock: What time it is, for rules.
    ///   - observers: Makes additional watchers for each call, for instance recorders.
    ///   - tools: What the agents of a call may call beside the tools of its pipeline. A call whose tools share a name is refused.
    public init(
        pipelines: PipelineSet, source: PipelineSource? = nil, settings: ServerSettings, options: ServerOptions,
        mediaLoop: MediaLoop, dialer: any AgentDialer, carrierREST: TwilioREST?, records: any Store, logger: Logger,
        clock: @escaping @Sendable () -> Date = { Date() },
        observers: @escaping @Sendable (CallInfo) -> [any CallObserver] = { _ in [] },
        tools: @escaping @Sendable (CallInfo) -> [Tool] = { _ in [] }
    ) {
        store = PipelineStore(pipelines, source: source, clock: clock)
        self.clock = clock
        self.settings = settings
        self.options = options
        self.records = records
        access = Access(options: options, settings: settings)
        self.mediaLoop = mediaLoop
        self.dialer = dialer
        self.carrierREST = carrierREST
        self.logger = logger
        self.observers = observers
        self.tools = tools
        health = AgentHealth { Self.note($0, logger) }
        tokens = StreamToken(secret: options.twilioAuthToken?.reveal())
    }

    /// Why a call is not taken, with the words for the caller.
    struct Refusal: Error {
        var code: String
        var words: String
    }

    /// Takes a call: finds its pipeline, builds its chain and begins to connect its agent while the phone still rings.
    ///
    /// A call that runs already under the same name is returned as it is, so a repeated webhook does no harm.
    ///
    func take(_ order: CallOrder) async throws(Refusal) -> CallRecord {
        if let record = registry.running(callSid: order.callSid) { return record }
        let logger = logger(forCall: order.callSid)
        guard let decision = decide(order) else {
            throw refusal("unknown-number", words[.unknownNumber], nil, logger)
        }
        let route: Route
        switch decision {
        case .pipeline(let answering, let steps):
            route = answering.setting(order.variables)
            if let step = steps.last(where: \.holds) { logger.info("a rule decides", metadata: ["rule": "\(step)"]) }
        case .say(let text, let route, let steps):
            throw spoken(text, route, steps, order, logger)
        }
        let words = Words(route.document.messages, settings.messages)
        let info = CallInfo(
            id: Self.makeID(), callSid: order.callSid, from: order.from, to: order.to, direction: order.direction,
            pipeline: route.document.name, version: route.document.version, tenant: order.tenant,
            session: order.session)
        let log = CallLog(logger: logger)
        let variables = CallVariables(from: order.from, to: order.to, sid: order.callSid)
        let call = Call(
            info: info, on: mediaLoop, dialer: dialer, logger: logger,
            farewell: carrierREST.flatMap { rest in
                // Calls of other carriers are not known there.
                guard route.document.transportType == TwilioTransport().spec.type else { return nil }
                return { @Sendable info in await rest.complete(callSid: info.callSid, logger: logger) }
            }
        ) { [registry] call, reason in registry.ended(call.info.id, reason) }
        var record = CallRecord(
            info: info, call: call, log: log, maximumDuration: route.document.limits.maximumDuration,
            failureText: words[.failure], rules: decision.steps)
        // Where it would stand is only known with the plan; a call without one never runs.
        let plan = Result { () throws(PipelineError) in try route.plan(for: variables) }
        if case .success(let plan) = plan {
            if plan.transport.component is TwilioTransport { record.welcome = Welcome(plan.transport.settings) }
            record.agentPlace = AgentPlace(
                document: route.document, call: variables, variables: route.variables, joint: plan.agentFormat)
        }
        // In the books first: a call that ends while it starts must find its entry.
        switch registry.admit(record, limit: settings.limits.maximumCalls) {
        case .admitted: break
        case .exists(let known): return known
        case .full: throw refusal("busy", words[.busy], nil, logger)
        case .draining: throw refusal("draining", words[.draining], nil, logger)
        }
        var wire: (any WireObserver)?
        do {
            var plan = try plan.get()
            // A call must not give up its stream before the stream's token does.
            plan.limits.stream = max(plan.limits.stream, streamTokenLifetime)
            let parts = try CallParts(plan, tools: tools(info), health: health)
            wire = options.wireLog?.observer(for: info, plan)
            let runner = parts.toolRunner(logger: call.logger)
            try await call.start(observers: [log] + observers(info), tools: runner, wire: wire) {
                () throws(PipelineError) in try parts.makePlan(info)
            }
        } catch {
            wire?.observe(.ended(EndReason(.failure, "\(error)")), time: .now())
            registry.ended(info.id, EndReason(.failure, "\(error)"))
            let text = words[error.code == .agentNotConfigured ? .missingAgent : .notConfigured]
            throw refusal(error.code.description, text, error, logger)
        }
        return record
    }

    private func decide(_ order: CallOrder) -> RouteDecision? {
        if order.isResumed, let info = registry.latest(callSid: order.callSid)?.info,
            let (document, set) = store.document(named: info.pipeline, version: info.version),
            var route = set.route(order.to)
        {
            route.document = document
            return .pipeline(route, by: [])
        }
        if let name = order.pipeline {
            return store.current.set.route(order.to, by: name).map { .pipeline($0, by: []) }
        }
        let call = CallVariables(from: order.from, to: order.to, sid: order.callSid)
        return store.current.set.decide(call, at: clock())
    }

    /// Enters a call that a rule answered with words: it is over before it began.
    private func spoken(
        _ text: String, _ route: Route, _ steps: [RuleStep], _ order: CallOrder, _ logger: Logger
    ) -> Refusal {
        let reason = EndReason(.answeredByRule, steps.last.map { "\($0.pipeline) when[\($0.index)]" } ?? "")
        logger.notice("a rule answers", metadata: ["rule": "\(steps.last.map(\.description) ?? "")"])
        // A repeated webhook gets the same answer; it is one call.
        if registry.latest(callSid: order.callSid)?.end?.kind != .answeredByRule {
            let info = CallInfo(
                id: Self.makeID(), callSid: order.callSid, from: order.from, to: order.to,
                pipeline: route.document.name, version: route.document.version)
            let idle = Call(info: info, on: mediaLoop, dialer: dialer, logger: logger) { _, _ in }
            registry.enter(
                CallRecord(
                    info: info, call: idle, log: CallLog(logger: logger), maximumDuration: .zero, failureText: "",
                    rules: steps), ended: reason)
            Counter(label: CallMetrics.calls, dimensions: [("outcome", reason.kind.rawValue)]).increment()
        }
        return Refusal(code: "answered-by-rule", words: text)
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

    private func logger(forCall callSid: String) -> Logger {
        var logger = logger
        logger[metadataKey: "callSid"] = "\(callSid)"
        return logger
    }

    private func refusal(_ code: String, _ words: String, _ error: PipelineError?, _ logger: Logger) -> Refusal {
        var metadata: Logger.Metadata = ["reason": "\(code)"]
        if let error { metadata["error"] = "\(error)" }
        logger.warning("call refused", metadata: metadata)
        return Refusal(code: code, words: words)
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
    public func drain(timeout: TimeSpan? = nil) async {
        let timeout = timeout ?? options.drainTimeout ?? .seconds(Int64(settings.limits.drainSeconds))
        registry.startDraining()
        let count = registry.activeCount
        if count > 0 {
            logger.notice(
                "draining", metadata: ["calls": "\(count)", "limitSeconds": "\(timeout.milliseconds / 1000)"])
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.registry.waitUntilIdle() }
                group.addTask { try? await Task.sleep(for: .nanoseconds(timeout.nanoseconds)) }
                await group.next()
                // The wait for idleness ends when the calls do, which is now.
                await self.endRunningCalls()
                group.cancelAll()
            }
        }
        logger.notice("drained")
    }

    /// Ends every running call at once. For an operator who will not wait for the drain.
    public func endRunningCalls() async {
        for record in registry.all().running { await record.call.cancel(EndReason(.shutdown)) }
    }

    private static func makeID() -> String {
        var generator = SystemRandomNumberGenerator()
        return "call-" + String(generator.next() as UInt64, radix: 36)
    }
}
