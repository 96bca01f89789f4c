import Foundation
import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

@Suite("What agents call and are told")
struct AgentToolTests {
    private func result(_ id: String, _ output: String = "42", isError: Bool = false) -> ToolResult {
        ToolResult(ToolCall(id: id, name: "lookup"), output: output, isError: isError)
    }

    private func run(_ call: CallHarness) -> [String] {
        call.actions.compactMap { if case .runTool(let tool, _) = $0 { tool.id } else { nil } }
    }

    private func cancelled(_ call: CallHarness) -> [String] {
        call.actions.flatMap { if case .cancelTools(let ids) = $0 { ids } else { [String]() } }.sorted()
    }

    @Test func anAnswerReachesTheAgentAndIsTimed() throws {
        let log = EventLog()
        var call = try makeHarness(observers: [log])
        call.begin()
        call.agent("calls t1 lookup")
        #expect(run(call) == ["t1"])
        call.advance(400) { $0.carrier("audio 7f 160") }
        call.toolAnswered(result("t1"))
        #expect(call.agentTexts("answer") == ["answer t1: 42"])
        let span = log.events.compactMap { if case .toolAnswered(_, let span) = $0 { span } else { nil } }
        #expect(span == [.milliseconds(400)])
        call.agent("calls t2 lookup")
        call.toolAnswered(result("t2", "no such patient", isError: true))
        #expect(call.agentTexts("error") == ["error t2: no such patient"])
        #expect(call.call.counters.toolCalls == 2 && call.call.counters.toolFailures == 1)
    }

    @Test func anAnswerThatNobodyAwaitsIsDropped() throws {
        var call = try makeHarness()
        call.begin()
        call.toolAnswered(result("never"))
        call.agent("calls t1 lookup")
        call.toolAnswered(result("t1"))
        call.toolAnswered(result("t1", "again"))
        call.agent("calls t2 lookup")
        call.agent("cancels t2 t9")
        #expect(cancelled(call) == ["t2"])
        call.toolAnswered(result("t2"))
        #expect(call.agentTexts("answer") == ["answer t1: 42"])
    }

    @Test func theNextAgentIsNotGivenTheAnswersOfTheOneBefore() throws {
        var call = try makeHarness(backends: [PuppetAgent("first"), PuppetAgent("second")])
        call.begin()
        call.agent("calls t1 lookup")
        call.agent("fail")
        #expect(cancelled(call) == ["t1"])
        call.agentConnected()
        call.agent("ready")
        call.toolAnswered(result("t1"))
        #expect(call.agentTexts("answer").isEmpty)
    }

    @Test func theNextAgentIsToldWhatWasDone() throws {
        var call = try makeHarness(backends: [PuppetAgent("first"), PuppetAgent("second")])
        call.begin()
        for id in ["t1", "t2", "t3"] { call.agent("calls \(id) book") }
        call.toolAnswered(result("t1", "room 101"))
        call.agent("cancels t2")
        call.toolAnswered(result("t2", "late"))
        call.agent("fail")
        call.agentConnected()
        #expect(call.agentTexts("hello").last == "hello; used book: room 101; used book: ?; used book: ?")
    }

    @Test func ofManyToolsTheNewestAreKept() throws {
        var call = try makeHarness(backends: [PuppetAgent("first"), PuppetAgent("second")])
        call.begin()
        call.agent("calls early book")
        for number in 0..<30 {
            call.agent("calls t\(number) book")
            if number.isMultiple(of: 2) { call.toolAnswered(result("t\(number)", "\(number)")) }
        }
        call.toolAnswered(result("early", "late"))
        call.toolAnswered(result("t29", "29"))
        call.agent("fail")
        call.agentConnected()
        let told = try #require(call.agentTexts("hello").last)
        #expect(told.components(separatedBy: "used book").count - 1 == ToolUse.countLimit)
        #expect(told.hasPrefix("hello; used book: 10; used book: ?") && told.hasSuffix("28; used book: 29"))
        #expect(ToolUse("x", arguments: String(repeating: "a", count: 9000)).arguments.count == ToolUse.argumentLimit)
    }

    @Test func callsBeyondTheLimitAreAnsweredAndRepeatedIdsCounted() throws {
        var limits = CallLimits()
        limits.pendingTools = 3
        var call = try makeHarness(limits: limits)
        call.begin()
        for id in ["a", "a", "b", "c", "d"] { call.agent("calls \(id) lookup") }
        #expect(run(call) == ["a", "b", "c"])
        #expect(call.call.counters.agentFaults == 2)
        #expect(
            call.agentTexts("error").map { $0.prefix(17) } == ["error d: Not run:"], "the agent waits for all of them")
        call.toolAnswered(result("b"))
        call.agent("calls d lookup")
        #expect(run(call) == ["a", "b", "c", "d"])
    }

    @Test func contextNeedsAnAgentThatIsReady() throws {
        var call = try makeHarness()
        let early = call.addContext("early")
        call.begin()
        let known = call.addContext("the caller has the invoice open")
        call.carrier("stop")
        let late = call.addContext("late")
        #expect([early, known, late] == [false, true, false])
        #expect(call.agentTexts("context") == ["context: the caller has the invoice open"])
    }

    @Test func binaryMessagesReachTheConversation() throws {
        var call = try makeHarness()
        call.begin()
        call.agent(binary: ByteBuffer(repeating: 0x42, count: 160))
        #expect(call.carrierTexts("audio") == ["audio 42 42 160"])
    }

    @Test func aTransferFollowsTheLastWords() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 1600")
        call.agent("transfers +4930123456")
        call.advance(180) { $0.carrier("audio 7f 160") }
        #expect(call.carrierTexts("audio").count == 10 && call.end == nil)
        call.carrier(try #require(call.carrierTexts("mark").last))
        #expect(call.end == EndReason(.transferred, "+4930123456"))
        #expect(call.end?.isOrderly == false, "the carrier is not told that the call is complete")
    }

    @Test(arguments: ["4930123456", "+0301234567", "+49", "+49-30-123456", "sip:bob@example.com", "+4930123456789012"])
    func whatIsNoNumberTransfersNobody(_ number: String) throws {
        var call = try makeHarness()
        call.begin()
        call.agent("transfers \(number)")
        call.advance(2000) { $0.carrier("audio 7f 160") }
        #expect(call.end == nil && call.call.counters.agentFaults == 1)
    }
}
