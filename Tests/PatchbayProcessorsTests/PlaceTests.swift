import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayProcessors
import Testing

/// Stages that stand where they can do their work, and stages that do not.
@Suite struct PlaceTests {
    /// What linting says about a row of stages, `|` being the agent: `error misplaced-stage`.
    private func findings(_ row: String) throws -> [String] {
        let stages: [String: String] = [
            "keys": #"{"type": "recorder", "path": "${call.sid}.wav", "pauseKey": "*", "resumeKey": "*"}"#,
            "recorder": #"{"type": "recorder", "path": "${call.sid}.wav"}"#,
            "branch":
                #"{"type": "switch", "on": "key", "cases": {"1": [{"type": "recorder", "path": "${call.sid}.wav"}]}}"#,
            "detect": #""dtmf""#, "generate": #"{"type": "dtmf", "mode": "generate"}"#,
            "mute": #"{"type": "mute", "muteKey": "*", "unmuteKey": "*"}"#, "silence": #""mute""#,
            "mixer": #"{"type": "mixer", "sound": "${context.sound}"}"#, "|": #""echo""#,
        ]
        let list = row.split(separator: " ").map { stages[String($0)] ?? "\"\($0)\"" }.joined(separator: ", ")
        let registry = try ComponentRegistry(
            transports: [Line()],
            stages: [VAD(), Turns(), Recorder(), DTMF(), Mute(), Mixer(sounds: SoundLibrary()), OtherVAD()],
            agents: [Echo()])
        let (set, diagnostics) = PipelineSet.load(
            sources: [
                SourceText(
                    file: "t.json", #"{"name": "t", "numbers": ["*"], "transport": "line", "stages": [\#(list)]}"#)
            ], registry: registry, environment: [:])
        #expect((set == nil) == diagnostics.contains { $0.severity == .error })
        return diagnostics.map { "\($0.severity) \($0.code)" }
    }

    @Test(arguments: [
        "vad turns |", "other-vad turns |", "detect keys |", "keys |", "recorder detect |", "| recorder", "| generate",
        "detect |", "mute |", "| silence", "| mixer",
    ])
    func theseStandWell(row: String) throws { #expect(try findings(row) == []) }

    @Test(arguments: [
        ("turns |", "error misplaced-stage"), ("turns vad |", "error misplaced-stage"),
        ("| vad turns", "error misplaced-stage"), ("keys detect |", "warning misplaced-stage"),
        ("| keys", "error misplaced-stage"), ("branch |", "error misplaced-stage"),
        ("| detect", "error misplaced-stage"),
        ("generate |", "error misplaced-stage"), ("| mute", "warning misplaced-stage"),
        ("mixer |", "error misplaced-stage"),
        // One mistake, one finding: the stage that is not known may well be the one that is needed.
        ("vadd turns |", "error unknown-type"),
    ])
    func theseDoNot(row: String, expected: String) throws { #expect(try findings(row) == [expected]) }
}

private struct Line: TransportComponent {
    let spec = ComponentSpec("line", .transport, summary: "Stands in for a carrier.")
    let format = AudioFormat.pcm(8000)
}

private struct Echo: AgentComponent {
    let spec = ComponentSpec("echo", .agent, summary: "Stands in for an agent.")
    func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend {
        throw PipelineError(.agentFailed, "a stand-in makes nothing")
    }
}

/// A detector of somebody else's.
private struct OtherVAD: StageComponent {
    let spec = ComponentSpec("other-vad", .stage, summary: "Hears speech in its own way.")
    var marksSpeech: Bool { true }
    func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat { input }
    func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        throw PipelineError(.stageFailed, "a stand-in makes nothing")
    }
}
