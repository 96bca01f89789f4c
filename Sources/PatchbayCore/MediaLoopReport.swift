/// What waits in the calls of an event loop at one moment.
public struct MediaLoopReport: Sendable {
    /// A bounded queue that every call has.
    public struct Queue: Sendable {
        /// In all calls together, and in the one where most waits.
        public private(set) var sum = 0
        public private(set) var largest = 0

        mutating func add(_ value: Int) {
            sum += value
            largest = max(largest, value)
        }
    }

    /// Callers' audio for agents that are not ready, in bytes.
    public private(set) var caller = Queue()
    /// Agents' audio that waits to be played, in bytes of their encodings.
    public private(set) var agent = Queue()
    /// What carriers and agents have not read yet, in bytes.
    public private(set) var carrierSocket = Queue()
    public private(set) var agentSocket = Queue()
    /// Tools whose answers are awaited.
    public private(set) var tools = Queue()

    mutating func add(_ core: CallCore, carrierBytes: Int, agentBytes: Int) {
        caller.add(core.agent.backlogBytes)
        agent.add(core.waitingAgentBytes)
        carrierSocket.add(carrierBytes)
        agentSocket.add(agentBytes)
        tools.add(core.pendingTools.count)
    }
}
