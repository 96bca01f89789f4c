import Patchbay
import PatchbayScenarios
import Testing

/// An agent of this process that calls a tool for each key: `1` books for four, `2` for nobody, `3` calls what does not exist. Says
/// what the tool answered.
private struct ToolCaller: AgentComponent {
    let spec = ComponentSpec("tool-caller", .agent, summary: "Calls tools by keys.")

    func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend { Backend() }

    private struct Backend: AgentBackend {
        let type = "tool-caller"

        func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
            AgentSession(Conversation(joint: request.joint), endpoint: .local)
        }
    }

    private struct Conversation: AgentConversation {
        let joint: AudioFormat
        var count = 0

        mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
            output.emit(.ready(input: joint, output: joint))
        }

        mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
            guard case .dtmf(let key) = frame else { return }
            let calls: [Character: (String, String)] = [
                "1": ("book", #"{"guests": 4, "day": "2026-01-31"}"#), "2": ("book_table", "{}"),
                "3": ("no_such_tool", "{}"),
            ]
            guard let (name, arguments) = calls[key] else { return }
            count += 1
            output.emit(.toolCall(ToolCall(id: "t\(count)", name: name, arguments: arguments)))
        }

        mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
            output.emit(.text(TextFrame((result.isError ? "failed: " : "") + result.output, speaker: .agent)))
        }
    }
}

/// Tools that a test answers instead of their service.
struct ScenarioToolTests {
    private static let desk = """
        {"name": "desk", "numbers": ["+15550100001"], "transport": "twilio", "stages": ["tool-caller"], "tools": [
          {"name": "book_table", "aliases": ["book"], "description": "Books.", "url": "https://nobody.invalid/book",
           "parameters": {"type": "object", "properties": {"guests": {"type": "integer"}, "day": {"type": "string"}}, "required": ["guests"]},
           "headers": {"X-Key": {"env": "NOT_SET"}}, "waiting": "wait.wav", "waitingAfterMs": 400}]}
        """

    private func run(_ test: String) throws -> ScenarioResult {
        let folder = try ScenarioFolder(Self.desk, adding: [ToolCaller()])
        try folder.writeTone(700, milliseconds: 300, to: "wait.wav")
        return try folder.run(test)
    }

    @Test func aToolAnswersInItsTimeAndIsSeenWithItsArguments() throws {
        let result = try run(
            """
            "caller": [{"atMs": 500, "press": "1"}, {"after": "tool answered", "plusMs": 200, "hangUp": true}],
            "tools": [{"tool": "book_table", "with": {"guests": 4}, "answer": {"ok": true}, "afterMs": 300}],
            "expect": [{"toolCalled": "book_table", "with": {"guests": 4, "day": "2026-01-31"}, "fromMs": 480, "withinMs": 560, "times": 1},
                       {"toolCalled": "book", "times": 1}, {"toolCalled": "book", "with": {"guests": 5}, "times": 0},
                       {"agentSays": "\\"ok\\": true", "after": "tool called", "fromMs": 300, "withinMs": 340}, {"agent": "silent"}]
            """)
        #expect(result.isPassed, "\(result.text())")
    }

    @Test func aToolThatIsLateIsGivenUpAsInARealCall() throws {
        let result = try run(
            """
            "caller": [{"atMs": 500, "press": "1"}, {"after": "tool answered", "plusMs": 200, "hangUp": true}],
            "tools": [{"tool": "book", "error": "never heard of", "afterMs": 9000}],
            "expect": [{"agentSays": "failed: The tool did not answer within 8000 ms.", "after": "tool called",
                        "fromMs": 7990, "withinMs": 8040}, {"agentSays": "never heard of", "times": 0}]
            """)
        #expect(result.isPassed, "\(result.text())")
    }

    @Test func anAnswerThatComesTooLateToBeGivenIsAProblemOfTheTest() throws {
        let result = try run(
            """
            "caller": [{"atMs": 500, "press": "1"}, {"after": "tool answered", "plusMs": 200, "hangUp": true}],
            "tools": [{"tool": "book", "answer": "never heard of", "afterMs": 9000}], "expect": [{"toolCalled": "book"}]
            """)
        #expect(!result.isPassed && result.trace.problems.count == 1)
        #expect(result.trace.problems.first?.contains("after 9000 ms") == true, "\(result.trace.problems)")
    }

    @Test func answersComeInTheirOrderAndTheLastOneStays() throws {
        let result = try run(
            """
            "caller": [{"atMs": 500, "press": "111"}, {"silenceMs": 1000}],
            "tools": [{"tool": "book", "answer": "first"}, {"tool": "book", "error": "full"}],
            "expect": [{"agentSays": "first", "times": 1}, {"agentSays": "failed: full", "times": 2}, {"toolCalled": "book", "times": 3}]
            """)
        #expect(result.isPassed, "\(result.text())")
    }

    @Test func whatIsWrongWithACallIsAnsweredAsInARealOne() throws {
        let result = try run(
            """
            "caller": [{"atMs": 500, "press": "23"}, {"silenceMs": 1000}],
            "expect": [{"agentSays": "\\"guests\\" is missing"}, {"agentSays": "There is no tool \\"no_such_tool\\""},
                       {"toolCalled": "no_such_tool"}]
            """)
        #expect(result.isPassed, "\(result.text())")
    }

    @Test func theCallerHearsThatItTakesAMoment() throws {
        let result = try run(
            """
            "caller": [{"atMs": 500, "press": "1"}, {"after": "tool answered", "plusMs": 500, "hangUp": true}],
            "tools": [{"tool": "book", "answer": "x", "afterMs": 2000}],
            "expect": [{"toneHz": 700, "after": "tool called", "fromMs": 380, "withinMs": 520, "times": 1},
                       {"agent": "stops", "after": "tool called", "fromMs": 600, "withinMs": 900}]
            """)
        #expect(result.isPassed, "\(result.text())")
    }

    @Test func aToolThatTheTestForgotIsAProblemOfTheTest() throws {
        let result = try run(
            #""caller": [{"atMs": 500, "press": "1"}], "tools": [{"tool": "book", "with": {"guests": 2}, "answer": "x"}], "expect": [{"toolCalled": "book"}]"#
        )
        #expect(!result.isPassed && result.trace.problems.count == 1)
        #expect(
            result.trace.problems.first?.contains("\"book_table\" is called with") == true, "\(result.trace.problems)")
    }

    @Test(arguments: [
        (#""tools": [{"tool": "book"}], "expect": [{"toolCalled": "book"}]"#, "says nothing"),
        (
            #""tools": [{"tool": "book", "answer": 1, "error": "x"}], "expect": [{"toolCalled": "book"}]"#,
            "several things"
        ),
        (#""tools": [{"tool": "book", "with": 1, "answer": 1}], "expect": [{"toolCalled": "book"}]"#, "is an object"),
        (#""expect": [{"toolCalled": "book", "with": []}]"#, "is an object"),
        (#""expect": [{"agentSays": "x", "with": {}}]"#, "only \"toolCalled\" has arguments"),
        (#""expect": [{"toolCalled": ""}]"#, "is empty"),
    ])
    func mistakesAreFound(_ test: String, _ words: String) throws {
        let folder = try ScenarioFolder(Self.desk, adding: [ToolCaller()])
        try folder.write(#"{"tests": [{"name": "one", \#(test)}]}"#, to: "desk.test.json")
        let (file, findings) = ScenarioFile.load(path: "\(folder.path)/desk.test.json")
        #expect(file == nil && findings.contains { $0.message.contains(words) }, "\(findings.rendered())")
    }

    @Test func aRecordedCallBringsItsTools() throws {
        let folder = try ScenarioFolder(Self.desk, adding: [ToolCaller()])
        try folder.writeTone(700, milliseconds: 300, to: "wait.wav")
        let start =
            #"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC0","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},"streamSid":"MZ1"}"#
        let key =
            #"{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"2","dtmf":{"track":"inbound_track","digit":"1"}}"#
        let stop =
            #"{"event":"stop","streamSid":"MZ1","sequenceNumber":"3","stop":{"accountSid":"AC0","callSid":"CA1"}}"#
        let lines = [
            #"{"wireLog":1,"call":"c","file":"\#(folder.path)/desk.json","number":"+15550100001","backend":"tool-caller","startedAt":"2026-01-07T10:00:00Z"}"#,
            #"{"ms":100.000,"direction":"carrier>","message":\#(start)}"#,
            #"{"ms":600.000,"direction":"carrier>","message":\#(key)}"#,
            #"{"ms":600.100,"event":"toolCalled","id":"t1","tool":"book","arguments":{"guests":4,"day":"2026-01-31"}}"#,
            #"{"ms":750.000,"event":"toolAnswered","id":"t1","outcome":"ok","answer":{"number":17}}"#,
            #"{"ms":2600.000,"direction":"carrier>","message":\#(stop)}"#,
            #"{"ms":2600.000,"event":"ended","reason":"callerHungUp","detail":""}"#,
        ]
        try folder.write(lines.joined(separator: "\n") + "\n", to: "call.wire.jsonl")
        let call = try RecordedCall(path: "\(folder.path)/call.wire.jsonl")
        #expect(call.tools.count == 1 && call.tools.first?.answer?.json == #"{"number":17}"#)
        _ = try ScenarioRecorder(call).write(to: "\(folder.path)/desk.test.json", pipeline: nil)
        let results = try folder.runAll()
        let result = try #require(results.first)
        #expect(result.isPassed, "\(result.text())")
        #expect(result.checks.contains { "\($0.expectation)".contains("the tool \"book\" is called with") })
        #expect(result.trace.words.contains { $0.text == #"{ "number": 17 }"# }, "\(result.trace.words)")
    }
}
