public import Logging
public import NIOCore

/// A running call: a ``CallCore`` on the event loop that also runs both of its sockets.
///
/// Socket handlers on the loop enter synchronously; everybody else awaits. Nothing on a frame's way from socket to socket
/// crosses a thread, takes a lock or creates a task.
public actor Call {
    public nonisolated let info: CallInfo
    public nonisolated let mediaLoop: MediaLoop
    public nonisolated var loop: any EventLoop { mediaLoop.eventLoop }
    public nonisolated let logger: Logger
    // An unowned executor does not keep its executor alive.
    private nonisolated let executor: any SerialExecutor
    private let dialer: any AgentDialer
    private let finished: @Sendable (Call, EndReason) -> Void
    private let farewell: (@Sendable (CallInfo, EndReason) async -> Void)?
    var core: CallCore?
    var output = CallOutput()
    private var carrier: (any MessageSocket)?
    private var agent: (any MessageSocket)?
    private var agentLink = 0
    private var resolving: Task<Void, Never>?
    private var tools: (any ToolRunner)?
    private var runningTools: [String: Task<Void, Never>] = [:]
    /// Why the call is to end although its chain does not stand yet.
    var endBeforeStart: EndReason?
    /// How it stood when it ended; the chain itself is given back then.
    var last: CallStatus?
    private var wire: (any WireObserver)?
    private var entered = CallMeters.Entered()

    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - mediaLoop: The event loop that the call lives on; its sockets must live on it too.
    ///   - farewell: Awaited before the carrier's socket is closed when the call's end is conclusive: the place to write down
    ///     what the carrier's next question is answered by, or to complete the call there so that it asks for nothing more.
    ///   - finished: Told once, on the loop, when the call is over.
    public init(
        info: CallInfo, on mediaLoop: MediaLoop, dialer: any AgentDialer, logger: Logger,
        farewell: (@Sendable (CallInfo, EndReason) async -> Void)? = nil,
        finished: @escaping @Sendable (Call, EndReason) -> Void
    ) {
        self.info = info
        self.mediaLoop = mediaLoop
        self.executor = mediaLoop.eventLoop.executor
        self.dialer = dialer
        var logger = logger
        logger[metadataKey: "call"] = "\(info.id)"
        logger[metadataKey: "callSid"] = "\(info.callSid)"
        self.logger = logger
        self.farewell = farewell
        self.finished = finished
    }

    /// Builds the chain and begins to connect the agent.
    ///
    /// - Parameters:
    ///   - tools: Runs what the agent calls. The plan tells the agent of them.
    ///   - wire: Watches the messages of both sockets.
    /// - Throws: When a stage cannot be made or no backend can be opened; nothing was dialled then.
    public func start(
        observers: [any CallObserver], tools: (any ToolRunner)? = nil, wire: (any WireObserver)? = nil,
        _ makePlan: @Sendable () throws(PipelineError) -> CallPlan
    ) throws(PipelineError) {
        self.wire = wire
        self.tools = tools
        var plan = try makePlan()
        plan.meters = mediaLoop.meters
        plan.attach { joint in mailbox(behind: joint) }
        core = try CallCore(plan, at: .now(), observers: observers, into: &output)
        mediaLoop.add(self)
        if let endBeforeStart { core?.cancel(endBeforeStart, at: .now(), into: &output) }
        perform()
    }

    // MARK: On the loop

    /// The carrier's stream belongs to this call from now on. On the loop only.
    ///
    /// - Returns: False when the call has a stream already or is over.
    public nonisolated func attach(carrier socket: any MessageSocket) -> Bool {
        assumeIsolated { call in
            guard call.carrier == nil, call.core?.state == .ringing else { return false }
            call.carrier = socket
            return true
        }
    }

    /// A message of the carrier. On the loop only.
    public nonisolated func carrierReceived(_ message: ByteBuffer) {
        assumeIsolated { call in
            call.wire?.observe(.received(.carrier, message), time: .now())
            call.core?.carrierReceived(message, at: .now(), into: &call.output)
            call.perform()
        }
    }

    /// The carrier's socket is gone. On the loop only.
    public nonisolated func carrierClosed() {
        assumeIsolated { call in
            if call.carrier != nil { call.wire?.observe(.closed(.carrier, code: nil, reason: ""), time: .now()) }
            call.carrier = nil
            call.core?.carrierClosed(at: .now(), into: &call.output)
            call.perform()
        }
    }

    /// A message of the agent on socket number `link`. On the loop only.
    public nonisolated func agentReceived(_ message: ByteBuffer, link: Int) {
        assumeIsolated { call in
            if link == call.agentLink { call.wire?.observe(.received(.agent, message), time: .now()) }
            call.core?.agentReceived(message, link: link, at: .now(), into: &call.output)
            call.perform()
        }
    }

    /// A binary message of the agent on socket number `link`. On the loop only.
    public nonisolated func agentReceived(binary message: ByteBuffer, link: Int) {
        assumeIsolated { call in
            if link == call.agentLink {
                call.wire?.observe(.received(.agent, message, isBinary: true), time: .now())
            }
            call.core?.agentReceived(binary: message, link: link, at: .now(), into: &call.output)
            call.perform()
        }
    }

    /// The agent's socket number `link` is gone. On the loop only.
    public nonisolated func agentClosed(code: UInt16, reason: String, link: Int) {
        assumeIsolated { call in
            if link == call.agentLink, call.agent != nil {
                call.wire?.observe(.closed(.agent, code: code, reason: reason), time: .now())
                call.agent = nil
            }
            call.core?.agentClosed(code: code, reason: reason, link: link, at: .now(), into: &call.output)
            call.perform()
        }
    }

    nonisolated func tick(at now: MediaTime) {
        assumeIsolated { call in
            call.core?.tick(at: now, into: &call.output)
            call.perform()
        }
    }

    /// Enters what the call has counted since the last time, and tells what waits in it.
    nonisolated func measure(into report: inout MediaLoopReport) {
        report = assumeIsolated { [report] call in
            var report = report
            guard let core = call.core else { return report }
            mediaLoop.meters.enter(core, since: &call.entered)
            report.add(core, carrierBytes: call.carrier?.pendingBytes ?? 0, agentBytes: call.agent?.pendingBytes ?? 0)
            return report
        }
    }

    // MARK: Doing what the core asks

    func perform() {
        if !output.carrier.isEmpty { send(.carrier, carrier, &output.carrier) }
        if !output.agent.messages.isEmpty { send(.agent, agent, &output.agent.messages) }
        guard !output.actions.isEmpty else { return }
        for action in output.takeActions() {
            switch action {
            case .dialAgent(let link, let resolve):
                agentLink = link
                dial(link: link, resolve)
            case .redialAgent(let link, let resolve):
                dial(link: link, resolve)
            case .runTool(let call, let link):
                run(call, link: link)
            case .cancelTools(let ids):
                for id in ids { runningTools.removeValue(forKey: id)?.cancel() }
            case .closeAgent(let code, let reason):
                resolving?.cancel()
                resolving = nil
                agent?.close(code: code, reason: reason)
                agent = nil
            case .closeCarrier(let code, let reason):
                closeCarrier(code: code, reason: reason, core?.state)
            case .finished(let reason):
                mediaLoop.remove(self)
                for task in runningTools.values { task.cancel() }
                runningTools = [:]
                if let core {
                    mediaLoop.meters.ended(core, reason, since: &entered)
                    last = CallStatus(core, at: .now())
                }
                // A listed call of the past must not hold resamplers and buffers.
                core = nil
                output = CallOutput()
                wire?.observe(.ended(reason), time: .now())
                wire = nil
                finished(self, reason)
            }
        }
    }

    private func closeCarrier(code: UInt16, reason: String, _ state: CallCore.State?) {
        let socket = carrier
        carrier = nil
        guard let farewell, case .ended(let end)? = state, end.isConclusive else {
            socket?.close(code: code, reason: reason)
            return
        }
        let info = info, loop = loop
        // Behind this turn of the loop, in which others still learn of the end.
        loop.execute {
            Task {
                await farewell(info, end)
                loop.execute { socket?.close(code: code, reason: reason) }
            }
        }
    }

    private func send(_ peer: WirePeer, _ socket: (any MessageSocket)?, _ batch: inout MessageBatch) {
        if let socket {
            if let wire {
                let now = MediaTime.now()
                for (index, message) in batch.messages.enumerated() {
                    let isBinary = message.kind == .binary
                    wire.observe(.sent(peer, batch.message(at: index), isBinary: isBinary), time: now)
                }
            }
            socket.send(&batch)
        } else {
            batch.clear()
        }
    }

    private func dial(link: Int, _ resolve: @escaping @Sendable () async throws -> AgentTarget) {
        wire?.observe(.dialling(backend: core?.backend ?? ""), time: .now())
        resolving = Task {
            do {
                let target = try await resolve()
                let socket = try await dialer.dial(target, on: loop).get()
                connected(socket, link: link)
            } catch let error as PipelineError {
                unreachable(error, link: link)
            } catch {
                unreachable(PipelineError(.agentUnreachable, "\(error)", cause: error, isRetryable: true), link: link)
            }
        }
    }

    private func connected(_ socket: any AgentConnection, link: Int) {
        guard let core, core.wants(link: link) else {
            socket.close(code: 1000, reason: "")
            return
        }
        resolving = nil
        if agentLink != link {
            agentLink = link
            agent?.close(code: 1000, reason: "")
        }
        agent = socket
        wire?.observe(.connected, time: .now())
        self.core?.agentConnected(link: link, at: .now(), into: &output)
        perform()
        // Only now, so that nothing the agent says comes before the call knows its socket. Runs from the loop, because
        // delivering enters the call again.
        loop.execute { socket.deliver(to: self, link: link) }
    }

    private func unreachable(_ error: PipelineError, link: Int) {
        wire?.observe(.unreachable(reason: error.description), time: .now())
        core?.agentUnreachable(error, link: link, at: .now(), into: &output)
        perform()
    }

    private func run(_ call: ToolCall, link: Int) {
        let tools = tools, info = info
        wire?.observe(.toolCalled(call), time: .now())
        runningTools[call.id] = Task {
            let result =
                await tools?.run(call, for: info)
                ?? ToolResult(call, output: "There is no tool \"\(call.name)\" on this line.", isError: true)
            guard !Task.isCancelled else { return }
            answered(result, link: link)
        }
    }

    private func answered(_ result: ToolResult, link: Int) {
        runningTools[result.id] = nil
        wire?.observe(.toolAnswered(result), time: .now())
        core?.toolAnswered(result, link: link, at: .now(), into: &output)
        perform()
    }

    private func mailbox(behind joint: Joint) -> StageMailbox {
        StageMailbox { [weak self] frames in
            guard let self else { return }
            self.loop.execute { self.assumeIsolated { $0.deliver(frames, behind: joint) } }
        } fail: { [weak self] error in
            guard let self else { return }
            self.loop.execute {
                self.assumeIsolated { call in
                    call.core?.cancel(EndReason(.failure, "\(error)"), at: .now(), into: &call.output)
                    call.perform()
                }
            }
        }
    }

    private func deliver(_ frames: [Frame], behind joint: Joint) {
        core?.deliver(frames, behind: joint, at: .now(), into: &output)
        perform()
    }
}

extension MediaTime {
    /// The event loops' clock.
    public static func now() -> MediaTime {
        MediaTime(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds))
    }
}
