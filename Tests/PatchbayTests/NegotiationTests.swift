import Foundation
import Patchbay
import Testing

/// What the stock components make of chains that leave the formats to them.
@Suite("Negotiation with the stock components")
struct NegotiationTests {
    private func plan(_ stages: String, budget: Int? = nil) throws -> PipelinePlan {
        let text = """
            { "name": "desk", "transport": "twilio", \(budget.map { "\"latencyBudgetMs\": \($0)," } ?? "")
              "stages": \(stages) }
            """
        let (set, diagnostics) = PipelineSet.load(
            sources: [SourceText(file: "desk.json", text)], registry: try .standard(), environment: [:],
            options: LoadOptions(checkEnvironment: false))
        return try #require(set?.documents.first, "\(diagnostics.rendered())").plan(for: CallVariables())
    }

    private func types(_ stages: [PlannedStage]) -> [String] {
        stages.map { ($0.isInserted ? "+" : "") + $0.component.spec.type + ($0.hears == nil ? "" : "?") }
    }

    @Test(
        "Converters are inserted where they are missing, and left out where they do nothing",
        arguments: [
            (#"["echo"]"#, [], "mulaw 8000 Hz mono", []),
            (#"["decoder", "encoder", "echo"]"#, ["decoder", "encoder"], "mulaw 8000 Hz mono", []),
            (#"["encoder", "echo", "encoder"]"#, [], "mulaw 8000 Hz mono", []),
            (#"["decoder", "decoder", "echo"]"#, ["decoder"], "pcm16 8000 Hz mono", ["+encoder"]),
            (#"["vad", "echo"]"#, ["vad?"], "mulaw 8000 Hz mono", []),
            (
                #"[{ "type": "vad", "gate": true, "preRollMs": 300 }, "echo"]"#, ["+decoder", "vad"],
                "pcm16 8000 Hz mono", ["+encoder"]
            ),
            (#"[{ "type": "gain", "gainDb": 3 }, "echo"]"#, ["+decoder", "gain"], "pcm16 8000 Hz mono", ["+encoder"]),
            (
                #"[{ "type": "resampler", "rateHz": 16000 }, "echo"]"#, ["+decoder", "resampler"],
                "pcm16 16000 Hz mono", ["+resampler", "+encoder"]
            ),
            (
                #"["decoder", { "type": "resampler", "rateHz": 48000 }, "denoiser", "echo"]"#,
                ["decoder", "resampler", "+resampler", "denoiser"], "pcm16 16000 Hz mono", ["+resampler", "+encoder"]
            ),
            (
                #"["echo", { "type": "gain", "gainDb": -3 }]"#, [], "mulaw 8000 Hz mono",
                ["+decoder", "gain", "+encoder"]
            ),
            (
                #"["decoder", { "type": "resampler", "rateHz": 16000 }, "echo", "encoder"]"#, ["decoder", "resampler"],
                "pcm16 16000 Hz mono", ["+resampler", "encoder"]
            ),
            (#"["dtmf", "vad", "turns", "echo"]"#, ["dtmf?", "vad?", "turns"], "mulaw 8000 Hz mono", []),
            (
                #"[{ "type": "encoder", "encoding": "alaw" }, "echo"]"#, ["+decoder", "encoder"], "alaw 8000 Hz mono",
                ["+decoder", "+encoder"]
            ),
        ] as [(String, [String], String, [String])])
    func negotiates(_ stages: String, _ before: [String], _ joint: String, _ after: [String]) throws {
        let plan = try plan(stages)
        #expect(types(plan.stagesBefore) == before)
        #expect(plan.agentFormat.description == joint)
        #expect(types(plan.stagesAfter) == after)
        _ = try plan.stagesBefore.makeStages() + plan.stagesAfter.makeStages()
    }

    @Test("Every format that an agent may announce is converted at every joint, and the worst of them counts")
    func agentFormats() throws {
        let agent = #"{ "type": "elevenlabs", "agentId": "a" }"#
        let narrow = try plan("[\(agent)]")
        #expect(narrow.stagesBefore.isEmpty && narrow.stagesAfter.isEmpty)
        let formats = ElevenLabsAgent(httpClient: .shared).formats(
            for: narrow.agentFormat, settings: narrow.backends[0].settings)
        #expect(formats.inputs.contains(.telephony) && formats.outputs.contains(.pcm(48_000)))
        let latency = narrow.latency
        #expect(latency.framing == .milliseconds(20) && latency.toAgent == .zero)
        #expect(
            latency.agent > .milliseconds(5) && latency.agent < .milliseconds(30),
            "libsamplerate for 44.1 kHz is the slowest")
        #expect(latency.total == latency.framing + latency.agent)
    }

    @Test("A budget that the chain keeps is accepted, one that it breaks is an error with the sum taken apart")
    func budget() throws {
        let stages = #"["decoder", { "type": "resampler", "rateHz": 16000, "quality": "linear-phase" }, "echo"]"#
        let latency = try plan(stages, budget: 60).latency
        #expect(latency.total > .milliseconds(22))
        let (set, diagnostics) = PipelineSet.load(
            sources: [
                SourceText(
                    file: "d.json",
                    #"{ "name": "d", "transport": "twilio", "latencyBudgetMs": 21, "stages": \#(stages) }"#)
            ],
            registry: try .standard(), environment: [:])
        #expect(set == nil)
        #expect(diagnostics.map(\.code) == [.latencyBudget])
        #expect(diagnostics.first?.message.contains("20 framing") == true, "\(diagnostics.rendered())")
        #expect(diagnostics.first?.path == "latencyBudgetMs")
    }
}
