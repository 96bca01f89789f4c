import PatchbayCore
import PatchbayTesting
import Testing

@testable import PatchbayProcessors

/// Timelines: one character is 20 ms.
///
/// In: `S`/`s` speech starts and stops, `p`/`r` it pauses and goes on meanwhile, `A`/`a` the agent's, `t` the agent has transcribed the caller.
/// Out: `U` the caller's turn starts, `u`/`v` ends by silence or by the agent; `P` playback pauses, `C` the turn is cut, `R`
/// playback resumes; `L`/`l` the agent cannot be interrupted, can be again. Several at once stand in one bracket.
private func expectTimeline(
    _ rules: TurnRules, _ input: String, _ expected: String, starts: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    var harness = ProcessorHarness(TurnStage(rules))
    var drawn = ""
    func draw(_ frames: [Frame]) {
        let letters = frames.compactMap(letter)
        drawn += letters.isEmpty ? "." : letters.count == 1 ? letters[0] : "[\(letters.joined())]"
    }
    if starts {
        _ = try harness.push(.callStarted(CallStart(callSid: "CA1", streamSid: "MZ1")))
        draw(harness.takeUpstream())
    }
    for character in input {
        let frame: Frame? =
            switch character {
            case "S": .speechStarted
            case "s": .speechStopped
            case "p": .speechPaused
            case "r": .speechResumed
            case "A": .agentStartedSpeaking
            case "a": .agentStoppedSpeaking
            case "t": .userTurnEnded(TurnEnd(.agent))
            default: nil
            }
        var seen: [Frame] = []
        if let frame { seen += try harness.push(frame) }
        seen += try harness.advance(by: .milliseconds(20))
        draw(harness.takeUpstream() + seen)
    }
    #expect(drawn == expected, "in:  \(input)", sourceLocation: sourceLocation)
}

private func letter(_ frame: Frame) -> String? {
    switch frame {
    case .userTurnStarted: "U"
    case .userTurnEnded(let end): end.cause == .silence ? "u" : "v"
    case .bargeIn(.started): "P"
    case .bargeIn(.confirmed): "C"
    case .bargeIn(.dismissed): "R"
    case .interruptible(false): "L"
    case .interruptible(true): "l"
    case .speechStarted, .speechStopped, .speechPaused, .speechResumed: "!"
    default: nil
    }
}

@Suite struct TurnsTests {
    /// 60 ms before the agent stops, 80 ms more to cut it, 100 ms of silence to go on.
    private var rules: TurnRules {
        var rules = TurnRules()
        rules.minimumBargeIn = .milliseconds(60)
        rules.confirmation = .milliseconds(80)
        rules.resumption = .milliseconds(100)
        return rules
    }

    @Test func silenceEndsATurn() throws {
        try expectTimeline(rules, "..S...s...S.s", "..U...u...U.u")
    }

    @Test func aPauseWithinATurnDoesNotEndIt() throws {
        var rules = rules
        rules.pause = .milliseconds(100)
        try expectTimeline(rules, "S..s..S..s......", "U............u..")
    }

    @Test func theAgentEndsTurns() throws {
        var rules = rules
        rules.end = .agent
        rules.maximumWait = .milliseconds(120)
        try expectTimeline(rules, "S..s..t..", "U.....v..")
        try expectTimeline(rules, "S..s..A..", "U.....v..")
        try expectTimeline(rules, "S..s.......t", "U.......u...")
    }

    @Test func whicheverComesFirst() throws {
        var rules = rules
        rules.end = .both
        rules.pause = .milliseconds(80)
        try expectTimeline(rules, "S..s.t......", "U....v......")
        try expectTimeline(rules, "S..s.....t..", "U.....u.....")
    }

    @Test func silenceAloneDoesNotListenToTheAgent() throws {
        try expectTimeline(rules, "S..t...s", "U......u")
    }

    @Test func aBackChannelDoesNotInterrupt() throws {
        try expectTimeline(rules, "A..S.s......a..", "...............")
    }

    @Test func aBackChannelIsShortHoweverLongTheVADWaits() throws {
        try expectTimeline(rules, "A..S.p...........s......a..", "...........................")
        // Two of them are two.
        try expectTimeline(rules, "A..S.p...r.p.....s......a..", "...........................")
    }

    @Test func silenceWithinTheVADsPatienceTakesABargeInBack() throws {
        try expectTimeline(rules, "A..S...p...........s.a", ".....P.....R..........")
        try expectTimeline(rules, "A..S...p..r.........s.", ".....P......[CU].......u.")
    }

    @Test func aBargeInStopsTheAgentAndIsConfirmedBySpeech() throws {
        try expectTimeline(rules, "A..S............s..", ".....P...[CU]......u..")
    }

    @Test func aFalseInterruptionIsTakenBack() throws {
        try expectTimeline(rules, "A..S...s.........a", ".....P.....R......")
    }

    @Test func whoSpeaksAgainBeforeThatGoesOnWithIt() throws {
        // 20 ms spoken after playback stopped, silence, then the 60 ms that are left.
        try expectTimeline(rules, "A..S...s..S.....s", ".....P......[CU]...u")
    }

    @Test func aTranscriptConfirms() throws {
        try expectTimeline(rules, "A..S...s.t....", ".....P...[CUu]....")
    }

    @Test func withoutResumptionTheFirstWordIsFinal() throws {
        var rules = rules
        rules.resumption = .zero
        try expectTimeline(rules, "A..S......s", ".....[PCU]....u")
    }

    @Test func theGreetingCannotBeInterrupted() throws {
        var rules = rules
        rules.uninterruptible = .greeting
        try expectTimeline(rules, "A..S........s...a....A.S......", "L................l........P...[CU]", starts: true)
    }

    @Test func afterTheCallersFirstTurnNothingIsAGreeting() throws {
        var rules = rules
        rules.uninterruptible = .greeting
        try expectTimeline(rules, "S..s..A..S......", "LU..[lu].......P...[CU]", starts: true)
    }

    @Test func nothingCanBeInterruptedWhereEverythingIsLocked() throws {
        var rules = rules
        rules.uninterruptible = .everything
        try expectTimeline(rules, "A..S..........a...s", "L..............U...u", starts: true)
    }

    @Test func whoSpeaksOverTheEndOfTheAgentsTurnHasTheFloor() throws {
        try expectTimeline(rules, "A..S.a...s", ".....U...u")
    }
}
