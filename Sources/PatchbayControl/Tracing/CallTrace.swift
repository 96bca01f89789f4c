import PatchbayCore
import Synchronization
import Tracing

/// The spans of one call: the call itself, and below it its webhooks, the ways to its agents, its tools and its turns.
///
/// Watches the call on its event loop: a span is begun and ended at events, never at frames of audio. Where no tracer
/// was bootstrapped there is none of this. Phone numbers and words are not in spans: they go where others read them.
final class CallTrace: CallObserver {
    private struct State {
        var call: (any Tracing.Span)?
        var connecting: (any Tracing.Span)?
        var speech = CallerSpeech()
        /// Whether a stage of the call marks speech.
        var marksSpeech = false
        var turns = 0
    }

    private let info: CallInfo
    private let tracer: any Tracer
    private let parent: InstrumentationContext
    /// From the loops' clock to that of the world.
    private let epoch: Int64
    private let state = Mutex(State())

    /// - Returns: `nil` where nobody traces.
    convenience init?(_ info: CallInfo) {
        let tracer = InstrumentationSystem.tracer
        guard !(tracer is NoOpTracer) else { return nil }
        self.init(info, tracer)
    }

    init(_ info: CallInfo, _ tracer: any Tracer) {
        self.info = info
        self.tracer = tracer
        parent = .current ?? .topLevel
        epoch = Int64(clamping: DefaultTracerClock.now.nanosecondsSinceEpoch) - MediaTime.now().nanoseconds
    }

    /// The call is taken.
    func begin(at time: MediaTime = .now()) {
        let span = tracer.startSpan("call", context: parent, ofKind: .server, at: instant(time))
        span.updateAttributes { attributes in
            attributes["patchbay.call.id"] = info.id
            attributes["patchbay.call.sid"] = info.callSid
            attributes["patchbay.call.direction"] = info.direction.rawValue
            attributes["patchbay.pipeline.name"] = info.pipeline
            attributes["patchbay.pipeline.version"] = info.version
            if let tenant = info.tenant { attributes["patchbay.tenant.id"] = tenant }
        }
        state.withLock { $0.call = span }
    }

    /// Where what is done for the call belongs: below the way to an agent while there is one, else below the call.
    var context: InstrumentationContext {
        state.withLock { $0.connecting?.context ?? $0.call?.context ?? parent }
    }

    /// Has the handshake of an agent's WebSocket say where it belongs.
    func inject(into target: inout AgentTarget) {
        tracer.inject(context, into: &target.headers, using: HandshakeFields())
    }

    private struct HandshakeFields: Injector {
        func inject(_ value: String, forKey key: String, into headers: inout [(String, String)]) {
            // What the pipeline's author writes stands.
            guard !headers.contains(where: { $0.0.lowercased() == key.lowercased() }) else { return }
            headers.append((key, value))
        }
    }

    private var callContext: InstrumentationContext { state.withLock { $0.call?.context } ?? parent }

    /// A webhook of the call has been answered.
    func webhook(_ name: String, from begin: MediaTime, to end: MediaTime = .now()) {
        guard state.withLock({ $0.call != nil }) else { return }
        let span = tracer.startSpan("webhook \(name)", context: callContext, ofKind: .server, at: instant(begin))
        span.attributes["http.request.method"] = "POST"
        span.attributes["patchbay.webhook"] = name
        span.end(at: instant(end))
    }

    /// Runs a tool below a span of its own.
    func tool(_ call: ToolCall, _ run: () async -> ToolResult) async -> ToolResult {
        let span = tracer.startSpan(
            "execute_tool \(call.name.prefix(64))", context: callContext, ofKind: .internal, at: DefaultTracerClock.now)
        // opentelemetry.io/docs/specs/semconv/gen-ai
        span.attributes["gen_ai.operation.name"] = "execute_tool"
        span.attributes["gen_ai.tool.name"] = String(call.name.prefix(64))
        span.attributes["gen_ai.tool.call.id"] = String(call.id.prefix(128))
        let result = await InstrumentationContext.withValue(span.context) { await run() }
        if result.isError {
            span.attributes["error.type"] = "tool"
            span.setStatus(SpanStatus(code: .error))
        }
        span.end()
        return result
    }

    // MARK: On the loop

    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {
        switch frame {
        case .speechStarted:
            state.withLock { state in
                state.marksSpeech = true
                state.speech.started(at: time)
            }
        case .speechPaused: state.withLock { $0.speech.paused(at: time) }
        case .speechResumed: state.withLock { $0.speech.resumed() }
        case .speechStopped: state.withLock { $0.speech.stopped(at: time) }
        case .userTurnEnded(let end):
            state.withLock { state in
                state.speech.turnEnded(end, isMarked: state.marksSpeech, at: time)
            }
        default: break
        }
    }

    func observe(_ event: CallEvent, time: MediaTime) {
        switch event {
        case .streamStarted: add("stream started", time)
        case .agentConnecting(let backend):
            endConnecting(nil, time)
            let span = tracer.startSpan("agent connect", context: callContext, ofKind: .client, at: instant(time))
            span.attributes["patchbay.agent.type"] = backend
            state.withLock { $0.connecting = span }
        case .agentReady: endConnecting(nil, time)
        case .agentFailed(let error):
            let isConnecting = state.withLock { $0.connecting != nil }
            if isConnecting { endConnecting(error, time) } else { add("agent failed", time, ["error.type": error]) }
        case .conversationStarted(let id):
            state.withLock { $0.call }?.attributes["gen_ai.conversation.id"] = String(id.prefix(256))
        case .agentAudible: answered(time)
        case .interrupted(let cause, let heard):
            add("interruption", time, ["cause": cause, "heard_ms": heard.duration.milliseconds])
        case .agentChanged(let from, let to): add("agent changed", time, ["from": from, "to": to])
        case .agentTookOver(let backend, _): add("agent took over", time, ["patchbay.agent.type": backend])
        case .agentReconnecting(let backend, _): add("agent reconnecting", time, ["patchbay.agent.type": backend])
        case .transferring: add("transferring", time)
        case .hangingUp(let reason): add("hanging up", time, ["reason": reason.kind.rawValue])
        case .ended(let reason): end(reason, at: time)
        default: break
        }
    }

    /// The call is over; the first to say so decides why.
    func end(_ reason: EndReason, at time: MediaTime = .now()) {
        endConnecting(nil, time)
        guard
            let span = state.withLock({ state in
                defer { state.call = nil }
                return state.call
            })
        else { return }
        span.attributes["patchbay.call.end"] = reason.kind.rawValue
        if reason.isFailure {
            span.attributes["error.type"] = reason.kind.rawValue
            span.setStatus(SpanStatus(code: .error, message: reason.detail))
        }
        span.end(at: instant(time))
    }

    /// The answer can be heard.
    private func answered(_ time: MediaTime) {
        let (stopped, number) = state.withLock { state in
            let stopped = state.speech.answered()
            if stopped != nil { state.turns += 1 }
            return (stopped, state.turns)
        }
        guard let stopped else { return }
        let span = tracer.startSpan("turn", context: callContext, ofKind: .internal, at: instant(stopped))
        span.attributes["patchbay.turn.number"] = number
        span.end(at: instant(time))
    }

    private func endConnecting(_ error: PipelineError?, _ time: MediaTime) {
        guard
            let span = state.withLock({ state in
                defer { state.connecting = nil }
                return state.connecting
            })
        else { return }
        if let error {
            span.attributes["error.type"] = error.code.description
            span.setStatus(SpanStatus(code: .error, message: error.description))
        }
        span.end(at: instant(time))
    }

    private func add(_ name: String, _ time: MediaTime, _ values: [String: any CustomStringConvertible] = [:]) {
        guard let span = state.withLock({ $0.call }) else { return }
        var attributes = SpanAttributes()
        for (key, value) in values {
            switch value {
            case let number as Int64: attributes[key] = number
            case let error as PipelineError: attributes[key] = error.code.description
            default: attributes[key] = "\(value)"
            }
        }
        span.addEvent(SpanEvent(name: name, at: instant(time), attributes: attributes))
    }

    private func instant(_ time: MediaTime) -> DefaultTracerClock.Timestamp {
        DefaultTracerClock.Timestamp(nanosecondsSinceEpoch: UInt64(clamping: epoch + time.nanoseconds))
    }
}

/// Runs tools below spans of their call.
struct TracedTools: ToolRunner {
    let base: any ToolRunner
    let trace: CallTrace

    var definitions: [ToolDefinition] { base.definitions }

    func run(_ call: ToolCall, for info: CallInfo) async -> ToolResult {
        await trace.tool(call) { await base.run(call, for: info) }
    }
}

/// A backend that asks for its address below the span of its call, and takes the trace on to the agent.
struct TracedBackend: AgentBackend {
    let base: any AgentBackend
    let trace: CallTrace

    var type: String { base.type }

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
        var session = try base.open(request)
        if case .webSocket(let resolve) = session.endpoint {
            session.endpoint = .webSocket { [trace] in
                var target = try await InstrumentationContext.withValue(trace.context) { try await resolve() }
                trace.inject(into: &target)
                return target
            }
        }
        return session
    }
}
