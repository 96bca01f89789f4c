public import NIOCore
public import PatchbayCore

/// Runs a whole call on a virtual clock: messages in, messages out, no socket, no waiting.
///
/// The clock starts at one second and ticks the call every 20 ms, as a media loop does.
public struct CallHarness {
    public private(set) var now = MediaTime(milliseconds: 1000)
    public private(set) var call: CallCore
    /// Messages to the carrier so far.
    public private(set) var carrierMessages: [(time: MediaTime, text: String)] = []
    /// Messages to the agent so far.
    public private(set) var agentMessages: [(time: MediaTime, text: String)] = []
    public private(set) var actions: [CallAction] = []
    private var output = CallOutput()

    public init(_ plan: CallPlan, observers: [any CallObserver] = []) throws(PipelineError) {
        call = try CallCore(plan, at: now, observers: observers, into: &output)
        collect()
    }

    /// The carrier says something.
    public mutating func carrier(_ message: String) {
        call.carrierReceived(ByteBuffer(string: message), at: now, into: &output)
        collect()
    }

    /// The agent dialled last says something.
    public mutating func agent(_ message: String) {
        call.agentReceived(ByteBuffer(string: message), link: link, at: now, into: &output)
        collect()
    }

    /// The agent dialled last sends a binary message.
    public mutating func agent(binary message: ByteBuffer) {
        call.agentReceived(binary: message, link: link, at: now, into: &output)
        collect()
    }

    /// The socket of the agent dialled last is open; or that of the agent dialled anew, which is then the last.
    public mutating func agentConnected() {
        if let redialLink { link = redialLink }
        redialLink = nil
        call.agentConnected(link: link, at: now, into: &output)
        collect()
    }

    /// The socket in use has closed.
    public mutating func agentClosed(code: UInt16, reason: String = "") {
        call.agentClosed(code: code, reason: reason, link: link, at: now, into: &output)
        collect()
    }

    /// The socket that is being dialled cannot be opened.
    public mutating func agentUnreachable(_ error: PipelineError) {
        let link = redialLink ?? link
        redialLink = nil
        call.agentUnreachable(error, link: link, at: now, into: &output)
        collect()
    }

    /// A tool has answered.
    public mutating func toolAnswered(_ result: ToolResult) {
        call.toolAnswered(result, link: link, at: now, into: &output)
        collect()
    }

    /// Tells the agent something.
    @discardableResult
    public mutating func addContext(_ text: String) -> Bool {
        defer { collect() }
        return call.addContext(text, at: now, into: &output)
    }

    /// Gives the call another of its agents.
    @discardableResult
    public mutating func changeAgent(to index: Int) throws(PipelineError) -> Bool {
        let isChanged = try call.changeAgent(to: index, at: now, into: &output)
        collect()
        return isChanged
    }

    /// Gives the call an agent that is not in its list.
    @discardableResult
    public mutating func changeAgent(to backend: any AgentBackend) throws(PipelineError) -> Bool {
        let isChanged = try call.changeAgent(to: backend, at: now, into: &output)
        collect()
        return isChanged
    }

    /// Connects the caller with a person.
    @discardableResult
    public mutating func transfer(to number: PhoneNumber) -> Bool {
        defer { collect() }
        return call.transferCaller(to: number, at: now, into: &output)
    }

    public mutating func carrierClosed() {
        call.carrierClosed(at: now, into: &output)
        collect()
    }

    public mutating func hangUp(_ reason: EndReason) {
        call.hangUp(reason, at: now, into: &output)
        collect()
    }

    /// Results of an asynchronous stage come in behind a joint.
    public mutating func deliver(_ frames: [Frame], behind joint: Joint) {
        call.deliver(frames, behind: joint, at: now, into: &output)
        collect()
    }

    /// Lets time pass in ticks of 20 ms. `each` runs before every tick, for instance to send a packet.
    public mutating func advance(_ milliseconds: Int64, each: (inout CallHarness) -> Void = { _ in }) {
        let end = now + .milliseconds(milliseconds)
        while now < end {
            each(&self)
            now = min(end, now + .milliseconds(20))
            call.tick(at: now, into: &output)
            collect()
        }
    }

    /// Lets time pass without a tick, as when the process stands still; the next tick is late.
    public mutating func stall(_ milliseconds: Int64) { now = now + .milliseconds(milliseconds) }

    /// The number of the agent dialled last, as the call counts them.
    public private(set) var link = 0

    /// The number under which the agent is being dialled again, if it is.
    public private(set) var redialLink: Int?

    /// Why the call ended, or `nil`.
    public var end: EndReason? {
        if case .ended(let reason) = call.state { reason } else { nil }
    }

    private mutating func collect() {
        for index in output.carrier.messages.indices {
            carrierMessages.append((now, String(buffer: output.carrier.message(at: index))))
        }
        for index in output.agent.messages.messages.indices {
            agentMessages.append((now, String(buffer: output.agent.messages.message(at: index))))
        }
        output.carrier.clear()
        output.agent.messages.clear()
        let new = output.takeActions()
        for action in new {
            switch action {
            case .dialAgent(let link, _): (self.link, redialLink) = (link, nil)
            case .redialAgent(let link, _): redialLink = link
            default: break
            }
        }
        actions += new
    }
}
