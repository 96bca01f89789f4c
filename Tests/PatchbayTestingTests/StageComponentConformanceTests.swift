import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayTesting
import Testing

@Suite struct StageComponentConformanceTests {
    /// A component that is right in everything, or in everything but what a test changes.
    struct Specimen: StageComponent {
        var spec = ComponentSpec(
            "specimen", .stage, summary: "Passes everything on.",
            fields: [
                Field("levelDb", .number(-10...10), default: 0, example: "3", "How loud, in dB."),
                Field("word", .choice(["a", "b"]), default: "a", example: #""b""#, "Which of two."),
                Field("tries", .integer(1...5), example: "2", "How often."),
                Field("key", .secret, example: #"{ "env": "KEY" }"#, "A secret."),
                Field("isLoud", .boolean, example: "true", "Whether it is loud."),
            ])
        var gives: AudioFormat?
        var processorGives: AudioFormat?
        var refusal: FormatMismatch?
        var isSaidToBeIdentity = true
        var marksSpeech = false
        var saidDelay = TimeSpan.zero
        var cannotBeMade = false
        var onlyListens = false
        var silences = false
        var problem: SettingsProblem?

        func problems(in settings: Settings) -> [SettingsProblem] { problem.map { [$0] } ?? [] }
        func listensOnly(_ settings: Settings) -> Bool { onlyListens }
        func isIdentity(for input: AudioFormat, settings: Settings) -> Bool { isSaidToBeIdentity }
        func delay(taking input: AudioFormat, giving output: AudioFormat, settings: Settings) -> TimeSpan { saidDelay }

        func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
            if let refusal { throw refusal }
            return gives ?? input
        }

        func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
            if cannotBeMade { throw PipelineError(.stageFailed, "out of order") }
            return Relabel(format: processorGives ?? gives, silences: silences)
        }

        private struct Relabel: Processor {
            let format: AudioFormat?
            let silences: Bool
            mutating func receive(
                _ frame: Frame, at now: MediaTime, into output: inout FrameOutput
            ) throws(PipelineError) {
                if silences, case .audio(var audio) = frame {
                    audio.payload = ByteBuffer(repeating: 0, count: audio.payload.readableBytes)
                    return output.emit(.audio(audio))
                }
                guard case .audio(var audio) = frame, let format else { return output.emit(frame) }
                audio.format = format
                output.emit(.audio(audio))
            }
        }
    }

    private func rules(_ change: (inout Specimen) -> Void) -> [ConformanceFailure.Rule] {
        var specimen = Specimen()
        change(&specimen)
        var seen: [ConformanceFailure.Rule] = []
        for failure in StageComponentConformance.check(specimen) where !seen.contains(failure.rule) {
            seen.append(failure.rule)
        }
        return seen
    }

    @Test func theSpecimenConforms() {
        let failures = StageComponentConformance.check(Specimen())
        #expect(failures.isEmpty, "\(failures)")
    }

    @Test func whatItSaysHasToHold() {
        #expect(rules { $0.marksSpeech = true } == [.agreement])
        #expect(rules { $0.saidDelay = .milliseconds(1) } == [.agreement])
        #expect(rules { $0.cannotBeMade = true } == [.making])
        #expect(rules { $0.processorGives = .pcm(11025) } == [.announced])
        #expect(rules { $0.gives = AudioFormat(.mulaw, sampleRate: 11025) } == [.identity])
        #expect(
            rules {
                $0.gives = AudioFormat(.mulaw, sampleRate: 11025)
                $0.isSaidToBeIdentity = false
            } == [])
        #expect(rules { $0.onlyListens = true } == [])
        #expect(
            rules {
                ($0.onlyListens, $0.silences, $0.isSaidToBeIdentity) = (true, true, false)
            } == [.listening])
        #expect(rules { $0.problem = SettingsProblem(.outOfRange, "no") } == [.settings])
    }

    @Test func aRefusalNeedsARemedyThatWorks() {
        #expect(rules { $0.refusal = FormatMismatch("takes nothing", remedy: "leave it out") } == [.takesSomething])
        #expect(rules { $0.refusal = FormatMismatch("", remedy: "") } == [.mismatch, .takesSomething])
        #expect(
            rules { $0.refusal = FormatMismatch("takes x", remedy: "give x", wanted: .pcm(8000)) }
                == [.mismatch, .takesSomething])
    }

    @Test(arguments: [
        ComponentSpec("Specimen", .stage, summary: "Passes everything on."),
        ComponentSpec("two--parts", .stage, summary: "Passes everything on."),
        ComponentSpec("specimen", .agent, summary: "Passes everything on."),
        ComponentSpec("specimen", .stage, summary: "No period"),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("x", .string, "No period")]),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("a_b", .string, "A name.")]),
        ComponentSpec(
            "specimen", .stage, summary: "X.", fields: [Field("x", .string, "A."), Field("x", .string, "B.")]),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("x", .integer(1...5), default: 6, "A.")]),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("x", .integer(1...5), default: 1.5, "A.")]),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("x", .choice(["a"]), default: "b", "A.")]),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("x", .choice([]), "A.")]),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("x", .boolean, default: "true", "A.")]),
        ComponentSpec(
            "specimen", .stage, summary: "X.", fields: [Field("x", .string, isRequired: true, default: "a", "A.")]),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("x", .string, example: "no quotes", "A.")]),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("x", .integer(1...5), example: "9", "A.")]),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("x", .number(0...1), example: "true", "A.")]),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("x", .boolean, example: "1", "A.")]),
        ComponentSpec("specimen", .stage, summary: "X.", fields: [Field("x", .secret, example: #""s""#, "A.")]),
        ComponentSpec(
            "specimen", .stage, summary: "X.", fields: [Field("x", .object([Field("y", .string, "No period")]), "A.")]),
    ]) func aSpecCanBePrinted(spec: ComponentSpec) {
        #expect(rules { $0.spec = spec } == [.spec])
    }
}
