import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayProcessors
import Testing

/// What `engine` and `quality` mean together.
@Suite struct ResamplerStageTests {
    private let stage = Resampler()

    private func settings(engine: String?, quality: String?, rateHz: Int = 16_000) -> Settings {
        var values: [String: VariableValue] = ["rateHz": .number(Double(rateHz))]
        if let engine { values["engine"] = .string(engine) }
        if let quality { values["quality"] = .string(quality) }
        return Settings(stage.spec.fields, values)
    }

    private func delay(_ engine: StreamResampler.Engine) throws -> TimeSpan {
        let resampler = try StreamResampler(from: 8000, to: 16_000, engine: engine)
        return TimeSpan(nanoseconds: resampler.delayNanoseconds)
    }

    @Test(
        arguments: [
            (nil, nil, .polyphase(.linearPhase)), ("automatic", nil, .polyphase(.linearPhase)),
            (nil, "linear-phase", .polyphase(.linearPhase)), (nil, "low-delay", .polyphase(.lowDelay)),
            ("polyphase", nil, .polyphase(.linearPhase)), ("polyphase", "low-delay", .polyphase(.lowDelay)),
            (nil, "best", .libsamplerate(.best)), (nil, "medium", .libsamplerate(.medium)),
            (nil, "fastest", .libsamplerate(.fastest)), (nil, "linear", .libsamplerate(.linear)),
            ("libsamplerate", nil, .libsamplerate(.medium)), ("libsamplerate", "fastest", .libsamplerate(.fastest)),
            ("libsamplerate", "zero-order-hold", .libsamplerate(.zeroOrderHold)),
        ] as [(String?, String?, StreamResampler.Engine)])
    func everyEngineHasItsQualities(engine: String?, quality: String?, expected: StreamResampler.Engine) throws {
        let settings = settings(engine: engine, quality: quality)
        #expect(stage.problems(in: settings).isEmpty)
        #expect(try stage.output(for: .pcm(8000), settings: settings) == .pcm(16_000))
        // No two engines here are equally late.
        #expect(try stage.makeProcessor(taking: .pcm(8000), settings: settings).delay == delay(expected))
    }

    @Test(arguments: [("polyphase", "medium"), ("polyphase", "linear"), ("libsamplerate", "low-delay")])
    func aQualityOfTheOtherEngineIsAProblem(engine: String, quality: String) throws {
        let problem = try #require(stage.problems(in: settings(engine: engine, quality: quality)).first)
        #expect(problem.field == "quality" && problem.code == .notAllowed)
        #expect(problem.message.hasPrefix("\(engine) has no quality \"\(quality)\"; it has "))
    }

    @Test func ratesThatPolyphaseDoesNotTakeAreAMismatch() throws {
        for (engine, quality) in [("polyphase", nil), (nil, "low-delay")] as [(String?, String?)] {
            let settings = settings(engine: engine, quality: quality)
            let mismatch = #expect(throws: FormatMismatch.self) {
                try stage.output(for: .pcm(44_100), settings: settings)
            }
            #expect(mismatch?.remedy == "write \"engine\": \"libsamplerate\"")
            #expect(throws: PipelineError.self) { try stage.makeProcessor(taking: .pcm(44_100), settings: settings) }
            #expect(try stage.output(for: .pcm(16_000), settings: settings) == .pcm(16_000))
        }
        let automatic = settings(engine: nil, quality: nil)
        #expect(try stage.makeProcessor(taking: .pcm(44_100), settings: automatic).delay.nanoseconds > 0)
    }
}
