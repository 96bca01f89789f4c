import Foundation
import NIOCore
import Patchbay
import PatchbaySimulators
import PatchbayTesting
import Testing

/// Our connector and the simulated Realtime API over real sockets.
@Suite struct OpenAICallTests: Sendable {
    private func tone(milliseconds: Int) -> [UInt8] {
        Tone(440).samples(count: 8 * milliseconds, sampleRate: 8000).map { G711.encodeMulaw($0) }
    }

    /// Three seconds of a tone for every line that is spoken.
    private static let line: String = {
        let path =
            FileManager.default.temporaryDirectory.path
            + "/patchbay-openai-\(ProcessInfo.processInfo.processIdentifier).wav"
        let file = WAVFile(samples: Tone(600).samples(count: 48_000, sampleRate: 16000), sampleRate: 16000)
        do { try file.write(to: path) } catch { Issue.record("\(error)") }
        return path
    }()

    private func run(
        _ model: OpenAISimulatedModel = OpenAISimulatedModel(), stages: (String) -> String = { $0 },
        _ body: @Sendable (TestServer, OpenAIRealtimeSimulator) async throws -> Void
    ) async throws {
        var model = model
        model.script.greeting = Self.line
        model.script.replies = [Self.line]
        let simulator = OpenAIRealtimeSimulator(.init(apiKey: "key", model: model))
        let address = try await simulator.start()
        let stage =
            #"{"type": "openai-realtime", "apiKey": {"env": "KEY"}, "baseUrl": "http://127.0.0.1:\#(address.port ?? 0)/v1"}"#
        let document =
            #"{"name": "agent", "numbers": ["*"], "transport": "twilio", "stages": [\#(stages(stage))]}"#
        do {
            try await TestServer.run(document, environment: ["KEY": "key"]) { (server: TestServer) async throws in
                try await body(server, simulator)
            }
        } catch {
            await simulator.stop()
            throw error
        }
        await simulator.stop()
    }

    @Test func theModelForgetsWhatTheCallerDidNotHear() async throws {
        var model = OpenAISimulatedModel()
        model.faults.lateAudio = true
        try await run(model) { server, simulator in
            let report = try await server.call(
                "+15550100001",
                [
                    PhoneStep(.duringSpeech(milliseconds: 800), .speak(tone(milliseconds: 700))),
                    PhoneStep(.after(milliseconds: 900), .hangUp),
                ], limit: 9000)
            let line = try #require(report.streams.first)
            let cut = try #require(CallTimeline(line).interruptionLatencies.first)
            #expect(cut < 1500, "the greeting lasts three seconds; it stopped \(cut) ms after the caller began")
            let session = try #require(await simulator.statistics().conversations.first)
            #expect(session.truncations.count == 1 && session.faults == [], "\(session.truncations), \(session.faults)")
            let told = try #require(session.truncations.first)
            #expect(abs(told - 800 - cut) < 300, "the caller heard \(800 + cut) ms; the model was told \(told) ms")
            #expect(session.session?.inputFormat == .pcmu && session.session?.outputFormat == .pcmu)
        }
    }

    @Test func linearSoundIsResampledBothWays() async throws {
        let decoded = { (stage: String) in
            #""decoder", {"type": "resampler", "rateHz": 16000}, \#(stage), {"type": "resampler", "rateHz": 8000}, "encoder""#
        }
        try await run(stages: decoded) { server, simulator in
            let report = try await server.call(
                "+15550100001", [PhoneStep(.after(milliseconds: 1000), .hangUp)], limit: 9000)
            let heard = try #require(report.streams.first).heard.map { G711.decodeMulaw($0) }
            #expect(Tone.strongest(of: [300, 600, 1200], in: heard, sampleRate: 8000) == 600)
            let session = try #require(await simulator.statistics().conversations.first)
            #expect(session.session?.inputFormat == .pcm24k && session.callerAudioBytes > 24_000)
        }
    }

    @Test func anExpiredSessionIsReplacedAndToldWhatWasSaid() async throws {
        var model = OpenAISimulatedModel()
        model.timing.maximumDuration = .milliseconds(1500)
        try await run(model) { server, simulator in
            let report = try await server.call(
                "+15550100001", [PhoneStep(.after(milliseconds: 2800), .hangUp)], limit: 9000)
            let heard = try #require(report.streams.first).heard
            #expect(heard.filter { $0 != 0xFF }.count > 16_000, "the greeting was played over the change")
            let sessions = await simulator.statistics().conversations
            #expect(sessions.count >= 2)
            #expect(sessions.dropFirst().first?.createdTexts.count == 1, "the greeting, and nothing else")
            #expect(sessions.dropFirst().first?.responses == 0, "it does not greet again")
        }
    }
}
