public import PatchbayAudio
public import PatchbayCore

/// What a chain adds to the time between a word and its being heard, both ways, as its stages declare it.
///
/// Not in it: the network, the agent's thinking, and the lead that playback keeps over real time.
public struct DeclaredLatency: Sendable, Equatable {
    /// A packet has to be complete before it is sent: one packet of the carrier.
    public var framing: TimeSpan
    /// What the stages from the caller to the agent hold back.
    public var toAgent: TimeSpan
    /// What the agent's joint holds back to convert, both ways: the worst of the formats that any backend may announce.
    public var agent: TimeSpan
    /// What the stages from the agent to the caller hold back.
    public var toCaller: TimeSpan

    /// All of it.
    public var total: TimeSpan { framing + toAgent + agent + toCaller }
}

extension DeclaredLatency: CustomStringConvertible {
    /// For people: `20 framing + 2.1 to the agent + 0.4 at the agent + 0.2 to the caller`.
    public var description: String {
        [(framing, "framing"), (toAgent, "to the agent"), (agent, "at the agent"), (toCaller, "to the caller")]
            .filter { $0.0 > .zero }.map { "\($0.0.inTenths) \($0.1)" }.joined(separator: " + ")
    }
}

extension PlannedStage {
    /// Audio that it holds back; of branches that exclude each other the slowest, of a side chain nothing.
    public var delay: TimeSpan {
        if hears != nil { return .zero }
        guard component is StructureComponent else {
            return component.delay(taking: input, giving: output, settings: settings)
        }
        guard component.spec.type == Structure.switch.type else { return .zero }
        return branches.map(\.stages.delay).max() ?? .zero
    }
}

extension [PlannedStage] {
    /// The sum of what the stages hold back.
    public var delay: TimeSpan { reduce(.zero) { $0 + $1.delay } }
}

extension AgentFormats {
    /// What the conversion between a joint and the worst of these formats holds back, both ways together.
    public func delay(at joint: AudioFormat) -> TimeSpan {
        func worst(_ pairs: [(AudioFormat, AudioFormat)]) -> TimeSpan {
            pairs.compactMap { try? FormatConverter(from: $0.0, to: $0.1).delay }.max() ?? .zero
        }
        return worst(inputs.map { (joint, $0) }) + worst(outputs.map { ($0, joint) })
    }
}

extension PipelinePlan {
    /// What the chain of this call declares. Makes its stages to ask them; not for an event loop.
    public var latency: DeclaredLatency {
        DeclaredLatency(
            over: transport.component.format(transport.settings), toAgent: stagesBefore, joint: agentFormat,
            agents: backends.map { $0.component.formats(for: agentFormat, settings: $0.settings) },
            toCaller: stagesAfter)
    }
}

extension PipelineDocument.Chain {
    /// What the chain declares, with texts as the document has them.
    func latency(over transport: PipelineDocument.Choice<any TransportComponent>) -> DeclaredLatency {
        DeclaredLatency(
            over: transport.component.format(transport.settings), toAgent: before, joint: agentFormat,
            agents: backends.map { $0.component.formats(for: agentFormat, settings: $0.settings) }, toCaller: after)
    }
}

extension DeclaredLatency {
    fileprivate init(
        over carrier: AudioFormat, toAgent: [PlannedStage], joint: AudioFormat, agents: [AgentFormats],
        toCaller: [PlannedStage]
    ) {
        self.init(
            framing: TimeSpan(nanoseconds: Int64(carrier.packetMicroseconds) * 1000), toAgent: toAgent.delay,
            agent: agents.map { $0.delay(at: joint) }.max() ?? .zero, toCaller: toCaller.delay)
    }
}

extension TimeSpan {
    /// Milliseconds for people, rounded to a tenth: `20.4`, `20`.
    var inTenths: String { (Double((nanoseconds + 50_000) / 100_000) / 10).plain }
}
