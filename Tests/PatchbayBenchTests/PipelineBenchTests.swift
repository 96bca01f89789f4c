import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayProcessors
import Testing

@testable import PatchbayBench

@Suite struct PipelineBenchTests {
    private struct Line: TransportComponent {
        let spec = ComponentSpec("line", .transport, summary: "µ-law, 20 ms.", fields: [])
        let format = AudioFormat.telephony
    }

    private struct Nobody: AgentComponent {
        let spec = ComponentSpec("nobody", .agent, summary: "Never answers.", fields: [])
        func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend {
            throw PipelineError(.agentUnreachable, "nobody")
        }
    }

    /// Gives up at its tenth packet.
    private struct Fuse: StageComponent {
        let spec = ComponentSpec("fuse", .stage, summary: "Breaks.", fields: [])
        func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat { input }
        func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
            Stage()
        }

        struct Stage: Processor {
            private var count = 0

            mutating func receive(
                _ frame: Frame, at now: MediaTime, into output: inout FrameOutput
            ) throws(PipelineError) {
                if case .audio = frame { count += 1 }
                guard count < 10 else { throw PipelineError(.stageFailed, "blown") }
                output.emit(frame)
            }
        }
    }

    /// A carrier that sends what its settings say.
    private struct Trunk: TransportComponent {
        let spec = ComponentSpec(
            "trunk", .transport, summary: "Linear or µ-law.",
            fields: [Field("wide", .boolean, default: false, "Whether it sends 16 kHz.")])
        let format = AudioFormat.telephony
        func format(_ settings: Settings) -> AudioFormat {
            settings.bool("wide") == true ? AudioFormat(.l16, sampleRate: 16_000) : format
        }
    }

    private func report(_ stages: String, transport: String = #""line""#) throws -> PipelineReport {
        let registry = try ComponentRegistry(
            transports: [Line(), Trunk()], stages: [Decoder(), Encoder(), Resampler(), VAD(), Fuse()],
            agents: [Nobody()])
        let text = #"{"name": "p", "numbers": ["*"], "transport": \#(transport), "stages": [\#(stages)]}"#
        let (set, diagnostics) = PipelineSet.load(
            sources: [SourceText(file: "p.json", text)], registry: registry, environment: [:])
        let document = try #require(set?.documents.first, "\(diagnostics.rendered())")
        return try PipelineBench(try document.plan(for: CallVariables()), seconds: 0.5, rounds: 1).run()
    }

    @Test func everyStageIsMeasuredInItsPlace() throws {
        let report = try report(
            #""decoder", {"type": "resampler", "rateHz": 16000}, "nobody", {"type": "resampler", "rateHz": 8000}, "encoder""#
        )
        #expect(report.stages.map(\.type) == ["decoder", "resampler", "resampler", "encoder"])
        #expect(report.stages.map(\.leg) == ["toAgent", "toAgent", "toCaller", "toCaller"])
        #expect(report.stages.map(\.address) == ["stages[0]", "stages[1]", "stages[3]", "stages[4]"])
        #expect(report.stages.allSatisfy { $0.cost.p50 > 0 && $0.cost.p99 >= $0.cost.p50 })
        #expect(report.stages[0].delay == 0 && report.stages[3].delay == 0)
        #expect(report.stages[1].delay > 0)
        #expect(report.legs.map(\.leg) == ["toAgent", "toCaller"])
        #expect(abs(report.legs[0].delay - report.stages[1].delay) < 1e-6)
        #expect(report.callsPerCore > 0)
        let table = report.table(.text)
        #expect(table.contains("all stages") && table.contains("mulaw 8000 Hz mono"))
    }

    @Test(arguments: [(false, "mulaw 8000 Hz mono"), (true, "l16 16000 Hz mono")])
    func theCarriersFormatIsThatOfItsSettings(isWide: Bool, format: String) throws {
        let report = try report(
            #""decoder", "nobody", "encoder""#, transport: #"{"type": "trunk", "wide": \#(isWide)}"#)
        #expect(report.stages.first?.takes == format)
        #expect(report.stages.last?.gives == format)
    }

    @Test func aPipelineWithoutStagesCostsNextToNothing() throws {
        let report = try report(#""nobody""#)
        #expect(report.stages.isEmpty)
        #expect(report.legs.count == 2)
    }

    @Test func aStageThatGivesUpEndsTheBenchWithItsName() throws {
        let error = #expect(throws: PipelineError.self) { try report(#""fuse", "nobody""#) }
        #expect(error?.place.contains("fuse") == true)
        #expect(error?.message == "blown")
    }
}
