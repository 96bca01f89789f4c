import PatchbayConfig
import PatchbayCore
import PatchbayTesting
import Testing

@testable import PatchbayTransports

@Suite(.timeLimit(.minutes(1))) struct OpenAIConformanceTests {
    /// A conversation keeps what was said, up to a limit, because the API has no way to resume one; that an hour leaves
    /// nothing behind can not hold for it. ``OpenAIConversationToolTests`` looks at the limit.
    private static let exempt: Set<ConformanceFailure.Rule> = [.noGrowth]

    @Test(arguments: ["server_vad", "semantic_vad"])
    func itConforms(turnDetection: String) {
        let agent = OpenAIRealtimeAgent()
        let settings = Settings(
            agent.spec.fields,
            ["turnDetection": .string(turnDetection), "silenceSeconds": .number(30)],
            secrets: ["apiKey": Secret("a-key")])
        let failures = AgentConformance.check(.init(exempt: Self.exempt), peer: { OpenAIPeer() }) {
            () throws(PipelineError) in try agent.makeBackend(settings)
        }
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    @Test func itConformsOverASocket() async throws {
        let failures = try await AgentSocketRun.check(peer: { OpenAIPeer() }) { port in
            let agent = OpenAIRealtimeAgent()
            return try agent.makeBackend(
                Settings(
                    agent.spec.fields, ["baseUrl": .string("http://127.0.0.1:\(port)/v1")],
                    secrets: ["apiKey": Secret("a-key")]))
        }
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }
}
