import PatchbayConfig
import PatchbayCore
import PatchbayTesting
import PatchbayWire
import Testing

@testable import PatchbayTransports

@Suite(.timeLimit(.minutes(1))) struct WebSocketAgentConformanceTests {
    private static func backend(port: Int = 9) throws(PipelineError)
        -> any AgentBackend
    {
        let agent = WebSocketAgent()
        return try agent.makeBackend(
            Settings(agent.spec.fields, ["url": .string("ws://127.0.0.1:\(port)/agent")]))
    }

    /// By the protocol nothing is late: behind the agent's own interruption, and behind the turnEnded with which it answers
    /// ours, a new turn begins. WebSocketAgentConversationTests have what comes before that answer.
    @Test func itConforms() {
        let failures = AgentConformance.check(.init(exempt: [.lateSound]), peer: { WebSocketAgentPeer() }) {
            () throws(PipelineError) in try Self.backend()
        }
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    @Test func soundInBase64Conforms() {
        let options = AgentConformance.Options(only: [.agentHears, .agentSpeaks, .agentMalformed])
        let failures = AgentConformance.check(options, peer: { WebSocketAgentPeer(form: .base64) }) {
            () throws(PipelineError) in try Self.backend()
        }
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    @Test(arguments: AgentSocketAudioForm.allCases)
    func itConformsOverASocket(form: AgentSocketAudioForm) async throws {
        let telephony = AgentSocketFormat(.mulaw, sampleRate: 8000)
        let failures = try await AgentSocketRun.check(
            peer: { WebSocketAgentPeer(input: telephony, output: telephony, form: form) }
        ) { try Self.backend(port: $0) }
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }

    /// Each direction has any of the usual formats, whatever the other one has.
    @Test(arguments: ["mulaw_8000", "alaw_8000", "pcm16_8000", "pcm16_16000", "pcm16_24000", "pcm16_48000"])
    func itTakesAndGivesTheUsualFormats(name: String) throws {
        let format = try AgentSocketFormat(name), other = AgentSocketFormat(.pcm16, sampleRate: 24000)
        for peer in [
            WebSocketAgentPeer(input: format, output: other), WebSocketAgentPeer(input: other, output: format),
        ] {
            let failures = AgentConformance.check(.init(only: [.agentHears]), peer: { peer }) {
                () throws(PipelineError) in try Self.backend()
            }
            #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
        }
    }
}
