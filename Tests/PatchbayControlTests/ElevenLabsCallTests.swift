import Foundation
import NIOCore
import Patchbay
import PatchbaySimulators
import PatchbayTesting
import PatchbayWire
import Testing

/// Our connector and an ElevenLabs agent over real sockets.
@Suite(.serialized) struct ElevenLabsCallTests: Sendable {
    private func tone(milliseconds: Int) -> [UInt8] {
        Tone(440).samples(count: 8 * milliseconds, sampleRate: 8000).map { G711.encodeMulaw($0) }
    }

    /// A second of a tone for every line the agent says.
    private static let line: String = {
        let path =
            FileManager.default.temporaryDirectory.path
            + "/patchbay-tone-\(ProcessInfo.processInfo.processIdentifier).wav"
        let file = WAVFile(samples: Tone(600).samples(count: 48_000, sampleRate: 16000), sampleRate: 16000)
        do { try file.write(to: path) } catch { Issue.record("\(error)") }
        return path
    }()

    private func run(
        _ agent: ElevenLabsSimulatedAgent, apiKey: String? = nil, stages: (String) -> String = { $0 },
        limits: String = "{}",
        _ body: @Sendable (TestServer, ElevenLabsSimulator) async throws -> Void
    ) async throws {
        var agent = agent
        agent.script.greeting = Self.line
        agent.script.replies = [Self.line]
        agent.script.goodbye = nil
        let simulator = ElevenLabsSimulator(
            ElevenLabsSimulator.Configuration(apiKey: apiKey, agents: [agent], keptAudioBytes: 1 << 20))
        let address = try await simulator.start()
        let key = apiKey == nil ? "" : #", "apiKey": {"env": "KEY"}"#
        let stage =
            #"{"type": "elevenlabs", "agentId": "agent_1", "baseUrl": "http://127.0.0.1:\#(address.port ?? 0)"\#(key)}"#
        let document =
            #"{"name": "agent", "numbers": ["*"], "transport": "twilio", "limits": \#(limits), "stages": [\#(stages(stage))]}"#
        do {
            try await TestServer.run(document, environment: ["KEY": apiKey ?? ""]) {
                (server: TestServer) async throws in
                try await body(server, simulator)
            }
        } catch {
            await simulator.stop()
            throw error
        }
        await simulator.stop()
    }

    private let decoded = { @Sendable (stage: String) in
        #""decoder", {"type": "resampler", "rateHz": 16000}, \#(stage), {"type": "resampler", "rateHz": 8000}, "encoder""#
    }

    @Test func mulawReachesAMulawAgentByteForByte() async throws {
        try await run(ElevenLabsSimulatedAgent(inputFormat: .ulaw8000, outputFormat: .ulaw8000)) { server, simulator in
            let spoken = tone(milliseconds: 600)
            let report = try await server.call(
                "+15550100001",
                [
                    PhoneStep(.after(milliseconds: 200), .speak(spoken)), PhoneStep(.after(milliseconds: 300), .hangUp),
                ])
            let line = try #require(report.streams.first)
            let conversation = try #require(await simulator.statistics().conversations.first)
            let received = Array(conversation.userAudio.readableBytesView)
            #expect(received.count > spoken.count)
            #expect(received == Array(line.sent.prefix(received.count)), "bytes at the agent equal the carrier's")
            #expect(
                Tone.strongest(
                    of: [300, 440, 600, 1200], in: line.heard.map { G711.decodeMulaw($0) }, sampleRate: 8000) == 600)
        }
    }

    @Test func pcmIsResampledBothWays() async throws {
        let agent = ElevenLabsSimulatedAgent(inputFormat: .pcm16000, outputFormat: .pcm16000)
        try await run(agent, apiKey: "secret-key", stages: decoded) { server, simulator in
            let report = try await server.call(
                "+15550100001",
                [
                    PhoneStep(.after(milliseconds: 0), .speak(tone(milliseconds: 800))),
                    PhoneStep(.after(milliseconds: 300), .hangUp),
                ])
            let heard = try #require(report.streams.first).heard.map { G711.decodeMulaw($0) }
            #expect(Tone.strongest(of: [300, 600, 1200], in: heard, sampleRate: 8000) == 600)
            let statistics = await simulator.statistics()
            #expect(statistics.signedURLs == 1)
            let bytes = Array(try #require(statistics.conversations.first).userAudio.readableBytesView)
            let samples = stride(from: 0, to: bytes.count - 1, by: 2).map {
                Int16(bitPattern: UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8)
            }
            #expect(Tone.strongest(of: [220, 440, 880], in: Array(samples.prefix(12_000)), sampleRate: 16000) == 440)
        }
    }

    @Test(arguments: [false, true]) func aBargeInSilencesTheAgentAndTheReplyIsHeard(sharesId: Bool) async throws {
        var agent = ElevenLabsSimulatedAgent(inputFormat: .ulaw8000, outputFormat: .ulaw8000)
        agent.faults.interruptionSharesId = sharesId
        agent.faults.lateAudio = true
        try await run(agent) { server, simulator in
            let report = try await server.call(
                "+15550100001",
                [
                    PhoneStep(.duringSpeech(milliseconds: 800), .speak(tone(milliseconds: 700))),
                    PhoneStep(.afterPause(milliseconds: 400), .hangUp),
                ], limit: 9000)
            let line = try #require(report.streams.first)
            #expect(line.events.contains { $0.event == .clear })
            let timeline = CallTimeline(line)
            let cut = try #require(timeline.interruptionLatencies.first)
            #expect(cut < 1500, "the greeting lasts three seconds; it stopped \(cut) ms after the caller began")
            #expect(timeline.responseLatencies.count >= 1, "the reply was heard")
            #expect(try #require(await simulator.statistics().conversations.first).interruptions == 1)
        }
    }

    @Test func anAgentThatNeverBeginsIsToldInWords() async throws {
        var agent = ElevenLabsSimulatedAgent(inputFormat: .ulaw8000, outputFormat: .ulaw8000)
        agent.faults.connection.neverStarts = true
        try await run(agent, limits: #"{"agentReadySeconds": 1}"#) { server, _ in
            let report = try await server.call("+15550100001", limit: 8000)
            #expect(report.said == ["We encountered an error. Please try again later."])
            let events = try await server.get("/calls/\(report.callSid)").body
            #expect(events.contains("not ready within 1 s"))
        }
    }

    @Test func anAgentThatStallsInMidSentenceIsGivenUp() async throws {
        var agent = ElevenLabsSimulatedAgent(inputFormat: .ulaw8000, outputFormat: .ulaw8000)
        agent.faults.connection.stallAfter = .milliseconds(500)
        let impatient = { (stage: String) in String(stage.dropLast()) + #", "silenceSeconds": 5}"# }
        try await run(agent, stages: impatient) { server, _ in
            let report = try await server.call("+15550100001", limit: 12_000)
            #expect(report.said == ["We encountered an error. Please try again later."])
            #expect(
                try await server.get("/calls/\(report.callSid)").body.contains("nothing came from the agent for 5 s"))
        }
    }

    @Test func aRefusalKeepsItsCodeAndReason() async throws {
        var agent = ElevenLabsSimulatedAgent(inputFormat: .ulaw8000, outputFormat: .ulaw8000)
        agent.faults.connection.closeWith = .init(
            code: 1008, reason: "override of language is not allowed", after: .milliseconds(300))
        try await run(agent) { server, _ in
            async let other = server.call("+15550100001", limit: 8000)
            let report = try await other
            #expect(report.said == ["We encountered an error. Please try again later."])
            #expect(
                try await server.get("/calls/\(report.callSid)").body.contains("override of language is not allowed"))
        }
    }

    @Test func aWrongKeyIsToldToTheOperatorAndNeverShown() async throws {
        let agent = ElevenLabsSimulatedAgent(inputFormat: .ulaw8000, outputFormat: .ulaw8000, isPrivate: true)
        let simulator = ElevenLabsSimulator(ElevenLabsSimulator.Configuration(apiKey: "right-key", agents: [agent]))
        let address = try await simulator.start()
        let document =
            #"{"name": "agent", "numbers": ["*"], "transport": "twilio", "stages": [{"type": "elevenlabs", "agentId": "a", "baseUrl": "http://127.0.0.1:\#(address.port ?? 0)", "apiKey": {"env": "KEY"}}]}"#
        try await TestServer.run(document, environment: ["KEY": "planted-wrong-key"]) {
            (server: TestServer) async throws in
            let report = try await server.call("+15550100001", limit: 8000)
            #expect(report.said == ["We encountered an error. Please try again later."])
            let events = try await server.get("/calls/\(report.callSid)").body
            #expect(events.contains("HTTP 401") && events.contains("check apiKey"))
            #expect(!events.contains("planted-wrong-key"))
        }
        await simulator.stop()
    }

    /// A way to be refused, and what a pipeline says.
    struct Refusal: Sendable, CustomTestStringConvertible {
        var name: String
        var code: String
        var key: String?
        var field = ""
        var change: @Sendable (inout ElevenLabsSimulatedAgent, inout ElevenLabsSimulator.Configuration) -> Void = {
            _, _ in
        }
        var testDescription: String { name }
    }

    static let refusals = [
        Refusal(name: "no such agent", code: "agent-unknown") { agent, _ in agent.id = "another" },
        Refusal(name: "no such agent, with a key", code: "agent-unknown", key: "secret-key") { agent, _ in
            agent.id = "another"
        },
        Refusal(name: "a private agent without a key", code: "agent-unauthorized") { agent, _ in agent.isPrivate = true
        },
        Refusal(name: "a signed URL that is too old", code: "agent-unreachable", key: "secret-key") {
            agent, configuration in
            agent.isPrivate = true
            configuration.signedURLLifetime = .zero
        },
        Refusal(name: "quota", code: "agent-quota") { agent, _ in agent.faults.exceedsQuota = true },
        Refusal(name: "no free place", code: "agent-quota") { agent, _ in
            agent.faults.queue = .timesOut(after: .milliseconds(100))
        },
        Refusal(name: "a forbidden override", code: "agent-setting-refused", field: #", "language": "de""#) {
            agent, _ in
            agent.allowedOverrides = []
        },
        Refusal(name: "a missing variable", code: "agent-not-configured") { agent, _ in
            agent.requiredVariables = ["name"]
        },
    ]

    @Test(arguments: refusals) func everyRefusalIsToldByItsCode(refusal: Refusal) async throws {
        var agent = ElevenLabsSimulatedAgent(inputFormat: .ulaw8000, outputFormat: .ulaw8000)
        agent.script.greeting = Self.line
        agent.script.replies = []
        agent.script.goodbye = nil
        var configuration = ElevenLabsSimulator.Configuration(apiKey: refusal.key)
        refusal.change(&agent, &configuration)
        configuration.agents = [agent]
        let simulator = ElevenLabsSimulator(configuration)
        let address = try await simulator.start()
        let key = refusal.key == nil ? "" : #", "apiKey": {"env": "KEY"}"#
        let document =
            #"{"name": "agent", "numbers": ["*"], "transport": "twilio", "stages": [{"type": "elevenlabs", "agentId": "agent_1", "baseUrl": "http://127.0.0.1:\#(address.port ?? 0)"\#(key)\#(refusal.field)}]}"#
        try await TestServer.run(document, environment: ["KEY": refusal.key ?? ""]) {
            (server: TestServer) async throws in
            let report = try await server.call("+15550100001", limit: 8000)
            #expect(report.said == ["We encountered an error. Please try again later."])
            let events = try await server.get("/calls/\(report.callSid)").body
            #expect(events.contains("[\(refusal.code)]"), "\(refusal.name): \(events)")
            #expect(!events.contains("secret-key") && !events.contains("cvtkn_"))
        }
        await simulator.stop()
    }
}
