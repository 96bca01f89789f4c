import PatchbayCore
import PatchbayTesting
import Testing

@testable import PatchbayProcessors

/// Timelines: one character is 20 ms, letters as ``Timeline`` has them. What the agent does is only drawn on the way in.
private func expectTimeline(
    _ rules: TurnRules, _ input: String, _ expected: String, starts: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    var harness = ProcessorHarness(TurnStage(rules))
    var drawn = ""
    func draw(_ frames: [Frame]) {
        drawn += Timeline.draw(
            frames.filter { frame in
                switch frame {
                case .agentStartedSpeaking, .agentStoppedSpeaking: false
                default: true
                }
            })
    }
    if starts {
        _ = try harness.push(.callStarted(CallStart(callSid: "CA1", streamSid: "MZ1")))
        draw(harness.takeUpstream())
    }
    // No sound: turns are made of what others have heard.
    for frames in Timeline(.telephony).frames(input) {
        var seen: [Frame] = []
        for frame in frames { seen += try harness.push(frame) }
        seen += try harness.advance(by: .milliseconds(20))
        draw(harness.takeUpstream() + seen)
    }
    #expect(drawn == expected, "in:  \(input)", sourceLocation: sourceLocation)
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
