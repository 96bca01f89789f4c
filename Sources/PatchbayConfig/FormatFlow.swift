import PatchbayAudio

/// Carries the audio format from the transport through every stage and back, and says where two neighbours disagree.
///
/// One mistake gives one error: the walk stops where it cannot know what comes next.
struct FormatFlow {
    let linter: Linter
    let registry: ComponentRegistry
    let transport: PipelineDocument.Choice<any TransportComponent>
    /// What the transport delivers and takes.
    private let transportFormat: AudioFormat
    /// Who gives the current format, for messages.
    private var giver: String
    private var current: AudioFormat
    /// What the stages that are walked have to arrive at.
    private var wanted: AudioFormat?

    init(linter: Linter, registry: ComponentRegistry, transport: PipelineDocument.Choice<any TransportComponent>) {
        self.linter = linter
        self.registry = registry
        self.transport = transport
        self.giver = "transport \"\(transport.component.spec.type)\""
        self.transportFormat = transport.component.format(transport.settings)
        self.current = transportFormat
    }

    /// - Returns: `nil` when a stage is wrong or two do not fit.
    mutating func walk(_ list: StageList) -> PipelineDocument.Chain? {
        guard let before = walk(list.before) else { return nil }
        let joint = current
        giver = "the agent at \(linter.line(of: list.agentNode.range))"
        wanted = transportFormat
        guard var after = walk(list.after) else { return nil }
        if current != transportFormat {
            guard let converters = converters(to: transportFormat) else {
                reportEnd(list)
                return nil
            }
            after += converters
        }
        guard let backends = list.backends else { return nil }
        return PipelineDocument.Chain(
            before: before, agentFormat: joint, backends: backends, agentSettings: list.agentSettings, after: after)
    }

    private mutating func walk(_ stages: [StageList.Stage]) -> [PlannedStage]? {
        var planned: [PlannedStage] = []
        for stage in stages {
            guard let choice = stage.choice else { return nil }
            do {
                try add(choice, index: stage.index, to: &planned)
            } catch {
                if let wanted = error.wanted, let converters = converters(to: wanted), !converters.isEmpty {
                    planned += converters
                    current = wanted
                    do {
                        try add(choice, index: stage.index, to: &planned)
                    } catch {
                        report(error, stage)
                        return nil
                    }
                } else {
                    report(error, stage)
                    return nil
                }
            }
            giver = "\"\(stage.type)\" at \(linter.line(of: stage.node.range))"
        }
        return planned
    }

    private mutating func add(
        _ choice: PipelineDocument.Choice<any StageComponent>, index: Int?, to planned: inout [PlannedStage]
    ) throws(FormatMismatch) {
        let output = try choice.component.output(for: current, wanted: wanted, settings: choice.settings)
        let isUseless = output == current && choice.component.isIdentity(for: current, settings: choice.settings)
        if !isUseless {
            planned.append(
                PlannedStage(
                    component: choice.component, settings: choice.settings, input: current, output: output,
                    place: index.map { "stages[\($0)]" }))
        }
        current = output
    }

    /// The stages that turn the current format into `wanted`, or `nil` when the host knows none.
    private func converters(to wanted: AudioFormat) -> [PlannedStage]? {
        guard let found = registry.findConverters(current, wanted) else { return nil }
        var format = current
        var planned: [PlannedStage] = []
        for converter in found {
            guard let component = registry.stage(converter.type) else { return nil }
            let settings = Settings(component.spec.fields, converter.values, directory: linter.source.directory)
            guard let output = try? component.output(for: format, settings: settings) else { return nil }
            planned.append(PlannedStage(component: component, settings: settings, input: format, output: output))
            format = output
        }
        return format == wanted ? planned : nil
    }

    private func report(_ mismatch: FormatMismatch, _ stage: StageList.Stage) {
        linter.report(
            .formatMismatch, stage.node.headRange, DocumentPath.root.key("stages").index(stage.index),
            "\"\(stage.type)\" \(mismatch.message), but \(giver) gives \(current)", .init(mismatch.remedy))
    }

    private func reportEnd(_ list: StageList) {
        let last = list.after.last
        linter.report(
            .formatMismatch, (last?.node ?? list.agentNode).headRange,
            DocumentPath.root.key("stages").index(last?.index ?? list.agentIndex),
            "transport \"\(transport.component.spec.type)\" takes \(transportFormat), but \(giver) gives \(current)",
            .init(endRemedy))
    }

    /// Names the stock stages that would close the gap, if they are registered.
    private var endRemedy: String {
        let wanted = transportFormat
        var steps: [String] = []
        var encoding = current.encoding
        if encoding != .pcm16, encoding != wanted.encoding || current.sampleRate != wanted.sampleRate {
            steps.append("decoder")
            encoding = .pcm16
        }
        if current.sampleRate != wanted.sampleRate { steps.append("resampler") }
        let isEncoded = encoding != wanted.encoding
        if isEncoded { steps.append("encoder") }
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
