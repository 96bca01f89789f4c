import Foundation
public import Logging
import NIOCore
public import PatchbayConfig
public import PatchbayCore
import PatchbayTransports
import Synchronization

/// Turns numbers into running calls: routes, admits, counts, drains. The HTTP routes and embedding services both work it.
public final class Switchboard: Sendable {
    public let mediaLoop: MediaLoop
    public let logger: Logger
    let options: ServerOptions
    let registry = CallRegistry()
    let tokens: StreamToken
    private let pipelines: Mutex<PipelineSet>
    let settings: ServerSettings
    private let dialer: any AgentDialer
    private let carrierREST: TwilioREST?
    private let observers: @Sendable (CallInfo) -> [any CallObserver]

    /// - Parameter observers: Makes additional watchers for each call, for instance recorders.
    public init(
        pipelines: PipelineSet, settings: ServerSettings, options: ServerOptions, mediaLoop: MediaLoop,
        dialer: any AgentDialer, carrierREST: TwilioREST?, logger: Logger,
        observers: @escaping @Sendable (CallInfo) -> [any CallObserver] = { _ in [] }
    ) {
        self.pipelines = Mutex(pipelines)
        self.settings = settings
        self.options = options
        self.mediaLoop = mediaLoop
        self.dialer = dialer
        self.carrierREST = carrierREST
        self.logger = logger
        self.observers = observers
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
    func take(callSid: String, from: String, to: String) async throws(Refusal) -> CallRecord {
        if let record = registry.running(callSid: callSid) { return record }
        let logger = logger(forCall: callSid)
        guard let route = pipelines.withLock({ $0.route(to) }) else {
            throw refusal("unknown-number", words[.unknownNumber], nil, logger)
        }
        let words = Words(route.document.messages, settings.messages)
        let info = CallInfo(
            id: Self.makeID(), callSid: callSid, from: from, to: to, pipeline: route.document.name,
            version: route.document.version)
        let log = CallLog(logger: logger)
        let call = Call(
            info: info, on: mediaLoop, dialer: dialer, logger: logger,
            farewell: carrierREST.map { rest in
                { @Sendable info in await rest.complete(callSid: info.callSid, logger: logger) }
            }
        ) { [registry] call, reason in registry.ended(call.info.id, reason) }
        let record = CallRecord(
            info: info, call: call, log: log, maximumDuration: route.document.limits.maximumDuration,
            failureText: words[.failure])
        // In the books first: a call that ends while it starts must find its entry.
        switch registry.admit(record, limit: settings.limits.maximumCalls) {
        case .admitted: break
        case .exists(let known): return known
        case .full: throw refusal("busy", words[.busy], nil, logger)
        case .draining: throw refusal("draining", words[.draining], nil, logger)
        }
        var wire: (any WireObserver)?
        do {
            var plan = try route.plan(for: CallVariables(from: from, to: to, sid: callSid))
            // A call must not give up its stream before the stream's token does.
            plan.limits.stream = max(plan.limits.stream, streamTokenLifetime)
            let parts = try CallParts(plan)
            wire = options.wireLog?.observer(for: info, plan)
            try await call.start(observers: [log] + observers(info), wire: wire) { () throws(PipelineError) in
                try parts.makePlan(info)
            }
        } catch {
            wire?.observe(.ended(EndReason(.failure, "\(error)")), time: .now())
            registry.ended(info.id, EndReason(.failure, "\(error)"))
            let text = words[error.code == .agentNotConfigured ? .missingAgent : .notConfigured]
            throw refusal(error.code.description, text, error, logger)
        }
        return record
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
    public var pipelineSet: PipelineSet { pipelines.withLock { $0 } }

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
