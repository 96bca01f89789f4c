import NIOCore
import PatchbayCore
import PatchbayWire

/// A chain with what runs it.
struct ChainBench {
    private var chain: Chain
    private var exits: [Frame] = []
    /// Frames that have left the chain.
    private(set) var exitCount = 0

    init(_ stages: [Stage]) { chain = Chain(.toAgent, stages) }

    mutating func send(_ frame: Frame, at now: MediaTime) {
        try? chain.send(frame, at: now)
        empty()
    }

    mutating func tick(at now: MediaTime) {
        try? chain.deadlinesReached(at: now)
        empty()
    }

    /// Lets go of what came out, as a call does before its next step.
    private mutating func empty() {
        chain.takeExits(into: &exits)
        exitCount &+= exits.count
        exits.removeAll(keepingCapacity: true)
    }
}

/// A whole call on a virtual clock: messages in, messages out, nothing kept.
struct CallBench {
    private var core: CallCore
    private var output = CallOutput()
    private var now = MediaTime(milliseconds: 1000)
    private(set) var messagesOut = 0

    init(_ plan: CallPlan, observers: [any CallObserver] = [], start: ByteBuffer) throws(PipelineError) {
        core = try CallCore(plan, at: now, observers: observers, into: &output)
        core.carrierReceived(start, at: now, into: &output)
        empty()
    }

    var isAlive: Bool { core.state == .streaming }

    mutating func connectAgent(_ format: String) {
        core.agentConnected(link: 1, at: now, into: &output)
        let metadata = ElevenLabsServerMessage.conversationInitiationMetadata(
            .init(conversationId: "c", agentOutputFormat: format, userInputFormat: format))
        var buffer = ByteBuffer()
        metadata.write(into: &buffer)
        core.agentReceived(buffer, link: 1, at: now, into: &output)
        empty()
    }

    /// Twenty milliseconds of a call: a packet of the caller, one of the agent, and a tick.
    mutating func exchange(_ media: ByteBuffer, agent: ByteBuffer? = nil) {
        now = now + .milliseconds(20)
        core.carrierReceived(media, at: now, into: &output)
        empty()
        if let agent {
            core.agentReceived(agent, link: 1, at: now, into: &output)
            empty()
        }
        core.tick(at: now, into: &output)
        empty()
    }

    private mutating func empty() {
        messagesOut += output.carrier.messages.count + output.agent.messages.messages.count
        output.carrier.clear()
        output.agent.messages.clear()
    }
}
