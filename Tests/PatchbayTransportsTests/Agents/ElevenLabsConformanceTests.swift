import AsyncHTTPClient
import PatchbayConfig
import PatchbayCore
import PatchbayTesting
import PatchbayWire
import Testing

@testable import PatchbayTransports

@Suite(.timeLimit(.minutes(1))) struct ElevenLabsConformanceTests {
    private static func backend(port: Int? = nil) throws(PipelineError) -> any AgentBackend {
        let agent = ElevenLabsAgent(httpClient: .shared)
        var values: [String: VariableValue] = ["agentId": .string("agent_1"), "firstMessage": .string("Hello.")]
        if let port { values["baseUrl"] = .string("http://127.0.0.1:\(port)") }
        return try agent.makeBackend(Settings(agent.spec.fields, values))
    }

    /// The vendor keeps the tools with the agent, and has neither a message that takes calls back nor one for a new socket.
    private static let options = AgentConformance.Options(exempt: [.toolDeclaration])

    @Test func itConforms() {
        let failures = AgentConformance.check(Self.options, peer: { ElevenLabsPeer() }) { () throws(PipelineError) in
            try Self.backend()
        }
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    @Test func itConformsOverASocket() async throws {
        let failures = try await AgentSocketRun.check(peer: { ElevenLabsPeer() }) { try Self.backend(port: $0) }
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }

    /// Each direction has any of the documented formats, whatever the other one has.
    @Test(arguments: ElevenLabsAudioFormat.documented, [ElevenLabsAudioFormat.ulaw, .pcm])
    func itTakesAndGivesAllFormats(format: ElevenLabsAudioFormat, other: ElevenLabsAudioFormat) {
        var options = Self.options
        options.only = [.agentHears]
        for peer in [ElevenLabsPeer(format, other), ElevenLabsPeer(other, format)] {
            let failures = AgentConformance.check(options, peer: { peer }) { () throws(PipelineError) in
                try Self.backend()
            }
            #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
        }
    }
}
