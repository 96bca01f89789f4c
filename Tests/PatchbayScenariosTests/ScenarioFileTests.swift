import Foundation
import Patchbay
import PatchbayScenarios
import Testing

/// The reading of test files.
struct ScenarioFileTests {
    private func findings(_ text: String) throws -> [String] {
        let folder = try ScenarioFolder()
        try folder.writeTone(440, milliseconds: 20, to: "there.wav")
        let source = SourceText(file: "\(folder.path)/desk.test.json", text)
        let (file, diagnostics) = ScenarioFile.load(source)
        #expect((file == nil) == diagnostics.hasErrors)
        for diagnostic in diagnostics { #expect(diagnostic.excerpt != nil, "\(diagnostic) shows its line") }
        return diagnostics.map { "\($0.line):\($0.column) \($0.code) \($0.path)" }
    }

    private func test(_ members: String) -> String { #"{"tests": [{"name": "one", \#(members)}]}"# }

    private let fine = #""expect": [{"agent": "speaks"}]"#

    @Test func aSoundFileHasNoFindings() throws {
        #expect(try findings(test(#""caller": [{"say": "there.wav"}], \#(fine)"#)).isEmpty)
    }

    @Test(arguments: [
        (#"{"tests": []}"#, "1:11 empty-list tests"),
        (#"{"test": []}"#, "1:2 unknown-field test"),
        (#"{"tests": [{"name": "a", "expect": []}]}"#, "1:36 empty-list tests[0].expect"),
        (
            #"{"pipeline": "gone.json", "tests": [{"name": "a", "expect": [{"agent": "speaks"}]}]}"#,
            "1:14 unreadable-file pipeline"
        ),
        (
            "{\n  \"tests\": [{\"name\": \"a\", \"expect\": [{\"agent\": \"sings\"}]}]\n}",
            "2:48 not-allowed tests[0].expect[0].agent"
        ),
    ])
    func documents(text: String, finding: String) throws { #expect(try findings(text) == [finding]) }

    @Test(arguments: [
        (#"{"say": "gone.wav"}"#, "unreadable-file tests[0].caller[0].say"),
        (#"{"say": "there.wav", "press": "1"}"#, "not-allowed tests[0].caller[0]"),
        (#"{"atMs": 5}"#, "missing-field tests[0].caller[0]"),
        (#"{"press": "1x"}"#, "not-allowed tests[0].caller[0].press"),
        (#"{"hangUp": false}"#, "not-allowed tests[0].caller[0].hangUp"),
        (#"{"hangUp": true, "after": "agent sleeps"}"#, "not-allowed tests[0].caller[0].after"),
        (#"{"hangUp": true, "after": "agent stops", "atMs": 3}"#, "not-allowed tests[0].caller[0].after"),
        (#"{"hangUp": true, "atMs": 3, "plusMs": 1}"#, "not-allowed tests[0].caller[0].plusMs"),
        (#"{"as": "agent speaks", "hangUp": true}"#, "bad-name tests[0].caller[0].as"),
        (#"{"tone": {"frequencyHz": 9000, "durationMs": 20}}"#, "out-of-range tests[0].caller[0].tone.frequencyHz"),
    ])
    func callerSteps(step: String, finding: String) throws {
        let found = try findings(test(#""caller": [\#(step)], \#(fine)"#))
        #expect(found.map { $0.split(separator: " ").dropFirst().joined(separator: " ") } == [finding])
    }

    @Test(arguments: [
        (#"{"accept": {}, "say": "there.wav"}"#, "not-allowed tests[0].agents[0].steps[0]"),
        (#"{"hears": "x", "words": "y"}"#, "not-allowed tests[0].agents[0].steps[0].words"),
        (#"{"send": "nowhere.jsonl:1"}"#, "unreadable-file tests[0].agents[0].steps[0].send"),
        (#"{"send": "a text"}"#, "not-allowed tests[0].agents[0].steps[0].send"),
        (#"{"sendBinary": "nowhere.jsonl:1"}"#, "unreadable-file tests[0].agents[0].steps[0].sendBinary"),
        (#"{"sendBinary": "no base64"}"#, "not-allowed tests[0].agents[0].steps[0].sendBinary"),
        (#"{"close": 7}"#, "out-of-range tests[0].agents[0].steps[0].close"),
    ])
    func agentSteps(step: String, finding: String) throws {
        let found = try findings(test(#""agents": [{"steps": [\#(step)]}], \#(fine)"#))
        #expect(found.map { $0.split(separator: " ").dropFirst().joined(separator: " ") } == [finding])
    }

    @Test(arguments: [
        (#"{}"#, "missing-field tests[0].expect[0]"),
        (#"{"agent": "speaks", "ends": "idle"}"#, "not-allowed tests[0].expect[0]"),
        (#"{"agent": "speaks", "fromMs": 10, "withinMs": 5}"#, "out-of-range tests[0].expect[0].withinMs"),
        (#"{"agent": "silent", "times": 2}"#, "not-allowed tests[0].expect[0].times"),
        (#"{"pipeline": "x", "withinMs": 5}"#, "not-allowed tests[0].expect[0].withinMs"),
        (#"{"sent": "pong"}"#, "wrong-type tests[0].expect[0].sent"),
        (#"{"ledger": {}}"#, "missing-field tests[0].expect[0].ledger"),
        (#"{"agent": "speaks", "after": "question ends"}"#, "not-allowed tests[0].expect[0].after"),
        (#"{"agentSays": ""}"#, "not-allowed tests[0].expect[0].agentSays"),
        (#"{"interrupted": false, "times": 0}"#, "not-allowed tests[0].expect[0].times"),
    ])
    func expectations(expectation: String, finding: String) throws {
        let found = try findings(test(#""expect": [\#(expectation)]"#))
        #expect(found.map { $0.split(separator: " ").dropFirst().joined(separator: " ") } == [finding])
    }

    /// A wrong type is no reason to keep the other mistakes back, and none is told twice.
    @Test(arguments: [
        (
            #"{"tests": [{"name": "a", "caller": [{"say": 5}, {"press": "1x"}], "expect": [{"agent": "speeks"}, {}]}]}"#,
            [
                "wrong-type tests[0].caller[0].say", "not-allowed tests[0].caller[1].press",
                "not-allowed tests[0].expect[0].agent", "missing-field tests[0].expect[1]",
            ]
        ),
        (
            #"{"tests": [7, {"name": "a", "at": 5, "number": "12", "expect": [{"agent": "speaks", "after": "nobody"}]}]}"#,
            [
                "wrong-type tests[0]", "wrong-type tests[1].at", "bad-number tests[1].number",
                "not-allowed tests[1].expect[0].after",
            ]
        ),
        (
            #"{"tests": [{"name": 1, "expect": []}, {"name": 2, "agents": [{"steps": [{"close": 7}, {"send": "x"}]}], "expect": 5}]}"#,
            [
                "wrong-type tests[0].name", "empty-list tests[0].expect", "wrong-type tests[1].name",
                "out-of-range tests[1].agents[0].steps[0].close", "not-allowed tests[1].agents[0].steps[1].send",
                "wrong-type tests[1].expect",
            ]
        ),
        (
            #"{"tests": [{"name": "a", "caller": [{"as": 5, "press": "1"}], "expect": [{"agent": "speaks", "after": "question ends"}]}]}"#,
            ["wrong-type tests[0].caller[0].as"]
        ),
        (#"{"tests": {"name": "a"}, "pipeline": 5}"#, ["wrong-type tests", "wrong-type pipeline"]),
    ])
    func allMistakesAtOnce(text: String, expected: [String]) throws {
        let found = try findings(text).map { $0.split(separator: " ").dropFirst().joined(separator: " ") }
        #expect(found == expected)
    }

    @Test func aPipelineIsNoFileOfTests() throws {
        let pipeline = #"{"name": "desk", "transport": "twilio", "stages": ["echo"]}"#
        #expect(try findings(pipeline) == ["1:41 missing-field stages"])
        let (_, diagnostics) = ScenarioFile.load(SourceText(file: "p/desk.json", pipeline))
        #expect(diagnostics.first?.suggestion?.text == "its tests would be in p/desk.test.json")
    }

    @Test(arguments: [
        ("2026-12-24T18:00", "2026-12-24T18:00:00Z"), ("2026-12-24T18:00:05", "2026-12-24T18:00:05Z"),
        ("tomorrow", "for instance"),
    ])
    func aTimeWithoutItsZoneGetsOne(time: String, remedy: String) {
        let text = test(#""at": "\#(time)", \#(fine)"#)
        let (_, diagnostics) = ScenarioFile.load(SourceText(file: "p/desk.test.json", text))
        #expect(diagnostics.first?.suggestion?.text.contains(remedy) == true, "\(diagnostics.rendered())")
    }

    @Test func aMisspeltEventGetsAProposal() throws {
        let folder = try ScenarioFolder()
        let text = test(
            #""caller": [{"as": "question", "press": "1"}], "expect": [{"agent": "speaks", "after": "qestion ends"}]"#)
        let (_, diagnostics) = ScenarioFile.load(SourceText(file: "\(folder.path)/desk.test.json", text))
        #expect(diagnostics.first?.suggestion?.replacement == "question ends")
    }

    @Test func foldersGiveTheirTestFilesInOrder() throws {
        let folder = try ScenarioFolder()
        for name in ["b.test.json", "a.test.json", "c.json"] { try folder.write("{}", to: name) }
        let (files, diagnostics) = ScenarioFile.files(in: [folder.path, "/nowhere"])
        #expect(files == ["a.test.json", "b.test.json"].map { "\(folder.path)/\($0)" })
        #expect(diagnostics.map(\.code) == [.unreadableFile])
    }
}
