import PatchbayCore
import Testing

@testable import PatchbaySimulators

@Suite struct ElevenLabsSimulatorOptionsTests {
    @Test func worksWithoutAnyOption() throws {
        let configuration = try ElevenLabsSimulatorOptions().configuration()
        #expect(configuration.port == 9000 && configuration.apiKey == nil)
        #expect(configuration.agents.map(\.id) == [nil])
        #expect(configuration.agents.first?.script == ElevenLabsAgentScript())
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
        options.tools = ["lookup"]
        options.toolParameters = #"{"id": 1}"#
        options.toolAfterTurn = 2
        options.stallAfter = 2.5
        options.closeWith = 1011
        options.closeAfter = 7
        options.slowStart = 0.5
        let agents = try options.configuration().agents
        #expect(agents.map(\.id) == ["a", "b"])
        let agent = try #require(agents.last)
        #expect(agent.inputFormat == .ulaw8000 && agent.outputFormat.description == "pcm_24000" && agent.isPrivate)
        #expect(agent.script.greeting == "" && agent.script.replies == ["One"] && agent.script.goodbye == nil)
        #expect(agent.script.tools == [.init("lookup", parameters: #"{"id": 1}"#, afterTurn: 2)])
        #expect(agent.faults.stallAfter == .milliseconds(2500) && agent.faults.delayMetadata == .milliseconds(500))
        #expect(agent.faults.closeWith == .init(code: 1011, after: .seconds(7)))
    }

    static let wrong: [(String, @Sendable (inout ElevenLabsSimulatorOptions) -> Void)] = [
        ("--port", { $0.port = 70_000 }), ("--host", { $0.host = "" }), ("--format", { $0.format = "mp3_44100" }),
        ("--input-format", { $0.inputFormat = "ulaw_16000" }), ("--api-key", { $0.apiKey = "" }),
        ("--agent-id", { $0.agentIds = [""] }), ("--reply", { $0.replies = [""] }), ("--tool", { $0.tools = [""] }),
        ("--tool-parameters", { $0.toolParameters = "[1]" }), ("--tool-after", { $0.toolAfterTurn = 0 }),
        ("--slow-start", { $0.slowStart = -1 }), ("--stall-after", { $0.stallAfter = .nan }),
        ("--close-with", { $0.closeWith = 1005 }), ("--language", { $0.language = "" }),
        ("--close-reason", { $0.closeReason = String(repeating: "x", count: 124) }),
    ]

    @Test(arguments: wrong)
    func namesWhatIsWrong(option: String, change: @Sendable (inout ElevenLabsSimulatorOptions) -> Void) throws {
        var options = ElevenLabsSimulatorOptions()
        change(&options)
        let fault = #expect(throws: ElevenLabsSimulatorOptions.Fault.self) { try options.configuration() }
        #expect(fault?.problems.count == 1)
        #expect(fault?.problems.first?.hasPrefix(option + " ") == true)
    }

    @Test func namesEverythingAtOnce() {
        var options = ElevenLabsSimulatorOptions()
        options.port = -1
        options.format = "opus"
        options.closeWith = 99
        let fault = #expect(throws: ElevenLabsSimulatorOptions.Fault.self) { try options.configuration() }
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
