import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbayTransports

@Suite struct OpenAIConversationToolTests {
    private func call(_ id: String, _ name: String = "look_up", response: String = "resp_1")
        -> OpenAIRealtimeServerEvent
    {
        .argumentsDone(
            .init(responseID: response, itemID: "f_\(id)"),
            .init(callID: id, name: name, arguments: #"{"order":1}"#))
    }

    private func output(_ id: String, _ text: String) -> OpenAIRealtimeClientEvent {
        .createItem(OpenAIRealtimeItem(.functionCallOutput(callID: id, output: text)), previousItemID: nil)
    }

    // MARK: Tools

    @Test func callsAreGivenOnceAndAnsweredTogether() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        _ = bench.receive(.responseCreated(.init(id: "resp_1", status: "in_progress")))
        let first = bench.receive(call("c1")).toolCalls
        let second = bench.receive(call("c2")).toolCalls
        #expect(first == [ToolCall(id: "c1", name: "look_up", arguments: #"{"order":1}"#)])
        #expect(second.map(\.id) == ["c2"])
        #expect(bench.answer(first[0], "one") == [output("c1", "one")], "no answer is asked for while one is made")
        let item = OpenAIRealtimeItem(
            .functionCall(.init(callID: "c2", name: "look_up", arguments: "{}")), status: "completed")
        let done = bench.receive(.responseDone(.init(id: "resp_1", status: "completed", output: [item])))
        #expect(done.toolCalls.isEmpty, "the end of the response tells of it again")
        #expect(bench.takeEvents().isEmpty, "one call is still open")
        #expect(bench.answer(second[0], "two") == [output("c2", "two"), .createResponse(.init())])
    }

    @Test func anAnswerDuringTheResponseWaitsForItsEnd() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        _ = bench.receive(.responseCreated(.init(id: "resp_1", status: "in_progress")))
        let calls = bench.receive(call("c1")).toolCalls
        #expect(bench.answer(calls[0], "one") == [output("c1", "one")])
        _ = bench.receive(.responseDone(.init(id: "resp_1", status: "completed")))
        #expect(bench.takeEvents() == [.createResponse(.init())])
    }

    @Test func aNameThatComesOnlyWithTheItemIsFound() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        let item = OpenAIRealtimeItem(
            .functionCall(.init(callID: "c1", name: "look_up")), id: "f", status: "in_progress")
        _ = bench.receive(.outputItemAdded(responseID: "r", outputIndex: 0, item))
        #expect(bench.receive(call("c1", "")).toolCalls.map(\.name) == ["look_up"])
        #expect(bench.receive(call("c2", "")).toolCalls.isEmpty)
        let late = OpenAIRealtimeItem(
            .functionCall(.init(callID: "c2", name: "other", arguments: "{}")), status: "completed")
        #expect(
            bench.receive(.outputItemDone(responseID: "r", outputIndex: 0, late)).toolCalls.map(\.name) == ["other"])
    }

    @Test func failuresAreTold() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        let calls = bench.receive(call("c1")).toolCalls
        #expect(
            bench.answer(calls[0], "no \"luck\"", isError: true)
                == [output("c1", #"{"error":"no \"luck\""}"#), .createResponse(.init())])
    }

    @Test func whileTheCallerSpeaksTheServersOwnAnswerIsWaitedFor() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        let calls = bench.receive(call("c1")).toolCalls
        _ = bench.receive(.speechStarted(itemID: "u", audioStartMs: 1))
        #expect(bench.answer(calls[0], "one") == [output("c1", "one")])
        _ = bench.receive(.speechStopped(itemID: "u", audioEndMs: 2))
        _ = bench.receive(.responseCreated(.init(id: "resp_2", status: "in_progress")))
        _ = bench.receive(.responseDone(.init(id: "resp_2", status: "completed")))
        #expect(bench.takeEvents().isEmpty, "it knew the output")
    }

    @Test func aRefusedRequestIsRepeatedAfterTheActiveResponse() {
        var bench = OpenAIBench()
        #expect(bench.begin() == [.createResponse(.init())])
        _ = bench.receive(
            .error(.init(code: "conversation_already_has_active_response", message: "m", eventID: "response")))
        #expect(bench.takeEvents().isEmpty)
        _ = bench.receive(.responseDone(.init(id: "resp_0", status: "completed")))
        #expect(bench.takeEvents() == [.createResponse(.init())])
    }

    @Test func contextAndKeysAreItemsWithoutAnAnswer() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        bench.conversation.contextAdded("page 2", at: bench.now, into: &bench.output)
        _ = bench.receive(.dtmf("5"))
        #expect(
            bench.takeEvents() == [
                .createItem(.text(.system, "page 2"), previousItemID: nil),
                .createItem(.text(.system, "The caller pressed the key 5."), previousItemID: nil),
            ])
    }

    // MARK: Faults and ends

    @Test(
        arguments: [
            ("invalid_api_key", .agentUnauthorized, false), ("model_not_found", .agentUnknown, false),
            ("insufficient_quota", .agentQuota, false), ("rate_limit_exceeded", .agentQuota, true),
            ("invalid_value", .agentSettingRefused, false), ("server_error", .agentFailed, true),
        ] as [(String, PipelineError.Code, Bool)])
    func faultsBeforeTheSettingsAreTakenEndIt(code: String, expected: PipelineError.Code, isRetryable: Bool) {
        var bench = OpenAIBench()
        bench.conversation.opened(at: bench.now, into: &bench.output)
        _ = bench.receive(.sessionCreated(.init()))
        let fault = OpenAIRealtimeFault(code: code, message: "words", param: "session.voice", eventID: "session")
        let failure = bench.receive(.error(fault)).failure
        #expect(failure?.code == expected && failure?.isRetryable == isRetryable)
        #expect(failure?.message.contains("words") == true)
        #expect(bench.close(1000).isEmpty, "it was over already")
    }

    @Test func otherFaultsAreCountedAndItGoesOn() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        for text in ["", "{", "[]", #"{"type":7}"#, #"{"type":"response.output_audio.delta","delta":"$$$"}"#] {
            guard case .fault? = bench.receive(text: text).first else {
                Issue.record("expected a fault for \(text)")
                return
            }
        }
        guard case .fault(let words)? = bench.receive(.error(.init(code: "invalid_value", message: "m"))).first else {
            Issue.record("expected a fault")
            return
        }
        #expect(words.contains("invalid_value"))
        #expect(bench.receive(text: #"{"type":"something.of.next.year","x":[1]}"#).isEmpty)
        #expect(bench.speak(1, bytes: 80).soundBytes == 80)
    }

    @Test(
        arguments: [
            ("insufficient_quota", .agentQuota, false), ("rate_limit_exceeded", .agentQuota, true),
        ] as [(String, PipelineError.Code, Bool)])
    func quotasEndIt(code: String, expected: PipelineError.Code, isRetryable: Bool) {
        var bench = OpenAIBench()
        bench.begin()
        let fault = OpenAIRealtimeFault(type: code, code: code, message: "m")
        let failure = bench.receive(.responseDone(.init(id: "r", status: "failed", fault: fault))).failure
        #expect(failure?.code == expected && failure?.isRetryable == isRetryable)
    }

    @Test func aFailedResponseIsTriedAgainOnce() {
        var bench = OpenAIBench()
        bench.begin()
        let failed = OpenAIRealtimeServerEvent.responseDone(
            .init(id: "r", status: "failed", fault: .init(type: "server_error", message: "m")))
        #expect(bench.receive(failed).failure == nil)
        #expect(bench.takeEvents() == [.createResponse(.init())])
        let failure = bench.receive(failed).failure
        #expect(failure?.code == .agentFailed && failure?.isRetryable == true)
    }

    @Test(arguments: [
        (UInt16(1006), "", true), (1011, "", true), (1008, "policy", false),
        (3000, "invalid_request_error.invalid_api_key", false),
    ])
    func closesAreTold(code: UInt16, reason: String, isRetryable: Bool) {
        var bench = OpenAIBench()
        bench.begin()
        let failure = bench.close(code, reason).failure
        #expect(failure?.isRetryable == isRetryable)
        #expect(
            failure?.message.contains("\(code)") == true
                && (reason.isEmpty || failure?.message.contains(reason) == true))
    }

    @Test func anOrderlyCloseIsAGoodbyeAndNoneBeforeTheSession() {
        var bench = OpenAIBench()
        bench.begin()
        guard case .hangup? = bench.close(1000).first else {
            Issue.record("expected a hang-up")
            return
        }
        var early = OpenAIBench()
        early.conversation.opened(at: early.now, into: &early.output)
        #expect(early.close(1000).failure != nil)
    }

    @Test func anAnswerThatIsDueAndDoesNotComeIsAFailure() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        #expect(bench.conversation.deadline == MediaTime(milliseconds: 55 * 60_000), "silence alone is no fault")
        _ = bench.receive(.speechStarted(itemID: "u", audioStartMs: 1))
        _ = bench.receive(.speechStopped(itemID: "u", audioEndMs: 2))
        #expect(bench.conversation.deadline == MediaTime(milliseconds: 20_000))
        let failure = bench.passDeadline().failure
        #expect(failure?.code == .agentTimeout && failure?.isRetryable == true)
    }

    // MARK: Sessions that grow old

    @Test func anOldSessionIsReplacedAtAQuietMomentWithEverythingSaid() {
        var bench = OpenAIBench()
        bench.begin()
        bench.speak(1, bytes: 800)
        _ = bench.receive(.transcriptDone(OpenAIBench.place(1), "Hello."))
        _ = bench.receive(.audioCommitted(itemID: "u1", previousItemID: "item_1"))
        bench.conversation.contextAdded("page 2", at: bench.now, into: &bench.output)
        bench.now = MediaTime(milliseconds: 55 * 60_000 - 1)
        _ = bench.receive(.inputTranscriptDone(itemID: "u1", "Hi there."))
        bench.now = MediaTime(milliseconds: 55 * 60_000)
        bench.conversation.deadlineReached(at: bench.now, into: &bench.output)
        #expect(bench.output.takeEvents().reconnections == 0, "it is speaking")
        _ = bench.receive(.responseDone(.init(id: "resp_1", status: "completed")))
        _ = bench.receive(.heard(Heard(text: "Hello.", duration: .milliseconds(100), isComplete: true)))
        #expect(bench.passDeadline().reconnections == 1)
        bench.output.messages.clear()
        _ = bench.receive(Frame.audio(AudioFrame(ByteBuffer(repeating: 1, count: 160), format: .telephony)))
        #expect(bench.takeTexts().isEmpty, "what the caller says meanwhile waits")
        let sent = bench.begin()
        #expect(
            sent == [
                .createItem(.text(.assistant, "Hello."), previousItemID: nil),
                .createItem(.text(.user, "Hi there."), previousItemID: nil),
                .createItem(.text(.system, "page 2"), previousItemID: nil), .appendAudio(byteCount: 160),
            ], "no second greeting")
        #expect(bench.conversation.deadline == bench.now + .seconds(55 * 60))
    }

    @Test func theVendorsLimitIsAReconnectionToo() {
        var bench = OpenAIBench()
        bench.begin()
        let fault = OpenAIRealtimeFault(
            code: "session_expired", message: "Your session hit the maximum duration of 60 minutes.")
        #expect(bench.receive(.error(fault)).reconnections == 1)
        #expect(bench.close(1001).isEmpty, "its successor is being dialled")
        var closed = OpenAIBench()
        closed.begin()
        #expect(closed.close(1001, "Your session hit the maximum duration of 60 minutes.").reconnections == 1)
    }

    @Test func aToolOfAFormerSessionIsToldAsContext() {
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.begin()
        let calls = bench.receive(call("c1")).toolCalls
        _ = bench.receive(.error(.init(code: "session_expired", message: "m")))
        #expect(bench.answer(calls[0], "one").isEmpty)
        let sent = bench.begin()
        #expect(
            sent == [
                .createItem(.text(.system, "The tool look_up has answered: one"), previousItemID: nil),
                .createResponse(.init()),
            ])
    }

    // MARK: Azure, other servers

    @Test func addresses() throws {
        var settings = OpenAIRealtimeSettings()
        settings.model = "gpt realtime&x"
        #expect(
            try settings.target(apiKey: "k").url == "wss://api.openai.com/v1/realtime?model=gpt%20realtime%26x")
        #expect(try settings.target(apiKey: "k").headers.map(\.1) == ["Bearer k"])
        settings.baseURL = "http://127.0.0.1:9000/v1/"
        settings.model = "m"
        #expect(try settings.target(apiKey: "k").url == "ws://127.0.0.1:9000/v1/realtime?model=m")
        settings.baseURL = "https://salon.openai.azure.com/openai/v1"
        settings.azure = .init(deployment: "rt")
        #expect(try settings.target(apiKey: "k").url == "wss://salon.openai.azure.com/openai/v1/realtime?model=rt")
        #expect(try settings.target(apiKey: "k").headers.map(\.0) == ["api-key"])
        settings.azure?.apiVersion = "2025-04-01-preview"
        #expect(
            try settings.target(apiKey: "k").url
                == "wss://salon.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=rt")
        settings.baseURL = "ftp://x"
        #expect(throws: PipelineError.self) { try settings.target(apiKey: "k") }
    }

    @Test func azuresPreviewIsSpokenToInTheFormerProtocol() {
        var settings = OpenAIBench.quiet
        settings.azure = .init(deployment: "rt", apiVersion: "2025-04-01-preview")
        var bench = OpenAIBench(settings)
        bench.conversation.opened(at: bench.now, into: &bench.output)
        _ = bench.receive(text: #"{"type":"session.created","session":{"id":"s","input_audio_format":"pcm16"}}"#)
        let sent = bench.takeTexts()
        #expect(sent.count == 1 && sent[0].contains(#""input_audio_format":"g711_ulaw""#))
        let events = bench.receive(
            text:
                #"{"type":"session.updated","session":{"id":"s","input_audio_format":"g711_ulaw","output_audio_format":"g711_ulaw"}}"#
        )
        guard case .ready(.telephony, .telephony)? = events.last else {
            Issue.record("\(events)")
            return
        }
        let audio = bench.receive(
            text: #"{"type":"response.audio.delta","response_id":"r","item_id":"i","delta":"AQID"}"#)
        #expect(audio.soundBytes == 3)
    }

    @Test func historiesAreBounded() {
        var history = OpenAIHistory()
        for number in 0..<1000 { history.append(.user, String(repeating: "x", count: 1000) + "\(number)") }
        #expect(history.items.count <= OpenAIHistory.maximumEntries)
        #expect(history.items.reduce(0) { $0 + ($1.words?.count ?? 0) } <= OpenAIHistory.maximumReplay)
        #expect(history.items.last?.words?.hasSuffix("999") == true)
    }
}
