import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayTesting
import Testing

@testable import PatchbayProcessors

@Suite struct RecorderSettingsTests {
    private func settings(_ values: [String: VariableValue], directory: String = "/tmp") -> Settings {
        Settings(Recorder().spec.fields, values, directory: directory)
    }

    @Test(arguments: [
        "../x.wav", "a/../../x.wav", "/etc/x.wav", "", "a/", "a\nb.wav", "a\u{0}b.wav", "a\u{7F}.wav", "..",
        "a/..", String(repeating: "x", count: 241) + ".wav",
    ])
    func pathsThatLeadElsewhereAreRefused(path: String) {
        let error = #expect(throws: PipelineError.self) { try RecordingPath(path, in: "/tmp") }
        #expect(error?.code == .unsafePath)
        #expect(throws: PipelineError.self) { try Recorder().makeTap(settings(["path": .string(path)])) }
        #expect(
            Recorder().problems(in: settings(["path": .string(path)])).contains { $0.code.description == "unsafe-path" }
        )
    }

    @Test(arguments: ["a.wav", "recordings/${call.sid}.wav", "a/..b.wav", "+1555/é.opus", "x..wav"])
    func ordinaryPathsPass(path: String) {
        #expect(throws: Never.self) { try RecordingPath(path, in: "/tmp") }
        #expect(Recorder().problems(in: settings(["path": .string(path)])).isEmpty)
    }

    @Test(arguments: [
        ("a/b.wav", 1, "a/b.wav"), ("a/b.wav", 2, "a/b-2.wav"), ("a.b/c", 3, "a.b/c-3"), ("a/.wav", 2, "a/.wav-2"),
    ])
    func takenNamesGetANumber(path: String, number: Int, expected: String) {
        #expect(RecordingPath.numbered(path, number) == expected)
    }

    @Test(
        arguments: [
            (["path": "a.mp3"], "path"), (["path": "a"], "path"), (["path": "a.wav", "format": "opus"], "format"),
            (["path": "a.wav", "bitrate": 48_000], "bitrate"), (["path": "a.opus", "rateHz": 44_100], "rateHz"),
            (["path": "a.wav", "rateHz": 48_000, "maximumMinutes": 1440], "maximumMinutes"),
            (["path": "a.wav", "pauseKey": "*"], "pauseKey"),
            (["path": "a.wav", "directory": "${call.to}"], "directory"),
        ] as [([String: VariableValue], String)])
    func combinationsThatMakeNoSenseAreFound(values: [String: VariableValue], field: String) {
        let problems = Recorder().problems(in: settings(values))
        #expect(problems.map(\.field) == [field])
        #expect(problems.allSatisfy { $0.remedy != nil })
    }

    @Test(
        arguments: [
            ["path": "a.opus", "bitrate": 48_000, "rateHz": 16_000], ["path": "a", "format": "wav"], ["path": "A.OGG"],
            ["path": "a.wav", "pauseKey": "*", "resumeKey": "*", "announcement": "This call is recorded."],
        ] as [[String: VariableValue]])
    func combinationsThatMakeSensePass(values: [String: VariableValue]) {
        #expect(Recorder().problems(in: settings(values)).isEmpty)
    }

    @Test func stereoCarriersAreRefusedInWords() throws {
        let make = try Recorder(writer: RecordingWriter(hasThread: false)).makeTap(settings(["path": "a.wav"]))
        let call = CallInfo(id: "1", callSid: "CA1", from: "", to: "", pipeline: "p")
        let error = #expect(throws: PipelineError.self) {
            try make(call, AudioFormat(.pcm16, sampleRate: 8000, channelCount: 2))
        }
        #expect(error?.code == .unsupportedFormat)
    }

    @Test func theStagePassesEverythingAndTurnsKeysIntoCommands() throws {
        func commands(_ keys: String, _ values: [String: VariableValue]) throws -> [RecordingCommand] {
            let processor = try Recorder().makeProcessor(taking: .telephony, settings: settings(values))
            let stage = try #require(processor as? RecorderStage)
            var harness = ProcessorHarness(stage)
            for key in keys { #expect(try harness.push(.dtmf(key)).count == 1) }
            return harness.takeUpstream().compactMap {
                if case .recording(let command) = $0 { command } else { nil }
            }
        }
        #expect(try commands("1*2#", ["path": "a.wav", "pauseKey": "*", "resumeKey": "#"]) == [.pause, .resume])
        #expect(
            try commands("***", ["path": "a.wav", "pauseKey": "*", "resumeKey": "*"]) == [.pause, .resume, .pause])
        #expect(try commands("*#", ["path": "a.wav"]) == [])
        #expect(!Recorder().isIdentity(for: .telephony, settings: settings(["path": "a.wav"])))
        #expect(try Recorder().output(for: .telephony, settings: settings([:])) == .telephony)
    }
}
