import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbayTransports

@Suite struct ElevenLabsConversationTests {
    private typealias Bench = ElevenLabsBench

    private func heard(_ events: [AgentEvent]) -> Bool {
        events.contains { if case .audio = $0 { true } else { false } }
    }

    @Test func beginsWithItsInitiationAndIsReadyByTheMetadata() throws {
        var bench = Bench(
            ElevenLabsInitiation(firstMessage: "Hi", language: "de", dynamicVariables: ["vip": true, "n": 3]))
        let first = bench.open()
        #expect(first.count == 1)
        #expect(
            first[0].contains(#""first_message":"Hi""#) && first[0].contains(#""vip":true"#)
                && first[0].contains(#""n":3"#))
        let events = bench.receive(
            .conversationInitiationMetadata(
                .init(conversationId: "conv_1", agentOutputFormat: "pcm_24000", userInputFormat: "ulaw_8000")))
        guard case .conversationStarted("conv_1") = events[0], case .ready(let input, let output) = events[1] else {
            Issue.record("\(events)")
            return
        }
        #expect(input == .telephony && output == .pcm(24000), "the two formats are independent")
    }

    @Test func unknownFormatsFailInPlainWords() {
        var bench = Bench()
        _ = bench.open()
        let events = bench.receive(
            .conversationInitiationMetadata(
                .init(conversationId: "c", agentOutputFormat: "opus_48000", userInputFormat: "pcm_16000")))
        guard case .failed(let error) = events.last else {
            Issue.record("\(events)")
            return
        }
        #expect(error.code == .unsupportedFormat)
    }

    @Test func pingsAreAnsweredAtOnceWithTheirId() {
        var bench = Bench()
        bench.begin()
        _ = bench.receive(.ping(eventId: 7, pingMs: nil))
        #expect(bench.takeMessages() == [#"{"type":"pong","event_id":7}"#])
    }

    @Test func afterAnInterruptionOlderAudioIsDroppedAndTheSameIdKept() {
        var bench = Bench()
        bench.begin()
        #expect(heard(bench.receive(.audio(eventId: 4, byteCount: 2), audio: [1, 2])))
        let events = bench.receive(.interruption(eventId: 5))
        guard case .interruption = events.first else {
            Issue.record("\(events)")
            return
        }
        #expect(!heard(bench.receive(.audio(eventId: 4, byteCount: 2), audio: [1, 2])))
        #expect(
            heard(bench.receive(.audio(eventId: 5, byteCount: 2), audio: [1, 2])),
            "a reply may share the interruption's id")
        #expect(heard(bench.receive(.audio(eventId: 6, byteCount: 2), audio: [1, 2])))
        _ = bench.receive(.interruption(eventId: 3))
        #expect(
            heard(bench.receive(.audio(eventId: 6, byteCount: 2), audio: [1, 2])),
            "a stale interruption moves nothing back")
    }

    @Test func anInterruptionWithoutIdCutsWhatWasSeen() {
        var bench = Bench()
        bench.begin()
        _ = bench.receive(.audio(eventId: 4, byteCount: 2), audio: [1, 2])
        _ = bench.receive(text: #"{"type":"interruption","interruption_event":{"reason":"user"}}"#)
        #expect(!heard(bench.receive(.audio(eventId: 4, byteCount: 2), audio: [1, 2])))
        #expect(heard(bench.receive(.audio(eventId: 5, byteCount: 2), audio: [1, 2])))
    }

    @Test func callersAudioGoesOutAsItIs() {
        var bench = Bench()
        bench.begin()
        let frame = Frame.audio(AudioFrame(ByteBuffer(bytes: [0x7F, 0x7F, 0x7F]), format: .telephony))
        bench.conversation.receive(frame, at: bench.now, into: &bench.output)
        #expect(bench.takeMessages() == [#"{"user_audio_chunk":"f39/"}"#])
    }

    @Test(arguments: [
        (UInt16(1000), "", true), (1002, "This request exceeds your quota limit.", false), (1006, "", false),
        (1008, "override_error", false), (1011, "", false), (3000, "", false),
    ])
    func everyCloseIsTold(code: UInt16, reason: String, isOrderly: Bool) {
        var bench = Bench()
        bench.begin()
        let events = bench.close(code, reason)
        switch events.first {
        case .hangup: #expect(isOrderly)
        case .failed(let error):
            #expect(!isOrderly)
            #expect(error.message.contains("\(code)") && (reason.isEmpty || error.message.contains(reason)))
            #expect(error.isRetryable == [1006, 1011].contains(code))
        default: Issue.record("\(events)")
        }
    }

    @Test func aCloseBeforeTheMetadataIsAFailureWhateverItsCode() {
        var bench = Bench()
        _ = bench.open()
        guard case .failed? = bench.close(1000).first else {
            Issue.record("a conversation that never began did not end in order")
            return
        }
    }

    @Test func theLastErrorIsPartOfTheReason() {
        var bench = Bench()
        bench.begin()
        _ = bench.receive(
            .error(.init(code: 1008, type: "override_error", message: "first_message may not be overridden")))
        guard case .failed(let error)? = bench.close(1008, "override").first else {
            Issue.record("expected a failure")
            return
        }
        #expect(error.message.contains("first_message may not be overridden"))
    }

    @Test func endCallFollowedByAnyCloseIsAnOrderlyGoodbye() {
        var bench = Bench()
        bench.begin()
        _ = bench.receive(
            .agentToolResponse(.init(name: "end_call", id: "t", type: "system", isError: false, isCalled: true)))
        guard case .hangup? = bench.close(1002).first else {
            Issue.record("the agent had said goodbye")
            return
        }
    }

    @Test func silenceWithoutEvenAPingIsAFailureInTheEnd() throws {
        var bench = Bench()
        bench.begin()
        bench.now = MediaTime(milliseconds: 19_000)
        _ = bench.receive(.ping(eventId: 1, pingMs: nil))
        #expect(bench.advance(to: 38_980).isEmpty)
        guard case .failed(let error)? = bench.advance(to: 39_000).first else {
            Issue.record("expected a failure")
            return
        }
        #expect(error.code == .agentTimeout && error.isRetryable)
        #expect(bench.conversation.deadline == nil)
    }

    @Test(arguments: [
        "", "{", "[]", #"{"type":5}"#, #"{"type":"audio","audio_event":{"audio_base_64":"$$$","event_id":1}}"#,
    ])
    func nonsenseIsAFaultAndTheConversationGoesOn(text: String) {
        var bench = Bench()
        bench.begin()
        guard case .fault? = bench.receive(text: text).first else {
            Issue.record("expected a fault for \(text)")
            return
        }
        #expect(heard(bench.receive(.audio(eventId: 1, byteCount: 1), audio: [1])))
    }

    @Test func newEventsOfTheVendorAreIgnored() {
        var bench = Bench()
        bench.begin()
        #expect(bench.receive(text: #"{"type":"something_of_next_year","payload":{"x":[1,2]}}"#).isEmpty)
    }

    @Test func alignedSoundTellsWhichWordsAreInIt() {
        var bench = Bench()
        bench.begin()
        let aligned = #"{"chars":["H","i"],"char_start_times_ms":[0,60],"char_durations_ms":[60,90]}"#
        let message =
            #"{"type":"audio","audio_event":{"audio_base_64":"AAAA","event_id":1,"alignment":\#(aligned)}}"#
        let events = bench.receive(text: message)
        guard events.count == 2, case .spoken(2, in: .milliseconds(150)) = events[0], case .audio = events[1] else {
            Issue.record("\(events)")
            return
        }
    }

    // MARK: What keeps the agent company

    @Test func aMutedCarrierIsReplacedBySilence() {
        var bench = Bench()
        bench.begin()
        let packet = Frame.audio(AudioFrame(ByteBuffer(repeating: 0x20, count: 160), format: .telephony))
        for _ in 0..<50 {
            #expect(bench.receive(packet).count == 1)
            _ = bench.advance(to: bench.now.milliseconds + 20)
        }
        #expect(bench.takeMessages().isEmpty, "nothing is put between packets that come")
        _ = bench.advance(to: 3000)
        let silence = bench.takeMessages()
        #expect((14...16).contains(silence.count), "from half a second on, 100 ms every 100 ms: \(silence.count)")
        var expected = ByteBuffer()
        [UInt8](repeating: 0xFF, count: 800).withUnsafeBytes { ElevenLabsWriter.userAudioChunk($0, into: &expected) }
        #expect(silence.allSatisfy { $0 == String(buffer: expected) })
    }

    @Test func theAgentIsToldThatTheCallerIsThere() {
        var bench = Bench()
        _ = bench.open()
        #expect(bench.receive(.speechStarted).isEmpty, "not before it has begun")
        bench.begin()
        #expect(bench.receive(.speechStarted) == [#"{"type":"user_activity"}"#])
        #expect(bench.receive(.speechStarted).isEmpty)
        bench.now = MediaTime(milliseconds: 2000)
        #expect(bench.receive(.speechStarted).count == 1)
    }

    @Test func keysAndContextAreTold() {
        var bench = Bench()
        bench.begin()
        #expect(bench.receive(.dtmf("5")).first?.contains("pressed the key 5") == true)
        bench.conversation.contextAdded("page 2", at: bench.now, into: &bench.output)
        #expect(bench.takeMessages() == [#"{"type":"contextual_update","text":"page 2"}"#])
    }

    @Test func aHistoryIsToldOnceAndInBounds() throws {
        let turns = (0..<1000).flatMap {
            [ConversationTurn(.caller, "question \($0)"), ConversationTurn(.agent, "answer \($0)")]
        }
        let text = try #require(ElevenLabsHistory.text(of: turns))
        #expect(text.count < ElevenLabsHistory.maximumCharacters + 1000 && text.hasSuffix("You: answer 999"))
        #expect(ElevenLabsHistory.text(of: []) == nil)
        var bench = Bench(history: text)
        bench.begin()
        let told = bench.takeMessages()
        #expect(told.count == 1 && told[0].hasPrefix(#"{"type":"contextual_update""#) && told[0].contains("answer 999"))
    }

    @Test func aCallerWhoWaitsIsAnsweredWithoutSpeakingFirst() {
        var bench = Bench(history: "You: one two", asks: true)
        bench.begin()
        let told = bench.takeMessages()
        #expect(told.count == 2 && told[1].hasPrefix(#"{"type":"user_message""#) && told[1].contains("Go on"))
    }

    @Test func aFirstMessageThatMayNotBeLeftOutIsSaid() throws {
        var bench = Bench(ElevenLabsInitiation(firstMessage: ""), history: "You: one two", asks: true, unasked: true)
        #expect(bench.open().first?.contains(#""first_message":"""#) == true)
        _ = bench.receive(
            text:
                #"{"type":"error","error_event":{"code":1008,"error_type":"override_error","message":"Not allowed."}}"#)
        let events = bench.close(1008, "Override for field 'first_message' is not allowed by config.")
        guard case .reconnect? = events.last, events.count == 1 else {
            Issue.record("\(events)")
            return
        }
        #expect(bench.open().first?.contains("first_message") == false, "as it does at the vendor")
        _ = bench.receive(
            .conversationInitiationMetadata(
                .init(conversationId: "conv_2", agentOutputFormat: "ulaw_8000", userInputFormat: "ulaw_8000")))
        let told = bench.takeMessages()
        #expect(told.count == 1 && told[0].contains("one two"), "it speaks by itself: nobody asks it to")

        var second = Bench(ElevenLabsInitiation(firstMessage: ""), history: "You: one two", unasked: true)
        _ = second.open()
        _ = second.close(1008, "Override for field 'first_message' is not allowed by config.")
        _ = second.open()
        guard case .failed? = second.close(1008, "Override for field 'language' is not allowed.").last else {
            Issue.record("once is enough")
            return
        }
    }
}
