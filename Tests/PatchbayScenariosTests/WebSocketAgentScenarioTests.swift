import Foundation
import Patchbay
import PatchbayScenarios
import PatchbayTesting
import Testing

/// Agents of one's own in tests, binary messages and all.
struct WebSocketAgentScenarioTests {
    private static let pipeline = """
        {"name": "desk", "numbers": ["+15550100001"], "transport": "twilio",
         "stages": [{"type": "websocket", "url": "ws://127.0.0.1:9"}]}
        """

    @Test func theShorthandsSpeakTheAgentProtocol() throws {
        let folder = try ScenarioFolder(Self.pipeline)
        try folder.writeTone(440, milliseconds: 1200, to: "greeting.wav")
        try folder.writeTone(880, milliseconds: 600, to: "answer.wav")
        let result = try folder.run(
            """
            "caller": [{"after": "agent speaks", "plusMs": 500, "as": "question", "tone": {"frequencyHz": 300, "durationMs": 400}},
                       {"after": "agent stops", "plusMs": 900, "press": "5"}],
            "limitMs": 5000,
            "agents": [{"backend": "websocket", "steps": [
              {"accept": {"inputFormat": "mulaw_8000", "outputFormat": "pcm16_24000"}},
              {"say": "greeting.wav", "words": "A long greeting of many words."},
              {"after": "caller speaks", "plusMs": 100, "interrupt": true},
              {"after": "caller stops", "plusMs": 300, "hears": "A ticket?"}, {"say": "answer.wav", "words": "Twelve pounds."},
              {"send": {"type": "ping", "id": 3}}]}],
            "expect": [
              {"toneHz": 440, "withinMs": 100}, {"interrupted": true, "after": "question begins", "withinMs": 140},
              {"callerHeard": "A long"}, {"callerHeard": "many words", "times": 0}, {"callerSays": "ticket"},
              {"agentSays": "Twelve"}, {"toneHz": 880, "after": "question ends", "withinMs": 500},
              {"sent": {"type": "start", "version": 1}, "withinMs": 0}, {"sent": {"type": "heard", "complete": false}},
              {"sent": {"type": "pong", "id": 3}}, {"sent": {"type": "dtmf", "digits": "5"}}]
            """)
        #expect(result.isPassed, "\(result.text())")
    }

    @Test func binaryMessagesAreSentInlineAndFromFiles() throws {
        let folder = try ScenarioFolder(Self.pipeline)
        let sound = Tone(440).samples(count: 8 * 600, sampleRate: 8000).map { G711.encodeMulaw($0) }
        let other = Tone(880).samples(count: 8 * 200, sampleRate: 8000).map { G711.encodeMulaw($0) }
        let base64 = Data(sound).base64EncodedString()
        try folder.write("{\"type\":\"x\"}\n\(base64)\n", to: "messages.jsonl")
        let result = try folder.run(
            """
            "limitMs": 3000,
            "agents": [{"steps": [{"accept": {"inputFormat": "mulaw_8000", "outputFormat": "mulaw_8000"}},
              {"atMs": 200, "sendBinary": "messages.jsonl:2"}, {"send": {"type": "turnEnded"}},
              {"atMs": 1500, "sendBinary": "\(Data(other).base64EncodedString())"}]}],
            "expect": [{"toneHz": 440, "fromMs": 180, "withinMs": 320}, {"toneHz": 880, "fromMs": 1480, "withinMs": 1620}]
            """)
        #expect(result.isPassed, "\(result.text())")
    }

    @Test func aCallInBinaryBecomesATestThatPasses() throws {
        let folder = try ScenarioFolder(Self.pipeline)
        let sound = Tone(440).samples(count: 8 * 600, sampleRate: 8000).map { G711.encodeMulaw($0) }
        let silence = Data(repeating: 0xFF, count: 160).base64EncodedString()
        var lines = [
            #"{"wireLog": 1, "file": "\#(folder.path)/desk.json", "number": "+15550100001", "backend": "websocket"}"#,
            #"{"ms": 1, "event": "dialling", "backend": "websocket"}"#, #"{"ms": 2, "event": "connected"}"#,
            #"{"ms": 3, "direction": ">agent", "message": {"type": "start"}}"#,
            #"{"ms": 5, "direction": "agent>", "message": {"type": "ready"}}"#,
            """
            {"ms": 10, "direction": "carrier>", "message": {"event":"start","sequenceNumber":"1","streamSid":"MZ1",\
            "start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],\
            "mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}}
            """,
        ]
        for index in 0..<100 {
            lines.append(
                """
                {"ms": \(30 + 20 * index), "direction": "carrier>", "message": {"event":"media","sequenceNumber":"2",\
                "streamSid":"MZ1","media":{"track":"inbound","chunk":"1","timestamp":"\(20 * index)","payload":"\(silence)"}}}
                """)
            if index == 20 {
                lines.append(
                    #"{"ms": 440, "direction": "agent>", "base64": "\#(Data(sound).base64EncodedString())"}"#)
            }
        }
        let stop =
            #"{"event":"stop","sequenceNumber":"3","streamSid":"MZ1","stop":{"accountSid":"AC1","callSid":"CA1"}}"#
        lines.append(#"{"ms": 2030, "direction": "carrier>", "message": \#(stop)}"#)
        lines.append(#"{"ms": 2040, "event": "ended", "reason": "callerHungUp"}"#)
        try folder.write(lines.joined(separator: "\n") + "\n", to: "x.wire.jsonl")
        let recorded = try RecordedCall(path: "\(folder.path)/x.wire.jsonl")
        #expect(recorded.gaps.isEmpty)
        let files = try ScenarioRecorder(recorded).write(to: "\(folder.path)/desk.test.json", pipeline: nil)
        let test = try String(contentsOfFile: files[0], encoding: .utf8)
        #expect(test.contains(#""sendBinary": "desk.agent.jsonl:1""#), "\(test)")
        let result = try #require(try folder.runAll().first)
        #expect(result.isPassed && result.checks.count >= 3, "\(result.text())")
        #expect(result.trace.agent.stretches.count == 1, "the agent's binary sound was heard")

        lines.insert(#"{"ms": 6, "direction": "agent>", "message": {"n": 1}, "binary": true}"#, at: 5)
        try folder.write(lines.joined(separator: "\n") + "\n", to: "y.wire.jsonl")
        let again = try ScenarioRecorder(RecordedCall(path: "\(folder.path)/y.wire.jsonl")).write(
            to: "\(folder.path)/again.test.json", pipeline: nil)
        #expect(try String(contentsOfFile: again[0], encoding: .utf8).contains(#""sendBinary": {"n": 1}"#))
    }
}
