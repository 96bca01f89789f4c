import PatchbayCore
import Testing

/// Waiting begins where the caller falls silent, and ends once.
@Suite struct CallerSpeechTests {
    private func at(_ milliseconds: Int64) -> MediaTime { MediaTime(milliseconds: milliseconds) }

    @Test func aVADsPatienceIsPartOfTheWait() {
        var speech = CallerSpeech()
        speech.started(at: at(1000))
        speech.paused(at: at(1500))
        speech.resumed()
        speech.paused(at: at(2000))
        speech.stopped(at: at(2400))
        speech.turnEnded(TurnEnd(.agent), isMarked: true, at: at(2450))
        #expect(speech.answered() == at(2000))
        #expect(speech.answered() == nil, "once")
    }

    @Test func anAnswerBeforeTheVADIsSureIsNotAnsweredAgain() {
        var speech = CallerSpeech()
        speech.started(at: at(1000))
        speech.paused(at: at(2000))
        #expect(speech.answered() == at(2000))
        speech.stopped(at: at(2400))
        speech.turnEnded(TurnEnd(.agent), isMarked: true, at: at(2500))
        #expect(speech.answered() == nil, "what the agent says next answers nothing")
        speech.started(at: at(5000))
        speech.stopped(at: at(6000))
        #expect(speech.answered() == at(6000), "nor does it spoil the next turn")
    }

    @Test func withoutAVADTheAgentsWordCounts() {
        var speech = CallerSpeech()
        for turn: Int64 in 1...3 {
            speech.turnEnded(TurnEnd(.agent), isMarked: false, at: at(turn * 1000))
            #expect(speech.answered() == at(turn * 1000))
        }
        speech.turnEnded(TurnEnd(.agent, speechStoppedAt: at(3500)), isMarked: false, at: at(4000))
        #expect(speech.answered() == at(3500))
    }

    @Test func onlySpeechOverTheAgentInterruptsIt() {
        var speech = CallerSpeech()
        speech.started(at: at(1000))
        speech.stopped(at: at(2000))
        _ = speech.answered()
        #expect(speech.interrupted() == nil, "that was the question")
        speech.started(at: at(3000))
        #expect(speech.interrupted() == at(3000) && speech.interrupted() == nil)
    }
}
