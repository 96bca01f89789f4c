import PatchbayAudio
import PatchbayCore

/// What the walk of formats checks beside the formats of neighbours: who stands where, and what agents may announce.
extension FormatFlow {
    /// Finds the one agent of a variant; anything else is reported.
    func agentIndex(in entries: [StageEntry]) -> Int? {
        for entry in entries { checkBranches(of: entry) }
        let indices = entries.indices.filter { entries[$0].isAgent }
        guard let first = indices.first else {
            // A mistyped agent has been reported as an unknown stage.
            if !entries.contains(where: \.isWrong) {
                findings.report(
                    .missingAgent, nil, "there is no agent among the stages", StageListReader.agentHint(registry),
                    .error)
            }
            return nil
        }
        for index in indices.dropFirst() {
            findings.report(
                .duplicateAgent, entries[index],
                "a pipeline has one agent stage; the first is at \(findings.place(entries[first]))",
                .init("to try one agent after another, list both in \"backends\" of one \"agent\" stage"), .error)
        }
        reportKeySwitches(in: entries[(first + 1)...])
        return indices.count == 1 ? first : nil
    }

    /// Behind the agent nobody presses keys, in a side chain neither.
    private func reportKeySwitches(in entries: some Sequence<StageEntry>) {
        for entry in entries {
            switch entry.kind {
            case .keySwitch:
                findings.report(
                    .misplacedStage, entry, "a switch on keys hears the caller; it stands before the agent", nil, .error
                )
            case .tee(let stages): reportKeySwitches(in: stages)
            case .stage, .agent, .valueSwitch, .wrong: break
            }
        }
    }

    /// Agents stand in the main chain, or in a case that is chosen when the call begins.
    private func checkBranches(of entry: StageEntry) {
        let (inner, what): ([StageEntry], String)
        switch entry.kind {
        case .tee(let stages): (inner, what) = (stages, "a side chain has no agent: nobody would hear it")
        case .keySwitch(let cases, let otherwise):
            (inner, what) = (
                cases.flatMap(\.stages) + otherwise,
                "a switch on keys has no agent: it stands before the one of the call"
            )
        case .stage, .agent, .valueSwitch, .wrong: return
        }
        for entry in inner {
            if entry.isAgent { findings.report(.misplacedStage, entry, what, nil, .error) }
            checkBranches(of: entry)
        }
    }

    /// Asks the stages on one side of the agent about their neighbours.
    func checkPlaces(
        _ entries: [StageEntry], isBeforeAgent: Bool, around outer: StagePlace? = nil, isChosenByKey: Bool = false
    ) {
        func components(_ entries: some Sequence<StageEntry>) -> [any StageComponent] {
            entries.flatMap { entry -> [any StageComponent] in
                switch entry.kind {
                case .stage(let choice): [choice.component]
                // What stands in every branch is not asked for; what stands in one may be what is needed.
                case .keySwitch(let cases, let otherwise): components(cases.flatMap(\.stages) + otherwise)
                case .tee, .agent, .valueSwitch, .wrong: []
                }
            }
        }
        for (index, entry) in entries.enumerated() {
            let place = StagePlace(
                isBeforeAgent: isBeforeAgent, earlier: (outer?.earlier ?? []) + components(entries.prefix(index)),
                later: components(entries.dropFirst(index + 1)) + (outer?.later ?? []))
            switch entry.kind {
            case .stage(let choice):
                // Its tap hears the carrier's line from the start of the call, whichever branch runs.
                if isChosenByKey, choice.component is any TapComponent {
                    findings.report(
                        .misplacedStage, entry,
                        "\"\(entry.type)\" in a switch on keys would run in every call, whichever key is pressed",
                        .init("put it outside of the switch, or into a pipeline of its own"), .error)
                }
                for problem in choice.component.problems(in: choice.settings, at: place) {
                    findings.object(problem, entry)
                }
            case .tee(let stages):
                checkPlaces(stages, isBeforeAgent: isBeforeAgent, around: place, isChosenByKey: isChosenByKey)
            case .keySwitch(let cases, let otherwise):
                for stages in cases.map(\.stages) + [otherwise] {
                    checkPlaces(stages, isBeforeAgent: isBeforeAgent, around: place, isChosenByKey: true)
                }
            case .agent, .valueSwitch, .wrong: break
            }
        }
    }

    /// Checks that whatever an agent may announce can be converted at the joint.
    func checkAgents(
        _ backends: [PipelineDocument.Choice<any AgentComponent>], _ entry: StageEntry, _ joint: AudioFormat
    ) -> Bool {
        var isSound = true
        for backend in backends {
            guard let mismatch = backend.mismatch(at: joint) else { continue }
            isSound = false
            findings.report(
                .formatMismatch, entry, mismatch,
                .init("put stages around it that give it \(AudioFormat.pcm(16_000)), or set its format"), .error)
        }
        return isSound
    }
}
