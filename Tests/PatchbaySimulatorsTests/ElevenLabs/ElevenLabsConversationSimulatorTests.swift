import NIOCore
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbaySimulators

@Suite struct ElevenLabsConversationSimulatorTests {
    static let script = SimulatedAgentScript(greeting: "Good morning to you", replies: ["One", "Two"], goodbye: "Bye")
    static var agent: ElevenLabsSimulatedAgent {
        var agent = ElevenLabsSimulatedAgent(script: script)
        agent.allowedOverrides = []
        return agent
    }

    // MARK: The beginning

    @Test func sendsMetadataAtOnceAndTheGreetingAfterTheInitiation() {
        var test = TestConversation(Self.agent)
        test.open()
        let metadata = ElevenLabsServerMessage.ConversationMetadata(
            conversationId: "conv_1", agentOutputFormat: "pcm_16000", userInputFormat: "pcm_16000")
        #expect(
            test.heard.map(\.message) == [.conversationInitiationMetadata(metadata), .ping(eventId: 1, pingMs: nil)])
        test.advance(milliseconds: 500)
        #expect(test.heard.count == 2)
        _ = test.takeHeard()
        test.send(.initiation(ElevenLabsInitiation()))
        let first: [ElevenLabsServerMessage] = [
            .agentResponse("Good morning to you", eventId: 1), .audio(eventId: 1, byteCount: 6400),
        ]
        #expect(test.takeHeard() == first)
    }

    /// One second of audio in pieces of 200 ms leaves in 200 ms.
    @Test func sendsAudioFourTimesFasterThanItPlays() {
        var test = TestConversation(Self.agent)
        test.open(sending: ElevenLabsInitiation())
        test.advance(milliseconds: 199)
        #expect(test.takeHeard().audioBytes == 4 * 6400)
        test.advance(milliseconds: 1)
        #expect(test.takeHeard().audioBytes == 6400)
        test.advance(milliseconds: 5000)
        #expect(test.takeHeard().isEmpty)
    }

    @Test func greetsWithoutAnInitiation() {
        var patient = TestConversation(Self.agent)
        patient.open()
        patient.advance(milliseconds: 999)
        #expect(patient.takeHeard().responses.isEmpty)
        patient.advance(milliseconds: 1)
        #expect(patient.takeHeard().responses == ["Good morning to you"])

        var hasty = TestConversation(Self.agent)
        hasty.open()
        hasty.beSilent(milliseconds: 20)
        #expect(hasty.takeHeard().responses == ["Good morning to you"])
    }

    @Test(arguments: [
        ("agent.first_message", ElevenLabsInitiation(firstMessage: "Hi")),
        ("agent.language", ElevenLabsInitiation(language: "de")),
        ("agent.prompt.prompt", ElevenLabsInitiation(prompt: "You are")),
        ("tts.voice_id", ElevenLabsInitiation(voiceId: "v")),
        ("conversation.text_only", ElevenLabsInitiation(textOnly: true)),
    ])
    func refusesOverridesThatAreNotAllowed(path: String, initiation: ElevenLabsInitiation) {
        var test = TestConversation(Self.agent)
        test.open(sending: initiation)
        #expect(test.takeHeard().errorTypes == ["override_error"])
        #expect(test.close?.code == 1008)
        #expect(test.close?.reason.contains(path) == true)

        var agent = Self.agent
        agent.allowedOverrides = [path]
        var allowed = TestConversation(agent)
        allowed.open(sending: initiation)
        #expect(allowed.close == nil)
    }

    @Test func acceptsTheEmptySectionsOfSDKs() {
        var test = TestConversation(Self.agent)
        test.open()
        test.send(
            text: #"{"type":"conversation_initiation_client_data","custom_llm_extra_body":{},"#
                + #""conversation_config_override":{"agent":{},"tts":{}},"dynamic_variables":{},"#
                + #""source_info":{"source":"x"}}"#)
        #expect(test.takeHeard().responses == ["Good morning to you"])
    }

    @Test func refusesOverridesItDoesNotKnow() {
        var test = TestConversation()
        test.open()
        test.send(
            text: #"{"type":"conversation_initiation_client_data","conversation_config_override":"#
                + #"{"agent":{"prompt":{"llm":"x"}}}}"#)
        #expect(test.close?.code == 1008)
        #expect(test.close?.reason.contains("agent.prompt.llm") == true)
    }

    @Test func needsItsVariables() {
        var agent = Self.agent
        agent.requiredVariables = ["name", "balance"]
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation(dynamicVariables: ["name": "Ann"]))
        #expect(test.takeHeard().errorTypes == ["missing_dynamic_variable"])
        #expect(test.close == .init(code: 1008, reason: "Missing required dynamic variables: balance"))

        var complete = TestConversation(agent)
        complete.open(sending: ElevenLabsInitiation(dynamicVariables: ["name": "Ann", "balance": 12.5]))
        #expect(complete.close == nil)
    }

    @Test func speaksTheFirstMessageInTheLanguage() {
        var test = TestConversation()
        test.open(sending: ElevenLabsInitiation(firstMessage: "Guten Tag", language: "de"))
        #expect(test.takeHeard().responses.isEmpty)
        #expect(test.speech.map(\.text) == ["Guten Tag"])
        #expect(test.speech.map(\.language) == ["de"])
        test.answerSpeech(.success(ByteBuffer(repeating: 1, count: 3200)))
        #expect(test.takeHeard() == [.agentResponse("Guten Tag", eventId: 1), .audio(eventId: 1, byteCount: 3200)])
    }

    @Test func endsWhenALanguageCannotBeSpoken() {
        var test = TestConversation()
        test.open(sending: ElevenLabsInitiation(language: "xx"))
        test.answerSpeech(.failure(PipelineError(.stageFailed, "no such voice")))
        #expect(test.takeHeard().errorTypes == ["value_error"])
        #expect(test.close?.code == 1008)
    }

    @Test func anEmptyFirstMessageWaitsForTheCaller() {
        var test = TestConversation()
        test.open(sending: ElevenLabsInitiation(firstMessage: ""))
        test.advance(milliseconds: 3000)
        #expect(test.takeHeard().responses.isEmpty)
        test.send(.userMessage("hello"))
        test.advance(milliseconds: 200)
        #expect(test.takeHeard().responses.count == 1)
    }

    // MARK: Turns

    @Test(arguments: [ElevenLabsAudioFormat.pcm16000, .ulaw8000])
    func answersAfterTheEndOfATurn(format: ElevenLabsAudioFormat) {
        var agent = Self.agent
        agent.inputFormat = format
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation())
        test.beSilent(milliseconds: 2000)
        _ = test.takeHeard()
        test.speak(milliseconds: 500)
        #expect(test.takeHeard() == [.tentativeUserTranscript("Hello, I", eventId: 2)])
        test.beSilent(milliseconds: 560)
        #expect(test.takeHeard().isEmpty)
        test.beSilent(milliseconds: 60)
        #expect(test.takeHeard() == [.userTranscript("Hello, I have a question.", eventId: 2)])
        test.beSilent(milliseconds: 200)
        #expect(test.takeHeard().responses == ["One"])
    }

    /// A client that stops sending when it is muted ends its turn as well.
    @Test func aGapInTheAudioEndsATurn() {
        var test = TestConversation(Self.agent)
        test.open(sending: ElevenLabsInitiation())
        test.beSilent(milliseconds: 2000)
        test.speak(milliseconds: 500)
        _ = test.takeHeard()
        test.advance(milliseconds: 1500)
        let heard = test.takeHeard()
        #expect(heard.transcripts == ["Hello, I have a question."])
        #expect(heard.responses == ["One"])
    }

    @Test func interruptsItself() {
        var test = TestConversation(Self.agent)
        test.open(sending: ElevenLabsInitiation())
        // All is sent by now, but only half a second of it was heard.
        test.beSilent(milliseconds: 500)
        _ = test.takeHeard()
        test.speak(milliseconds: 200)
        let heard = test.takeHeard()
        #expect(heard.interruptions == [2])
        #expect(
            heard.contains(
                .agentResponseCorrection(original: "Good morning to you", corrected: "Good...", eventId: 1)))
        #expect(heard.audioIds.isEmpty)
        test.beSilent(milliseconds: 1000)
        let reply = test.takeHeard()
        #expect(reply.responses == ["One"])
        #expect(reply.audioIds.allSatisfy { $0 > 2 } && !reply.audioIds.isEmpty)
        #expect(test.simulator.statistics.interruptions == 1)
    }

    @Test func isInterruptedWhileItSends() {
        var agent = Self.agent
        agent.timing.pace = 1
        agent.timing.chunk = .milliseconds(100)
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation())
        test.beSilent(milliseconds: 200)
        test.speak(milliseconds: 140)
        let sent = test.takeHeard()
        #expect(sent.interruptions.count == 1)
        #expect(sent.audioBytes < 16000)
        test.speak(milliseconds: 500)
        #expect(test.takeHeard().audioIds.isEmpty)
    }

    @Test func doesNotInterruptWhatHasBeenHeard() {
        var test = TestConversation(Self.agent)
        test.open(sending: ElevenLabsInitiation())
        test.beSilent(milliseconds: 1100)
        test.speak(milliseconds: 200)
        #expect(test.takeHeard().interruptions.isEmpty)
    }

    @Test func cannotBeInterruptedWithoutTheEvent() {
        var agent = Self.agent
        agent.clientEvents.remove(.interruption)
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation())
        test.beSilent(milliseconds: 300)
        test.speak(milliseconds: 200)
        #expect(test.takeHeard().interruptions.isEmpty)
    }

    @Test func sharesTheInterruptionsIdOnDemand() {
        var agent = Self.agent
        agent.faults.interruptionSharesId = true
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation())
        test.beSilent(milliseconds: 300)
        test.speak(milliseconds: 200)
        test.beSilent(milliseconds: 1000)
        let heard = test.takeHeard()
        #expect(heard.interruptions == [2])
        #expect(Set(heard.audioIds) == [1, 2])
        test.beSilent(milliseconds: 1000)
        test.speak(milliseconds: 200)
        test.beSilent(milliseconds: 1000)
        #expect((test.takeHeard().audioIds.max() ?? 0) > 2)
    }

    @Test func sendsLateAudioOnDemand() throws {
        var agent = Self.agent
        agent.faults.lateAudio = true
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation())
        test.beSilent(milliseconds: 300)
        test.speak(milliseconds: 200)
        let heard = test.takeHeard()
        let interruption = try #require(heard.firstIndex(of: .interruption(eventId: 2)))
        #expect(Array(heard[interruption...]).audioIds == [1])
    }

    @Test func aWrittenMessageIsATurn() {
        var test = TestConversation(Self.agent)
        test.open(sending: ElevenLabsInitiation())
        test.advance(milliseconds: 300)
        _ = test.takeHeard()
        test.send(.userMessage("an upgrade, please"))
        #expect(test.takeHeard().transcripts == ["an upgrade, please"])
        test.advance(milliseconds: 200)
        #expect(test.takeHeard().responses == ["One"])
        test.send(.multimodalMessage(text: "see this", fileIds: []))
        test.advance(milliseconds: 200)
        #expect(test.takeHeard().responses == ["Two"])
    }

    @Test func quietMessagesGetNoAnswer() {
        var test = TestConversation(Self.agent)
        test.open(sending: ElevenLabsInitiation())
        test.advance(milliseconds: 3000)
        _ = test.takeHeard()
        test.send(.contextualUpdate("verified", contextId: "auth"))
        test.send(.userActivity)
        test.send(.feedback(eventId: 1, score: "like"))
        test.send(.mcpToolApprovalResult(toolCallId: "c", isApproved: true))
        test.send(.other(type: "of_the_future"))
        test.advance(milliseconds: 3000)
        #expect(test.takeHeard().isEmpty)
        #expect(test.simulator.statistics.otherMessages.first == .contextualUpdate("verified", contextId: "auth"))
        #expect(test.simulator.statistics.otherMessages.count == 5)
    }

    @Test func hangsUpAfterItsGoodbye() {
        var test = TestConversation(Self.agent)
        test.open(sending: ElevenLabsInitiation())
        for expected in ["One", "Two", "Bye"] {
            #expect(test.close == nil)
            test.advance(milliseconds: 2000)
            _ = test.takeHeard()
            test.send(.userMessage("next"))
            test.advance(milliseconds: 300)
            #expect(test.takeHeard().responses == [expected])
        }
        test.advance(milliseconds: 100)
        let last = test.takeHeard()
        #expect(last.audioBytes > 0)
        guard case .agentToolResponse(let use) = last.last else {
            Issue.record("no end_call")
            return
        }
        #expect(use.name == "end_call" && use.type == "system" && use.isError == false && use.isCalled == true)
        #expect(test.close == .init(code: 1000))
        #expect(test.simulator.deadline == nil)
    }

    @Test func startsItsRepliesAgainWithoutAGoodbye() {
        var agent = Self.agent
        agent.script.goodbye = nil
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation())
        var replies: [String] = []
        for _ in 0..<5 {
            _ = test.takeHeard()
            test.send(.userMessage("next"))
            test.advance(milliseconds: 200)
            replies += test.takeHeard().responses
        }
        #expect(replies == ["One", "Two", "One", "Two", "One"])
    }

    @Test func textOnlyHasNoAudio() {
        var test = TestConversation()
        test.open(sending: ElevenLabsInitiation(firstMessage: "Hi", textOnly: true))
        #expect(
            Array(test.takeHeard().dropFirst()) == [
                .agentChatResponsePart("", part: "start", eventId: 1),
                .agentChatResponsePart("Hi", part: "delta", eventId: 1),
                .agentChatResponsePart("", part: "stop", eventId: 1), .agentResponse("Hi", eventId: 1),
            ])
        #expect(test.speech.isEmpty)
    }

    @Test func saysWhenAResponseIsComplete() {
        var agent = Self.agent
        agent.clientEvents.insert(.agentResponseComplete)
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation())
        test.advance(milliseconds: 300)
        #expect(test.takeHeard().last == .agentResponseComplete(eventId: 1))
    }

    @Test(arguments: [
        (1000, 1000, "..."), (500, 1000, "Good..."), (250, 1000, "Good morning..."), (0, 1000, "Good morning to you"),
        (2000, 1000, "..."), (0, 0, "Good morning to you"),
    ])
    func cutsTextToWhatWasHeard(unheard: Int64, whole: Int64, expected: String) {
        #expect(
            ElevenLabsConversationSimulator.words(
                of: "Good morning to you", unheard: .milliseconds(unheard), of: .milliseconds(whole)) == expected)
    }

    @Test func tellsWhenEachCharacterIsSpoken() {
        var agent = Self.agent
        agent.alignsText = true
        var test = TestConversation(agent)
        test.open(sending: ElevenLabsInitiation())
        test.advance(milliseconds: 2000)
        let characters = test.alignments.reduce(0) { $0 + $1.characters }
        #expect(characters == "Good morning to you".count)
        #expect(test.alignments.allSatisfy { (1...200).contains($0.milliseconds) })
    }
}
