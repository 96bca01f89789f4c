import Patchbay
import PatchbayScenarios
import Testing

/// The shorthands of a test in the words of vendors that have one format for each direction.
struct VendorVoiceTests {
    private static let vendors = [
        (
            "openai-realtime", #"{"type": "openai-realtime", "apiKey": {"env": "KEY"}}"#,
            #"{"accept": {"outputFormat": "audio/pcm"}}"#, #"{"type": "session.update"}"#
        ),
        (
            "openai-realtime", #"{"type": "openai-realtime", "apiKey": {"env": "KEY"}}"#, #"{"accept": {}}"#,
            #"{"type": "session.update"}"#
        ),
        (
            "gemini-live", #"{"type": "gemini-live", "apiKey": {"env": "KEY"}}"#, #"{"accept": {}}"#,
            #"{"setup": {"model": "models/gemini-2.5-flash-native-audio-preview-12-2025"}}"#
        ),
    ]

    private func run(_ agent: String, _ test: String) throws -> ScenarioResult {
        let folder = try ScenarioFolder(
            #"{"name": "desk", "numbers": ["+15550100001"], "transport": "twilio", "stages": [\#(agent)]}"#)
        try folder.writeTone(440, milliseconds: 1200, to: "greeting.wav")
        try folder.writeTone(880, milliseconds: 600, to: "answer.wav")
        try folder.write(
            #"{"environment": {"KEY": "test"}, "tests": [{"name": "one", \#(test)}]}"#, to: "desk.test.json")
        return try #require(try folder.runAll().first)
    }

    @Test(arguments: vendors) func aConversation(backend: String, agent: String, accept: String, sent: String) throws {
        let result = try run(
            agent,
            """
            "limitMs": 6000,
            "caller": [{"after": "agent speaks", "plusMs": 500, "as": "question", "tone": {"frequencyHz": 300, "durationMs": 400}}],
            "agents": [{"backend": "\(backend)", "steps": [\(accept),
              {"say": "greeting.wav", "words": "A long greeting of many words."},
              {"after": "caller speaks", "plusMs": 100, "interrupt": true},
              {"after": "caller stops", "plusMs": 300, "hears": "A ticket?"}, {"say": "answer.wav", "words": "Twelve pounds."}]}],
            "expect": [
              {"sent": \(sent)}, {"toneHz": 440, "withinMs": 300}, {"interrupted": true, "after": "question begins", "withinMs": 160},
              {"callerHeard": "A long"}, {"callerHeard": "many words", "times": 0}, {"callerSays": "ticket"},
              {"agentSays": "Twelve"}, {"callerHeard": "Twelve pounds."},
              {"toneHz": 880, "after": "question ends", "withinMs": 600}]
            """)
        #expect(result.isPassed, "\(result.text())")
    }

    @Test func aFormatThatTheVendorLacksIsAProblemOfTheTest() throws {
        for (_, agent, _, _) in Self.vendors.dropFirst() {
            let result = try run(
                agent,
                #""limitMs": 1000, "agents": [{"steps": [{"accept": {"outputFormat": "mp3"}}]}], "expect": [{"agent": "silent"}]"#
            )
            #expect(result.trace.problems.first?.contains("mp3") == true, "\(result.text())")
        }
    }
}
