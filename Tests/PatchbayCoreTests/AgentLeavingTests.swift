import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

@Suite("What an agent leaves behind, and what it does not")
struct AgentLeavingTests {
    private func begun(
        _ agents: [PuppetAgent] = [PuppetAgent("first"), PuppetAgent("second")], limits: CallLimits = CallLimits()
    ) throws -> CallHarness {
        var call = try makeHarness(backends: agents, limits: limits, toAgent: [Self.key])
        call.begin()
        return call
    }

    private static var key: Stage {
        Stage("key", address: "stages[0]", takes: .telephony, gives: .telephony, processor: InterruptsOnKey())
    }

    private func listen(_ call: inout CallHarness, _ milliseconds: Int64) {
        call.advance(milliseconds) { $0.carrier("audio 7f 160") }
    }

    /// A second of protected speech is under way when the agent goes.
    private func protected() throws -> CallHarness {
        var call = try begun()
        call.agent("locks")
        call.agent("audio 40 8000")
        call.agent("unlocks")
        listen(&call, 200)
        return call
    }

    private func protectionEndsWithTheWords(_ call: inout CallHarness) throws {
        call.agentConnected()
        call.agent("ready")
        call.carrier("dtmf 1")
        #expect(call.carrierTexts("clear").isEmpty, "what is left is protected")
        listen(&call, 1500)
        #expect(call.carrierTexts("audio").count { $0.contains(" 40 ") } == 50)
        call.agent("audio 42 16000")
        listen(&call, 200)
        call.carrier("dtmf 1")
        #expect(call.carrierTexts("clear").count == 1, "the next agent may be interrupted")
        #expect(call.call.counters.interruptionsRefused == 1)
    }

    @Test func afterASwapTheCallerMayInterruptTheNewAgent() throws {
        var call = try protected()
        try call.changeAgent(to: 1)
        try protectionEndsWithTheWords(&call)
    }

    @Test func afterAFailureToo() throws {
        var call = try protected()
        call.agent("fail")
        try protectionEndsWithTheWords(&call)
    }

    @Test func aLockThatNobodyTookBackEndsWithTheAgent() throws {
        var call = try begun()
        call.agent("locks")
        call.agent("audio 40 1600")
        call.agent("fail")
        call.agentConnected()
        call.agent("ready")
        listen(&call, 1000)
        call.agent("audio 42 16000")
        listen(&call, 200)
        call.carrier("dtmf 1")
        #expect(call.carrierTexts("clear").count == 1)
    }

    @Test func aGoodbyeOfAnAgentThatIsReplacedEndsNothing() throws {
        for rings in [false, true] {
            var call = try makeHarness(backends: [PuppetAgent("first"), PuppetAgent("second")])
            call.agentConnected()
            call.agent("ready")
            if !rings { call.carrier("start") }
            call.agent("audio 40 8000")
            call.agent("hangup")
            try call.changeAgent(to: 1)
            if rings { call.carrier("start") }
            call.agentConnected()
            call.agent("ready")
            call.agent("audio 42 160")
            listen(&call, 3000)
            #expect(call.call.state == .streaming && call.call.backend == "second")
            #expect(call.carrierTexts("audio").last == "audio 42 42 160")
        }
    }

    @Test func theNextAgentIsToldWhatTheCallerCutOfTheHistory() throws {
        var call = try begun()
        call.agent("says one two three four five six")
        call.agent("audio 40 16000")
        call.agent("end")
        listen(&call, 200)
        call.agent("fail")
        call.agentConnected()
        #expect(call.agentTexts("hello").last == "hello; agent: one two three four five six")
        listen(&call, 800)
        // Not ready yet: it is told when it is.
        call.carrier("dtmf 1")
        #expect(call.agentTexts("context").isEmpty)
        call.agent("ready")
        #expect(call.agentTexts("context").count == 1)
        #expect(call.agentTexts("context").last?.hasSuffix("heard only: one two three") == true)
        #expect(call.agentTexts("cut").isEmpty, "it was not interrupted itself")
    }

    @Test func theNextAgentsOwnInterruptionCutsNothingOfItsOwn() throws {
        var call = try begun()
        call.agent("says one two three four five six")
        call.agent("audio 40 16000")
        call.agent("end")
        listen(&call, 1000)
        call.agent("fail")
        call.agentConnected()
        call.agent("ready")
        call.agent("interrupt")
        #expect(call.agentTexts("context").last?.hasSuffix("heard only: one two three") == true)
        #expect(call.agentTexts("heard after").isEmpty)
    }

    @Test func answersAreNeverDroppedBetweenTwoSockets() throws {
        var call = try begun()
        call.agent("calls t1 lookup")
        call.agent("reconnect")
        call.agentClosed(code: 1006)
        call.toolAnswered(ToolResult(ToolCall(id: "t1", name: "lookup"), output: "42"))
        for _ in 0..<200 { call.carrier("dtmf 5") }
        call.agentConnected()
        call.agent("ready")
        #expect(call.agentTexts("answer") == ["answer t1: 42"])
        #expect((1..<64).contains(call.agentTexts("key").count) && call.call.counters.agentFaults > 100)
    }

    @Test func pointsBetweenSoundAreFoldedAndBounded() throws {
        var call = try begun()
        call.agent("audio 40 8000")
        for _ in 0..<5000 {
            call.agent("locks")
            call.agent("unlocks")
            call.agent("end")
        }
        call.agent("audio 41 160")
        listen(&call, 2000)
        #expect(call.carrierTexts("audio").count == 51)
        #expect(call.carrierTexts("mark").count < 20)
    }

    // MARK: The beginning

    @Test func anAgentConnectedLateIsToldOfTheStartOnceAndAfterIt() throws {
        let log = EventLog()
        var call = try makeHarness(backends: [LocalPuppet()], observers: [log]) { $0.connectsEarly = false }
        call.advance(5000)
        call.carrier("start")
        #expect(call.agentTexts("started").count == 1)
        #expect(call.call.counters.timeToFirstAudio == .zero)
        let order = log.events.compactMap { event -> String? in
            switch event {
            case .streamStarted: "stream"
            case .agentConnecting: "agent"
            default: nil
            }
        }
        #expect(order == ["stream", "agent"])
    }

    @Test func anEarlyAgentIsToldOfTheStartOnce() throws {
        var call = try makeHarness(backends: [LocalPuppet()])
        call.carrier("start")
        #expect(call.agentTexts("started").count == 1)
    }

    @Test(arguments: [true, false]) func whoCannotBeOpenedIsReplacedByAPerson(early: Bool) throws {
        let log = EventLog()
        var call = try makeHarness(backends: [PuppetAgent("broken", refuses: true)], observers: [log]) {
            $0.connectsEarly = early
            $0.transferTo = PhoneNumber("+4930123456")
        }
        #expect(call.end == nil)
        call.carrier("start")
        call.carrier(try #require(call.carrierTexts("mark").last))
        #expect(call.end == EndReason(.transferred, "+4930123456"))
        #expect(log.events.contains { if case .agentFailed = $0 { true } else { false } })
    }

    @Test func withoutAPersonThereIsNoCall() {
        #expect(throws: PipelineError.self) { _ = try makeHarness(backends: [PuppetAgent("broken", refuses: true)]) }
    }

    // MARK: By hand

    @Test func aCallerIsConnectedByHand() throws {
        let number = try #require(PhoneNumber("+4930123456"))
        for rings in [false, true] {
            var call = try makeHarness()
            call.agentConnected()
            call.agent("ready")
            if !rings { call.carrier("start") }
            call.agent("audio 40 8000")
            let isTransferred = call.transfer(to: number)
            #expect(isTransferred && call.end == nil)
            if rings {
                call.advance(12_000)
                #expect(call.end == nil, "no agent is missed")
                call.carrier("start")
            }
            #expect(call.carrierTexts("audio").count < 50, "what waits is not played")
            call.carrier(try #require(call.carrierTexts("mark").last))
            #expect(call.end == EndReason(.transferred, "+4930123456"))
            let again = call.transfer(to: number)
            #expect(!again)
        }
    }

    @Test func whoHangsUpDuringTheLastWordsIsNotTransferred() throws {
        var call = try begun()
        call.agent("audio 40 1600")
        call.agent("transfers +4930123456")
        listen(&call, 100)
        #expect(call.call.state != .streaming)
        var lost = call
        call.carrier("stop")
        #expect(call.end?.kind == .callerHungUp)
        lost.carrierClosed()
        #expect(lost.end?.kind == .transferred, "the caller may still be there")
    }
}

/// A puppet of this process that speaks as soon as it can.
private struct LocalPuppet: AgentBackend {
    let type = "local"

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
        AgentSession(Conversation(), endpoint: .local)
    }

    private struct Conversation: AgentConversation {
        func opened(at now: MediaTime, into output: inout AgentOutput) {
            output.emit(.ready(input: .telephony, output: .telephony))
            output.emit(.audio(ByteBuffer(repeating: 0x40, count: 1600)))
        }

        func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
            if case .callStarted = frame { output.messages.text { $0.writeString("started") } }
        }
    }
}
