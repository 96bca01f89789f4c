import NIOCore
import PatchbayAudio
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayCore

/// A stage that asks the call for what a key stands for, as one that takes turns does.
private struct Asks: Processor {
    func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        switch frame {
        case .dtmf("1"): output.emitUpstream(.bargeIn(.started))
        case .dtmf("2"): output.emitUpstream(.bargeIn(.confirmed))
        case .dtmf("3"): output.emitUpstream(.bargeIn(.dismissed))
        case .dtmf("4"): output.emitUpstream(.interruptible(false))
        case .dtmf("5"): output.emitUpstream(.interruptible(true))
        case .dtmf("6"): output.emitUpstream(.recording(.pause))
        default: output.emit(frame)
        }
    }
}

private var asking: Stage {
    Stage("asks", address: "stages[0]", takes: .telephony, gives: .telephony, processor: Asks())
}

@Suite struct BargeInTests {
    /// An agent that counts: every packet has its own byte, so that a gap or a repetition shows.
    private func counting(seconds: Int = 2, limits: CallLimits = CallLimits(), observers: [any CallObserver] = [])
        throws
        -> CallHarness
    {
        var call = try makeHarness(limits: limits, toAgent: [asking], observers: observers)
        call.begin()
        for packet in 0..<50 * seconds { call.agent("audio \(String(packet % 120, radix: 16)) 160") }
        return call
    }

    private func packets(_ texts: some Sequence<String>) -> [Int] {
        texts.compactMap { $0.hasPrefix("audio ") ? Int($0.split(separator: " ")[1], radix: 16) : nil }
    }

    @Test func aPauseStopsPlaybackAndResumesWhereItStopped() throws {
        var call = try counting()
        call.advance(500)
        let before = call.carrierMessages.count
        call.carrier("dtmf 1")
        #expect(call.carrierMessages[before...].map(\.text) == ["clear"])
        call.advance(600) { $0.carrier("audio 7f 160") }
        #expect(call.carrierMessages.count == before + 1, "nothing is played while the caller has the floor")
        #expect(call.agentTexts("cut").isEmpty, "the agent is told nothing yet")
        call.carrier("dtmf 3")
        call.advance(100)
        let heard = packets(call.carrierMessages[..<before].map(\.text)).prefix(25)
        let resumed = packets(call.carrierMessages[(before + 1)...].map(\.text))
        #expect(heard.last == 24, "500 ms were heard")
        #expect(resumed.first == 25, "and then the next packet")
        #expect(resumed == Array(25..<25 + resumed.count), "nothing is missing, nothing comes twice")
        #expect(call.call.counters.falseInterruptions == 1)
        #expect(call.call.counters.interruptions == 0)
        #expect(call.call.ledger.underruns == 0, "silence that was meant is no under-run")
    }

    @Test(arguments: [501, 507, 519]) func aPauseBetweenTwoPacketsLeavesNoHoleInAWord(milliseconds: Int64) throws {
        var call = try counting()
        call.advance(milliseconds)
        let before = call.carrierMessages.count
        call.carrier("dtmf 1")
        call.advance(600) { $0.carrier("audio 7f 160") }
        call.carrier("dtmf 3")
        call.advance(200)
        let resumed = call.carrierMessages[(before + 1)...].map(\.text).filter { $0.hasPrefix("audio") }
        #expect(resumed.first?.hasPrefix("audio ff") == true, "the cut packet is filled in front")
        #expect(!resumed.dropFirst().contains { $0.contains("ff") }, "and nowhere else: \(resumed.prefix(4))")
    }

    @Test func aPauseInTheLastWordsLeavesNoDebt() throws {
        let log = EventLog()
        var call = try makeHarness(toAgent: [asking], observers: [log])
        call.begin()
        call.agent("audio 40 8000")
        call.agent("end")
        call.advance(900)
        call.carrier("dtmf 1")
        call.advance(500) { $0.carrier("audio 7f 160") }
        call.carrier("dtmf 3")
        call.advance(6000) { $0.carrier("audio 7f 160") }
        call.agent("audio 41 8000")
        call.agent("end")
        call.advance(1200) { $0.carrier("audio 7f 160") }
        #expect(call.call.ledger.underruns == 0 && call.call.ledger.debt == .zero)
        #expect(call.carrierTexts("audio 41").count == 50)
        let audible = log.events.filter { if case .agentAudible = $0 { true } else { false } }
        #expect(audible.count == 2, "once an answer")
    }

    @Test func aPauseBetweenTheAgentsChunksIsNoUnderrun() throws {
        var call = try makeHarness(toAgent: [asking])
        call.begin()
        call.agent("audio 40 160")
        call.advance(20)
        call.carrier("dtmf 1")
        call.advance(400) { $0.carrier("audio 7f 160") }
        call.carrier("dtmf 3")
        call.agent("audio 40 160")
        #expect(call.call.ledger.underruns == 0 && call.call.ledger.debt == .zero)
    }

    @Test func whatAStageSaysInThePauseComesAfterWhatWasNotHeard() throws {
        var call = try counting()
        call.advance(500)
        call.carrier("dtmf 1")
        let before = call.carrierMessages.count
        call.deliver(
            [.audio(AudioFrame(ByteBuffer(repeating: 0x77, count: 160), format: .telephony, generation: 9))],
            behind: Joint(.toCaller, 0))
        #expect(call.carrierMessages.count == before, "nothing is said in the pause")
        call.carrier("dtmf 3")
        let texts = call.carrierMessages[before...].map(\.text).filter { $0.hasPrefix("audio") }
        let late = try #require(texts.firstIndex { $0.hasPrefix("audio 77") })
        #expect(late == 10, "behind the 200 ms that were thrown away")
    }

    @Test func whatASuccessorSaysIsItsOwn() throws {
        var call = try makeHarness(backends: [PuppetAgent("a"), PuppetAgent("b")], toAgent: [asking])
        call.begin()
        call.agent("says I am the first and I will fail")
        call.agent("locks")
        call.agent("audio 40 12000")
        call.advance(1000)
        call.agent("fail")
        call.agentConnected()
        call.agent("ready")
        call.agent("says hello from the second")
        call.agent("audio 41 16000")
        call.agent("end")
        call.advance(1200)
        call.carrier("dtmf 1")
        call.carrier("dtmf 2")
        let cut = try #require(call.agentTexts("cut").last)
        #expect(cut.contains("hello") && !cut.contains("first"), "\(cut)")
    }

    @Test func aConfirmedBargeInCutsTheTurnAndSaysWhatWasHeard() throws {
        var call = try makeHarness(toAgent: [asking])
        call.begin()
        call.agent("says one two three four five six seven eight nine ten")
        call.agent("audio 40 16000")
        call.agent("end")
        call.advance(500)
        call.carrier("dtmf 1")
        call.advance(300) { $0.carrier("audio 7f 160") }
        call.carrier("dtmf 2")
        #expect(
            call.agentTexts("cut") == ["cut after 500 ms: one two"], "a quarter of the text, cut after a whole word")
        call.advance(2000) { $0.carrier("audio 7f 160") }
        #expect(call.call.waitingAgentBytes == 0)
        #expect(call.call.counters.heard == Heard(text: "one two", duration: .milliseconds(500), isComplete: false))
    }

    @Test func aTurnThatWasHeardToItsEndIsReportedWhole() throws {
        let log = EventLog()
        var call = try makeHarness(observers: [log])
        call.begin()
        call.agent("says good morning")
        call.agent("audio 40 4000")
        call.agent("end")
        call.advance(480) { $0.carrier("audio 7f 160") }
        #expect(call.agentTexts("heard after").isEmpty)
        call.advance(60) { $0.carrier("audio 7f 160") }
        #expect(call.agentTexts("heard after") == ["heard after 500 ms: good morning"])
        #expect(log.events.contains { if case .turnHeard(let heard) = $0 { heard.isComplete } else { false } })
    }

    @Test func wordsAreNotHeardBeforeTheirAudioHasCome() throws {
        var call = try makeHarness(toAgent: [asking])
        call.begin()
        call.agent("says a very long sentence of which hardly anything has been sent so far by the agent")
        call.agent("audio 40 3200")
        call.advance(400)
        call.carrier("dtmf 1")
        call.carrier("dtmf 2")
        let cut = try #require(call.agentTexts("cut").first)
        #expect(cut == "cut after 400 ms: a very", "400 ms are some six characters, not the whole sentence")
    }

    @Test func aSecondTurnDoesNotCountWhatWasHeardOfTheFirst() throws {
        var call = try makeHarness(toAgent: [asking])
        call.begin()
        call.agent("says first")
        call.agent("audio 40 4000")
        call.advance(1000) { $0.carrier("audio 7f 160") }
        call.agent("says second and last")
        call.agent("audio 40 4000")
        call.agent("end")
        call.advance(260)
        call.carrier("dtmf 1")
        call.carrier("dtmf 2")
        #expect(call.agentTexts("cut") == ["cut after 260 ms: second"])
        #expect(
            call.agentTexts("heard after") == ["heard after 500 ms: first"], "words when nothing is left begin a turn")
    }

    @Test func whatMustNotBeInterruptedIsNot() throws {
        for locks in [["dtmf 4"], []] {
            var call = try makeHarness(toAgent: [asking])
            call.begin()
            for lock in locks { call.carrier(lock) }
            if locks.isEmpty { call.agent("locks") }
            call.agent("audio 40 8000")
            if locks.isEmpty { call.agent("unlocks") }
            call.advance(300)
            call.carrier("dtmf 1")
            call.agent("interrupt")
            #expect(call.carrierTexts("clear").isEmpty)
            #expect(call.call.counters.interruptionsRefused == 1)
            call.advance(600)
            if !locks.isEmpty { call.carrier("dtmf 5") }
            call.advance(200)
            #expect(call.carrierTexts("audio").count == 50, "it was played to its end")
            call.agent("audio 41 8000")
            call.advance(100)
            call.agent("interrupt")
            #expect(call.carrierTexts("clear").count == 1, "afterwards the agent can be interrupted again")
        }
    }

    @Test func anUndecidedBargeInEndsByItself() throws {
        var limits = CallLimits()
        limits.bargeIn = .milliseconds(1000)
        var call = try counting(limits: limits)
        call.advance(200)
        call.carrier("dtmf 1")
        let count = call.carrierTexts("audio").count
        call.advance(980) { $0.carrier("audio 7f 160") }
        #expect(call.carrierTexts("audio").count == count)
        call.advance(40) { $0.carrier("audio 7f 160") }
        #expect(call.carrierTexts("audio").count > count)
    }

    @Test func thePausedTurnCanStillBeCutByTheAgent() throws {
        var call = try counting()
        call.advance(500)
        call.carrier("dtmf 1")
        call.agent("interrupt")
        call.carrier("dtmf 3")
        let count = call.carrierMessages.count
        call.advance(1000) { $0.carrier("audio 7f 160") }
        #expect(call.carrierMessages.count == count, "nothing is left to be resumed")
        #expect(call.call.counters.interruptions == 1)
    }

    @Test func marksFromBeforeThePauseProveNothing() throws {
        var call = try counting()
        call.advance(500)
        let old = call.carrierTexts("mark")
        call.carrier("dtmf 1")
        // Carriers echo marks at once when their audio is thrown away.
        for mark in old { call.carrier(mark) }
        #expect(call.call.ledger.confirmed <= .milliseconds(500))
        call.carrier("dtmf 3")
        call.advance(300)
        let new = call.carrierTexts("mark").dropFirst(old.count)
        #expect(!new.isEmpty && new.allSatisfy { $0.hasPrefix("mark 1:") })
    }

    @Test func anAnnouncementComesFirstAndCannotBeInterrupted() throws {
        var call = try makeHarness(toAgent: [asking], announcement: ByteBuffer(repeating: 0x22, count: 8000))
        call.begin()
        call.agent("audio 40 8000")
        call.advance(500)
        call.carrier("dtmf 1")
        call.agent("interrupt")
        call.advance(1000) { $0.carrier("audio 7f 160") }
        let texts = call.carrierTexts("audio")
        #expect(texts.prefix(50).allSatisfy { $0.hasPrefix("audio 22") })
        #expect(texts.dropFirst(50).allSatisfy { $0.hasPrefix("audio 40") })
        #expect(texts.count > 60 && call.carrierTexts("clear").isEmpty)
    }

    @Test func keysOfTheAgentTravelToTheCaller() throws {
        let log = EventLog()
        var call = try makeHarness(observers: [log])
        call.begin()
        call.agent("keys 42#")
        let keys = log.frames.compactMap { joint, frame -> Character? in
            if case .dtmf(let key) = frame, joint.leg == .toCaller { key } else { nil }
        }
        #expect(keys == ["4", "2", "#"])
    }
}
