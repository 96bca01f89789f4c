import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayTesting
import PatchbayWire
import Testing

@testable import PatchbayTransports

/// One conversation between Patchbay's side and an agent, both values.
private struct Bench {
    var conversation: WebSocketAgentConversation
    var peer: WebSocketAgentPeer
    var output = AgentOutput()
    var now = MediaTime(milliseconds: 1000)
    var heard: [AgentPeerHeard] = []

    init(_ peer: WebSocketAgentPeer = .init(), patience: TimeSpan = .seconds(20)) {
        self.peer = peer
        let start = AgentSocketStart(
            call: .init(id: "call_1"),
            audio: .init(
                inputs: [.init(.mulaw, sampleRate: 8000), .init(.pcm16, sampleRate: 16000)],
                outputs: [.init(.mulaw, sampleRate: 8000), .init(.pcm16, sampleRate: 24000)]),
            tools: [.init("book", description: "Books.", parameters: "{}")])
        conversation = WebSocketAgentConversation(start, patience: patience)
    }

    /// Hands messages to and fro until nobody has anything to say.
    mutating func settle() -> [AgentEvent] {
        while !output.messages.isEmpty {
            let batch = output.messages
            output.messages = MessageBatch()
            for index in batch.messages.indices {
                let message = AgentPeerMessage(
                    batch.message(at: index), isBinary: batch.messages[index].kind == .binary)
                let (heard, answers) = peer.received(message)
                self.heard += heard
                for answer in answers { deliver(answer) }
            }
        }
        return output.takeEvents()
    }

    mutating func deliver(_ message: AgentPeerMessage) {
        if message.isBinary {
            conversation.received(binary: message.payload, at: now, into: &output)
        } else {
            conversation.received(message.payload, at: now, into: &output)
        }
    }

    mutating func open() -> [AgentEvent] {
        for message in peer.opened() { deliver(message) }
        conversation.opened(at: now, into: &output)
        return settle()
    }

    mutating func act(_ act: AgentPeerAct) -> [AgentEvent] {
        for message in peer.messages(for: act) ?? [] { deliver(message) }
        return settle()
    }

    mutating func receive(_ frame: Frame) -> [AgentEvent] {
        conversation.receive(frame, at: now, into: &output)
        return settle()
    }

    mutating func close(_ code: UInt16, _ reason: String = "") -> [AgentEvent] {
        conversation.closed(code: code, reason: reason, at: now, into: &output)
        return settle()
    }

    mutating func speak(_ bytes: [UInt8]) -> [UInt8] {
        act(.audio(ByteBuffer(bytes: bytes))).flatMap { event -> [UInt8] in
            if case .audio(let sound) = event { Array(sound.readableBytesView) } else { [] }
        }
    }
}

@Suite struct WebSocketAgentConversationTests {
    private func failure(_ events: [AgentEvent]) -> PipelineError? {
        events.lazy.compactMap { if case .failed(let error) = $0 { error } else { nil } }.first
    }

    private func faults(_ events: [AgentEvent]) -> Int {
        events.count { if case .fault = $0 { true } else { false } }
    }

    private func frame(_ bytes: [UInt8]) -> Frame { .audio(AudioFrame(ByteBuffer(bytes: bytes), format: .pcm(16000))) }

    @Test(arguments: AgentSocketAudioForm.allCases)
    func soundGoesBothWaysInTheChosenForm(_ form: AgentSocketAudioForm) throws {
        var bench = Bench(WebSocketAgentPeer(form: form))
        let events = bench.open()
        guard case .conversationStarted("c-1") = events[0], case .ready(let input, let output) = events[1] else {
            Issue.record("\(events)")
            return
        }
        #expect(input == .pcm(16000) && output == .pcm(24000))
        #expect(bench.heard == [.begun(tools: ["book"], history: [])])
        _ = bench.receive(frame([1, 2, 3, 4]))
        #expect(bench.heard.last == .audio(ByteBuffer(bytes: [1, 2, 3, 4])))
        #expect(bench.speak([5, 6]) == [5, 6])
    }

    @Test func whatAnAgentMayLeaveOutIsTheFirstThatWasOffered() {
        var bench = Bench()
        bench.conversation.opened(at: bench.now, into: &bench.output)
        bench.output.messages.clear()
        bench.deliver(AgentPeerMessage(#"{"type":"ready"}"#))
        guard case .ready(let input, let output)? = bench.output.takeEvents().first else {
            Issue.record("not ready")
            return
        }
        #expect(input == .telephony && output == .telephony)
    }

    @Test func nothingOfACutTurnIsHeard() {
        var bench = Bench()
        _ = bench.open()
        #expect(bench.speak([1, 1]) == [1, 1])
        let cut = Interruption(
            generation: 1, cause: "the caller spoke",
            heard: Heard(text: "On", duration: .milliseconds(420), isComplete: false))
        bench.conversation.receive(.interruption(cut), at: bench.now, into: &bench.output)
        // On their way when the interruption was sent.
        #expect(bench.speak([2, 2]).isEmpty, "and the peer answered with the end of its turn")
        #expect(bench.heard.suffix(2) == [.interruption, .heard(.milliseconds(420))])
        #expect(bench.speak([3, 3]) == [3, 3], "the next turn")
    }

    @Test func wordsOfACutTurnAreDroppedToo() {
        var bench = Bench()
        _ = bench.open()
        _ = bench.speak([1, 1])
        bench.conversation.receive(
            .interruption(Interruption(generation: 1, cause: "a stage")), at: bench.now, into: &bench.output)
        bench.deliver(AgentPeerMessage(#"{"type":"text","text":"of the cut turn"}"#))
        bench.deliver(AgentPeerMessage(#"{"type":"text","text":"of the caller","speaker":"caller"}"#))
        let texts = bench.output.takeEvents().compactMap { if case .text(let text) = $0 { text.text } else { nil } }
        #expect(texts == ["of the caller"])
    }

    @Test func anAgentThatNeverEndsItsTurnsIsHeardAgainAfterAPause() {
        var bench = Bench()
        _ = bench.open()
        _ = bench.speak([1, 1])
        bench.conversation.receive(
            .interruption(Interruption(generation: 1, cause: "a stage")), at: bench.now, into: &bench.output)
        bench.output.messages.clear()
        for _ in 0..<10 {
            bench.now = bench.now + .milliseconds(100)
            #expect(bench.speak([2, 2]).isEmpty)
        }
        bench.now = bench.now + WebSocketAgentConversation.cutGap
        #expect(bench.speak([3, 3]) == [3, 3])
    }

    @Test func aTurnThatWasOverNeedsNoAnswer() {
        var bench = Bench()
        _ = bench.open()
        _ = bench.speak([1, 1])
        _ = bench.act(.turnEnded)
        bench.conversation.receive(
            .interruption(Interruption(generation: 1, cause: "a stage")), at: bench.now, into: &bench.output)
        bench.output.messages.clear()
        #expect(bench.speak([2, 2]) == [2, 2])
    }

    @Test func soundBeforeReadyIsAFault() {
        var bench = Bench()
        bench.conversation.opened(at: bench.now, into: &bench.output)
        bench.output.messages.clear()
        let events = bench.act(.audio(ByteBuffer(bytes: [1, 2])))
        #expect(faults(events) == 1 && events.count == 1)
    }

    @Test func everyFrameOfACallReachesTheAgent() throws {
        var bench = Bench()
        _ = bench.open()
        bench.conversation.receive(
            .callStarted(CallStart(callSid: "CA1", streamSid: "MZ1", parameters: ["token": "x"])), at: bench.now,
            into: &bench.output)
        for frame in [
            Frame.speechStarted, .speechStopped, .userTurnStarted, .userTurnEnded(TurnEnd(.silence)),
            .userTurnEnded(TurnEnd(.agent)),
            .dtmf("#"), .text(TextFrame("hi", speaker: .caller)), .text(TextFrame("no", speaker: .agent)),
            .heard(Heard(text: "all", duration: .seconds(1), isComplete: true)),
        ] { bench.conversation.receive(frame, at: bench.now, into: &bench.output) }
        bench.conversation.contextAdded("page", at: bench.now, into: &bench.output)
        bench.conversation.toolAnswered(
            ToolResult(ToolCall(id: "1", name: "book"), output: "done"), at: bench.now, into: &bench.output)
        bench.conversation.receive(.callEnded(EndReason(.callerHungUp, "bye")), at: bench.now, into: &bench.output)
        bench.conversation.contextAdded("too late", at: bench.now, into: &bench.output)
        let batch = bench.output.messages
        let texts = batch.messages.indices.map { String(buffer: batch.message(at: $0)) }
        #expect(
            texts == [
                #"{"type":"callStarted"}"#, #"{"type":"speechStarted"}"#, #"{"type":"speechStopped"}"#,
                #"{"type":"turnStarted"}"#, #"{"type":"turnEnded"}"#, ##"{"type":"dtmf","digits":"#"}"##,
                #"{"type":"text","speaker":"caller","text":"hi","final":true}"#,
                #"{"type":"heard","text":"all","ms":1000,"complete":true}"#, #"{"type":"context","text":"page"}"#,
                #"{"type":"toolResult","id":"1","name":"book","output":"done","isError":false}"#,
                #"{"type":"end","reason":"callerHungUp","detail":"bye"}"#,
            ])
    }

    @Test func anAgentThatAnswersPingsMayBeSilentForAnHour() {
        var bench = Bench()
        _ = bench.open()
        var pings = 0
        let end = bench.now + .seconds(3600)
        while let due = bench.conversation.deadline, due <= end {
            bench.now = due
            bench.conversation.deadlineReached(at: bench.now, into: &bench.output)
            pings += 1
            #expect(failure(bench.settle()) == nil)
        }
        #expect(pings == 720)
    }

    @Test func anAgentThatSaysNothingAnyMoreIsGivenUp() throws {
        var bench = Bench()
        _ = bench.open()
        let opened = bench.now
        var events: [AgentEvent] = []
        while let due = bench.conversation.deadline {
            bench.now = due
            bench.conversation.deadlineReached(at: bench.now, into: &bench.output)
            bench.output.messages.clear()
            events += bench.output.takeEvents()
        }
        let error = try #require(failure(events))
        #expect(error.code == .agentTimeout && error.isRetryable && bench.now == opened + .seconds(20))
    }

    @Test(arguments: WebSocketAgentPeer.failures)
    func documentedFailures(_ expected: AgentPeerFailure) {
        var bench = Bench()
        if expected.isBeforeReady {
            bench.conversation.opened(at: bench.now, into: &bench.output)
            bench.output.messages.clear()
        } else {
            _ = bench.open()
        }
        for message in expected.messages { bench.deliver(message) }
        var events = bench.output.takeEvents()
        if let close = expected.close { events += bench.close(close.code, close.reason) }
        let error = failure(events)
        #expect(error?.code == expected.code)
        if let error { #expect(error.isRetryable == expected.isRetryable && !error.message.isEmpty) }
        if expected.code == nil { #expect(faults(events) == 1) }
    }

    @Test(arguments: [1000, 1005] as [UInt16])
    func anOrderlyCloseIsTheEnd(_ code: UInt16) {
        var bench = Bench()
        _ = bench.open()
        guard case .hangup(let reason)? = bench.close(code).first else {
            Issue.record("no hang-up")
            return
        }
        #expect(reason.kind == .agentHungUp)
    }

    @Test func aGoodbyeIsToldOnce() {
        var bench = Bench()
        _ = bench.open()
        let events = bench.act(.goodbye)
        guard case .hangup? = events.first else {
            Issue.record("\(events)")
            return
        }
        #expect(bench.close(1006).isEmpty && bench.conversation.deadline == nil)
    }

    @Test func aNewSocketGoesOnWithTheSameConversation() {
        var bench = Bench()
        _ = bench.open()
        guard case .reconnect? = bench.act(.goAway).first else {
            Issue.record("no reconnection")
            return
        }
        bench.heard = []
        for message in bench.peer.opened() { bench.deliver(message) }
        bench.conversation.opened(at: bench.now, into: &bench.output)
        // Said while the new socket was not ready.
        bench.conversation.receive(frame([7, 7]), at: bench.now, into: &bench.output)
        let events = bench.settle()
        #expect(bench.heard == [.resumed, .audio(ByteBuffer(bytes: [7, 7]))])
        guard case .ready? = events.first, events.count == 1 else {
            Issue.record("\(events)")
            return
        }
    }

    @Test func soundThatWaitsForANewSocketHasALimit() {
        var bench = Bench()
        _ = bench.open()
        for message in bench.peer.opened() { bench.deliver(message) }
        bench.conversation.opened(at: bench.now, into: &bench.output)
        for index in 0..<500 {
            bench.conversation.receive(
                frame([UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 640)), at: bench.now,
                into: &bench.output)
        }
        _ = bench.settle()
        guard case .audio(let sound)? = bench.heard.last else {
            Issue.record("nothing was kept")
            return
        }
        #expect(sound.readableBytes == 5 * 32000)
        #expect(sound.readableBytesView.last == UInt8(truncatingIfNeeded: 499), "the newest")
    }

    @Test func toolsAndOtherActsBecomeEvents() {
        var bench = Bench()
        _ = bench.open()
        func check(_ text: String, _ isRight: (AgentEvent) -> Bool) {
            bench.deliver(AgentPeerMessage(text))
            let events = bench.output.takeEvents()
            #expect(events.count == 1 && events.allSatisfy(isRight), "\(text): \(events)")
        }
        check(#"{"type":"toolCall","id":"1","name":"book","arguments":{"a":1}}"#) {
            if case .toolCall(ToolCall(id: "1", name: "book", arguments: #"{"a":1}"#)) = $0 { true } else { false }
        }
        check(#"{"type":"toolCancel","ids":["1"]}"#) {
            if case .toolCallsCancelled(["1"]) = $0 { true } else { false }
        }
        check(#"{"type":"transfer","to":"+15550100077"}"#) {
            if case .transfer("+15550100077") = $0 { true } else { false }
        }
        check(#"{"type":"dtmf","digits":"12"}"#) { if case .dtmf("12") = $0 { true } else { false } }
        check(#"{"type":"interruptible","allowed":false}"#) {
            if case .interruptible(false) = $0 { true } else { false }
        }
        check(#"{"type":"interruption"}"#) { if case .interruption = $0 { true } else { false } }
        bench.deliver(AgentPeerMessage(#"{"type":"mood","value":"sunny"}"#))
        #expect(bench.output.takeEvents().isEmpty, "unknown types are ignored")
    }
}

private func ~= (pattern: ToolCall, value: ToolCall) -> Bool { pattern == value }
private func ~= (pattern: [String], value: [String]) -> Bool { pattern == value }

@Suite struct WebSocketAgentTests {
    private let agent = WebSocketAgent()

    private func settings(_ values: [String: VariableValue], token: String? = nil) -> Settings {
        Settings(agent.spec.fields, values, secrets: token.map { ["token": Secret($0)] } ?? [:])
    }

    private func request(_ joint: AudioFormat) -> AgentRequest {
        AgentRequest(
            call: CallInfo(id: "call_1", callSid: "CA1", from: "+15550100009", to: "+15550100001", pipeline: "salon"),
            joint: joint, history: [.init(.agent, "Hello")])
    }

    @Test func theTokenGoesIntoTheHandshakeAndNowhereElse() async throws {
        let backend = try agent.makeBackend(settings(["url": "ws://127.0.0.1:1/a"], token: "s3cret"))
        let session = try backend.open(request(.telephony))
        guard case .webSocket(let resolve) = session.endpoint else {
            Issue.record("no socket")
            return
        }
        let target = try await resolve()
        #expect(target.url == "ws://127.0.0.1:1/a" && !"\(target)".contains("s3cret"))
        #expect(target.headers.map { "\($0.0): \($0.1)" } == ["Authorization: Bearer s3cret"])
        var conversation = session.conversation, output = AgentOutput()
        conversation.opened(at: .zero, into: &output)
        let start = String(buffer: output.messages.message(at: 0))
        #expect(start.contains(#""input":["mulaw_8000","alaw_8000","pcm16_8000""#) && !start.contains("s3cret"))
        #expect(start.contains(#""history":[{"speaker":"agent","text":"Hello"}]"#))
    }

    @Test(arguments: [
        (AudioFormat.telephony, "mulaw_8000"), (.pcm(16000), "pcm16_16000"), (.pcm(48000), "pcm16_48000"),
        (AudioFormat(.mulaw, sampleRate: 16000), "mulaw_16000"), (.pcm(44100), "mulaw_8000"),
    ])
    func theChainsOwnFormatIsOfferedFirst(_ joint: AudioFormat, _ first: String) throws {
        let formats = agent.formats(for: joint, settings: settings(["url": "ws://h"]))
        #expect(formats.inputs.first == AudioFormat(try AgentSocketFormat(first)))
        #expect(Set(formats.inputs).count == formats.inputs.count && formats.inputs == formats.outputs)
        for format in formats.inputs {
            #expect(throws: Never.self) { try FormatConverter(from: joint, to: format) }
            #expect(throws: Never.self) { try FormatConverter(from: format, to: joint) }
        }
    }

    @Test(
        arguments: [
            ("ws://127.0.0.1:8765", nil, 0), ("wss://agents.example.com/a?room=1", "t0ken", 0), ("${url}", nil, 0),
            ("http://example.com", nil, 1), ("ws://user:pw@example.com", nil, 1), ("ws://", nil, 1),
            ("wss://example.com/?api_key=1", nil, 1), ("ws://example.com", "t0ken", 1),
            ("ws://localhost:1", "t0ken", 0),
        ] as [(String, String?, Int)])
    func addressesAreChecked(_ url: String, _ token: String?, _ count: Int) {
        let problems = agent.problems(in: settings(["url": .string(url)], token: token))
        #expect(problems.count == count, "\(problems)")
        #expect(problems.allSatisfy { $0.field == "url" && !$0.message.contains("pw") })
    }

    @Test func unknownFormatsAreFoundAtTheDesk() {
        let problems = agent.problems(in: settings(["url": "ws://h", "inputFormats": "pcm_16000"]))
        #expect(problems.count == 1 && problems.allSatisfy { $0.field == "inputFormats" })
    }

    @Test(
        arguments: [
            (401, "agent-unauthorized", false), (403, "agent-unauthorized", false), (404, "agent-unknown", false),
            (429, "agent-quota", true), (503, "agent-unreachable", true), (302, "agent-unreachable", false),
        ] as [(Int, String, Bool)])
    func anAnswerInPlaceOfTheHandshakeHasACode(_ status: Int, _ code: String, _ isRetryable: Bool) {
        var target = AgentTarget(url: "ws://agent.example.com/")
        target.place = WebSocketAgentConversation.place
        target.remedy = WebSocketAgentConversation.remedy
        let refusal = WebSocketConnectError(
            .refused, "refused with \(status)", status: status, body: "your token was x")
        let error = PipelineError(dialling: target, refusal)
        #expect("\(error.code)" == code && error.isRetryable == isRetryable && !"\(error)".contains("your token"))
        // One code, the agent's name, and what to do.
        #expect("\(error)".hasPrefix("agent websocket: refused with \(status)") && "\(error)".hasSuffix(" [\(code)]"))
        #expect("\(error)".contains("; ") == (error.code != .agentUnreachable))
        #expect("\(error)".filter { $0 == "[" }.count == 1)
        // A signature that has grown old says nothing against the key, and the next try has another.
        target.isSigned = true
        let signed = PipelineError(dialling: target, refusal)
        if status == 401 || status == 403 {
            #expect(signed.code == .agentUnreachable && signed.isRetryable)
        } else {
            #expect("\(signed)" == "\(error)")
        }
    }
}
