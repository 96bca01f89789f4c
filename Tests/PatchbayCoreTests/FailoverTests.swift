import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

@Suite("Agents that fail in mid-call")
struct FailoverTests {
    private static let bridge = ByteBuffer(repeating: 0x55, count: 8000)

    private func makeCall(
        _ agents: [PuppetAgent] = [PuppetAgent("first"), PuppetAgent("second")], bridge: ByteBuffer = Self.bridge,
        limits: CallLimits = CallLimits(), observers: [any CallObserver] = [],
        change: (inout CallPlan) -> Void = { _ in }
    ) throws -> CallHarness {
        try makeHarness(backends: agents, limits: limits, observers: observers) {
            $0.bridge = bridge
            change(&$0)
        }
    }

    /// The sounds that were sent, one number a packet, with the times at which they were.
    private func sounds(_ call: CallHarness) -> [(time: MediaTime, byte: String)] {
        call.carrierMessages.filter { $0.text.hasPrefix("audio") }
            .map { ($0.time, String($0.text.split(separator: " ")[1])) }
    }

    private func count(_ byte: String, _ call: CallHarness) -> Int { sounds(call).count { $0.byte == byte } }

    private func listen(_ call: inout CallHarness, _ milliseconds: Int64) {
        call.advance(milliseconds) { $0.carrier("audio 7f 160") }
    }

    // MARK: The bridge

    @Test func whatTheFailedAgentHadSentIsHeardAndThenItsSuccessor() throws {
        let log = EventLog()
        var call = try makeCall(observers: [log])
        call.begin()
        call.agent("audio 40 8000")
        listen(&call, 200)
        call.agent("fail")
        listen(&call, 200)
        call.agentConnected()
        call.agent("ready")
        call.agent("audio 42 1600")
        listen(&call, 1000)
        #expect(sounds(call).map(\.byte) == Array(repeating: "40", count: 50) + Array(repeating: "42", count: 10))
        #expect(call.call.ledger.underruns == 0)
        #expect(call.call.counters.longestAgentSilence == .zero, "nobody noticed anything")
        #expect(log.events.contains { if case .agentTookOver("second", .zero) = $0 { true } else { false } })
    }

    @Test func theBridgeIsHeardAfter300MillisecondsOfNoAgent() throws {
        let log = EventLog()
        var call = try makeCall(observers: [log])
        call.begin()
        call.agent("audio 40 1600")
        call.agent("end")
        listen(&call, 1000)
        let failure = call.now
        call.agent("fail")
        listen(&call, 280)
        #expect(count("55", call) == 0)
        listen(&call, 20)
        let first = try #require(sounds(call).first { $0.byte == "55" })
        #expect(first.time - failure == .milliseconds(300))
        #expect(log.events.contains { if case .bridged(.milliseconds(300)) = $0 { true } else { false } })
        listen(&call, 1500)
        #expect(count("55", call) == 50, "once, to its end")
        #expect(call.carrierTexts("mark").isEmpty == false)
    }

    @Test func anAgentThatIsReadyAtOnceNeedsNoBridge() throws {
        var call = try makeCall()
        call.begin()
        call.agent("audio 40 1600")
        call.agent("end")
        listen(&call, 1000)
        call.agent("fail")
        listen(&call, 280)
        call.agentConnected()
        call.agent("ready")
        listen(&call, 10_000)
        #expect(count("55", call) == 0, "the agent had finished: the silence is the caller's")
        #expect(call.call.counters.longestAgentSilence == .zero)
    }

    @Test func anAgentThatOwesWordsAndSaysNoneIsBridgedThreeTimes() throws {
        var call = try makeCall()
        call.begin()
        call.agent("audio 40 1600")
        listen(&call, 40)
        let failure = call.now
        call.agent("fail")
        listen(&call, 100)
        call.agentConnected()
        call.agent("ready")
        listen(&call, 40_000)
        let bridge = sounds(call).filter { $0.byte == "55" }
        #expect(bridge.count == 150)
        let first = try #require(bridge.first)
        #expect(first.time - failure == .seconds(2))
        #expect(first.time - failure < .seconds(3), "something is heard within three seconds")
    }

    @Test func severalFailuresAreBridgedEverySixSeconds() throws {
        var call = try makeCall((0..<5).map { PuppetAgent("agent\($0)") })
        call.begin()
        call.agent("fail")
        listen(&call, 12_000)
        #expect(count("55", call) == 100)
        #expect(call.call.backend == "agent4", "three seconds each")
    }

    @Test func theSuccessorWaitsForTheEndOfAShortBridge() throws {
        var call = try makeCall()
        call.begin()
        call.agent("fail")
        listen(&call, 400)
        call.agentConnected()
        call.agent("ready")
        call.agent("audio 42 1600")
        listen(&call, 2000)
        #expect(sounds(call).map(\.byte) == Array(repeating: "55", count: 50) + Array(repeating: "42", count: 10))
        #expect(call.call.ledger.underruns == 0)
    }

    @Test func aLongBridgeStopsWhenTheSuccessorSpeaks() throws {
        var call = try makeCall(bridge: ByteBuffer(repeating: 0x55, count: 80_000))
        call.begin()
        call.agent("fail")
        listen(&call, 1000)
        call.agentConnected()
        call.agent("ready")
        call.agent("audio 42 1600")
        listen(&call, 1000)
        let bytes = sounds(call).map(\.byte)
        #expect(bytes.suffix(10).allSatisfy { $0 == "42" } && (30...50).contains(bytes.count - 10))
    }

    @Test func aCallerWhoSpeaksCutsTheBridgeAndIsNotToldToHaveHeardAnything() throws {
        let log = EventLog()
        var call = try makeHarness(
            backends: [PuppetAgent("first"), PuppetAgent("second")],
            toAgent: [
                Stage(
                    "key", address: "stages[0]", takes: .telephony, gives: .telephony, processor: InterruptsOnKey())
            ], observers: [log]
        ) { $0.bridge = Self.bridge }
        call.begin()
        call.agent("fail")
        listen(&call, 600)
        call.carrier("dtmf 1")
        listen(&call, 2000)
        #expect(count("55", call) < 40)
        let cut = log.events.compactMap { if case .interrupted(_, let heard) = $0 { heard } else { nil } }
        #expect(cut.map(\.text) == [""] && cut.first?.duration == .zero)
        call.agentConnected()
        call.agent("ready")
        call.agent("audio 42 160")
        #expect(count("42", call) == 1)
    }

    @Test func theBridgeIsInNobodysTranscript() throws {
        var call = try makeCall()
        call.begin()
        call.agent("fail")
        listen(&call, 400)
        call.agentConnected()
        call.agent("ready")
        call.agent("says Hello again.")
        call.agent("audio 42 4800")
        call.agent("end")
        listen(&call, 3000)
        #expect(call.agentTexts("heard after") == ["heard after 600 ms: Hello again."])
        #expect(call.call.counters.heard?.text == "Hello again.")
    }

    @Test func withoutABridgeNothingIsMadeUp() throws {
        var call = try makeCall(bridge: ByteBuffer())
        call.begin()
        call.agent("fail")
        listen(&call, 2900)
        #expect(sounds(call).isEmpty)
    }

    // MARK: What the successor is told

    @Test func theSuccessorIsToldWhatWasSaidAndHeard() throws {
        var call = try makeCall()
        call.begin()
        call.agent("says Good morning, how can I help?")
        call.agent("audio 40 8000")
        call.agent("end")
        listen(&call, 1500)
        call.agent("transcribes I need a haircut.")
        call.agent("fail")
        call.agentConnected()
        #expect(
            call.agentTexts("hello").last
                == "hello; agent: Good morning, how can I help?; caller: I need a haircut.; go on")
    }

    @Test func ofASentenceThatBrokeOffOnlyWhatCameCounts() throws {
        var call = try makeCall()
        call.begin()
        // 30 characters take two seconds at 15 a second; one second of sound has come.
        call.agent("says one two three four five six sev")
        call.agent("audio 40 8000")
        listen(&call, 100)
        call.agent("fail")
        call.agentConnected()
        #expect(call.agentTexts("hello").last == "hello; agent: one two three; go on")
    }

    @Test func aCutTurnIsHandedOverAsFarAsItWasHeard() throws {
        var call = try makeCall()
        call.begin()
        call.agent("says one two three four five six")
        call.agent("audio 40 16000")
        call.agent("end")
        listen(&call, 1000)
        call.agent("interrupt")
        listen(&call, 20)
        call.agent("transcribes Wait.")
        call.agent("end")
        call.agent("fail")
        call.agentConnected()
        #expect(call.agentTexts("hello").last == "hello; agent: one two three; caller: Wait.; go on")
    }

    @Test func aFailureWhileItRingsHandsNothingOver() throws {
        var call = try makeCall()
        call.agentConnected()
        call.agent("ready")
        call.agent("says Hello!")
        call.agent("audio 40 8000")
        call.agent("fail")
        call.agentConnected()
        call.agent("ready")
        #expect(call.agentTexts("hello") == ["hello", "hello"], "nobody has heard the greeting")
        call.carrier("start")
        listen(&call, 1000)
        #expect(sounds(call).isEmpty)
    }

    @Test func theHistoryIsBounded() throws {
        var call = try makeCall()
        call.begin()
        for number in 0..<400 { call.agent("transcribes words \(number)") }
        call.agent("transcribes \(String(repeating: "x", count: 9000))")
        call.agent("fail")
        call.agentConnected()
        let hello = try #require(call.agentTexts("hello").last)
        #expect(hello.count < 20_000 && hello.contains("words 399") && !hello.contains("words 100;"))
    }

    @Test func aSecondFailureKeepsTheFirstOnesWords() throws {
        var call = try makeCall([PuppetAgent("a"), PuppetAgent("b"), PuppetAgent("c")])
        call.begin()
        call.agent("says The first words.")
        call.agent("audio 40 16000")
        call.agent("end")
        listen(&call, 100)
        call.agent("fail")
        call.agentConnected()
        call.agent("ready")
        call.agent("says Never heard.")
        call.agent("audio 41 8000")
        call.agent("fail")
        call.agentConnected()
        call.agent("ready")
        #expect(call.agentTexts("hello").last == "hello; agent: The first words.; go on")
        call.agent("says At last.")
        call.agent("audio 42 1600")
        call.agent("end")
        listen(&call, 3000)
        #expect(count("40", call) == 100 && count("41", call) == 0 && count("42", call) == 10)
        #expect(call.agentTexts("heard after").last == "heard after 200 ms: At last.")
    }

    @Test func theSuccessorIsNotToldOfTheFormersTurn() throws {
        var call = try makeCall()
        call.begin()
        call.agent("audio 40 8000")
        call.agent("end")
        listen(&call, 100)
        call.agent("fail")
        call.agentConnected()
        call.agent("ready")
        listen(&call, 2000)
        #expect(call.agentTexts("heard after").isEmpty)
    }

    // MARK: Who is next

    @Test func afterAMinuteOfServiceEveryoneIsTriedAgain() throws {
        var call = try makeCall()
        call.begin()
        call.agent("fail")
        call.agentConnected()
        call.agent("ready")
        listen(&call, 30_000)
        var early = call
        early.agent("fail")
        #expect(early.call.state != .streaming, "within a minute that was the last one")
        listen(&call, 31_000)
        call.agent("fail")
        #expect(call.call.state == .streaming && call.call.backend == "first")
    }

    @Test func nobodyFollowsAGoodbye() throws {
        var call = try makeCall()
        call.begin()
        call.agent("audio 40 1600")
        call.agent("hangup")
        call.agent("fail")
        listen(&call, 300)
        call.carrier(try #require(call.carrierTexts("mark").last))
        #expect(call.end?.kind == .agentHungUp && call.call.backend == "first")
    }

    @Test func whenAllFailTheCallerIsConnectedWithAPerson() throws {
        var call = try makeCall { $0.transferTo = PhoneNumber("+4930123456") }
        call.begin()
        call.agent("fail")
        call.agent("fail")
        listen(&call, 1500)
        #expect(count("55", call) == 50, "the bridge is heard first")
        call.carrier(try #require(call.carrierTexts("mark").last))
        #expect(call.end == EndReason(.transferred, "+4930123456"))
        #expect(call.call.counters.agentFailureCodes == [.agentFailed: 2])
    }

    @Test func allFailingWhileItRingsTransfersWhenTheStreamBegins() throws {
        var call = try makeCall([PuppetAgent("only")]) { $0.transferTo = PhoneNumber("+4930123456") }
        call.agent("fail")
        #expect(call.end == nil)
        call.carrier("start")
        listen(&call, 1500)
        call.carrier(try #require(call.carrierTexts("mark").last))
        #expect(call.end?.kind == .transferred)
    }

    // MARK: Connecting late

    @Test func anAgentMayBeConnectedOnlyWhenTheStreamBegins() throws {
        var call = try makeCall { $0.connectsEarly = false }
        #expect(call.actions.isEmpty)
        call.carrier("start")
        #expect(call.actions.count { if case .dialAgent = $0 { true } else { false } } == 1)
        call.carrier("audio 7f 160")
        call.agentConnected()
        #expect(call.agentTexts("started").count == 1)
        call.agent("ready")
        #expect(call.agentTexts("heard") == ["heard 160"])
    }

    @Test func aLateAgentThatCannotBeOpenedEndsTheCallInWords() throws {
        var call = try makeCall([PuppetAgent("broken", refuses: true)]) { $0.connectsEarly = false }
        call.carrier("start")
        call.carrier(try #require(call.carrierTexts("mark").last))
        #expect(call.end?.kind == .failure)
    }
}

struct InterruptsOnKey: Processor {
    func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        if case .dtmf = frame { output.emitUpstream(.interruption(Interruption(generation: 0, cause: "a key"))) }
        output.emit(frame)
    }
}
