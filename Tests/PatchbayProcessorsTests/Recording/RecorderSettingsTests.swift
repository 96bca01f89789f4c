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
    func pathsThatLeadElsewhereAreRefusedInDocuments(path: String) {
        #expect(
            Recorder().problems(in: settings(["path": .string(path)])).contains { $0.code.description == "unsafe-path" }
        )
    }

    @Test(arguments: ["recordings/${call.sid}.wav", "a/..${call.from}.wav", "+1555/é${call.to}.opus", "${x}..wav"])
    func ordinaryPathsPass(path: String) {
        #expect(RecordingPath(path, in: "/tmp").relative == path)
        #expect(Recorder().problems(in: settings(["path": .string(path)])).isEmpty)
    }

    /// A caller says who they are; that must neither lead out of the folder nor end the call.
    @Test(arguments: [
        ("../../etc/x.wav", "_/_/etc/x.wav"), ("/etc//x.wav", "etc/x.wav"), ("a/./../x.wav", "a/_/x.wav"),
        ("a\nb\u{0}c.wav", "a_b_c.wav"), ("..", "_"), ("", "_"), ("...wav", "...wav"), ("a/", "a"),
        (String(repeating: "x", count: 300) + ".wav", String(repeating: "x", count: 236) + ".wav"),
        (String(repeating: "é", count: 300) + ".opus", String(repeating: "é", count: 117) + ".opus"),
        (String(repeating: "f/", count: 3000) + "x.wav", String(repeating: "f/", count: 509) + "x.wav"),
    ])
    func valuesOfTheCallAreCleaned(path: String, expected: String) throws {
        #expect(RecordingPath(path, in: "/tmp").relative == expected)
        guard expected.hasSuffix(".wav") else { return }
        let recorder = Recorder(writer: RecordingWriter(hasThread: false))
        #expect(throws: Never.self) { try recorder.makeTap(settings(["path": .string(path)])) }
    }

    @Test func aFixedPathIsPointedOut() {
        let problems = Recorder().problems(in: settings(["path": "calls/a.wav"]))
        #expect(problems.map(\.severity) == [.warning] && problems.map(\.field) == ["path"])
        #expect(problems[0].message.contains("calls/a-2.wav"))
    }

    @Test func anAnnouncementThatCannotBeSpokenIsFound() {
        let recorder = Recorder { announcement, directory throws(PipelineError) in
            guard announcement == Announcement("Hallo", voice: "de"), directory == "/tmp" else {
                throw PipelineError(.stageFailed, "no voice for \(announcement.text)")
            }
        }
        func problems(_ text: String, voice: String) -> [SettingsProblem] {
            recorder.problems(
                in: settings([
                    "path": "${call.sid}.wav", "announcement": .string(text), "voice": .string(voice),
                ]))
        }
        #expect(problems("Hallo", voice: "de").isEmpty)
        let found = problems("Hello", voice: "en")
        #expect(found.map(\.field) == ["announcement"] && found.map(\.severity) == [.error])
        #expect(found.map(\.message) == ["no voice for Hello"])
        #expect(problems("Hello ${context.name}", voice: "en").isEmpty, "not known before the call")
        #expect(recorder.announcement(settings(["announcement": "x"])) == Announcement("x", voice: "en"))
        #expect(recorder.announcement(settings([:])) == nil)
    }

    @Test(arguments: [
        ("a/b.wav", 1, "a/b.wav"), ("a/b.wav", 2, "a/b-2.wav"), ("a.b/c", 3, "a.b/c-3"), ("a/.wav", 2, "a/.wav-2"),
    ])
    func takenNamesGetANumber(path: String, number: Int, expected: String) {
        #expect(RecordingPath.numbered(path, number) == expected)
    }

    @Test(
        arguments: [
            (["path": "${x}.mp3"], "path"), (["path": "${x}"], "path"),
            (["path": "${x}.wav", "format": "opus"], "format"),
            (["path": "${x}.wav", "bitrate": 48_000], "bitrate"), (["path": "${x}.opus", "rateHz": 44_100], "rateHz"),
            (["path": "${x}.wav", "rateHz": 48_000, "maximumMinutes": 1440], "maximumMinutes"),
            (["path": "${x}.wav", "pauseKey": "*"], "pauseKey"),
            (["path": "${x}.wav", "directory": "${call.to}"], "directory"),
        ] as [([String: VariableValue], String)])
    func combinationsThatMakeNoSenseAreFound(values: [String: VariableValue], field: String) {
        let problems = Recorder().problems(in: settings(values))
        #expect(problems.map(\.field) == [field])
        #expect(problems.allSatisfy { $0.remedy != nil })
    }

    @Test(
        arguments: [
            ["path": "${x}.opus", "bitrate": 48_000, "rateHz": 16_000], ["path": "${x}", "format": "wav"],
            ["path": "${x}.OGG"],
            ["path": "${x}.wav", "pauseKey": "*", "resumeKey": "*", "announcement": "This call is recorded."],
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
        // Somebody else has paused the recordings: the key goes on with them.
        var harness = ProcessorHarness(RecorderStage(pauseKey: "*", resumeKey: "*"))
        for (command, expected) in [(RecordingCommand.pause, RecordingCommand.resume), (.resume, .pause)] {
            #expect(try harness.push(.recording(command)).count == 1)
            _ = try harness.push(.dtmf("*"))
            guard case .recording(expected)? = harness.takeUpstream().first else {
                Issue.record("after \(command) the key must \(expected)")
                return
            }
        }
        #expect(!Recorder().isIdentity(for: .telephony, settings: settings(["path": "a.wav"])))
        #expect(try Recorder().output(for: .telephony, settings: settings([:])) == .telephony)
    }
}
