import PatchbayConfig
import PatchbayCore
import PatchbayTesting
import Testing

@testable import PatchbayTransports

@Suite(.timeLimit(.minutes(1))) struct GeminiConformanceTests {
    /// The protocol has no way to say goodbye. Sound behind an interruption is the next turn: the service sends all of a
    /// conversation in one order, and nothing in a piece of sound says which turn it belongs to.
    private static let exempt: Set<ConformanceFailure.Rule> = [.goodbye, .lateSound]

    @Test(arguments: ["gemini-2.5-flash-native-audio", "gemini-3.1-flash-live-preview"])
    func itConforms(model: String) {
        let agent = GeminiAgent()
        let settings = Settings(
            agent.spec.fields, ["model": .string(model)], secrets: ["apiKey": Secret("a-key")])
        let failures = AgentConformance.check(
            .init(exempt: Self.exempt, longConversation: .seconds(600)), peer: { GeminiPeer() }
        ) {
            () throws(PipelineError) in try agent.makeBackend(settings)
        }
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    @Test func itConformsOverASocket() async throws {
        let failures = try await AgentSocketRun.check(peer: { GeminiPeer() }) { port in
            let agent = GeminiAgent()
            return try agent.makeBackend(
                Settings(
                    agent.spec.fields, ["baseUrl": .string("http://127.0.0.1:\(port)")],
                    secrets: ["apiKey": Secret("a-key")]))
        }
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }
}
