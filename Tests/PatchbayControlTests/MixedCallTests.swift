import Foundation
import NIOCore
import Patchbay
import PatchbayTesting
import Testing

/// A barge-in that was none, an announcement and background at once, on a clock of their own.
@Suite struct MixedCallTests {
    private static let speechFile = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Pipelines/audio/caller-question.wav").standardizedFileURL.path

    private func agentSound(_ stages: String, saying said: [Int16]) throws -> [Int16] {
        let document = """
            {"name": "t", "numbers": ["*"], "transport": {"type": "file", "encoding": "mulaw"}, "stages": [\(stages)]}
            """
        let (set, diagnostics) = PipelineSet.load(
            sources: [SourceText(file: "t.json", document)], registry: try .standard(), environment: [:])
        let plan = try #require(set?.route("+1"), "\(diagnostics.rendered())").plan(for: CallVariables(sid: "CA1"))
        let format = plan.transport.component.format(plan.transport.settings)
        let line = try FileLine(
            said, format: format, callSid: "CA1", patience: .seconds(1),
            limit: .milliseconds(Int64(said.count / 8)))
        var call = try FileCall(
            try CallParts(plan).makePlan(CallInfo(id: "1", callSid: "CA1", from: "", to: "+1", pipeline: "t")), line)
        _ = call.run()
        return call.line.sound.agent
    }

    private func silence(_ milliseconds: Int) -> [Int16] { [Int16](repeating: 0, count: 8 * milliseconds) }

    /// A sound file of its own, removed afterwards.
    private func withSound<Result>(_ samples: [Int16], _ body: (String) throws -> Result) throws -> Result {
        let path = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID().uuidString).wav").path
        try WAVFile(samples: samples, sampleRate: 8000).write(to: path)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    @Test(arguments: [false, true]) func aFalseBargeInCostsNoWord(hasMixer: Bool) throws {
        // Background that is there and cannot be heard, so that the words can be compared.
        try withSound(silence(1000)) { quiet in
            let mixer = hasMixer ? #", {"type": "mixer", "sound": "\#(quiet)"}"# : ""
            let stages = """
                "decoder", "vad", {"type": "turns", "minimumBargeInMs": 100, "confirmMs": 1000, "resumeAfterMs": 600},
                {"type": "script", "say": "\(Self.speechFile)", "silenceSeconds": 60},
                {"type": "resampler", "rateHz": 8000}\(mixer), "encoder"
                """
            let undisturbed = try agentSound(stages, saying: silence(7000))
            let cough = Tone(440).samples(count: 2800, sampleRate: 8000)
            let disturbed = try agentSound(stages, saying: silence(1203) + cough + silence(5800))
            let differs = try #require(zip(undisturbed, disturbed).enumerated().first { $1.0 != $1.1 }?.offset)
            let paused = disturbed[differs...].prefix(2400)
            #expect(paused.allSatisfy { abs(Int($0)) < 50 }, "playback stopped")
            let goesOn = try #require(disturbed[(differs + 2400)...].firstIndex { abs(Int($0)) > 50 })
            // What follows is what was not heard, word for word.
            let rest = Array(disturbed[goesOn...].prefix(8000))
            let place = (differs - 400..<differs + 1600).first { Array(undisturbed[$0...].prefix(8000)) == rest }
            #expect(place != nil, "no hole and no repetition in what follows")
            #expect((place ?? 0) >= differs - 160 && (place ?? .max) <= differs + 800)
        }
    }

    @Test func anAnnouncementIsHeardWholeOverBackground() throws {
        try withSound(Tone(200, level: -30).samples(count: 8000, sampleRate: 8000)) { hum in
            let directory = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID().uuidString)").path
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let heard = try agentSound(
                """
                {"type": "recorder", "path": "a.wav", "directory": "\(directory)", "announcement": "\(Self.speechFile)"},
                "decoder", {"type": "script", "say": "\(Self.speechFile)", "silenceSeconds": 60},
                {"type": "resampler", "rateHz": 8000}, {"type": "mixer", "sound": "\(hum)"}, "encoder"
                """, saying: silence(14_000))
            let loud = heard.map { abs(Int($0)) > 2500 }
            let length = try WAVFile(path: Self.speechFile).durationNanoseconds / 125_000
            // Both of them, one behind the other, and nothing like speech afterwards.
            let last = try #require(loud.lastIndex(of: true))
            #expect(abs(last - 2 * Int(length)) < 4000, "\(last) of \(2 * length)")
            var samples: [Int16] = []
            let once = try WAVFile(path: Self.speechFile).audio(in: .pcm(8000))
                .withUnsafeSamples(copyingInto: &samples) { $0.filter { abs(Int($0)) > 2500 }.count }
            let count = loud.filter { $0 }.count
            #expect(abs(count - 2 * once) < once / 10, "\(count) loud samples, twice \(once)")
        }
    }
}
