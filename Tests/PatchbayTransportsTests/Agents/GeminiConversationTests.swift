import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbayTransports

@Suite struct GeminiConversationTests {
    // MARK: The beginning

    @Test func theSetupComesFirstAndItsAnswerMakesReady() throws {
        var bench = GeminiBench(tools: [ToolDefinition("lookup", description: "Looks up.")]) { $0.voice = "Kore" }
        guard case .setup(let setup)? = bench.open().first else {
            Issue.record("no setup")
            return
        }
        #expect(setup.voice == "Kore" && setup.tools.map(\.name) == ["lookup"] && setup.resumptionHandle == nil)
        let events = bench.server { $0.setupComplete = .init(sessionId: "s-1") }
        guard case .conversationStarted("s-1")? = events.first else {
            Issue.record("\(events)")
            return
        }
        let formats = try #require(events.formats.first)
        #expect(formats == (.pcm(16_000), .pcm(24_000)))
        #expect(bench.sent().isEmpty, "without first words the model waits")
        #expect(bench.server { $0.setupComplete = .init() }.isEmpty, "a second answer changes nothing")
    }

    @Test func textFramesAreReadAsWell() {
        var bench = GeminiBench()
        _ = bench.open()
        bench.conversation.received(ByteBuffer(string: #"{"setupComplete":{}}"#), at: bench.now, into: &bench.output)
        #expect(bench.events().formats.count == 1)
    }

    @Test func firstWordsAreAskedForInTheWayOfTheModel() {
        var older = GeminiBench(firstMessage: "Good morning.")
        older.begin()
        guard case .content(let turns, isComplete: true)? = older.sent().first else {
            Issue.record("no content")
            return
        }
        #expect(turns.count == 1 && turns[0].role == .user && turns[0].text.hasSuffix("\nGood morning."))
        var newer = GeminiBench(model: "models/gemini-3.1-flash-live-preview", firstMessage: "Good morning.")
        newer.begin()
        guard case .text(let words)? = newer.sent().first else {
            Issue.record("no text")
            return
        }
        #expect(words.hasSuffix("\nGood morning."))
    }

    @Test(arguments: [
        ("models/gemini-2.5-flash-native-audio", false, false), ("models/gemini-3.8-live", false, true),
        ("projects/p/locations/l/publishers/google/models/gemini-3.8-live", true, false),
    ])
    func aHistoryIsHandedOverAndTheModelSpeaks(model: String, isVertex: Bool, announces: Bool) {
        let history = [ConversationTurn(.caller, "I want to book."), ConversationTurn(.agent, "For which")]
        var bench = GeminiBench(
            model: model, firstMessage: "Hello.", isVertex: isVertex, history: history, owesWords: true)
        guard case .setup(let setup)? = bench.open().first else {
            Issue.record("no setup")
            return
        }
        #expect(setup.hasInitialHistory == announces)
        _ = bench.server { $0.setupComplete = .init() }
        let sent = bench.sent()
        guard case .content(let turns, isComplete: true)? = sent.first else {
            Issue.record("\(sent)")
            return
        }
        #expect(turns.prefix(2) == [.init(.user, "I want to book."), .init(.model, "For which")])
        #expect(!turns.contains { $0.text.contains("Hello.") }, "it does not greet")
        if announces {
            guard case .text? = sent.last, sent.count == 2, turns.count == 2 else {
                Issue.record("\(sent): the history alone makes these models wait")
                return
            }
        } else {
            #expect(sent.count == 1 && turns.last?.role == .user)
        }
    }

    // MARK: Sound

    @Test func callersSoundGoesOutAsItIs() {
        var bench = GeminiBench()
        bench.begin()
        #expect(bench.sound() == [.audio(byteCount: 640, sampleRate: 16_000)])
    }

    @Test func aPauseOfTheCallersSoundIsToldOnce() {
        var bench = GeminiBench()
        bench.begin()
        #expect(bench.pass(milliseconds: 5_000).isEmpty && bench.sent().isEmpty, "nothing was streamed yet")
        _ = bench.sound()
        _ = bench.pass(milliseconds: 980)
        #expect(bench.sent().isEmpty)
        _ = bench.pass(milliseconds: 3_000)
        #expect(bench.sent() == [.audioStreamEnd])
        #expect(bench.sound() == [.audio(byteCount: 640, sampleRate: 16_000)], "more sound opens it again")
    }

    @Test func soundOfTheModelIsPlayedAndItsRateIsBelieved() throws {
        var bench = GeminiBench()
        bench.begin()
        #expect(bench.speak(480).soundBytes == 480)
        let events = bench.content(sound: 320) { $0.sampleRate = 16_000 }
        #expect(try #require(events.formats.first).1 == .pcm(16_000), "the new rate is told before its sound")
        #expect(events.soundBytes == 320)
        let odd = bench.content(sound: 2) { $0.sampleRate = 22_050 }
        #expect(odd.soundBytes == 0 && odd.faults == 1)
    }

    @Test func bundledMembersAreHandledInTheirOrder() {
        var bench = GeminiBench()
        bench.begin()
        _ = bench.speak()
        let events = bench.content(sound: 100) { content in
            content.isInterrupted = true
            content.inputTranscription = .init(" wait", isFinished: true)
            content.outputTranscription = .init("Yes? ")
            content.isGenerationComplete = true
            content.isTurnComplete = true
        }
        let order = events.map { event in
            switch event {
            case .interruption: "interruption"
            case .audio: "audio"
            case .text(let text): text.speaker.rawValue
            case .turnEnded: "end"
            default: "other"
            }
        }
        #expect(order == ["interruption", "audio", "caller", "agent", "agent", "end"])
    }

    // MARK: Words

    @Test func fragmentsAreJoinedAndFinalWhenAllHasCome() {
        var bench = GeminiBench()
        bench.begin()
        for (fragment, whole) in [("Good mor", "Good mor"), ("ning.", "Good morning."), (" How", "Good morning. How")] {
            let texts = bench.content(sound: 10) { $0.outputTranscription = .init(fragment) }.texts
            #expect(texts == [TextFrame(whole, speaker: .agent, isFinal: false)])
        }
        let texts = bench.content { $0.isGenerationComplete = true }.texts
        #expect(texts == [TextFrame("Good morning. How", speaker: .agent)])
        #expect(bench.turnComplete().texts.isEmpty)
        let long = String(repeating: "word ", count: 500)
        #expect(bench.content(sound: 10) { $0.outputTranscription = .init(long) }.texts.map(\.isFinal) == [true])
    }

    @Test func theCallersWordsAreFinalWhenTheModelAnswersOrNothingFollows() {
        var bench = GeminiBench()
        bench.begin()
        var events = bench.content { $0.inputTranscription = .init("I want") }
        #expect(events.texts == [TextFrame("I want", speaker: .caller, isFinal: false)])
        _ = bench.content { $0.inputTranscription = .init(" to book") }
        events = bench.speak()
        #expect(events.texts == [TextFrame("I want to book", speaker: .caller)])
        guard case .text? = events.first else {
            Issue.record("the caller's words come before the answer")
            return
        }
        _ = bench.content { $0.inputTranscription = .init(" please") }
        #expect(bench.pass(milliseconds: 480).texts.isEmpty)
        #expect(bench.pass(milliseconds: 40).texts == [TextFrame(" please", speaker: .caller)])
    }

    @Test func wordsThatComeAfterTheTurnBelongToNoOther() {
        var bench = GeminiBench()
        bench.begin()
        _ = bench.speak()
        _ = bench.turnComplete()
        _ = bench.content { $0.outputTranscription = .init(" late") }
        #expect(bench.pass(milliseconds: 500).texts == [TextFrame(" late", speaker: .agent)])
        #expect(bench.pass(milliseconds: 60_000).failure == nil, "no turn was begun by them")
    }

    // MARK: Turns and interruptions

    @Test func aTurnEndsOnceAllOfItHasCome() {
        var bench = GeminiBench()
        bench.begin()
        _ = bench.speak()
        #expect(bench.content { $0.isGenerationComplete = true }.turnEnds == 1)
        #expect(bench.turnComplete().turnEnds == 0)
        _ = bench.speak()
        #expect(bench.turnComplete().turnEnds == 1, "where the end of generation is not told")
    }

    @Test func anInterruptionOfTheServerIsToldOnce() {
        var bench = GeminiBench()
        bench.begin()
        #expect(bench.content { $0.isInterrupted = true }.interruptions == 0, "nothing was said yet")
        _ = bench.speak()
        #expect(bench.content { $0.isInterrupted = true }.interruptions == 1)
        #expect(bench.content { $0.isInterrupted = true }.interruptions == 0)
        #expect(bench.turnComplete().turnEnds == 0)
        #expect(bench.speak().soundBytes == 480, "the next turn is heard")
        _ = bench.content { $0.isGenerationComplete = true }
        _ = bench.turnComplete()
        #expect(bench.content { $0.isInterrupted = true }.interruptions == 1, "its sound may still be waiting")
    }

    @Test func whatWeCutIsDroppedUntilItsTurnIsOver() {
        var bench = GeminiBench()
        bench.begin()
        _ = bench.speak()
        let heard = Heard(text: "Good", duration: .milliseconds(300), isComplete: false)
        let sent = bench.caller(.interruption(Interruption(generation: 1, cause: "the caller spoke", heard: heard)))
        guard case .content(let turns, isComplete: false)? = sent.first else {
            Issue.record("\(sent)")
            return
        }
        #expect(turns[0].text.contains("Good"))
        #expect(bench.speak().soundBytes == 0)
        #expect(bench.content { $0.outputTranscription = .init("Good morning. ") }.texts.isEmpty)
        #expect(bench.content { $0.isGenerationComplete = true }.turnEnds == 0)
        #expect(bench.turnComplete().turnEnds == 0)
        #expect(bench.speak().soundBytes == 480)
    }

    @Test func ourCutAndTheServersAreOne() {
        var bench = GeminiBench(model: "models/gemini-3.1-flash-live-preview")
        bench.begin()
        _ = bench.speak()
        let cut = Frame.interruption(Interruption(generation: 1, cause: "", heard: nil))
        #expect(bench.caller(cut).isEmpty, "these models would answer words about it")
        #expect(bench.content { $0.isInterrupted = true }.interruptions == 0)
        #expect(bench.turnComplete().isEmpty)
        #expect(bench.caller(cut).isEmpty)
        #expect(bench.speak().soundBytes == 480, "there was nothing to cut between turns")
    }

    // MARK: Turns that the pipeline finds

    @Test func withoutDetectionOfTheServerTurnsAreMarkedAndBeginBeforeTheyWereHeard() {
        var bench = GeminiBench { $0.turnDetection = .none }
        bench.begin()
        for _ in 0..<50 { #expect(bench.sound().isEmpty) }
        let start = bench.caller(.speechStarted)
        #expect(start.first == .activityStart)
        let bytes = start.dropFirst().reduce(0) { if case .audio(let count, _) = $1 { $0 + count } else { $0 } }
        #expect(bytes == 16_000, "half a second from before")
        #expect(bench.caller(.userTurnStarted).isEmpty)
        #expect(bench.sound() == [.audio(byteCount: 640, sampleRate: 16_000)])
        #expect(bench.caller(.userTurnEnded(TurnEnd(.agent))).isEmpty)
        #expect(bench.caller(.speechStopped) == [.activityEnd])
        #expect(bench.sound().isEmpty)
        #expect(bench.pass(milliseconds: 2_000).isEmpty && bench.sent().isEmpty, "no end of a stream in this mode")
    }

    // MARK: Tools and notes

    @Test func toolsAreCalledAnsweredAndCancelled() {
        var bench = GeminiBench()
        bench.begin()
        let calls = bench.server {
            $0.functionCalls = [
                .init(id: "a", name: "f", arguments: #"{"x":1}"#), .init(id: "b", name: "g"), .init(id: nil, name: "h"),
            ]
        }.toolCalls
        #expect(calls.map(\.name) == ["f", "g", "h"] && calls[0].arguments == #"{"x":1}"#)
        guard case .toolCallsCancelled(ids: ["b"])? = bench.server({ $0.cancelledCalls = ["b", "unknown"] }).first
        else {
            Issue.record("not cancelled")
            return
        }
        for (call, id) in [(calls[0], "a" as String?), (calls[1], nil), (calls[2], nil)] {
            bench.conversation.toolAnswered(ToolResult(call, output: "sunny"), at: bench.now, into: &bench.output)
            let expected: [GeminiClientMessage] =
                call.id == "b"
                ? []
                : [
                    .toolResponses([.init(id: id, name: call.name, response: #"{"output":"sunny"}"#)])
                ]
            #expect(bench.sent() == expected)
        }
    }

    @Test func notesWaitForTheEndOfTheTurn() {
        var bench = GeminiBench()
        bench.begin()
        bench.conversation.contextAdded("page 1", at: bench.now, into: &bench.output)
        #expect(bench.sent() == [.content([.init(.user, "page 1")], isComplete: false)])
        _ = bench.speak()
        #expect(bench.caller(.dtmf("5")).isEmpty, "it would interrupt the model")
        _ = bench.turnComplete()
        #expect(bench.sent() == [.content([.init(.user, "The caller pressed the key 5.")], isComplete: false)])
        _ = bench.speak()
        for index in 0..<20 { bench.conversation.contextAdded("\(index)", at: bench.now, into: &bench.output) }
        #expect(bench.events().faults == 4)
        _ = bench.turnComplete()
        #expect(bench.sent().count == GeminiNotes.limit)
    }

    // MARK: Faults

    @Test(arguments: [
        "", "{", "[]",
        #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm","data":"$$$$"}}]}}}"#,
    ])
    func nonsenseIsAFaultAndTheConversationGoesOn(text: String) {
        var bench = GeminiBench()
        bench.begin()
        bench.conversation.received(binary: ByteBuffer(string: text), at: bench.now, into: &bench.output)
        #expect(bench.events().faults == 1)
        #expect(bench.speak().soundBytes == 480)
    }

    @Test func newMembersAreIgnored() {
        var bench = GeminiBench()
        bench.begin()
        let text = #"{"somethingNew":{"a":1},"serverContent":{"waitingForInput":true}}"#
        bench.conversation.received(binary: ByteBuffer(string: text), at: bench.now, into: &bench.output)
        #expect(bench.events().isEmpty)
    }

    @Test func anAnswerThatIsDueAndDoesNotComeEndsTheConversation() {
        var bench = GeminiBench()
        bench.begin()
        #expect(bench.pass(milliseconds: 120_000).failure == nil, "nobody has said anything")
        _ = bench.content { $0.inputTranscription = .init("Hello?", isFinished: true) }
        #expect(bench.pass(milliseconds: 19_900).failure == nil)
        let failure = bench.pass(milliseconds: 200).failure
        #expect(failure?.code == .agentTimeout && failure?.isRetryable == true)
        #expect(bench.conversation.deadline == nil)
    }

    @Test func aCallerWhoGoesOnIsNotAnswered() {
        var bench = GeminiBench()
        bench.begin()
        _ = bench.content { $0.inputTranscription = .init("Hello?", isFinished: true) }
        _ = bench.caller(.speechStarted)
        #expect(bench.pass(milliseconds: 60_000).failure == nil)
        _ = bench.caller(.speechStopped)
        #expect(bench.pass(milliseconds: 20_100).failure?.code == .agentTimeout)
    }

    @Test func aTurnThatStopsInItsMiddleEndsTheConversation() {
        var bench = GeminiBench()
        bench.begin()
        _ = bench.speak()
        _ = bench.pass(milliseconds: 15_000)
        _ = bench.speak()
        #expect(bench.pass(milliseconds: 15_000).failure == nil)
        #expect(bench.pass(milliseconds: 6_000).failure?.code == .agentTimeout)
    }

    @Test(arguments: [
        (UInt16(1007), "API key not valid. Please pass a valid API key.", PipelineError.Code.agentUnauthorized, false),
        (
            1008, "models/x is not found for API version v1beta, or is not supported for bidiGenerateContent.",
            .agentUnknown, false
        ),
        (1011, "You exceeded your current quota, please check your plan and billing details.", .agentQuota, false),
        (1007, "Request contains an invalid argument.", .agentSettingRefused, false), (1006, "", .agentFailed, true),
        (1011, "Internal error encountered.", .agentFailed, true),
    ])
    func aRefusedSetupIsNamed(code: UInt16, reason: String, expected: PipelineError.Code, isRetryable: Bool) {
        var bench = GeminiBench()
        _ = bench.open()
        let failure = bench.close(code, reason).failure
        #expect(failure?.code == expected && failure?.isRetryable == isRetryable)
        #expect(failure?.place == "agent gemini-live" && failure?.message.contains("\(code)") == true)
    }
}
