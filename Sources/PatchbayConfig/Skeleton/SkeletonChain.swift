import PatchbayAudio

/// Puts stages in an order in which their formats fit and each finds what it needs.
struct SkeletonChain {
    typealias Entry = SkeletonLeg.Entry

    private let registry: ComponentRegistry
    /// What the carrier gives and takes.
    private let carrier: AudioFormat
    private var caller: SkeletonLeg
    private var agent: SkeletonLeg
    private var behind: [Entry] = []
    private(set) var notes: [String] = []

    init(_ registry: ComponentRegistry, _ carrier: AudioFormat) {
        self.registry = registry
        self.carrier = carrier
        caller = SkeletonLeg(registry, from: carrier)
        agent = caller
    }

    var before: [Entry] { caller.entries }
    var after: [Entry] { agent.entries }

    /// Adds the stages that stand before the agent.
    ///
    /// - Parameter mayMove: Whether those that make no sense there are put behind it.
    mutating func add(_ stages: [any StageComponent], mayMove: Bool) {
        var open = stages.map { Entry($0) }
        while !open.isEmpty {
            let entry = open.removeFirst()
            if mayMove, isForCaller(entry) {
                behind.append(entry)
                continue
            }
            if objects(entry), !before.contains(where: \.component.marksSpeech) {
                // What hears speech may have been asked for too, only later.
                if let index = open.firstIndex(where: hears) {
                    let hearing = open.remove(at: index)
                    notes.append("\"\(hearing.type)\" stands before \"\(entry.type)\", which needs it")
                    append(hearing)
                } else if let hearing = registry.stages.lazy.map({ Entry($0) }).first(where: hears) {
                    notes.append("\"\(hearing.type)\" is added: \"\(entry.type)\" needs it")
                    append(hearing)
                }
            }
            append(entry)
        }
    }

    /// Adds stages that stand behind the agent, as the path says.
    mutating func add(behind stages: [any StageComponent]) { behind += stages.map { Entry($0) } }

    /// Walks the way back, and ends in the carrier's format.
    mutating func finish() {
        agent = SkeletonLeg(registry, from: caller.format)
        for entry in behind {
            // Coded audio ends a chain: its rate has to be the carrier's.
            if encodes(entry), agent.format.encoding == .pcm16 { agent.convert(to: .pcm(carrier.sampleRate)) }
            if !agent.append(entry, wanted: carrier) { leaveOut(entry, agent.format) }
        }
        agent.convert(to: carrier)
        if agent.format != carrier {
            notes.append("the chain ends in \(agent.format), but the carrier takes \(carrier)")
        }
    }

    private mutating func append(_ entry: Entry) {
        if !caller.append(entry) { leaveOut(entry, caller.format) }
    }

    private mutating func leaveOut(_ entry: Entry, _ format: AudioFormat) {
        notes.append("\"\(entry.type)\" is left out: it takes nothing that can be made of \(format)")
    }

    // MARK: Places

    private func hears(_ entry: Entry) -> Bool { entry.component.marksSpeech && !objects(entry) }

    private func objects(_ entry: Entry, isBeforeAgent: Bool = true) -> Bool {
        let place = StagePlace(
            isBeforeAgent: isBeforeAgent, earlier: isBeforeAgent ? before.map(\.component) : [])
        return entry.component.problems(in: entry.settings, at: place).contains { $0.severity == .error }
    }

    /// Whether it belongs behind the agent: it objects to standing before it, or ends in coded audio.
    private func isForCaller(_ entry: Entry) -> Bool {
        encodes(entry) || objects(entry) && !objects(entry, isBeforeAgent: false)
    }

    private func encodes(_ entry: Entry) -> Bool {
        let outputs = [carrier.sampleRate, 8000, 16_000, 48_000].lazy.compactMap { rate in
            try? entry.component.output(for: .pcm(rate), settings: entry.settings)
        }
        return outputs.first.map { $0.encoding != .pcm16 } ?? false
    }
}
