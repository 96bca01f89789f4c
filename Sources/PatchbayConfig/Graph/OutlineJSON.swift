import PatchbayAudio
import PatchbayCore

extension PipelineOutline {
    /// The outline as a JSON object: `name`, `file`, `version`, `numbers`, `rules`, `chains`.
    public var json: JSONValue {
        var object: JSONValue = ["name": .string(name)]
        object.append("description", summary.map { .string($0) })
        object.append("file", .string(file))
        object.append("version", .string(version))
        object.append("numbers", .array(numbers.map { .string($0) }))
        object.append("rules", .array(rules.map(\.json)))
        object.append("transport", ["type": .string(carrier), "format": .string(carrierFormat.description)])
        object.append("chains", .array(chains.map(\.json)))
        object.append("latencyBudgetMs", latencyBudgetMs.map { JSONValue($0) })
        return object
    }
}

extension PipelineOutline.Rule {
    var json: JSONValue {
        var object: JSONValue = ["condition": .string(condition)]
        switch outcome {
        case .pipeline(let name): object.append("pipeline", .string(name))
        case .say(let words): object.append("say", .string(words))
        }
        object.append("alternative", alternative.map { .string($0) })
        return object
    }
}

extension PipelineOutline.Chain {
    var json: JSONValue {
        [
            "conditions": .array(conditions.map { .string($0) }), "before": .array(before.map(\.json)),
            "joint": .string(joint.description), "agents": .array(agents.map(\.json)),
            "after": .array(after.map(\.json)), "latency": latency.json,
        ]
    }
}

extension PipelineOutline.Stage {
    /// The keys of a stage of `patchbay route`.
    var json: JSONValue {
        var object: JSONValue = [
            "type": .string(type), "takes": .string(takes.description), "gives": .string(gives.description),
            "delayMs": JSONValue(delay.inMilliseconds), "inserted": .boolean(mark == .inserted),
        ]
        if mark == .leftOut { object.append("leftOut", true) }
        object.append("place", place.map { .string($0) })
        object.append("hears", hears.map { .string($0.description) })
        if !settings.isEmpty { object.append("settings", .array(settings.map { .string($0) })) }
        if !branches.isEmpty {
            let list = branches.map { branch -> JSONValue in
                ["label": .string(branch.label), "stages": .array(branch.stages.map(\.json))]
            }
            object.append("branches", .array(list))
        }
        return object
    }
}

extension PipelineOutline.Agent {
    var json: JSONValue {
        var object: JSONValue = [
            "type": .string(type), "takes": .array(formats.inputs.map { .string($0.description) }),
            "gives": .array(formats.outputs.map { .string($0.description) }),
            "delayMs": JSONValue(delay.inMilliseconds),
        ]
        if isUnreachable { object.append("unreachable", true) }
        if !settings.isEmpty { object.append("settings", .array(settings.map { .string($0) })) }
        return object
    }
}

extension DeclaredLatency {
    var json: JSONValue {
        [
            "totalMs": JSONValue(total.inMilliseconds), "framingMs": JSONValue(framing.inMilliseconds),
            "toAgentMs": JSONValue(toAgent.inMilliseconds), "agentMs": JSONValue(agent.inMilliseconds),
            "toCallerMs": JSONValue(toCaller.inMilliseconds),
        ]
    }
}
