import NIOCore
import PatchbayAudio
import PatchbayCore

// How conversations end, and how long they last.
extension BackendCheck {
    mutating func tellsABrokenConnection() {
        guard var run = readyRun(outputFormat) else { return }
        run.act(.audio(ByteBuffer(bytes: run.sound(milliseconds: 1000, outputFormat))))
        run.pass(200)
        run.connectsAtOnce = false
        run.close(code: 1006)
        if run.redials > 0 { return }
        guard let failure = run.failure else {
            findings.add(.brokenConnection, "the connection broke in the middle: \(story(of: run))")
            return
        }
        findings.expect(
            failure.isRetryable && !failure.message.isEmpty, .brokenConnection,
            "a connection that breaks is worth another try; it was told as \(failure)")
        close(run, "a broken connection")
    }

    mutating func tellsDocumentedFailures() {
        for failure in failures {
            guard var run = run(outputFormat) else { return }
            run.isHolding = failure.isBeforeReady
            run.start()
            run.pass(200)
            run.connectsAtOnce = false
            for message in failure.messages { run.deliver(message) }
            if let close = failure.close { run.close(code: close.code, reason: close.reason) }
            run.pass(Self.promptly)
            guard let code = failure.code else {
                if failure.isBeforeReady { run.release() }
                run.pass(Self.promptly)
                expectGoingOn(run, .documentedFailures, failure.name)
                findings.expect(run.isReady, .documentedFailures, "\(failure.name): \(story(of: run))")
                continue
            }
            guard let seen = run.failure else {
                findings.add(.documentedFailures, "\(failure.name): \(story(of: run))")
                continue
            }
            findings.expect(
                seen.code == code && seen.isRetryable == failure.isRetryable, .documentedFailures,
                "\(failure.name) is \(code)\(failure.isRetryable ? ", worth another try" : ""); it was told as \(seen)"
                    + (seen.isRetryable ? ", worth another try" : ""))
            findings.expect(
                !seen.message.isEmpty && !seen.place.isEmpty, .documentedFailures,
                "\(failure.name): the words or the place are missing in \"\(seen)\"")
            close(run, failure.name)
        }
    }

    mutating func saysGoodbye() {
        guard var run = readyRun(outputFormat) else { return }
        let sound = run.sound(milliseconds: 1500, outputFormat)
        guard run.act(.audio(ByteBuffer(bytes: sound))) else { return }
        run.pass(200)
        run.connectsAtOnce = false
        run.act(.goodbye)
        run.pass(100)
        // By a message, by closing, or by one after the other.
        run.close(code: 1000)
        run.pass(20_000)
        findings.expect(run.failure == nil, .goodbye, "a goodbye was told as a failure: \(story(of: run))")
        findings.expect(
            run.end?.kind == .agentHungUp, .goodbye,
            "20 s after the goodbye the call has not ended by it: \(story(of: run))")
        expect(run.played, toBe: sound, .goodbye, "the sound before the goodbye")
        close(run, "a goodbye")
    }

    mutating func goesOnOverANewSocket() {
        guard var run = readyRun(outputFormat) else { return }
        let sound = run.sound(milliseconds: 1500, outputFormat)
        run.act(.audio(ByteBuffer(bytes: sound)))
        run.act(.turnEnded)
        run.pass(300)
        guard run.act(.goAway) else { return }
        run.pass(60_000) { $0.redials > 0 }
        guard run.redials > 0 else {
            findings.add(
                .reconnection, "the vendor wants a new socket; none was dialled within a minute: \(story(of: run))")
            return
        }
        let before = run.heard.count
        run.connect()
        run.pass(2000)
        expect(run.played, toBe: sound, .reconnection, "the sound that waited")
        expectGoingOn(run, .reconnection, "on the new socket")
        let hasBegun = run.heard.dropFirst(before).contains { heard in
            switch heard {
            case .resumed, .begun: true
            default: false
            }
        }
        findings.expect(hasBegun, .reconnection, "on the new socket nothing was begun or resumed")
        let after = run.heard.count
        run.pass(1000)
        let hears = run.heard.dropFirst(after).contains { if case .audio = $0 { true } else { false } }
        findings.expect(hears, .reconnection, "on the new socket the vendor does not hear the caller")
        expectSpeech(&run, .reconnection, "on the new socket")
        close(run, "a new socket")
    }

    /// Turns of both sides, a tool, an interruption, again and again; what the conversation holds and what it sends in a
    /// cycle must not become more.
    mutating func doesNotGrow() {
        guard var run = readyRun() else { return }
        run.isKeeping = false
        let cycle: Int64 = 10_000
        let cycles = max(4, options.longConversation.milliseconds / cycle)
        let sound = ByteBuffer(bytes: run.sound(milliseconds: 500, outputFormat))
        // The first cycles fill what is filled once.
        let settled = min(cycles / 2, 20)
        var size = 0, messages = 0
        for number in 0..<cycles {
            let before = run.sentCount
            run.act(.callerText("Where is order \(number % 10)?", isFinal: true))
            run.act(.toolCall(ToolCall(id: "call_\(number)", name: toolName, arguments: #"{"order":1}"#)))
            if let call = run.toolCalls.last, call.call.id == "call_\(number)" { run.answer(call.call, "sent") }
            run.act(.agentText("It is on its way."))
            run.act(.audio(sound))
            run.pass(500, step: 500)
            if number % 3 == 0 { run.act(.interruption) }
            run.act(.turnEnded)
            if number % 5 == 0 { run.addContext("page \(number % 10)") }
            run.witness.measure(number == settled || number == cycles - 1)
            run.pass(cycle - 500, step: 500)
            run.witness.forgetEvents()
            if number <= settled {
                size = max(size, run.witness.current.size)
                messages = max(messages, run.sentCount - before)
            } else {
                guard run.sentCount - before <= messages + 5 else {
                    findings.add(
                        .noGrowth,
                        "\(run.sentCount - before) messages were sent in the \(number)th 10 s, \(messages) before")
                    return
                }
            }
            guard run.failure == nil, run.end == nil else {
                findings.add(.noGrowth, "after \(number * cycle / 1000) s: \(story(of: run))")
                return
            }
        }
        let last = run.witness.current.size
        findings.expect(
            last <= size + 512, .noGrowth,
            "after \(cycles * cycle / 1000) s the conversation holds \(last) elements and bytes; it held \(size) in "
                + "the beginning")
        findings.expect(
            run.call.waitingAgentBytes == 0, .noGrowth, "\(run.call.waitingAgentBytes) bytes of sound still wait")
        close(run, "a long conversation")
    }

    mutating func isDeterministic() {
        guard let first = told(), let second = told() else { return }
        let place = zip(first, second).enumerated().first { $0.element.0 != $0.element.1 }
        if let place {
            findings.add(
                .determinism,
                "two conversations with the same inputs differ: \"\(place.element.0.prefix(200))\" and "
                    + "\"\(place.element.1.prefix(200))\"")
        } else {
            findings.expect(
                first.count == second.count, .determinism,
                "two conversations with the same inputs have \(first.count) and \(second.count) messages and events")
        }
    }

    /// What is sent and reported in a conversation of everything.
    private mutating func told() -> [String]? {
        guard var run = readyRun() else { return nil }
        run.act(.callerText("Hello", isFinal: true))
        run.act(.agentText("Hello"))
        run.act(.audio(ByteBuffer(bytes: run.sound(milliseconds: 1000, outputFormat))))
        run.pass(400)
        run.act(.interruption)
        run.act(.toolCall(ToolCall(id: "call_1", name: toolName, arguments: "{}")))
        if let call = run.toolCalls.last { run.answer(call.call, "yes") }
        run.addContext("page 2")
        run.pass(300)
        run.act(.goodbye)
        run.close(code: 1000)
        run.pass(5000)
        let messages = run.sentMessages.map { message in
            message.isBinary
                ? exactText(of: .audio(AudioFrame(message.payload, format: inputFormat)))
                : String(buffer: message.payload)
        }
        return messages + run.witness.current.events.map { "\($0.time.milliseconds) ms: \(text(of: $0.event))" }
    }

    /// Without a call around it, which would not ask a conversation that is over.
    mutating func isSilentAfterTheEnd() {
        guard let session = session() else { return }
        var conversation = session.conversation
        var output = AgentOutput()
        var peer = makePeer()
        let now = MediaTime(milliseconds: 1000)
        conversation.opened(at: now, into: &output)
        var answers = peer.opened()
        for _ in 0..<20 {
            for message in answers { deliver(message, to: &conversation, at: now, into: &output) }
            answers = output.messages.messages.indices.flatMap { index in
                let isBinary = output.messages.messages[index].kind == .binary
                return peer.received(AgentPeerMessage(output.messages.message(at: index), isBinary: isBinary)).answers
            }
            output.messages.clear()
        }
        _ = output.takeEvents()
        conversation.closed(code: 1006, reason: "", at: now, into: &output)
        let ends = output.takeEvents()
        // It is not over yet.
        if ends.contains(where: { if case .reconnect = $0 { true } else { false } }) { return }
        output.messages.clear()
        let later = now + .seconds(100)
        let sound = ByteBuffer(repeating: 0x2A, count: max(2, inputFormat.bytesPerPacket))
        conversation.receive(.audio(AudioFrame(sound, format: inputFormat)), at: later, into: &output)
        conversation.receive(.dtmf("5"), at: later, into: &output)
        conversation.receive(.speechStarted, at: later, into: &output)
        conversation.contextAdded("late", at: later, into: &output)
        conversation.toolAnswered(
            ToolResult(ToolCall(id: "late", name: "late"), output: "late"), at: later, into: &output)
        for message in peer.messages(for: .audio(sound)) ?? [] {
            deliver(message, to: &conversation, at: later, into: &output)
        }
        if let deadline = conversation.deadline {
            conversation.deadlineReached(at: max(later, deadline), into: &output)
        }
        conversation.closed(code: 1006, reason: "", at: later, into: &output)
        findings.expect(
            output.messages.isEmpty, .silentAfterEnd,
            "after the end it sent \(output.messages.messages.count) messages")
        let events = output.takeEvents().filter { if case .fault = $0 { false } else { true } }
        findings.expect(
            events.isEmpty, .silentAfterEnd,
            "after the end it reported \(events.map { text(of: $0) }.joined(separator: ", "))")
    }

    private mutating func session() -> AgentSession? {
        do throws(PipelineError) {
            return try makeBackend().open(
                AgentRequest(
                    call: CallInfo(id: "call-1", callSid: "CA1", from: "+1", to: "+2", pipeline: "conformance"),
                    joint: inputFormat, tools: options.tools))
        } catch {
            findings.add(.makes, "no conversation could be begun: \(error)")
            return nil
        }
    }

    private func deliver(
        _ message: AgentPeerMessage, to conversation: inout any AgentConversation, at now: MediaTime,
        into output: inout AgentOutput
    ) {
        if message.isBinary {
            conversation.received(binary: message.payload, at: now, into: &output)
        } else {
            conversation.received(message.payload, at: now, into: &output)
        }
    }
}
