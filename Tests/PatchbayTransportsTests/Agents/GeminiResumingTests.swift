import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbayTransports

@Suite struct GeminiResumingTests {
    private func goAway(_ bench: inout GeminiBench, _ milliseconds: Int?) -> [AgentEvent] {
        bench.server { $0.goAway = .init(timeLeftMs: milliseconds) }
    }

    /// Opens the next socket and gives the handle that was presented.
    private func reopen(_ bench: inout GeminiBench) -> String? {
        guard case .setup(let setup)? = bench.open().first else { return nil }
        return setup.resumptionHandle
    }

    @Test func aServerThatGoesAwayIsLeftAtOnceWhenNobodySpeaks() {
        var bench = GeminiBench(firstMessage: "Hello.")
        bench.begin()
        _ = bench.sent()
        _ = bench.speak()
        _ = bench.turnComplete()
        bench.offerHandle("h1")
        bench.offerHandle("h2")
        #expect(goAway(&bench, 9_800).reconnections == 1)
        #expect(bench.sound().isEmpty && bench.sound().isEmpty)
        #expect(reopen(&bench) == "h2", "the newest handle")
        #expect(bench.sound().isEmpty, "nothing before the setup is accepted")
        let events = bench.server { $0.setupComplete = .init(sessionId: "other") }
        #expect(events.formats.count == 1 && events.count == 1, "the conversation is the same one")
        #expect(
            bench.sent() == [.audio(byteCount: 1_920, sampleRate: 16_000)], "what was said meanwhile, and no greeting")
        #expect(bench.sound() == [.audio(byteCount: 640, sampleRate: 16_000)])
    }

    @Test func aTurnIsFinishedFirstAndItsHandleAwaited() {
        var bench = GeminiBench()
        bench.begin()
        bench.offerHandle("h1")
        _ = bench.speak()
        #expect(goAway(&bench, 9_800).reconnections == 0)
        #expect(bench.pass(milliseconds: 1_000).reconnections == 0)
        #expect(bench.turnComplete().reconnections == 0, "h1 does not know this turn")
        #expect(bench.server { $0.resumption = .init(handle: "h2", isResumable: true) }.reconnections == 1)
        #expect(reopen(&bench) == "h2")
    }

    @Test func theCallerIsNotCutOffAndToolsAreWaitedFor() {
        var bench = GeminiBench()
        bench.begin()
        bench.offerHandle("h1")
        _ = bench.caller(.speechStarted)
        #expect(goAway(&bench, 9_800).reconnections == 0)
        _ = bench.caller(.speechStopped)
        #expect(bench.pass(milliseconds: 300).reconnections == 1)
        var other = GeminiBench()
        other.begin()
        other.offerHandle("h1")
        _ = other.server { $0.functionCalls = [.init(id: "a", name: "f")] }
        #expect(goAway(&other, 9_800).reconnections == 0)
        #expect(other.pass(milliseconds: 8_600).reconnections == 0)
        #expect(other.pass(milliseconds: 500).reconnections == 1, "when the time is up, whatever happens")
    }

    @Test func aVoiceThatNoStageMarksIsHeardAsWell() {
        var bench = GeminiBench()
        bench.begin()
        bench.offerHandle("h1")
        _ = bench.voice(milliseconds: 400)
        #expect(goAway(&bench, 9_800).reconnections == 0)
        #expect(bench.voice(milliseconds: 3_000).reconnections == 0)
        let silence = (0..<100).map { _ in bench.voice(milliseconds: 20, amplitude: 0).reconnections }
        #expect(silence.reduce(0, +) == 1)
        #expect(silence.firstIndex(of: 1).map { (25...60).contains($0) } == true)
    }

    @Test func wordsThatNobodyAnsweredAreToldAgain() {
        for isSpeaking in [false, true] {
            var bench = GeminiBench()
            bench.begin()
            bench.offerHandle("h1")
            _ = bench.content { $0.inputTranscription = .init("Where is", isFinished: true) }
            _ = bench.content { $0.inputTranscription = .init(" my order?", isFinished: !isSpeaking) }
            _ = bench.close(1006)
            _ = reopen(&bench)
            _ = bench.server { $0.setupComplete = .init() }
            #expect(bench.sent() == [.content([.init(.user, "Where is my order?")], isComplete: !isSpeaking)])
        }
        var answered = GeminiBench()
        answered.begin()
        answered.offerHandle("h1")
        _ = answered.content { $0.inputTranscription = .init("Where is my order?", isFinished: true) }
        _ = answered.speak()
        _ = answered.close(1006)
        _ = reopen(&answered)
        _ = answered.server { $0.setupComplete = .init() }
        #expect(answered.sent().isEmpty)
    }

    @Test func anAnswerThatIsDueIsAwaited() {
        var bench = GeminiBench()
        bench.begin()
        bench.offerHandle("h1")
        _ = bench.content { $0.inputTranscription = .init("What is it?", isFinished: true) }
        #expect(goAway(&bench, 9_800).reconnections == 0)
        #expect(bench.pass(milliseconds: 2_000).reconnections == 0)
        _ = bench.speak()
        _ = bench.turnComplete()
        bench.offerHandle("h2")
        #expect(reopen(&bench) == "h2")
    }

    @Test func withoutAHandleTheServerIsAwaited() {
        var bench = GeminiBench()
        bench.begin()
        #expect(goAway(&bench, 3_000).reconnections == 0)
        #expect(bench.pass(milliseconds: 3_000).reconnections == 0)
        let failure = bench.close(1006).failure
        #expect(failure?.code == .agentFailed && failure?.isRetryable == true)
    }

    @Test func anAnswerOfAToolFromBeforeIsToldInWords() {
        var bench = GeminiBench()
        bench.begin()
        bench.offerHandle("h1")
        let call = bench.server { $0.functionCalls = [.init(id: "a", name: "weather")] }.toolCalls[0]
        #expect(bench.close(1006).reconnections == 1)
        _ = reopen(&bench)
        bench.conversation.toolAnswered(ToolResult(call, output: "sunny"), at: bench.now, into: &bench.output)
        #expect(bench.sent().isEmpty)
        _ = bench.server { $0.setupComplete = .init() }
        guard case .content(let turns, isComplete: true)? = bench.sent().first else {
            Issue.record("the answer is lost")
            return
        }
        #expect(turns[0].text.contains("weather") && turns[0].text.contains("sunny"))
    }

    @Test func aLostConnectionIsResumedThreeTimesInARow() {
        var bench = GeminiBench()
        bench.begin()
        bench.offerHandle("h1")
        for attempt in 1...3 {
            #expect(bench.close(1006).reconnections == 1, "attempt \(attempt)")
            #expect(reopen(&bench) == "h1")
        }
        let failure = bench.close(1006).failure
        #expect(failure?.code == .agentFailed && failure?.isRetryable == true)
    }

    @Test func aConnectionThatLastedIsNotCounted() {
        var bench = GeminiBench()
        bench.begin()
        bench.offerHandle("h1")
        for attempt in 1...8 {
            #expect(bench.close(1011, "Internal error encountered.").reconnections == 1, "attempt \(attempt)")
            _ = reopen(&bench)
            _ = bench.server { $0.setupComplete = .init() }
            _ = bench.pass(milliseconds: 10_000)
        }
    }

    @Test(arguments: [
        (UInt16(1007), "Request contains an invalid argument."), (1011, "You exceeded your current quota."),
        (1008, "nope"),
    ])
    func whatWouldFailAgainIsNotTriedAgain(code: UInt16, reason: String) {
        var bench = GeminiBench()
        bench.begin()
        bench.offerHandle("h1")
        let events = bench.close(code, reason)
        #expect(events.reconnections == 0 && events.failure?.isRetryable == false)
    }

    @Test func aHandleThatIsRefusedSaysNothingAgainstANewConversation() {
        var bench = GeminiBench()
        bench.begin()
        bench.offerHandle("h1")
        _ = bench.close(1006)
        _ = reopen(&bench)
        #expect(bench.close(1008, "Requested entity was not found.").failure?.isRetryable == true)
    }

    @Test func aSentenceThatIsCutOffEndsAndItsRestIsNotAwaited() {
        var bench = GeminiBench()
        bench.begin()
        bench.offerHandle("h1")
        _ = bench.content(sound: 480) { $0.outputTranscription = .init("I was about") }
        let events = bench.close(1006)
        #expect(events.turnEnds == 1 && events.texts == [TextFrame("I was about", speaker: .agent)])
        _ = reopen(&bench)
        _ = bench.server { $0.setupComplete = .init() }
        #expect(bench.pass(milliseconds: 60_000).failure == nil)
    }

    @Test func soundIsKeptWithinBounds() {
        var bench = GeminiBench()
        bench.begin()
        bench.offerHandle("h1")
        _ = bench.close(1006)
        for _ in 0..<600 { _ = bench.sound() }
        #expect(bench.events().faults == 1, "told once")
        _ = reopen(&bench)
        _ = bench.server { $0.setupComplete = .init() }
        let bytes = bench.sent().reduce(0) { if case .audio(let count, _) = $1 { $0 + count } else { $0 } }
        #expect(bytes == 320_000, "ten seconds")
    }

    @Test func aMarkedTurnGoesOnOverTheNextSocket() {
        var bench = GeminiBench { $0.turnDetection = .none }
        bench.begin()
        bench.offerHandle("h1")
        _ = bench.caller(.speechStarted)
        _ = bench.sound()
        _ = bench.close(1006)
        #expect(bench.sound().isEmpty)
        #expect(bench.caller(.speechStopped).isEmpty)
        _ = reopen(&bench)
        _ = bench.server { $0.setupComplete = .init() }
        #expect(bench.sent() == [.activityStart, .audio(byteCount: 640, sampleRate: 16_000), .activityEnd])
    }
}
