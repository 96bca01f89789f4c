import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

@Suite struct CallLifeTests {
    // MARK: Beginning

    @Test func firstWordsBeforeTheAgentIsReadyAreNotLost() throws {
        var call = try makeHarness()
        call.carrier("start")
        for _ in 0..<50 {
            call.carrier("audio 7f 160")
            call.advance(20)
        }
        #expect(call.agentTexts("heard").isEmpty)
        call.agentConnected()
        call.agent("ready")
        #expect(call.agentTexts("heard") == ["heard 8000"], "one second goes out at once")
        call.carrier("audio 7f 160")
        #expect(call.agentTexts("heard") == ["heard 8000", "heard 160"])
    }

    @Test func theBacklogForALateAgentIsBoundedAndKeepsTheNewest() throws {
        var limits = CallLimits()
        limits.callerBacklog = .milliseconds(100)
        var call = try makeHarness(limits: limits)
        call.carrier("start")
        for _ in 0..<50 { call.carrier("audio 7f 160") }
        call.agentConnected()
        call.agent("ready")
        #expect(call.agentTexts("heard") == ["heard 800"])
    }

    @Test func aCallWithoutAStreamEnds() throws {
        var call = try makeHarness()
        call.agentConnected()
        call.agent("ready")
        call.advance(119_960)
        #expect(call.end == nil)
        call.advance(60)
        #expect(call.end?.kind == .noStream)
    }

    @Test func anotherFormatThanTheCarriersIsRefused() throws {
        struct Wideband: CarrierSerializer {
            func deserialize(_ message: ByteBuffer) throws -> CarrierEvent {
                .started(CallStart(callSid: "", streamSid: ""), .pcm(16000))
            }
            func audio(_ payload: ByteBuffer, into batch: inout MessageBatch) {}
            func mark(_ mark: PlaybackMark, into batch: inout MessageBatch) {}
            func clear(into batch: inout MessageBatch) {}
        }
        var call = try CallHarness(
            CallPlan(
                info: CallInfo(id: "1", callSid: "CA", from: "", to: "", pipeline: ""), carrier: Wideband(),
                carrierFormat: .telephony, toAgent: Chain(.toAgent, []), joint: .telephony, backends: [PuppetAgent()],
                toCaller: Chain(.toCaller, [])))
        call.carrier("start")
        #expect(call.end?.kind == .failure)
        #expect(call.end?.detail.contains("pcm16 16000 Hz") == true)
    }

    // MARK: Faults

    @Test func badMessagesAreCountedAndTheCallGoesOn() throws {
        let log = EventLog()
        var call = try makeHarness(observers: [log])
        call.begin()
        for bad in ["", "{", "audio zz 160", "start"] { call.carrier(bad) }
        #expect(call.call.counters.carrierFaults == 4)
        #expect(call.end == nil)
        call.carrier("audio 7f 160")
        #expect(call.agentTexts("heard") == ["heard 160"])
    }

    @Test func aCarrierThatSendsOnlyNonsenseIsGivenUp() throws {
        var call = try makeHarness()
        call.begin()
        for _ in 0..<500 { call.carrier("nonsense") }
        #expect(call.end?.kind == .failure)
    }

    @Test func aSilentCarrierEndsTheCall() throws {
        var call = try makeHarness()
        call.begin()
        call.advance(14_980)
        #expect(call.end == nil)
        call.advance(20)
        #expect(call.end?.kind == .idle)
    }

    @Test func theLongestCallEndsInOrder() throws {
        var limits = CallLimits()
        limits.maximumDuration = .seconds(2)
        var call = try makeHarness(limits: limits)
        call.begin()
        call.advance(2020) { $0.carrier("audio 7f 160") }
        #expect(call.call.state != .streaming)
        let final = try #require(call.carrierTexts("mark").last)
        call.carrier(final)
        #expect(call.end?.kind == .maximumDuration)
    }

    // MARK: Agents that fail

    @Test func anAgentThatIsNotReadyInTimeIsReplacedByTheNext() throws {
        let log = EventLog()
        var call = try makeHarness(backends: [PuppetAgent("first"), PuppetAgent("second")], observers: [log])
        call.carrier("start")
        call.agentConnected()
        call.advance(10_020) { $0.carrier("audio 7f 160") }
        #expect(call.call.backend == "second")
        call.agentConnected()
        call.agent("ready")
        call.agent("audio 42 160")
        #expect(call.carrierTexts("audio") == ["audio 42 42 160"])
        #expect(call.agentTexts("heard").first == "heard 40000", "five seconds of the caller's words were kept")
    }

    @Test func theLastAgentsFailureEndsTheCallAfterWhatItSaid() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 4000")
        call.agentClosed(code: 1008, reason: "session expired")
        #expect(call.end == nil)
        call.advance(600) { $0.carrier("audio 7f 160") }
        #expect(call.carrierTexts("audio").count == 25, "half a second had been said and is played")
        let final = try #require(call.carrierTexts("mark").last)
        call.carrier(final)
        #expect(call.end?.kind == .failure)
        #expect(call.end?.detail.contains("1008 session expired") == true)
    }

    @Test func failureInMidCallMovesOnAndOldWordsAreIgnored() throws {
        var call = try makeHarness(backends: [PuppetAgent("first"), PuppetAgent("second")])
        call.begin()
        call.agent("fail")
        #expect(call.call.backend == "second")
        call.agent("ready")
        #expect(call.end == nil)
        call.agent("audio 42 160")
        #expect(call.carrierTexts("audio") == ["audio 42 42 160"])
    }

    @Test func anAgentThatTakesOverIsToldThatTheCallHasStarted() throws {
        var call = try makeHarness(backends: [PuppetAgent("first"), PuppetAgent("second")])
        call.begin()
        call.agent("fail")
        call.agentConnected()
        #expect(call.agentTexts("started").count == 2)
    }

    @Test func whatAFailedAgentSaidLastIsNotTakenForItsSuccessors() throws {
        var call = try makeHarness(backends: [PuppetAgent("first"), PuppetAgent("second")])
        call.begin()
        call.agent("fail-then-audio")
        call.agentConnected()
        call.agent("ready")
        call.advance(400) { $0.carrier("audio 7f 160") }
        #expect(call.carrierTexts("audio").isEmpty)
    }

    @Test func aLoneBackendIsTriedOnceMoreWhereThatCanHelp() throws {
        var call = try makeHarness()
        call.begin()
        let first = call.link
        call.agent("fail-retryable")
        #expect(call.link == first + 1 && call.end == nil)
        call.agent("fail-retryable")
        call.carrier(try #require(call.carrierTexts("mark").last))
        #expect(call.end?.kind == .failure, "once, not for ever")
    }

    @Test func aSuccessorInMidCallHasThreeSeconds() throws {
        var call = try makeHarness(backends: [PuppetAgent("a"), PuppetAgent("b"), PuppetAgent("c")])
        call.begin()
        call.agent("fail")
        call.advance(2980) { $0.carrier("audio 7f 160") }
        #expect(call.call.backend == "b")
        call.advance(40) { $0.carrier("audio 7f 160") }
        #expect(call.call.backend == "c")
    }

    @Test(arguments: [Int64.max, .min, -1, 0]) func noNumberOfACarrierStopsTheProcess(chunk: Int64) throws {
        var call = try makeHarness()
        call.begin()
        for number in [1, chunk, 1, chunk] { call.carrier("audio 7f 160 \(number)") }
        #expect(call.end == nil)
        #expect(call.call.counters.packetsReceived == 4)
    }

    @Test func missingPacketsAreCountedByTheCarriersNumbers() throws {
        var call = try makeHarness()
        call.begin()
        for number in [1, 2, 5, 6, 4, 5] { call.carrier("audio 7f 160 \(number)") }
        #expect(call.call.counters.packetsMissing == 2)
    }

    @Test func backendsThatCannotBeOpenedAreSkipped() throws {
        let call = try makeHarness(backends: [PuppetAgent("broken", refuses: true), PuppetAgent("good")])
        #expect(call.call.backend == "good")
        #expect(throws: PipelineError.self) { try makeHarness(backends: [PuppetAgent("broken", refuses: true)]) }
    }

    @Test func aFailureWhileItRingsIsToldWhenTheStreamBegins() throws {
        var call = try makeHarness()
        call.agentClosed(code: 1008, reason: "no such agent")
        #expect(call.end == nil, "the carrier will come back for the words")
        call.carrier("start")
        let final = try #require(call.carrierTexts("mark").last)
        call.carrier(final)
        #expect(call.end?.kind == .failure)
    }

    // MARK: Endings

    @Test func goodbyeIsPlayedToItsEndBeforeTheHangUp() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 8000")
        call.agent("hangup")
        call.advance(980) { $0.carrier("audio 7f 160") }
        #expect(call.carrierTexts("audio").count == 50)
        #expect(call.end == nil)
        call.carrier(try #require(call.carrierTexts("mark").last))
        #expect(call.end?.kind == .agentHungUp)
        #expect(call.actions.contains { if case .closeCarrier(1000, _) = $0 { true } else { false } })
    }

    @Test func aMarkThatNeverComesIsNotWaitedForForever() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 160")
        call.agent("hangup")
        call.advance(1000) { $0.carrier("audio 7f 160") }
        #expect(call.end == nil)
        call.advance(40)
        #expect(call.end?.kind == .agentHungUp)
        #expect(call.call.counters.marksMissed == 1)
    }

    @Test func interruptionDoesNotCancelAGoodbye() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 8000")
        call.agent("hangup")
        call.agent("interrupt")
        call.advance(20)
        call.carrier(try #require(call.carrierTexts("mark").last))
        #expect(call.end?.kind == .agentHungUp)
    }

    @Test func theCallerMayHangUpAtAnyTime() throws {
        for closes in [true, false] {
            var call = try makeHarness()
            call.begin()
            if closes { call.carrierClosed() } else { call.carrier("stop") }
            #expect(call.end?.kind == (closes ? .streamLost : .callerHungUp))
            let count = call.carrierMessages.count
            call.agent("audio 40 8000")
            call.advance(1000)
            #expect(call.carrierMessages.count == count, "an ended call says nothing")
        }
    }

    @Test func anOperatorEndsTheCallInOrder() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 80000")
        call.hangUp(EndReason(.operatorHungUp))
        call.carrier(try #require(call.carrierTexts("mark").last))
        #expect(call.end?.kind == .operatorHungUp)
    }

    // MARK: Stages

    @Test func observersSeeEveryJointInOrder() throws {
        let log = EventLog()
        let stage = Stage("pass", address: "stages[0]", takes: .telephony, gives: .telephony, processor: Pass())
        var call = try makeHarness(toAgent: [stage], observers: [log])
        call.begin()
        call.carrier("audio 7f 160")
        let joints = log.frames.compactMap { if case .audio = $0.1 { $0.0 } else { nil } }
        #expect(joints == [Joint(.toAgent, 0), Joint(.toAgent, 1)])
    }

    @Test func aStageThatFailsEndsTheCallAndSaysWhere() throws {
        let stage = Stage("broken", address: "stages[0]", takes: .telephony, gives: .telephony, processor: Broken())
        var call = try makeHarness(toAgent: [stage])
        call.begin()
        call.carrier("audio 7f 160")
        #expect(call.end?.kind == .failure)
        #expect(call.end?.detail.contains("stages[0] (broken)") == true)
    }

    @Test func framesOfOneDeadlineKeepTheirOrder() throws {
        let stage = Stage("late", address: "stages[0]", takes: .telephony, gives: .telephony, processor: ThreeAtOnce())
        var call = try makeHarness(toCaller: [stage])
        call.begin()
        call.advance(100) { $0.carrier("audio 7f 160") }
        #expect(call.carrierTexts("audio") == ["audio 1 1 160", "audio 2 2 160", "audio 3 3 160"])
    }

    @Test func aStageOnTheAgentsSideCanInterruptToo() throws {
        let stage = Stage(
            "limit", address: "stages[0]", takes: .telephony, gives: .telephony, processor: InterruptsOnText())
        var call = try makeHarness(toCaller: [stage])
        call.begin()
        call.agent("audio 40 8000")
        call.agent("says words")
        #expect(call.carrierTexts("clear") == ["clear"])
        #expect(call.agentTexts("cut").count == 1)
    }

    @Test func everybodyHearsOfTheEndEvenAfterAStageFailed() throws {
        let log = EventLog()
        let stages = [
            Stage("broken", address: "stages[0]", takes: .telephony, gives: .telephony, processor: Broken()),
            Stage("pass", address: "stages[1]", takes: .telephony, gives: .telephony, processor: Pass()),
        ]
        var call = try makeHarness(toAgent: stages, observers: [log])
        call.begin()
        call.carrier("audio 7f 160")
        let ends = log.frames.filter { if case .callEnded = $0.1 { $0.0.leg == .toAgent } else { false } }
        #expect(ends.map(\.0.index) == [0, 1, 2])
    }

    @Test func aStageOnTheCallersSideCanInterruptTheAgent() throws {
        let stage = Stage(
            "key", address: "stages[0]", takes: .telephony, gives: .telephony, processor: InterruptsOnKey())
        var call = try makeHarness(toAgent: [stage])
        call.begin()
        call.agent("audio 40 8000")
        call.carrier("dtmf 1")
        #expect(call.carrierTexts("clear") == ["clear"])
        #expect(call.agentTexts("cut").count == 1)
    }

    @Test func resultsOfAnAsynchronousStageOfACutTurnAreDropped() throws {
        let stage = Stage("late", address: "stages[0]", takes: .telephony, gives: .telephony, processor: Pass())
        var call = try makeHarness(toCaller: [stage])
        call.begin()
        call.agent("audio 40 160")
        call.agent("interrupt")
        let sent = call.carrierTexts("audio").count
        let frame = Frame.audio(AudioFrame(ByteBuffer(repeating: 0x43, count: 160), format: .telephony, generation: 0))
        call.deliver([frame], behind: Joint(.toCaller, 1))
        #expect(call.carrierTexts("audio").count == sent)
        #expect(call.call.staleFrames == 1)
        let fresh = Frame.audio(AudioFrame(ByteBuffer(repeating: 0x44, count: 160), format: .telephony, generation: 1))
        call.deliver([fresh], behind: Joint(.toCaller, 1))
        #expect(call.carrierTexts("audio").last == "audio 44 44 160")
    }
}

private struct Pass: Processor {
    func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        output.emit(frame)
    }
}

private struct Broken: Processor {
    func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        if case .audio = frame { throw PipelineError(.stageFailed, "told to") }
        output.emit(frame)
    }
}

private struct ThreeAtOnce: Processor {
    private(set) var deadline: MediaTime? = MediaTime(milliseconds: 1050)
    func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        output.emit(frame)
    }
    mutating func deadlineReached(at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        deadline = nil
        for byte in 1...3 {
            output.emit(.audio(AudioFrame(ByteBuffer(repeating: UInt8(byte), count: 160), format: .telephony)))
        }
    }
}

private struct InterruptsOnText: Processor {
    func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        if case .text = frame { output.emitUpstream(.interruption(Interruption(generation: 0, cause: "a word"))) }
        output.emit(frame)
    }
}
