import NIOCore
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbaySimulators

@Suite struct ElevenLabsSimulatorFaultTests {
    static var agent: ElevenLabsSimulatedAgent { ElevenLabsConversationSimulatorTests.agent }

    // MARK: Tools

    static func toolAgent(_ tools: SimulatedAgentScript.Tool...) -> ElevenLabsSimulatedAgent {
        var agent = agent
        agent.script.tools = tools
        return agent
    }

    static func asked(_ agent: ElevenLabsSimulatedAgent) -> TestConversation {
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation())
        test.advance(milliseconds: 2000)
        _ = test.takeHeard()
        test.send(.userMessage("where is my order"))
        test.advance(milliseconds: 200)
        return test
    }

    @Test func callsAToolAndSpeaksOfTheResult() throws {
        var test = Self.asked(Self.toolAgent(.init("lookup", parameters: #"{"id":17}"#)))
        let call = try #require(test.takeHeard().toolCalls.first)
        #expect(call.name == "lookup" && call.parameters == #"{"id":17}"# && call.expectsResponse)
        test.send(.clientToolResult(.init(toolCallId: "another", result: "x")))
        #expect(test.takeHeard().isEmpty)
        // An object instead of a string, as the vendor's Python SDK sends it.
        test.send(
            text: #"{"type":"client_tool_result","tool_call_id":"\#(call.id)","result":{"state":"sent"},"#
                + #""is_error":false}"#)
        let heard = test.takeHeard()
        guard case .agentToolResponse(let use) = heard.first else {
            Issue.record("no agent_tool_response")
            return
        }
        #expect(use.id == call.id && use.isError == false)
        #expect(test.speech.last?.text == #"The answer is: {"state":"sent"}"#)
        test.answerSpeech(.success(ByteBuffer(repeating: 1, count: 640)))
        #expect(test.takeHeard().audioBytes == 640)
        // The next turn has a reply again.
        test.send(.userMessage("thanks"))
        test.advance(milliseconds: 200)
        #expect(test.takeHeard().responses == ["One"])
    }

    @Test func saysThatAToolFailed() throws {
        var test = Self.asked(Self.toolAgent(.init("lookup")))
        let call = try #require(test.takeHeard().toolCalls.first)
        test.send(.clientToolResult(.init(toolCallId: call.id, result: "no such tool", isError: true)))
        #expect(test.speech.last?.text == "I am sorry, that did not work: no such tool")
    }

    @Test func waitsForAToolOnlySoLong() {
        var test = Self.asked(Self.toolAgent(.init("lookup")))
        _ = test.takeHeard()
        test.advance(milliseconds: 19_990)
        #expect(test.speech.isEmpty)
        test.advance(milliseconds: 20)
        #expect(test.speech.last?.text == "I am sorry, that did not work: the tool lookup took too long")
    }

    @Test func waitsForAllToolsOfATurn() {
        var test = Self.asked(Self.toolAgent(.init("a"), .init("b"), .init("c", expectsResponse: false)))
        let calls = test.takeHeard().toolCalls
        #expect(calls.map(\.name) == ["a", "b", "c"])
        #expect(Set(calls.map(\.id)).count == 3)
        test.send(.clientToolResult(.init(toolCallId: calls[1].id, result: "two")))
        #expect(test.speech.isEmpty)
        test.send(.clientToolResult(.init(toolCallId: calls[0].id, result: "one")))
        #expect(test.speech.last?.text == "The answer is: two, one")
    }

    @Test func goesOnWithoutAResponseItDoesNotExpect() {
        var test = Self.asked(Self.toolAgent(.init("note", expectsResponse: false)))
        let heard = test.takeHeard()
        #expect(heard.toolCalls.map(\.expectsResponse) == [false])
        #expect(heard.responses == ["One"])
    }

    // MARK: Time-outs and bad messages

    @Test func pingsEveryTwoSecondsWithTheRoundTrip() {
        var test = TestConversation(Self.agent)
        test.open(sending: ElevenLabsInitiation())
        test.advance(milliseconds: 37)
        test.send(.pong(eventId: 1))
        test.advance(milliseconds: 4000)
        let pings = test.heard.filter { if case .ping = $0.message { true } else { false } }
        #expect(
            pings.map(\.message) == [
                .ping(eventId: 1, pingMs: nil), .ping(eventId: 2, pingMs: 37), .ping(eventId: 3, pingMs: 37),
            ])
        #expect(pings.map(\.at.milliseconds) == [5000, 7000, 9000])
    }

    /// Pongs are no sign of a user.
    @Test func endsWithoutInput() {
        var test = TestConversation(Self.agent)
        test.open(sending: ElevenLabsInitiation())
        test.advance(milliseconds: 30_000)
        test.send(.userActivity)
        for _ in 0..<59 {
            test.advance(milliseconds: 1000)
            test.send(.pong(eventId: 1))
        }
        #expect(test.close == nil)
        test.advance(milliseconds: 1000)
        #expect(test.takeHeard().errorTypes == ["transport_receive_timeout"])
        #expect(test.close?.code == 1002)
    }

    @Test func endsAtTheMaximumDuration() {
        var agent = Self.agent
        agent.timing.maximumDuration = .seconds(10)
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation())
        test.advance(milliseconds: 10_000)
        #expect(test.takeHeard().errorTypes == ["max_duration_exceeded"])
        #expect(test.close?.code == 1000)
    }

    @Test(arguments: [
        "", "no json", "{}", "[]", #"{"user_audio_chunk":"no base64!"}"#, #"{"user_audio_chunk":5}"#,
        #"{"type":"pong"}"#, #"{"type":"client_tool_result"}"#, #"{"type":"contextual_update"}"#,
    ])
    func refusesBadMessages(text: String) {
        var test = TestConversation(Self.agent)
        test.open(sending: ElevenLabsInitiation())
        test.send(text: text)
        #expect(test.takeHeard().errorTypes == ["invalid_message"])
        #expect(test.close?.code == 1008)
        test.send(text: text)
        #expect(test.takeHeard().isEmpty)
    }

    // MARK: Faults on demand

    static func conversation(_ change: (inout ElevenLabsSimulatedAgent.Faults) -> Void) -> TestConversation {
        var agent = agent
        change(&agent.faults)
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation())
        return test
    }

    @Test func startsSlowly() {
        var test = Self.conversation { $0.connection.slowStart = .seconds(4) }
        test.beSilent(milliseconds: 3980)
        #expect(test.heard.isEmpty)
        test.advance(milliseconds: 20)
        let heard = test.takeHeard()
        guard case .conversationInitiationMetadata = heard.first else {
            Issue.record("metadata is not first")
            return
        }
        #expect(heard.responses == ["Good morning to you"])
    }

    @Test func neverStarts() {
        var test = Self.conversation { $0.connection.neverStarts = true }
        test.beSilent(milliseconds: 1000)
        test.send(text: "no json")
        test.advance(milliseconds: 100_000)
        #expect(test.heard.isEmpty && test.close == nil)
        #expect(test.simulator.statistics.messagesReceived == 52)
    }

    @Test func stalls() {
        var test = Self.conversation {
            $0.connection.stallAfter = .seconds(3)
            $0.connection.closeWith = .init(code: 1011, reason: "crash", after: .seconds(90))
        }
        test.advance(milliseconds: 3000)
        #expect(!test.takeHeard().isEmpty)
        test.speak(milliseconds: 500)
        test.beSilent(milliseconds: 2000)
        test.advance(milliseconds: 80_000)
        #expect(test.heard.isEmpty && test.close == nil)
        test.advance(milliseconds: 10_000)
        #expect(test.close == .init(code: 1011, reason: "crash"))
    }

    @Test func closesWithAnyCode() {
        var test = Self.conversation { $0.connection.closeWith = .init(code: 1006, after: .milliseconds(1500)) }
        test.advance(milliseconds: 1499)
        #expect(test.close == nil)
        test.advance(milliseconds: 1)
        #expect(test.close == .init(code: 1006))
    }

    @Test func sendsOneHugeMessage() {
        var test = Self.conversation { $0.hugeAudio = true }
        let size = test.messageSizes.max() ?? 0
        #expect((2 << 20...(2 << 20) + 200).contains(size))
        // Most of it is silence that nobody has heard when the caller speaks.
        test.beSilent(milliseconds: 5000)
        test.speak(milliseconds: 200)
        #expect(test.takeHeard().interruptions.count == 1)
        test.beSilent(milliseconds: 1000)
        #expect(test.takeHeard().responses == ["One"])
        #expect(test.messageSizes.filter { $0 > 1 << 20 }.count == 1)
    }

    @Test func sendsOneMalformedMessage() {
        var test = Self.conversation { $0.malformedJSON = true }
        test.advance(milliseconds: 5000)
        #expect(test.malformed.count == 1)
        #expect(test.takeHeard().audioBytes == 32_000)
    }

    @Test func usesTheQuotaUp() {
        var test = Self.conversation { $0.exceedsQuota = true }
        test.advance(milliseconds: 499)
        #expect(test.close == nil && !test.takeHeard().isEmpty)
        test.advance(milliseconds: 1)
        #expect(test.takeHeard().errorTypes.isEmpty, "the error has no type and no event")
        #expect(test.close == .init(code: 1002, reason: "This request exceeds your quota limit."))
    }

    @Test func letsAConversationWait() {
        var test = Self.conversation { $0.queue = .admits(after: .seconds(2)) }
        #expect(test.takeHeard() == [.queueStatus("waiting")])
        test.advance(milliseconds: 2000)
        let heard = test.takeHeard()
        #expect(heard.first == .queueStatus("admitted") && heard.responses == ["Good morning to you"])

        var full = Self.conversation { $0.queue = .timesOut(after: .seconds(2)) }
        full.advance(milliseconds: 2000)
        #expect(full.takeHeard() == [.queueStatus("waiting"), .queueStatus("timed_out")])
        #expect(full.close?.code == 3008)
    }

    // MARK: Counting

    @Test func keepsTheCallersBytes() {
        var test = TestConversation(Self.agent, keptAudioBytes: 1000)
        test.open(sending: ElevenLabsInitiation(userId: "crm-42"))
        test.send(text: #"{"user_audio_chunk":"AQIDBA=="}"#)
        test.speak(milliseconds: 100)
        test.send(.pong(eventId: 1))
        test.simulator.closed(code: 1000, reason: "over")
        let statistics = test.simulator.statistics
        #expect(statistics.userAudioBytes == 4 + 3200)
        #expect(statistics.userAudio.readableBytes == 1000)
        #expect(Array(statistics.userAudio.readableBytesView.prefix(4)) == [1, 2, 3, 4])
        #expect(statistics.messagesReceived == 8 && statistics.audioChunks == 6 && statistics.pongs == 1)
        #expect(statistics.initiation?.userId == "crm-42")
        #expect(statistics.close == .init(code: 1000, reason: "over"))
        #expect(test.simulator.deadline == nil)
    }
}
