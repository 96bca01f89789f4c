import AsyncHTTPClient
import NIOCore
import NIOPosix
import PatchbayAudio
import PatchbayConfig
import Testing

@testable import PatchbayTransports

@Suite("Settings of agents")
struct AgentSettingsTests {
    @Test(
        "An agent without an id, and an origin without a scheme, are found at the desk",
        arguments: [
            (["agentId": "agent_1"], []), (["agentId": "${agent}", "baseUrl": "${origin}"], []),
            (["agentId": "agent_1", "baseUrl": "HTTP://localhost:9000"], []),
            ([:], ["agentId warning missing-environment"]), (["agentId": ""], ["agentId warning missing-environment"]),
            (["agentId": "agent_1", "baseUrl": "localhost:9000"], ["baseUrl error not-allowed"]),
            (["agentId": "agent_1", "baseUrl": "wss://localhost"], ["baseUrl error not-allowed"]),
        ] as [([String: VariableValue], [String])])
    func elevenLabs(_ values: [String: VariableValue], _ expected: [String]) {
        let agent = ElevenLabsAgent(httpClient: .shared)
        let problems = agent.problems(in: Settings(agent.spec.fields, values))
        #expect(problems.map { "\($0.field) \($0.severity) \($0.code)" } == expected)
    }

    @Test("A model without a key is found at the desk")
    func missingKeys() {
        let expected = ["apiKey warning missing-environment"]
        for agent in [OpenAIRealtimeAgent(), GeminiAgent()] as [any AgentComponent] {
            func found(_ secrets: [String: Secret]) -> [String] {
                agent.problems(in: Settings(agent.spec.fields, secrets: secrets)).map {
                    "\($0.field) \($0.severity) \($0.code)"
                }
            }
            #expect(found([:]) == expected && found(["apiKey": Secret("k")]) == [])
        }
        let vertex = GeminiAgent()
        let settings = Settings(vertex.spec.fields, ["project": "p"], secrets: ["accessToken": Secret("t")])
        #expect(vertex.problems(in: settings).isEmpty)
    }

    @Test("A script says what it announces, and where a missing file was looked for")
    func script() {
        let agent = ScriptAgent()
        let formats = agent.formats(for: .telephony, settings: Settings(agent.spec.fields, ["say": "Hello"]))
        #expect(formats.inputs == [.pcm(8000)] && formats.outputs == [.pcm(16_000)])
        let problems = agent.problems(in: Settings(agent.spec.fields, ["say": "no-such-folder/hello.wav"]))
        #expect(problems.count == 1)
        #expect(
            problems.first?.message.hasSuffix(
                "no-such-folder/hello.wav: cannot open the file: No such file or directory") == true)
        #expect(problems.first?.remedy?.hasPrefix("relative paths start") == true)
    }

    @Test("An address where nobody listens is told in plain words")
    func refused() async throws {
        // A port that was free a moment ago, and is again.
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        try await server.close()
        do {
            _ = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: port).get()
            Issue.record("somebody listens there")
        } catch {
            #expect(
                WebSocketConnectError.connecting(to: "127.0.0.1:\(port)", error).message
                    == "cannot connect to 127.0.0.1:\(port): Connection refused")
        }
    }
}
