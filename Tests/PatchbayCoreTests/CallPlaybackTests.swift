import NIOCore
import PatchbayAudio
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayCore

@Suite struct CallPlaybackTests {
    @Test func audioIsSentAtMostOneLeadAhead() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 8000")  // one second
        #expect(call.carrierTexts("audio").count == 10, "200 ms of lead are 10 packets")
        call.advance(100)
        #expect(call.carrierTexts("audio").count == 15, "afterwards one packet every 20 ms")
        call.advance(1000)
        #expect(call.carrierTexts("audio").count == 50)
        #expect(call.carrierTexts("audio").allSatisfy { $0 == "audio 40 40 160" })
    }

    @Test(arguments: [0, 20, 100, 450]) func theLeadIsASetting(milliseconds: Int64) throws {
        var limits = CallLimits()
        limits.lead = .milliseconds(milliseconds)
        var call = try makeHarness(limits: limits)
        call.begin()
        call.agent("audio 40 8000")
        #expect(call.carrierTexts("audio").count == Int(max(20, milliseconds) / 20))
    }

    @Test func liveAudioPassesWithoutWaiting() throws {
        var call = try makeHarness()
        call.begin()
        for packet in 1...20 {
            call.agent("audio 41 160")
            #expect(call.carrierTexts("audio").count == packet)
            call.advance(20)
        }
    }

    @Test func earlyGreetingWaitsForTheStream() throws {
        var call = try makeHarness()
        call.agentConnected()
        call.agent("ready")
        call.agent("audio 40 1600")
        call.advance(5000)
        #expect(call.carrierMessages.isEmpty)
        call.carrier("start")
        #expect(call.carrierTexts("audio").count == 10)
        #expect(call.call.counters.timeToFirstAudio == .zero)
    }

    @Test func aShortRestIsPaddedWhenTheAgentEndsItsTurn() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 200")
        #expect(call.carrierTexts("audio") == ["audio 40 40 160"])
        call.agent("end")
        #expect(call.carrierTexts("audio") == ["audio 40 40 160", "audio 40 ff 160"])
        #expect(call.carrierTexts("mark") == ["mark 0:40"])
    }

    @Test func aPauseOf300MillisecondsEndsAnUtterance() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 200")
        call.advance(280)
        #expect(call.carrierTexts("audio").count == 1)
        call.advance(20)
        #expect(call.carrierTexts("audio") == ["audio 40 40 160", "audio 40 ff 160"])
    }

    @Test func interruptionClearsTheCarrierAtOnceAndDropsWhatWaits() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 16000")
        call.advance(500)
        let before = call.carrierMessages.count
        call.agent("interrupt")
        #expect(call.carrierMessages[before...].map(\.text) == ["clear"])
        #expect(call.call.counters.interruptions == 1)
        call.advance(1000)
        #expect(call.carrierMessages.count == before + 1, "nothing of the cut turn follows")
        call.agent("audio 41 320")
        #expect(call.carrierTexts("audio").suffix(2) == ["audio 41 41 160", "audio 41 41 160"])
        call.agent("end")
        #expect(call.carrierTexts("mark").last?.hasPrefix("mark 1:") == true, "the new turn has a new generation")
    }

    /// Not every vendor says when a turn is over. What the caller says then shows that all of it had come, however fast it
    /// was spoken.
    @Test func aTurnThatWasPlayedIsHeardToItsLastWord() throws {
        let log = EventLog()
        var call = try makeHarness(observers: [log])
        call.begin()
        call.agent("says Guten Tag, hier ist der Assistent der Praxis.")
        call.agent("audio 41 22400")
        call.advance(4000)
        call.agent("transcribes Hallo.")
        call.advance(20)
        let heard = log.events.compactMap { if case .turnHeard(let heard) = $0 { heard.text } else { nil } }
        #expect(heard == ["Guten Tag, hier ist der Assistent der Praxis."], "2.8 s for 45 characters")
    }

    /// Most calls end so: the agent has said its last words, and the caller puts the receiver down.
    @Test func whatWasPlayedBeforeTheCallerHungUpWasHeardWhole() throws {
        let log = EventLog()
        var call = try makeHarness(observers: [log])
        call.begin()
        call.agent("says Your appointment is on Tuesday at nine.")
        call.agent("audio 41 16000")
        call.advance(4000)
        call.carrier("stop")
        let heard = log.events.compactMap { if case .turnHeard(let heard) = $0 { heard } else { nil } }
        #expect(heard.map(\.text) == ["Your appointment is on Tuesday at nine."])
        #expect(heard.map(\.isComplete) == [true])
        #expect(call.call.counters.heard?.isComplete == true)
    }

    @Test func whatTheCallerDidNotWaitForIsNotHeardLaterEither() throws {
        let log = EventLog()
        var call = try makeHarness(observers: [log])
        call.begin()
        call.agent("says Your appointment is on Tuesday at nine.")
        call.agent("audio 41 16000")
        call.advance(1000)
        call.carrier("stop")
        #expect(log.events.allSatisfy { if case .turnHeard = $0 { false } else { true } })
        let end = CallStatus(call.call, at: call.now)
        #expect(end.heard?.isComplete == false)
        #expect(end.heard?.duration == .seconds(1))
        call.advance(4000)
        let later = CallStatus(call.call, at: call.now)
        #expect(later.heard == end.heard, "a call that is over plays nothing more")
        #expect(later.played == end.played)
    }

    @Test func heardIsWhatWasPlayedNotWhatWasSent() throws {
        let log = EventLog()
        var call = try makeHarness(observers: [log])
        call.begin()
        call.agent("audio 40 16000")
        call.advance(500)
        call.agent("interrupt")
        let heard = log.events.compactMap {
            if case .interrupted(_, let heard) = $0 { heard.duration.milliseconds } else { nil }
        }
        #expect(heard == [500], "700 ms were sent, 500 ms had been played")
    }

    @Test func aPauseInTheVendorsDeliveryIsStillTheSameTurn() throws {
        let log = EventLog()
        var call = try makeHarness(observers: [log])
        call.begin()
        call.agent("audio 40 1600")
        call.advance(1000) { $0.carrier("audio 7f 160") }
        call.agent("audio 40 8000")
        call.advance(300) { $0.carrier("audio 7f 160") }
        call.agent("interrupt")
        let heard = log.events.compactMap {
            if case .interrupted(_, let heard) = $0 { heard.duration.milliseconds } else { nil }
        }
        #expect(heard == [500], "200 ms before the pause and 300 ms after it")
        let starts = log.frames.filter { if case .agentTurnStarted = $0.1 { $0.0.index == 0 } else { false } }
        #expect(starts.count == 1)
    }

    @Test func anInterruptionOfNothingIsNoInterruption() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 160")
        call.agent("end")
        call.advance(1000) { $0.carrier("audio 7f 160") }
        call.agent("interrupt")
        #expect(call.call.counters.interruptions == 0)
        #expect(call.carrierTexts("clear") == ["clear"], "clearing does no harm, and the carrier knows best")
    }

    @Test func aCarrierThatStoodStillGetsNoMoreThanItsLead() throws {
        var ledger = PlaybackLedger()
        let start = MediaTime(milliseconds: 0)
        ledger.send(.milliseconds(200), at: start, continuesUtterance: false)
        let mark = ledger.placeMark()
        ledger.send(.milliseconds(200), at: start, continuesUtterance: true)
        let late = start + .milliseconds(2200)
        #expect(ledger.unplayed(at: late) == .zero)
        let wasExpected = ledger.confirm(mark, at: late)
        #expect(wasExpected)
        #expect(ledger.unplayed(at: late) == .milliseconds(200), "what came after the mark is still to be played")
    }

    @Test func aStageThatAnswersLateDoesNotEmptyTheQueue() throws {
        let stage = Stage("late", address: "stages[0]", takes: .telephony, gives: .telephony, processor: Swallows())
        var call = try makeHarness(toCaller: [stage])
        call.begin()
        call.agent("audio 40 80000")
        #expect(call.call.waitingAgentBytes >= 80_000 - 1600, "no more than the lead has been given to the stage")
        call.advance(1000) { $0.carrier("audio 7f 160") }
        #expect(call.call.waitingAgentBytes >= 80_000 - 9600)
    }

    @Test func marksOfACutTurnConfirmNothing() throws {
        var ledger = PlaybackLedger()
        let start = MediaTime(milliseconds: 0)
        ledger.send(.milliseconds(400), at: start, continuesUtterance: false)
        let mark = ledger.placeMark()
        let heard = ledger.interrupt(at: start + .milliseconds(100))
        #expect(heard == .milliseconds(100))
        // The carrier echoes the mark at once, because its audio was thrown away.
        let wasExpected = ledger.confirm(mark, at: start)
        #expect(wasExpected)
        #expect(ledger.confirmed == .zero)
        #expect(ledger.played(at: start + .milliseconds(5000)) == .milliseconds(100))
        #expect(ledger.discarded == .milliseconds(300))
        let isExpectedAgain = ledger.confirm(mark, at: start)
        #expect(!isExpectedAgain)
    }

    @Test func aRunDryInMidUtteranceIsCounted() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("audio 40 160")
        call.advance(200)
        call.agent("audio 40 160")
        #expect(call.call.ledger.underruns == 1)
        call.agent("end")
        call.advance(1000)
        call.agent("audio 40 160")
        #expect(call.call.ledger.underruns == 1, "silence between utterances is no underrun")
    }

    @Test func agentAudioBeyondTheLimitIsDroppedAndCounted() throws {
        var limits = CallLimits()
        limits.agentBacklogBytes = 4000
        let log = EventLog()
        var call = try makeHarness(limits: limits, observers: [log])
        call.begin()
        call.agent("audio 40 4000")
        call.agent("audio 41 4000")
        call.advance(2000)
        #expect(!call.carrierTexts("audio").contains { $0.hasPrefix("audio 41") })
        #expect(log.events.contains { if case .fault("agent", _) = $0 { true } else { false } })
    }

    @Test func aFiveMinuteCallGivesTheSameMessagesTwice() throws {
        func run() throws -> [String] {
            var call = try makeHarness()
            call.begin()
            var tick = 0
            call.advance(300_000) { call in
                tick += 1
                call.carrier("audio 7f 160")
                if tick % 100 == 0 { call.agent("audio 40 8000") }
                if tick % 370 == 0 { call.agent("interrupt") }
                if let mark = call.carrierMessages.last(where: { $0.text.hasPrefix("mark") }) {
                    call.carrier(mark.text)
                }
            }
            return call.carrierMessages.map { "\($0.time.milliseconds) \($0.text)" } + call.agentMessages.map(\.text)
        }
        let first = try run()
        #expect(first.count > 15_000)
        #expect(try run() == first)
    }
}

/// An asynchronous stage whose results are still out.
private struct Swallows: Processor {
    func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        if case .audio = frame { return }
        output.emit(frame)
    }
}

/// Keeps what happened to a call.
final class EventLog: CallObserver {
    private let state = Mutex<(events: [CallEvent], frames: [(Joint, Frame)])>(([], []))
    var events: [CallEvent] { state.withLock { $0.events } }
    var frames: [(Joint, Frame)] { state.withLock { $0.frames } }
    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {
        state.withLock { $0.frames.append((joint, frame)) }
    }
    func observe(_ event: CallEvent, time: MediaTime) { state.withLock { $0.events.append(event) } }
}
