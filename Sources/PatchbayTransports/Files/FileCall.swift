import NIOCore
public import PatchbayCore

/// A call between a ``FileLine`` and a pipeline whose agents live in this process, on a clock of its own.
///
/// No socket, no thread, no waiting: a minute of conversation takes as long as its arithmetic, and the same file gives the
/// same call, bit for bit.
public struct FileCall {
    public private(set) var line: FileLine
    public private(set) var call: CallCore
    private var now = MediaTime(milliseconds: 1000)
    private var output = CallOutput()
    private var toCall = MessageBatch()

    /// Whether all of a plan's agents can be run on a clock of its own.
    public static func isPossible(_ plan: CallPlan) -> Bool {
        plan.backends.allSatisfy { backend in
            guard let session = try? backend.open(AgentRequest(call: plan.info, joint: plan.joint)) else { return true }
            if case .local = session.endpoint { return true }
            return false
        }
    }

    /// - Throws: When no agent can be opened.
    public init(_ plan: CallPlan, _ line: FileLine, observers: [any CallObserver] = []) throws(PipelineError) {
        self.line = line
        call = try CallCore(plan, at: now, observers: observers, into: &output)
        self.line.begin(into: &toCall)
        exchange()
    }

    /// Lets the time of one packet pass.
    ///
    /// - Returns: Why the call ended, or `nil` while it goes on.
    public mutating func step() -> EndReason? {
        // A packet is sent when its last sample has been spoken.
        now = now + line.packetDuration
        line.tick(into: &toCall)
        exchange()
        call.tick(at: now, into: &output)
        exchange()
        if case .ended(let reason) = call.state { return reason }
        return nil
    }

    /// Runs the call to its end.
    public mutating func run() -> EndReason {
        while true { if let reason = step() { return reason } }
    }

    private mutating func exchange() {
        repeat {
            let messages = toCall.messages.indices.map { toCall.message(at: $0) }
            toCall.clear()
            for message in messages { call.carrierReceived(message, at: now, into: &output) }
            for action in output.takeActions() {
                switch action {
                case .dialAgent(let link, _), .redialAgent(let link, _):
                    let error = PipelineError(.agentUnreachable, "this agent is elsewhere; run the call in real time")
                    call.agentUnreachable(error, link: link, at: now, into: &output)
                case .runTool(let tool, let link):
                    let result = ToolResult(
                        tool, output: "Tools are elsewhere; run the call in real time.", isError: true)
                    call.toolAnswered(result, link: link, at: now, into: &output)
                case .closeAgent, .cancelTools, .closeCarrier, .finished: break
                }
            }
            output.agent.messages.clear()
            let answers = output.carrier.messages.indices.map { output.carrier.message(at: $0) }
            output.carrier.clear()
            for answer in answers { line.receive(answer, into: &toCall) }
        } while !toCall.isEmpty
    }
}
