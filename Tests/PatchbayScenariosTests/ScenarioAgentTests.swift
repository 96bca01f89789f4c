import Patchbay
import PatchbayScenarios
import Testing

/// Vendors that are played by a test, message by message.
struct ScenarioAgentTests {
    private let accept = #"{"accept": {"inputFormat": "ulaw_8000", "outputFormat": "ulaw_8000"}}"#

    private func folder() throws -> ScenarioFolder {
        let folder = try ScenarioFolder(ScenarioFolder.vendor)
        try folder.writeTone(440, milliseconds: 1200, to: "greeting.wav")
        try folder.writeTone(880, milliseconds: 600, to: "answer.wav")
        return folder
    }

    @Test func aConversationWithWordsAnswersAndPings() throws {
        let result = try folder().run(
            """
            "caller": [{"after": "agent stops", "plusMs": 500, "as": "question", "tone": {"frequencyHz": 300, "durationMs": 500}},
                       {"after": "agent stops", "hangUp": true}],
            "agents": [{"backend": "elevenlabs", "steps": [\(accept), {"as": "greeting", "say": "greeting.wav", "words": "Hello there."},
              {"send": {"type": "ping", "ping_event": {"event_id": 7}}},
              {"after": "caller stops", "plusMs": 300, "hears": "A ticket?"}, {"say": "answer.wav", "words": "Twelve pounds."}]}],
            "expect": [
              {"toneHz": 440, "withinMs": 60}, {"agentSays": "Hello"}, {"callerHeard": "Hello there."},
              {"sent": {"type": "pong", "event_id": 7}}, {"sent": {"type": "conversation_initiation_client_data"}, "withinMs": 0},
              {"callerSays": "ticket", "after": "question ends", "withinMs": 320},
              {"toneHz": 880, "after": "question ends", "withinMs": 400}, {"agentSays": "pounds"},
              {"toneHz": 880, "before": "question ends", "times": 0}]
            """)
        #expect(result.isPassed, "\(result.text())")
    }

    @Test func anInterruptionCutsWhatWaitsAtTheCarrier() throws {
        let result = try folder().run(
            """
            "caller": [{"after": "agent speaks", "plusMs": 500, "as": "question", "tone": {"frequencyHz": 300, "durationMs": 400}}],
            "agents": [{"steps": [\(accept), {"say": "greeting.wav", "words": "A long greeting of many words.", "complete": false},
              {"after": "caller speaks", "plusMs": 100, "interrupt": true}]}],
            "expect": [
              {"interrupted": true, "after": "question begins", "withinMs": 120},
              {"sentToCarrier": {"event": "clear"}, "after": "question begins", "withinMs": 120},
              {"agent": "stops", "after": "question begins", "withinMs": 160}, {"callerHeard": "many words", "times": 0},
              {"callerHeard": "A long"}, {"ledger": {"unplayedToMs": 0}, "after": "interrupted", "fromMs": 40}]
            """)
        #expect(result.isPassed, "\(result.text())")
    }

    @Test func theSecondAgentAnswersWhenTheFirstCloses() throws {
        let result = try folder().run(
            """
            "limitMs": 4000,
            "agents": [{"steps": [\(accept), {"say": "greeting.wav"}, {"atMs": 600, "close": 1011, "reason": "crashed"}]},
                       {"connectMs": 200, "steps": [\(accept), {"say": "answer.wav"}]}],
            "expect": [{"agent": "stops", "before": "agent ready 2"}, {"toneHz": 880, "after": "agent closed", "withinMs": 700},
                       {"backend": "elevenlabs", "times": 2}]
            """)
        #expect(result.met == [false, true, true], "what the first had sent is played to its end: \(result.text())")
        #expect(result.trace.problems.isEmpty, "\(result.trace.problems)")
    }

    @Test func refusedConnectionsAndSilenceAreFailures() throws {
        let refused = try folder().run(
            #""agents": [{"refuse": "no route"}, {"refuse": "no route"}, {"refuse": "no route"}], "expect": [{"ends": "failure", "reason": "no route"}]"#
        )
        #expect(refused.isPassed, "\(refused.text())")
        let silent = try folder().run(
            #""agents": [{}, {"steps": [\#(accept)]}], "expect": [{"backend": "elevenlabs", "fromMs": 9800, "withinMs": 10200}]"#
        )
        #expect(silent.met == [false], "the caller does not wait for ten seconds: \(silent.text())")
        let waiting = try folder().run(
            #""caller": [{"silenceMs": 11000}], "agents": [{}, {"steps": [\#(accept)]}], "expect": [{"backend": "elevenlabs", "fromMs": 9800, "withinMs": 10200}]"#
        )
        #expect(waiting.isPassed, "\(waiting.text())")
    }

    @Test func whatTheTestLeavesOutIsTold() throws {
        let missing = try folder().run(#""expect": [{"ends": "failure"}]"#)
        #expect(missing.trace.problems.first?.hasPrefix(#""elevenlabs" is dialled (connection 1)"#) == true)
        let other = try folder().run(
            #""agents": [{"backend": "gemini-live", "steps": [\#(accept)]}], "expect": [{"backend": "elevenlabs"}]"#)
        #expect(other.met == [true] && other.trace.problems.count == 1)
        let wrong = try folder().run(
            #""agents": [{"steps": [{"accept": {"outputFormat": "mp3"}}]}], "limitMs": 1000, "expect": [{"backend": "elevenlabs", "times": 0}]"#
        )
        #expect(wrong.trace.problems.first?.contains("mp3") == true)
    }

    @Test func aMessageOfAFileIsSentAsItStands() throws {
        let folder = try folder()
        try folder.write("{}\n{\"type\":\"ping\",\"ping_event\":{\"event_id\":41}}\n", to: "messages.jsonl")
        let result = try folder.run(
            #""limitMs": 1000, "agents": [{"steps": [\#(accept), {"send": "messages.jsonl:2"}]}], "expect": [{"sent": {"event_id": 41}}]"#
        )
        #expect(result.isPassed, "\(result.text())")
    }
}
