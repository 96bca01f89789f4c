import Foundation
import Patchbay
import PatchbayScenarios
import Testing

/// Whole calls of tests: what is met, what is not, and what is said about it.
struct ScenarioRunTests {
    private let tone = #""caller": [{"atMs": 400, "as": "tone", "tone": {"frequencyHz": 440, "durationMs": 600}}]"#

    @Test func anEchoIsSeenWithItsTimesAndTones() throws {
        let result = try ScenarioFolder().run(
            """
            \(tone), "expect": [
              {"agent": "speaks", "after": "tone begins", "withinMs": 60}, {"agent": "stops", "after": "tone ends", "withinMs": 60},
              {"agent": "silent", "before": "tone begins"}, {"toneHz": 440, "after": "caller speaks", "withinMs": 100},
              {"toneHz": 880, "times": 0}, {"agent": "speaks", "times": 1}, {"backend": "echo", "withinMs": 0},
              {"interrupted": false}, {"pipeline": "desk"}, {"ends": "callerHungUp", "fromMs": 4000, "withinMs": 4100},
              {"ledger": {"playedFromMs": 900, "playedToMs": 1000}, "fromMs": 1000},
              {"ledger": {"unplayedToMs": 20}, "after": "tone begins"}]
            """)
        #expect(result.isPassed, "\(result.text())")
    }

    @Test func everyFailureSaysWhatWasSeenInstead() throws {
        let result = try ScenarioFolder().run(
            """
            \(tone), "expect": [
              {"agent": "speaks", "withinMs": 300}, {"agent": "speaks", "fromMs": 700}, {"agent": "silent"},
              {"toneHz": 880}, {"agent": "speaks", "times": 3}, {"backend": "script"}, {"pipeline": "salon"},
              {"ends": "idle"}, {"ledger": {"playedFromMs": 5000}, "fromMs": 1000}, {"recording": {"fromMs": 1}},
              {"sentToCarrier": {"event": "clear"}}, {"agentSays": "hello"}, {"said": "closed"},
              {"agent": "speaks", "after": "agent speaks 2"}]
            """)
        #expect(result.met.allSatisfy { !$0 }, "\(result.text())")
        #expect(result.seen(0) == "at 0.42 s, 120 ms too late")
        #expect(result.seen(1) == "at 0.42 s, 280 ms too early")
        #expect(result.seen(2) == "heard from 0.42 s to 1.02 s")
        #expect(result.seen(3) == "never in the call; strongest there: 440 Hz")
        #expect(result.seen(4).hasPrefix("1 times instead of 3: at 0.42 s"))
        #expect(result.seen(5) == "never in the call" && result.seen(6) == #"pipeline "desk""#)
        #expect(result.seen(8).hasPrefix("at 1.00 s 9"))
        #expect(result.seen(9) == "no recording")
        #expect(result.seen(13) == #""agent speaks 2" never happened"#)
    }

    @Test func theSameTestIsTheSameCall() throws {
        let folder = try ScenarioFolder()
        let test = #"\#(tone), "expect": [{"agent": "speaks"}]"#
        let first = try folder.run(test).trace, second = try folder.run(test).trace
        #expect(first.entries == second.entries && first.agent.samples == second.agent.samples)
        #expect(first.playback == second.playback && first.end == second.end && !first.entries.isEmpty)
    }

    @Test func stepsThatNeverComeAreFailures() throws {
        let result = try ScenarioFolder().run(
            #""limitMs": 1000, "caller": [{"after": "agent speaks", "press": "1"}], "agents": [{}], "expect": [{"backend": "echo"}]"#
        )
        #expect(!result.isPassed && result.met == [true])
        #expect(result.trace.problems.count == 2, "\(result.trace.problems)")
        #expect(
            result.trace.problems.first?.hasPrefix("tests[0].caller[0] (line 1) never came: the call had ended") == true
        )
        #expect(result.trace.problems.last?.contains("tests[0].agents[0]") == true)
    }

    @Test func keysGoTheirWayAndALostLineIsNoHangUp() throws {
        let result = try ScenarioFolder().run(
            """
            "caller": [{"atMs": 200, "press": "12#"}, {"plusMs": 100, "cutOff": true}],
            "expect": [{"ends": "streamLost", "after": "key pressed 3", "fromMs": 100, "withinMs": 140}]
            """)
        #expect(result.isPassed, "\(result.text())")
        #expect(result.trace.entries.filter { $0.event == .keyPressed }.map(\.detail) == ["1", "2", "#"])
    }

    @Test func aRecordingGoesToAFolderOfItsOwnAndIsMeasured() throws {
        let folder = try ScenarioFolder(
            """
            {"name": "desk", "numbers": ["+15550100001"], "transport": "twilio",
             "stages": [{"type": "recorder", "path": "${call.sid}.wav"}, "echo"]}
            """)
        let result = try folder.run(
            #"\#(tone), "expect": [{"recording": {"fromMs": 3900, "toMs": 4100}}, {"recording": {"toMs": 10}}]"#)
        #expect(result.met == [true, false], "\(result.text())")
        #expect(!(try folder.files()).contains { $0.hasSuffix(".wav") })
    }

    @Test func aNumberOfAnotherPipelineIsToldAndFiltersApply() throws {
        let folder = try ScenarioFolder()
        try folder.write(
            #"{"name": "other", "numbers": ["+15550100002"], "transport": "twilio", "stages": ["echo"]}"#,
            to: "other.json")
        let result = try folder.run(#""number": "+15550100002", "expect": [{"backend": "echo"}]"#)
        #expect(result.trace.problems.first?.contains(#"leads to pipeline "other""#) == true)
        #expect(try folder.runAll(filter: "ONE").count == 1)
        #expect(try folder.runAll(filter: "two").isEmpty)
    }

    @Test func theEnvironmentIsTheFilesOwn() throws {
        let folder = try ScenarioFolder(
            #"{"name": "desk", "description": "${env.HOME}", "numbers": ["*"], "transport": "twilio", "stages": [{"type": "elevenlabs", "agentId": "${env.AGENT}"}]}"#
        )
        try folder.write(
            #"{"environment": {"AGENT": "a"}, "tests": [{"name": "one", "agents": [{"refuse": "down"}, {"refuse": "down"}], "expect": [{"ends": "failure", "reason": "down"}]}]}"#,
            to: "desk.test.json")
        let results = try folder.runAll()
        #expect(results.first?.isPassed == true, "\(results.first?.text() ?? "")")
    }

    @Test func rulesDecideByTheTestsOwnClockAndCaller() throws {
        let folder = try ScenarioFolder(
            """
            {"name": "desk", "numbers": ["+15550100001"], "transport": "twilio", "stages": ["echo"], "when": [
              {"callers": ["+4930*"], "say": "Not you."},
              {"outside": {"timeZone": "Europe/Berlin", "monday": ["09:00-17:00"]}, "pipeline": "night"}]}
            """)
        try folder.write(
            #"{"name": "night", "transport": "twilio", "stages": ["echo"]}"#, to: "night.json")
        let open = #""at": "2026-03-02T10:00:00+01:00""#, closed = #""at": "2026-03-02T18:00:00+01:00""#
        #expect(try folder.run(#"\#(open), "expect": [{"pipeline": "desk"}, {"backend": "echo"}]"#).isPassed)
        #expect(try folder.run(#"\#(closed), "expect": [{"pipeline": "night"}, {"backend": "echo"}]"#).isPassed)
        let said = try folder.run(
            #"\#(open), "from": "+49301234", "expect": [{"said": "Not you"}, {"ends": "answeredByRule"}, {"pipeline": "desk"}]"#
        )
        #expect(said.met == [true, true, false] && said.seen(2) == #"a rule said "Not you.""#, "\(said.text())")
    }

    @Test func withoutANumberTheCallGoesTheWayOfTheFirstClaim() throws {
        let folder = try ScenarioFolder(
            """
            {"name": "desk", "numbers": {"+4930*": {"greet": "Berlin"}}, "variables": {"greet": "nobody"},
             "transport": "twilio", "stages": ["echo"], "when": [{"callers": ["+1555*"], "say": "Not you, ${greet}."}]}
            """)
        // The digits that are tried first belong to another pipeline.
        try folder.write(
            #"{"name": "other", "numbers": ["+49309*", "*"], "transport": "twilio", "stages": ["echo"]}"#,
            to: "other.json")
        let said = try folder.run(#""from": "+15550100009", "expect": [{"said": "Not you, Berlin."}]"#)
        #expect(said.isPassed, "\(said.text())")
        #expect(try folder.run(#""from": "+445550100", "expect": [{"pipeline": "desk"}]"#).isPassed)
    }

    @Test func aPipelineWithoutNumbersIsAskedForItsRules() throws {
        let folder = try ScenarioFolder(
            """
            {"name": "desk", "transport": "twilio", "stages": ["echo"],
             "when": [{"callers": ["+1555*"], "say": "Closed now."}]}
            """)
        try folder.write(
            #"{"name": "other", "numbers": ["*"], "transport": "twilio", "stages": ["echo"]}"#, to: "other.json")
        let said = try folder.run(#""from": "+15550100009", "expect": [{"said": "Closed now."}]"#)
        #expect(said.isPassed, "\(said.text())")
        #expect(
            try folder.run(#""from": "+445550100", "expect": [{"pipeline": "desk"}, {"backend": "echo"}]"#).isPassed)
    }

    @Test func aWindowInWhichNothingCouldHappenIsAFailure() throws {
        let result = try ScenarioFolder().run(
            """
            "caller": [{"atMs": 400, "as": "first", "tone": {"frequencyHz": 440, "durationMs": 300}},
                       {"atMs": 1600, "as": "second", "tone": {"frequencyHz": 440, "durationMs": 300}}],
            "expect": [
              {"agent": "silent", "after": "second begins", "before": "agent stops"},
              {"agent": "speaks", "times": 0, "after": "second begins", "before": "agent stops"},
              {"agent": "silent", "after": "second begins", "before": "agent stops 1"},
              {"toneHz": 880, "times": 0, "after": "second begins", "before": "agent stops 1"},
              {"agent": "silent", "after": "second ends", "fromMs": 100, "before": "agent speaks"},
              {"agent": "silent", "fromMs": 600000, "withinMs": 700000},
              {"toneHz": 880, "times": 0, "after": "call ends"},
              {"agent": "silent", "after": "first ends", "fromMs": 100, "before": "agent speaks"},
              {"ends": "callerHungUp", "after": "call ends"}]
            """)
        #expect(result.met == [Bool](repeating: false, count: 7) + [true, true], "\(result.text())")
        #expect(result.seen(0).hasPrefix("heard from 1.62 s"))
        #expect(result.seen(2).hasPrefix(#"the window is empty: it begins at 1.60 s, "agent stops 1" was at"#))
        #expect(result.seen(4).hasPrefix(#""agent speaks" never happened after 2.00 s"#))
        #expect(result.seen(5).hasPrefix("the window is empty: it begins at 600.00 s, the call ended at"))
    }

    @Test func theBeginningAndTheEndOfANamedStepCanBeWaitedFor() throws {
        let result = try ScenarioFolder().run(
            """
            "limitMs": 6000, "caller": [
              {"atMs": 200, "as": "a", "tone": {"frequencyHz": 440, "durationMs": 2000}},
              {"after": "a begins", "plusMs": 300, "as": "b", "tone": {"frequencyHz": 880, "durationMs": 200}},
              {"after": "b ends", "plusMs": 100, "press": "1"}, {"after": "a ends", "plusMs": 1000, "hangUp": true}],
            "expect": [{"toneHz": 880, "fromMs": 500, "withinMs": 640}, {"toneHz": 440, "fromMs": 700, "times": 0},
              {"ends": "callerHungUp", "fromMs": 1480, "withinMs": 1540}]
            """)
        #expect(result.isPassed, "\(result.text())")
        let pressed = result.trace.entries.first { $0.event == .keyPressed }?.time.milliseconds ?? 0
        #expect((800...820).contains(pressed), "pressed at \(pressed) ms")
    }

    @Test func aFolderIsReadOnceForAllItsTests() throws {
        let folder = try ScenarioFolder()
        try folder.write(#"{"tests": [{"name": "one", "expect": [{"backend": "echo"}]}]}"#, to: "desk.test.json")
        let file = try #require(ScenarioFile.load(path: "\(folder.path)/desk.test.json").file)
        var runner = ScenarioRunner(registry: try .standard())
        #expect(runner.run(file).results.count == 1)
        try FileManager.default.removeItem(atPath: "\(folder.path)/desk.json")
        #expect(runner.run(file).results.count == 1)
        var another = ScenarioRunner(registry: try .standard())
        #expect(another.run(file).diagnostics.hasErrors)
    }
}
