import PatchbayAudio
import PatchbayCore

/// Where the walk of formats reports to: a document's linter, or whoever declared the stages in Swift.
struct FlowFindings {
    /// A fault of an entry, or of the list itself when there is none.
    var report:
        (
            _ code: Diagnostic.Code, _ entry: StageEntry?, _ message: String, _ remedy: Diagnostic.Suggestion?,
            _ severity: Diagnostic.Severity
        ) -> Void
    /// An objection of the component of an entry.
    var object: (SettingsProblem, StageEntry) -> Void
    /// Where an entry stands, for messages about another one: `line 4`.
    var place: (StageEntry) -> String
}

/// Carries the audio format from the transport through every stage and back: inserts what is missing, leaves out what is
/// useless, and says where two neighbours cannot agree.
///
/// One mistake gives one error: on each side of the agent the walk stops where it cannot know what comes next.
struct FormatFlow {
    let registry: ComponentRegistry
    let transport: PipelineDocument.Choice<any TransportComponent>
    /// The folder that settings of inserted stages start from.
    let directory: String
    var findings: FlowFindings
    /// What the transport delivers and takes.
    private let transportFormat: AudioFormat

    init(
        registry: ComponentRegistry, transport: PipelineDocument.Choice<any TransportComponent>, directory: String,
        findings: FlowFindings
    ) {
        self.registry = registry
        self.transport = transport
        self.directory = directory
        self.findings = findings
        transportFormat = transport.component.format(transport.settings)
    }

    /// Where the walk stands on one leg or branch.
    private struct Position {
        var format: AudioFormat
        /// Who gives it, for messages.
        var giver: String
        /// What the stages have to arrive at; `nil` towards the agent, who takes what comes.
        var wanted: AudioFormat?
        var planned: [PlannedStage] = []
        /// What would have changed nothing.
        var leftOut: [PlannedStage] = []
    }

    /// - Parameter entries: One variant, without choices of values.
    /// - Returns: `nil` when a stage is wrong or two do not fit.
    func walk(_ entries: [StageEntry]) -> PipelineDocument.Chain? {
        guard let agentIndex = agentIndex(in: entries) else { return nil }
        let (before, agent, after) = (
            Array(entries[..<agentIndex]), entries[agentIndex], Array(entries[(agentIndex + 1)...])
        )
        if !entries.contains(where: \.isWrong) {
            checkPlaces(before, isBeforeAgent: true)
            checkPlaces(after, isBeforeAgent: false)
        }
        guard case .agent(let backends, let settings) = agent.kind else { return nil }

        var position = Position(
            format: transportFormat, giver: "transport \"\(transport.component.spec.type)\"", wanted: nil)
        guard walk(before, isBeforeAgent: true, &position) else {
            reportBehind(agent, after, arriving: position.format)
            return nil
        }
        let joint = position.format
        let (stagesBefore, leftOutBefore) = (position.planned, position.leftOut)
        let isAgentSound = backends.map { checkAgents($0, agent, joint) } ?? false

        position = Position(format: joint, giver: "the agent at \(findings.place(agent))", wanted: transportFormat)
        guard walkBack(agent, after, &position), isAgentSound, let backends else { return nil }
        return PipelineDocument.Chain(
            before: stagesBefore, agentFormat: joint, backends: backends, agentSettings: settings,
            after: position.planned, leftOut: (leftOutBefore, position.leftOut))
    }

    // MARK: One leg

    private func walkBack(_ agent: StageEntry, _ after: [StageEntry], _ position: inout Position) -> Bool {
        guard walk(after, isBeforeAgent: false, &position) else { return false }
        guard arrive(at: transportFormat, &position) else {
            reportEnd(after.last ?? agent, position)
            return false
        }
        return true
    }

    /// Reports what is wrong behind the agent although nobody knows what it would give: only what is wrong whatever that is.
    ///
    /// - Parameter arriving: The last format that is known before the agent.
    private func reportBehind(_ agent: StageEntry, _ after: [StageEntry], arriving: AudioFormat) {
        // Agents talk in linear samples, or pass on what comes.
        var formats = [AudioFormat.pcm(arriving.sampleRate)]
        for format in [arriving, transportFormat] + [16_000, 8000, 24_000, 48_000].map({ AudioFormat.pcm($0) })
        where !formats.contains(format) {
            formats.append(format)
        }
        let giver = "the agent at \(findings.place(agent))"
        var failure: String?
        for format in formats {
            var place: String?
            var flow = self
            flow.findings.report = { _, entry, _, _, severity in
                if severity == .error { place = place ?? entry.map(findings.place) }
            }
            flow.findings.object = { _, _ in }
            var position = Position(format: format, giver: giver, wanted: transportFormat)
            if flow.walk(after, isBeforeAgent: false, &position) {
                place = flow.arrive(at: transportFormat, &position) ? nil : "the end"
            }
            guard let place, failure == nil || failure == place else { return }
            failure = place
        }
        var position = Position(format: formats[0], giver: giver, wanted: transportFormat)
        _ = walkBack(agent, after, &position)
    }

    private func walk(_ entries: [StageEntry], isBeforeAgent: Bool, _ position: inout Position) -> Bool {
        for entry in entries {
            switch entry.kind {
            case .stage(let choice): guard walk(choice, entry, &position) else { return false }
            case .tee(let stages):
                guard let side = branch("side", stages, of: entry, isBeforeAgent, position, wanted: nil) else {
                    return false
                }
                position.planned.append(
                    PlannedStage(Structure.tee, at: position.format, giving: position.format, [side], entry.place))
            case .keySwitch(let cases, let otherwise):
                guard walk(cases, otherwise, entry, isBeforeAgent, &position) else { return false }
            case .agent, .valueSwitch, .wrong: return false
            }
            position.giver = "\"\(entry.type)\" at \(findings.place(entry))"
        }
        return true
    }

    private func walk(
        _ choice: PipelineDocument.Choice<any StageComponent>, _ entry: StageEntry, _ position: inout Position
    ) -> Bool {
        do {
            try add(choice, entry, &position)
        } catch {
            if let wanted = error.wanted, listen(choice, entry, in: wanted, &position) { return true }
            guard let wanted = error.wanted, wanted != position.format, arrive(at: wanted, &position) else {
                report(error, entry, position)
                return false
            }
            do {
                try add(choice, entry, &position)
            } catch {
                report(error, entry, position)
                return false
            }
        }
        return true
    }

    /// Lets a stage that only listens hear a converted copy, so that it does not decide about the format of the chain.
    private func listen(
        _ choice: PipelineDocument.Choice<any StageComponent>, _ entry: StageEntry, in wanted: AudioFormat,
        _ position: inout Position
    ) -> Bool {
        guard choice.component.listensOnly(choice.settings),
            (try? FormatConverter(from: position.format, to: wanted)) != nil,
            (try? choice.component.output(for: wanted, settings: choice.settings)) == wanted
        else { return false }
        position.planned.append(
            PlannedStage(
                component: choice.component, settings: choice.settings, input: position.format,
                output: position.format, hears: wanted, place: entry.place))
        return true
    }

    private func add(
        _ choice: PipelineDocument.Choice<any StageComponent>, _ entry: StageEntry, _ position: inout Position
    ) throws(FormatMismatch) {
        let output = try choice.component.output(
            for: position.format, wanted: position.wanted, settings: choice.settings)
        let isUseless =
            output == position.format && choice.component.isIdentity(for: position.format, settings: choice.settings)
        let stage = PlannedStage(
            component: choice.component, settings: choice.settings, input: position.format, output: output,
            place: entry.place)
        if isUseless { position.leftOut.append(stage) } else { position.planned.append(stage) }
        position.format = output
    }

    // MARK: Branches

    private func branch(
        _ label: String, _ entries: [StageEntry], of owner: StageEntry, _ isBeforeAgent: Bool, _ position: Position,
        wanted: AudioFormat?
    ) -> PlannedBranch? {
        var inner = position
        inner.planned = []
        inner.leftOut = []
        inner.wanted = wanted
        guard walk(entries, isBeforeAgent: isBeforeAgent, &inner) else { return nil }
        if let wanted, !arrive(at: wanted, &inner) {
            let (given, asked) = inner.format.told(from: wanted)
            let subject = entries.isEmpty ? "the empty branch \(quoted(label))" : "this one"
            findings.report(
                .formatMismatch, entries.last ?? owner,
                "the branches of a switch end in one format, that of the first; \(subject) gives \(given), not \(asked)",
                nil, .error)
            return nil
        }
        return PlannedBranch(label: label, stages: inner.planned, leftOut: inner.leftOut)
    }

    /// All branches take what arrives and give what the first of them gives.
    private func walk(
        _ cases: [(key: Character, stages: [StageEntry])], _ otherwise: [StageEntry], _ entry: StageEntry,
        _ isBeforeAgent: Bool, _ position: inout Position
    ) -> Bool {
        var branches: [PlannedBranch] = []
        var output: AudioFormat?
        for (label, stages) in cases.map({ (String($0.key), $0.stages) }) + [("otherwise", otherwise)] {
            guard let branch = branch(label, stages, of: entry, isBeforeAgent, position, wanted: output) else {
                return false
            }
            output = output ?? branch.stages.last?.output ?? position.format
            branches.append(branch)
        }
        let given = output ?? position.format
        position.planned.append(
            PlannedStage(Structure.switch, at: position.format, giving: given, branches, entry.place))
        position.format = given
        return true
    }

    // MARK: Converters

    /// Appends the stages that turn the current format into `wanted`.
    ///
    /// - Returns: False when the host knows none.
    private func arrive(at wanted: AudioFormat, _ position: inout Position) -> Bool {
        guard !position.format.passes(for: wanted) else { return true }
        guard let found = registry.findConverters(position.format, wanted) else { return false }
        var format = position.format
        var planned: [PlannedStage] = []
        for converter in found {
            guard let component = registry.stage(converter.type) else { return false }
            let settings = Settings(component.spec.fields, converter.values, directory: directory)
            guard let output = try? component.output(for: format, wanted: wanted, settings: settings) else {
                return false
            }
            planned.append(PlannedStage(component: component, settings: settings, input: format, output: output))
            format = output
        }
        guard format.passes(for: wanted) else { return false }
        position.planned += planned
        position.format = format
        return true
    }

    private func report(_ mismatch: FormatMismatch, _ entry: StageEntry, _ position: Position) {
        findings.report(
            .formatMismatch, entry,
            "\"\(entry.type)\" \(mismatch.message), but \(position.giver) gives \(position.format)",
            .init(mismatch.remedy), .error)
    }

    private func reportEnd(_ last: StageEntry, _ position: Position) {
        let (given, taken) = position.format.told(from: transportFormat)
        findings.report(
            .formatMismatch, last,
            "transport \"\(transport.component.spec.type)\" takes \(taken), but \(position.giver) gives \(given)",
            .init(endRemedy(position.format)), .error)
    }

    /// Names the stock stages that would close the gap, if they are registered.
    private func endRemedy(_ current: AudioFormat) -> String {
        let wanted = transportFormat
        var steps: [String] = []
        var encoding = current.encoding
        if encoding != .pcm16, encoding != wanted.encoding || current.sampleRate != wanted.sampleRate {
            steps.append("decoder")
            encoding = .pcm16
        }
        if current.sampleRate != wanted.sampleRate { steps.append("resampler") }
        if encoding != wanted.encoding { steps.append("encoder") }
        guard !steps.isEmpty, steps.allSatisfy({ registry.stage($0) != nil }),
            current.channelCount == wanted.channelCount
        else { return "put stages after it that give \(wanted)" }
        let words = steps.map { step in
            switch step {
            case "resampler": "\"resampler\" with \"rateHz\": \(wanted.sampleRate)"
            case "encoder": "\"encoder\" with \"encoding\": \"\(wanted.encoding.rawValue)\""
            default: "\"\(step)\""
            }
        }
        return "put " + words.joined(separator: ", then ") + " after it"
    }
}

extension AudioFormat {
    /// Whether audio of this format can stand for `other`: the same, or with packets of another duration where any cut makes
    /// a payload. What receives such audio cuts it anew.
    fileprivate func passes(for other: AudioFormat) -> Bool {
        guard encoding != .opus else { return self == other }
        return withPackets(of: other) == other
    }

    /// Both formats in words that differ when the formats do.
    fileprivate func told(from other: AudioFormat) -> (this: String, other: String) {
        guard description == other.description, self != other else { return (description, other.description) }
        return (descriptionWithPackets, other.descriptionWithPackets)
    }

    private func withPackets(of other: AudioFormat) -> AudioFormat {
        var result = self
        result.packetMicroseconds = other.packetMicroseconds
        return result
    }

    private var descriptionWithPackets: String { "\(description) in packets of \(packetMilliseconds.plain) ms" }
}
