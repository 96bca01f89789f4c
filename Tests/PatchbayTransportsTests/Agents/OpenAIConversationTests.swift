import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbayTransports

@Suite struct OpenAIConversationTests {
    // MARK: The beginning

    @Test func configuresWhatTheServerCreatedThenGreets() throws {
        var settings = OpenAIRealtimeSettings()
        settings.instructions = "Be brief."
        settings.firstMessage = "Welcome to the salon."
        settings.language = "de"
        var bench = OpenAIBench(settings, tools: [ToolDefinition("look_up", description: "d")])
        bench.conversation.opened(at: bench.now, into: &bench.output)
        #expect(bench.takeTexts().isEmpty, "the server speaks first")
        _ = bench.receive(.sessionCreated(OpenAIRealtimeSession()))
        guard case .sessionUpdate(let session)? = bench.takeEvents().first else {
            Issue.record("no session.update")
            return
        }
        #expect(session.inputFormat == .pcmu && session.outputFormat == .pcmu)
        #expect(session.outputModalities == ["audio"] && session.voice == "marin")
        #expect(session.tools?.map(\.name) == ["look_up"] && session.toolChoice == "auto")
        #expect(session.transcription == .on(.init(model: "gpt-4o-mini-transcribe", language: "de")))
        #expect(session.instructions?.contains("Be brief.") == true && session.instructions?.contains("\"de\"") == true)
        var updated = session
        updated.id = "sess_9"
        let events = bench.receive(.sessionUpdated(updated))
        guard events.count == 2, case .conversationStarted("sess_9") = events[0],
            case .ready(let input, let output) = events[1]
        else {
            Issue.record("\(events)")
            return
        }
        #expect(input == .telephony && output == .telephony)
        guard case .createResponse(let options)? = bench.takeEvents().first else {
            Issue.record("no greeting")
            return
        }
        #expect(options.instructions?.contains("Welcome to the salon.") == true)
        #expect(options.instructions?.contains("Be brief.") == true, "they replace the session's")
    }

    @Test(
        arguments: [
            (AudioFormat.telephony, AudioFormat.telephony),
            (AudioFormat(.alaw, sampleRate: 8000), AudioFormat(.alaw, sampleRate: 8000)),
            (.pcm(16000), .pcm(24000)), (.pcm(8000), .pcm(24000)),
        ])
    func asksForTheJointsFormatWhereTheVendorHasIt(joint: AudioFormat, format: AudioFormat) {
        var bench = OpenAIBench(OpenAIBench.quiet, joint: joint)
        bench.begin()
        let formats = OpenAIRealtimeAgent().formats(for: joint, settings: Settings([]))
        #expect(formats.inputs == [format] && formats.outputs == [format])
        #expect(AudioFormat(bench.conversation.format) == format)
    }

    @Test func isReadyInTheFormatsThatTheServerConfirms() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.conversation.opened(at: bench.now, into: &bench.output)
        _ = bench.receive(.sessionCreated(.init()))
        var session = OpenAIRealtimeSession()
        session.inputFormat = .pcm24k
        session.outputFormat = .pcma
        let events = bench.receive(.sessionUpdated(session))
        guard case .ready(let input, let output)? = events.last else {
            Issue.record("\(events)")
            return
        }
        #expect(input == .pcm(24000) && output == AudioFormat(.alaw, sampleRate: 8000))
    }

    @Test func anEmptyFirstMessageWaitsAndAHistoryIsToldInsteadOfAGreeting() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        #expect(bench.begin().isEmpty)
        var taken = OpenAIBench(history: [
            ConversationTurn(.caller, "I lost my card."), ConversationTurn(.agent, "I see."),
        ])
        #expect(
            taken.begin() == [
                .createItem(.text(.user, "I lost my card."), previousItemID: nil),
                .createItem(.text(.assistant, "I see."), previousItemID: nil),
            ])
    }

    @Test func aCallerWhoWaitsIsAnsweredWithoutSpeakingFirst() {
        var bench = OpenAIBench(history: [ConversationTurn(.caller, "I lost my card.")], isAnswerAwaited: true)
        #expect(
            bench.begin() == [
                .createItem(.text(.user, "I lost my card."), previousItemID: nil), .createResponse(.init()),
            ])
    }

    @Test func withoutAFirstMessageItGreetsInItsOwnWords() {
        var bench = OpenAIBench()
        #expect(bench.begin() == [.createResponse(.init())])
    }

    // MARK: Sound and words

    @Test func callersAudioGoesOutAsItIs() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        _ = bench.receive(Frame.audio(AudioFrame(ByteBuffer(bytes: [0x7F, 0x7F, 0x7F]), format: .telephony)))
        #expect(bench.takeTexts() == [#"{"type":"input_audio_buffer.append","audio":"f39/"}"#])
    }

    @Test func soundIsGivenAndATurnEndsWithItsResponse() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        #expect(bench.speak(1, bytes: 800).soundBytes == 800)
        let events = bench.receive(.responseDone(.init(id: "resp_1", status: "completed")))
        #expect(events.turnEnds == 1)
        #expect(bench.speak(2, bytes: 0, isDone: true).turnEnds == 0, "an answer without sound is no turn")
    }

    @Test func wordsGrowThenAreFinal() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        let place = OpenAIBench.place(1)
        var texts = bench.receive(.transcriptDelta(place, "Good ")).texts
        texts += bench.receive(.transcriptDelta(place, "morning")).texts
        texts += bench.receive(.transcriptDone(place, "Good morning.")).texts
        #expect(
            texts == [
                TextFrame("Good ", speaker: .agent, isFinal: false),
                TextFrame("Good morning", speaker: .agent, isFinal: false), TextFrame("Good morning.", speaker: .agent),
            ])
        texts = bench.receive(.inputTranscriptDelta(itemID: "u", "Hel")).texts
        texts += bench.receive(.inputTranscriptDelta(itemID: "u", "lo")).texts
        texts += bench.receive(.inputTranscriptDone(itemID: "u", "Hello!")).texts
        #expect(
            texts == [
                TextFrame("Hel", speaker: .caller, isFinal: false),
                TextFrame("Hello", speaker: .caller, isFinal: false),
                TextFrame("Hello!", speaker: .caller),
            ])
    }

    // MARK: Interruptions

    @Test func theServersInterruptionTruncatesToWhatWasHeard() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        bench.speak(1, bytes: 16_000)
        #expect(bench.receive(.speechStarted(itemID: "u1", audioStartMs: 10)).interruptions == 1)
        #expect(bench.takeEvents().isEmpty)
        _ = bench.receive(.heard(Heard(text: "", duration: .milliseconds(700), isComplete: false)))
        #expect(
            bench.takeEvents() == [.truncateItem(id: "item_1", contentIndex: 0, audioEndMs: 700)],
            "the server has cancelled its response by itself")
        let late = bench.receive(.audioDelta(OpenAIBench.place(1), byteCount: 2), audio: [1, 2])
        #expect(late.soundBytes == 0)
        let done = bench.receive(.responseDone(.init(id: "resp_1", status: "cancelled", reason: "turn_detected")))
        #expect(done.turnEnds == 0)
        #expect(bench.speak(2, bytes: 160).soundBytes == 160)
    }

    @Test func ourInterruptionCancelsAndTruncates() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        bench.speak(1, bytes: 16_000)
        _ = bench.interrupt(after: 500)
        #expect(
            bench.takeEvents() == [
                .cancelResponse(id: "resp_1"), .truncateItem(id: "item_1", contentIndex: 0, audioEndMs: 500),
            ])
        let fault = OpenAIRealtimeFault(code: "response_cancel_not_active", message: "m", eventID: "cut")
        #expect(bench.receive(.error(fault)).isEmpty, "swallowed")
    }

    @Test func nothingHeardDeletesAndTooMuchIsClamped() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        bench.speak(1, bytes: 800, isDone: true)
        _ = bench.interrupt(after: 0)
        #expect(bench.takeEvents() == [.deleteItem(id: "item_1")])
        bench.speak(2, bytes: 800)
        _ = bench.interrupt(after: 5000)
        #expect(
            bench.takeEvents() == [
                .cancelResponse(id: "resp_2"), .truncateItem(id: "item_2", contentIndex: 0, audioEndMs: 100),
            ])
        bench.speak(3, bytes: 800, isDone: true)
        _ = bench.interrupt(after: 5000)
        #expect(bench.takeEvents().isEmpty, "all of it was heard")
    }

    @Test func interruptionsWorkAfterTheResponseIsDone() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        bench.speak(1, bytes: 80_000, isDone: true)
        #expect(bench.receive(.speechStarted(itemID: "u1", audioStartMs: 10)).interruptions == 1)
        _ = bench.receive(.heard(Heard(text: "", duration: .milliseconds(1500), isComplete: false)))
        #expect(bench.takeEvents() == [.truncateItem(id: "item_1", contentIndex: 0, audioEndMs: 1500)])
    }

    @Test func theTurnThatIsPlayedIsTruncatedAndTheOneThatWaitsDeleted() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        bench.speak(1, bytes: 8000, isDone: true)
        bench.speak(2, bytes: 8000, isDone: true)
        bench.speak(3, bytes: 8000, isDone: true)
        _ = bench.receive(.heard(Heard(text: "", duration: .milliseconds(1000), isComplete: true)))
        _ = bench.interrupt(after: 400)
        #expect(
            bench.takeEvents() == [
                .truncateItem(id: "item_2", contentIndex: 0, audioEndMs: 400), .deleteItem(id: "item_3"),
            ])
    }

    @Test func severalItemsOfOneResponseAreCountedInOrder() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        _ = bench.receive(.responseCreated(.init(id: "r", status: "in_progress")))
        for item in ["a", "b", "c"] {
            let place = OpenAIRealtimeServerEvent.Place(responseID: "r", itemID: item)
            _ = bench.receive(.audioDelta(place, byteCount: 8000), audio: [UInt8](repeating: 1, count: 8000))
        }
        _ = bench.receive(.responseDone(.init(id: "r", status: "completed")))
        _ = bench.interrupt(after: 1250)
        #expect(
            bench.takeEvents() == [
                .truncateItem(id: "b", contentIndex: 0, audioEndMs: 250), .deleteItem(id: "c"),
            ])
    }

    @Test func silenceOfTheAgentIsNoInterruption() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        #expect(bench.receive(.speechStarted(itemID: "u1", audioStartMs: 10)).isEmpty)
        bench.speak(1, bytes: 800, isDone: true)
        _ = bench.receive(.heard(Heard(text: "", duration: .milliseconds(100), isComplete: true)))
        #expect(bench.receive(.speechStarted(itemID: "u2", audioStartMs: 10)).isEmpty)
    }

    @Test func wordsThatWereNotHeardAreTakenBack() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        bench.speak(1, bytes: 16_000)
        _ = bench.receive(.transcriptDone(OpenAIBench.place(1), "one two three four"))
        let texts = bench.interrupt(after: 1000).texts
        #expect(texts == [TextFrame("one two", speaker: .agent, isCorrection: true)])
        #expect(bench.conversation.history.items == [.text(.assistant, "one two")])
    }

    @Test func aResponseThatWasAskedForBeforeAnInterruptionIsCancelled() {
        var bench = OpenAIBench()
        #expect(bench.begin() == [.createResponse(.init())])
        _ = bench.interrupt(after: 0)
        _ = bench.receive(.responseCreated(.init(id: "resp_1", status: "in_progress")))
        #expect(bench.takeEvents() == [.cancelResponse(id: "resp_1")])
        #expect(bench.receive(.audioDelta(OpenAIBench.place(1), byteCount: 1), audio: [1]).soundBytes == 0)
    }

    // MARK: Turns of the pipeline's own

    private static var ownTurns: OpenAIRealtimeSettings {
        var settings = OpenAIBench.quiet
        settings.turnDetection = nil
        return settings
    }

    private func packets(_ count: Int, _ bench: inout OpenAIBench) {
        for _ in 0..<count {
            let packet = ByteBuffer(repeating: 0x55, count: 160)
            _ = bench.receive(Frame.audio(AudioFrame(packet, format: .telephony)))
        }
    }

    @Test func withoutTurnDetectionThePipelineCommitsAndAsks() {
        var bench = OpenAIBench(Self.ownTurns)
        bench.begin()
        packets(200, &bench)
        #expect(bench.takeTexts().isEmpty, "silence is nobody's turn")
        _ = bench.receive(Frame.userTurnStarted)
        packets(2, &bench)
        _ = bench.receive(Frame.userTurnEnded(TurnEnd(.agent)))
        _ = bench.receive(Frame.userTurnEnded(TurnEnd(.silence)))
        let texts = bench.takeTexts()
        var audio = ByteBuffer()
        for text in texts { _ = try? OpenAIRealtimeClientEvent.decode(ByteBuffer(string: text), audio: &audio) }
        #expect(audio.readableBytes == 4000 + 320, "half a second from before, then what followed")
        #expect(texts.count == 5 && texts[3].contains("input_audio_buffer.commit"))
        #expect(texts[4].contains("response.create"))
        packets(2, &bench)
        #expect(bench.takeTexts().isEmpty)
    }

    @Test func aTurnDuringAResponseIsAnsweredAfterIt() {
        var bench = OpenAIBench(Self.ownTurns)
        bench.begin()
        bench.speak(1, bytes: 800)
        _ = bench.receive(Frame.userTurnStarted)
        _ = bench.receive(Frame.userTurnEnded(TurnEnd(.silence)))
        #expect(bench.takeEvents() == [.commitAudio])
        _ = bench.receive(.responseDone(.init(id: "resp_1", status: "completed")))
        #expect(bench.takeEvents() == [.createResponse(.init())])
    }

    @Test func aVADAloneInterrupts() {
        var bench = OpenAIBench(Self.ownTurns)
        bench.begin()
        bench.speak(1, bytes: 8000)
        #expect(bench.receive(Frame.speechStarted).interruptions == 1)
        _ = bench.receive(.heard(Heard(text: "", duration: .milliseconds(300), isComplete: false)))
        #expect(
            bench.takeEvents() == [
                .cancelResponse(id: "resp_1"), .truncateItem(id: "item_1", contentIndex: 0, audioEndMs: 300),
            ])
        _ = bench.receive(.responseDone(.init(id: "resp_1", status: "cancelled", reason: "client_cancelled")))
        _ = bench.receive(Frame.speechStopped)
        #expect(bench.takeEvents() == [.commitAudio, .createResponse(.init())])
    }

    @Test func withoutAVADNobodyEndsTurns() throws {
        let settings = Settings(
            OpenAIRealtimeAgent().spec.fields, ["turnDetection": "none"], secrets: ["apiKey": Secret("k")])
        let backend = try OpenAIRealtimeAgent().makeBackend(settings)
        let call = CallInfo(id: "1", callSid: "CA1", from: "+1", to: "+2", pipeline: "p")
        #expect(throws: PipelineError.self) { try backend.open(AgentRequest(call: call, joint: .telephony)) }
    }
}
