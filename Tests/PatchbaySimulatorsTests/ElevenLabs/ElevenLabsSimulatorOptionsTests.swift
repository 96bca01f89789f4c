import PatchbayCore
import Testing

@testable import PatchbaySimulators

@Suite struct ElevenLabsSimulatorOptionsTests {
    @Test func worksWithoutAnyOption() throws {
        let configuration = try ElevenLabsSimulatorOptions().configuration()
        #expect(configuration.port == 9000 && configuration.apiKey == nil)
        #expect(configuration.agents.map(\.id) == [nil])
        #expect(configuration.agents.first?.script == SimulatedAgentScript())
    }

    @Test func carriesEveryOption() throws {
        var options = ElevenLabsSimulatorOptions()
        options.format = "ulaw_8000"
        options.outputFormat = "pcm_24000"
        options.agentIds = ["a", "b"]
        options.isPrivate = true
        options.greeting = ""
        options.replies = ["One"]
        options.goodbye = ""
        options.tools = ["lookup", #"book={"day": "Monday"}"#]
        options.toolParameters = #"{"id": 1}"#
        options.toolAfterTurn = 2
        options.common.stallAfter = 2.5
        options.common.closeWith = 1011
        options.common.closeAfter = 7
        options.common.refuseWith = 503
        options.common.retryAfter = 30
        options.common.slowStart = 0.5
        options.common.jitter = 0.25
        options.common.jitterSeed = 7
        options.queue = 2
        options.isQueueFull = true
        options.exceedsQuota = true
        options.expiresURLs = true
        let configuration = try options.configuration()
        let agents = configuration.agents
        #expect(agents.map(\.id) == ["a", "b"])
        let agent = try #require(agents.last)
        #expect(agent.inputFormat == .ulaw8000 && agent.outputFormat.description == "pcm_24000" && agent.isPrivate)
        #expect(agent.script.greeting == "" && agent.script.replies == ["One"] && agent.script.goodbye == nil)
        #expect(
            agent.script.tools == [
                .init("lookup", parameters: #"{"id": 1}"#, afterTurn: 2),
                .init("book", parameters: #"{"day": "Monday"}"#, afterTurn: 2),
            ])
        #expect(agent.faults.connection.stallAfter == .milliseconds(2500))
        #expect(agent.faults.connection.jitter == .init(maximum: .milliseconds(250), seed: 7))
        #expect(agent.faults.queue == .timesOut(after: .seconds(2)) && agent.faults.exceedsQuota)
        #expect(configuration.signedURLLifetime == .zero)
        #expect(agent.faults.connection.refusal == .init(status: 503, retryAfter: 30))
        #expect(agent.faults.connection.slowStart == .milliseconds(500))
        #expect(agent.faults.connection.closeWith == .init(code: 1011, after: .seconds(7)))
    }

    static let wrong: [(String, @Sendable (inout ElevenLabsSimulatorOptions) -> Void)] = [
        ("--port", { $0.common.port = 70_000 }), ("--host", { $0.common.host = "" }),
        ("--format", { $0.format = "mp3_44100" }),
        ("--input-format", { $0.inputFormat = "ulaw_16000" }), ("--api-key", { $0.apiKey = "" }),
        ("--agent-id", { $0.agentIds = [""] }), ("--reply", { $0.replies = [""] }), ("--tool", { $0.tools = [""] }),
        ("--tool", { $0.tools = ["={}"] }), ("--tool", { $0.tools = ["book=[1]"] }),
        ("--tool-parameters", { $0.toolParameters = "[1]" }), ("--tool-after", { $0.toolAfterTurn = 0 }),
        ("--slow-start", { $0.common.slowStart = -1 }), ("--stall-after", { $0.common.stallAfter = .nan }),
        ("--close-with", { $0.common.closeWith = 1005 }), ("--language", { $0.language = "" }),
        ("--refuse-with", { $0.common.refuseWith = 200 }), ("--retry-after", { $0.common.retryAfter = 3 }),
        (
            "--retry-after",
            {
                $0.common.refuseWith = 429
                $0.common.retryAfter = -1
            }
        ),
        ("--queue", { $0.queue = -2 }), ("--jitter", { $0.common.jitter = 61 }),
        ("--close-reason", { $0.common.closeReason = String(repeating: "x", count: 124) }),
    ]

    @Test(arguments: wrong)
    func namesWhatIsWrong(option: String, change: @Sendable (inout ElevenLabsSimulatorOptions) -> Void) throws {
        var options = ElevenLabsSimulatorOptions()
        change(&options)
        let fault = #expect(throws: SimulatorOptionFault.self) { try options.configuration() }
        #expect(fault?.problems.count == 1)
        #expect(fault?.problems.first?.hasPrefix(option + " ") == true)
    }

    @Test func namesEverythingAtOnce() {
        var options = ElevenLabsSimulatorOptions()
        options.common.port = -1
        options.format = "opus"
        options.common.closeWith = 99
        let fault = #expect(throws: SimulatorOptionFault.self) { try options.configuration() }
        #expect(fault?.problems.count == 3)
    }

    @Test func signaturesServeOnceAndFor15Minutes() {
        var signatures = ElevenLabsSignatures()
        let start = MediaTime(milliseconds: 1)
        let first = signatures.make(for: "a", at: start)
        let second = signatures.make(for: "b", at: start)
        #expect(first != second && first.hasPrefix("cvtkn_"))
        #expect(signatures.redeem("cvtkn_guess", at: start) == nil)
        #expect(signatures.redeem(first, at: start + .seconds(899)) == "a")
        #expect(signatures.redeem(first, at: start + .seconds(899)) == nil)
        #expect(signatures.redeem(second, at: start + .seconds(900)) == nil)
    }
}
