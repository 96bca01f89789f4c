import GRDB
import Logging
import NIOCore
import Patchbay
import Synchronization
import Testing

@testable import FrontDesk

/// `booker`: an agent of this process that books a haircut as soon as it is ready, and hangs up when it has its answer.
private struct Booker: AgentComponent {
    let spec = ComponentSpec("booker", .agent, summary: "Books a haircut and hangs up.")

    func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend { Backend() }

    private struct Backend: AgentBackend {
        let type = "booker"

        func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
            AgentSession(Conversation(joint: request.joint), endpoint: .local)
        }
    }

    private struct Conversation: AgentConversation {
        let joint: AudioFormat

        mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
            output.emit(.ready(input: joint, output: joint))
            let arguments =
                #"{"employeeId": "kim", "serviceId": "haircut", "customerName": "Ada Test", "startTime": "2026-03-02T10:00"}"#
            output.emit(.toolCall(ToolCall(id: "t1", name: "create_appointment", arguments: arguments)))
        }

        mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {}

        mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
            output.emit(.hangup(EndReason(.agentHungUp)))
        }
    }
}

/// Gives the results of tools to whoever waits for them.
private final class Results: CallObserver {
    let (stream, source) = AsyncStream<ToolResult>.makeStream()

    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {}

    func observe(_ event: CallEvent, time: MediaTime) {
        if case .toolAnswered(let result, _) = event { source.yield(result) }
        if case .ended = event { source.finish() }
    }
}

@Suite struct CallTests {
    /// The shipped salons with another agent: a call comes in, its number says whose it is, and the salon's diary has the
    /// appointment. No socket is opened.
    @Test func anAgentBooksInTheCallsOwnSalon() async throws {
        let desk = try await Desk()
        let tools = try SalonTools(salons: desk.salons).all()
        let environment = ["ELEVENLABS_AGENT_ID": "agent_default"]
        let (set, findings) = PipelineSet.load(
            "../../Pipelines/salons", registry: try .standard().adding(agents: [Booker()]), environment: environment,
            options: LoadOptions(agentOverride: "booker"))
        let results = Results()
        let switchboard = try Switchboard(
            try #require(set, "\(findings.rendered())"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            observers: { _ in [results] }, tools: { $0.tenant == nil ? [] : tools })
        let call = try await switchboard.takeCall("CA1", from: "+15550100001", to: "+15550100012")
        #expect(call.info.tenant == "salon-north" && call.info.pipeline == "salons")
        let result = try #require(await results.stream.first { _ in true })
        #expect(!result.isError && text(result.output, "start") == "2026-03-02T10:00", "\(result)")
        let booked = try await desk.diary.database.read {
            try Row.fetchAll($0, sql: "SELECT business, customer_phone FROM appointments")
                .map { [$0["business"] as String, $0["customer_phone"]] }
        }
        #expect(booked == [["salon-north", "+15550100001"]], "for whoever calls, where nothing else is said")

        let south = try await switchboard.takeCall("CA2", from: "+15550100001", to: "+15550100013")
        #expect(south.info.tenant == "salon-south")
        let refused = try #require(await results.stream.first { _ in true })
        #expect(refused.isError && refused.output.contains("kim"), "the employee of another salon: \(refused)")
        let west = await #expect(throws: CallRefusal.self) { () async throws in
            _ = try await switchboard.takeCall("CA3", from: "+15550100001", to: "+15550100014")
        }
        #expect(
            "\(try #require(west))".contains("Test Salon West. We're open Monday and Tuesday"),
            "a salon without an agent")
        await switchboard.endRunningCalls()
        await #expect(throws: CallRefusal.self) { () async throws in
            _ = try await switchboard.takeCall("CA4", from: "+15550100001", to: "+15550100099")
        }
    }
}
