import Foundation
import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTransports
import PatchbayWire
import Testing

@testable import PatchbaySimulators

/// A check and an agent on one virtual clock.
private struct CheckBench {
    static let rate = 16000

    /// A tone in linear samples at 16 kHz.
    static func tone(_ milliseconds: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        for index in 0..<(rate * milliseconds / 1000) {
            buffer.writeInteger(Int16(8000 * sin(0.15 * Double(index))), endianness: .little)
        }
        return buffer
    }

    static func agent(_ mistakes: Set<AgentSocketMistake> = []) -> AgentSocketSimulatedAgent {
        var agent = AgentSocketSimulatedAgent()
        agent.script = SimulatedAgentScript(
            greeting: "greeting", replies: ["reply"], goodbye: nil,
            tools: [.init("lookup", parameters: #"{"word":"a"}"#)])
        agent.mistakes = mistakes
        return agent
    }

    static func plan() -> AgentCheck.Plan { AgentCheck.Plan(question: tone(600)) }

    /// - Parameter limit: The check has to be over by then.
    static func run(
        _ agent: AgentSocketSimulatedAgent, plan: AgentCheck.Plan = plan(), limit: TimeSpan = .seconds(120)
    ) -> (report: AgentCheckReport, statistics: AgentSocketConversationSimulator.Statistics) {
        var check = AgentCheck(plan)
        var peer = AgentSocketConversationSimulator(
            agent,
            utterances: [
                "greeting": .init(text: "Hello.", audio: tone(800)), "reply": .init(text: "Well.", audio: tone(4000)),
            ])
        var toAgent = AgentCheck.Output(), toCheck = SimulatorOutput()
        var now = MediaTime(milliseconds: 1000)
        let end = now + limit
        peer.open(at: now, into: &toCheck)
        check.open(at: now, into: &toAgent)
        var isClosed = false
        while !toAgent.isComplete, now <= end {
            while !toAgent.messages.isEmpty || !toCheck.messages.isEmpty || toCheck.speech != nil {
                let (sent, answered) = (toAgent.messages, toCheck.messages)
                toAgent.messages = MessageBatch()
                toCheck.messages = MessageBatch()
                for index in sent.messages.indices {
                    if sent.messages[index].kind == .binary {
                        peer.receive(binary: sent.message(at: index), at: now, into: &toCheck)
                    } else {
                        peer.receive(sent.message(at: index), at: now, into: &toCheck)
                    }
                }
                for index in answered.messages.indices {
                    if answered.messages[index].kind == .binary {
                        check.receive(binary: answered.message(at: index), at: now, into: &toAgent)
                    } else {
                        check.receive(answered.message(at: index), at: now, into: &toAgent)
                    }
                }
                if let request = toCheck.speech {
                    toCheck.speech = nil
                    peer.speechReady(request, .success(tone(1500)), at: now, into: &toCheck)
                }
            }
            if let close = toCheck.close, !isClosed {
                isClosed = true
                check.closed(code: close.code, reason: close.reason, at: now, into: &toAgent)
            } else if toAgent.closes, !isClosed {
                isClosed = true
                peer.closed(code: 1000, reason: "")
                check.closed(code: 1000, reason: "", at: now, into: &toAgent)
            }
            guard let due = [check.deadline, peer.deadline].compactMap(\.self).min() else { break }
            now = max(now, due)
            peer.deadlineReached(at: now, into: &toCheck)
            check.deadlineReached(at: now, into: &toAgent)
        }
        return (check.report, peer.statistics)
    }
}

@Suite struct AgentCheckTests {
    @Test(arguments: AgentSocketAudioForm.allCases, ["pcm16_16000", "mulaw_8000", "alaw_8000", "pcm16_48000"])
    func aGoodAgentPasses(_ form: AgentSocketAudioForm, _ input: String) throws {
        var agent = CheckBench.agent()
        (agent.form, agent.inputFormat) = (form, try AgentSocketFormat(input))
        let (report, statistics) = CheckBench.run(agent)
        #expect(report.isPassed && report.findings.isEmpty, "\(report.findings)")
        #expect(report.tools == ["lookup"] && report.answers.count == 2 && report.stopped == .zero)
        #expect(report.formats?.input == input && report.formats?.output == "pcm16_16000")
        #expect(statistics.wrongMessages == 0 && statistics.interruptions == 1 && statistics.callerTurns >= 2)
        #expect(
            statistics.messages.contains(.dtmf("5")) && statistics.messages.contains(.other(type: "x-from-the-future")))
        #expect(statistics.messages.last == .end(reason: "callerHungUp", detail: ""))
        #expect(report.duration < .seconds(25), "\(report.duration.seconds) s")
    }

    /// Whatever a pipeline tells of the caller's speech; where it tells nothing the agent hears for itself.
    @Test(arguments: AgentCheck.Edges.allCases)
    func anAgentThatDoesNotGreetPassesToo(_ edges: AgentCheck.Edges) {
        var agent = CheckBench.agent()
        agent.script.greeting = ""
        var plan = CheckBench.plan()
        plan.edges = edges
        let (report, statistics) = CheckBench.run(agent, plan: plan)
        #expect(report.findings.isEmpty && report.notes.first == "the agent did not greet", "\(report)")
        #expect(report.answers.count == 2 && statistics.callerTurns >= 2)
        #expect(statistics.messages.contains(.turnStarted) == (edges == .turns))
        #expect(statistics.messages.contains(.speechStopped) == (edges == .vad))
    }

    @Test func optionsAreChecked() throws {
        var plan = CheckBench.plan()
        try plan.offer(audio: "base64", inputs: "mulaw_8000,pcm16_16000", outputs: nil)
        try plan.set(["name=Kutz", "empty="])
        #expect(plan.audio.form == .base64 && plan.audio.inputs.count == 2 && plan.variables["empty"] == .string(""))
        #expect(throws: SimulatorOptionFault.self) { try plan.offer(audio: "morse", inputs: nil, outputs: nil) }
        #expect(throws: SimulatorOptionFault.self) { try plan.offer(audio: "binary", inputs: "opus", outputs: nil) }
        #expect(throws: SimulatorOptionFault.self) { try plan.set(["nothing"]) }
    }

    static let mistakes: [(AgentSocketMistake, Set<AgentFinding.Code>)] = [
        (.neverReady, [.neverReady]), (.readyTwice, [.readyTwice]), (.formatNotOffered, [.formatNotOffered]),
        (.soundBeforeReady, [.soundBeforeReady]), (.oddBytes, [.oddBytes]), (.brokenJSON, [.brokenMessage]),
        (.noType, [.brokenMessage]), (.noTurnEnd, [.noTurnEnd, .interruptionUnanswered]),
        (.neverAnswers, [.noAnswer]), (.answersLate, [.lateAnswer]), (.silentSound, [.silentSound]),
        (.stutters, [.holesInSound]), (.tooMuchSound, [.messageTooLong, .tooMuchSound]),
        (.ignoresInterruptions, [.keepsTalking]), (.noPong, [.noPong]), (.closesOnUnknown, [.closedEarly]),
        (.closesBadly, [.closedBadly]), (.unknownTool, [.unknownTool]), (.argumentsAsText, [.brokenMessage]),
        (.hangsUpEarly, [.hungUpEarly]),
    ]

    @Test(arguments: mistakes)
    func everyMistakeIsFoundAndNothingElse(_ mistake: AgentSocketMistake, _ expected: Set<AgentFinding.Code>) {
        let (report, _) = CheckBench.run(CheckBench.agent([mistake]))
        #expect(Set(report.findings.map(\.code)) == expected, "\(report.findings)")
        #expect(report.findings.allSatisfy { !$0.section.isEmpty && !$0.message.isEmpty && $0.time >= .zero })
        #expect(report.isPassed == expected.allSatisfy { $0.severity == .warning })
    }

    @Test func everyMistakeIsInTheTable() {
        #expect(Set(Self.mistakes.map(\.0)) == Set(AgentSocketMistake.allCases))
    }

    /// What no simulated agent does: messages as they stand.
    @Test(arguments: [
        (#"{"type":"Turn_Ended"}"#, "unknown-type"),
        (#"{"type":"error","code":"quota","message":"full"}"#, "reported-error"),
        (#"{"type":"audio","audio":""}"#, "empty-sound"), (#"{"type":"audio","audio":"x"}"#, "broken-message"),
        (#"{"type":"text","text":"\#(String(repeating: "a", count: 20_000))"}"#, "message-too-long"),
        (#"{"type":"reconnect"}"#, "hung-up-early"), (#"{"type":"transfer","to":"+15550100077"}"#, "hung-up-early"),
        (#"{"type":"dtmf","digits":"abc"}"#, "broken-message"),
    ])
    func singleMessagesAreJudged(_ message: String, _ code: String) {
        var check = AgentCheck(CheckBench.plan()), output = AgentCheck.Output()
        let now = MediaTime(milliseconds: 1000)
        check.open(at: now, into: &output)
        check.receive(ByteBuffer(string: #"{"type":"ready"}"#), at: now, into: &output)
        #expect(check.report.findings.isEmpty)
        check.receive(ByteBuffer(string: message), at: now, into: &output)
        #expect(check.report.findings.map(\.code.rawValue) == [code], "\(check.report.findings)")
        if code == "unknown-type" { #expect(check.report.findings.first?.message.contains("\"turnEnded\"") == true) }
    }

    @Test func aToolIdMayBeUsedOnce() {
        var check = AgentCheck(CheckBench.plan()), output = AgentCheck.Output()
        let now = MediaTime(milliseconds: 1000)
        check.open(at: now, into: &output)
        for text in [
            #"{"type":"ready"}"#, #"{"type":"toolCall","id":"1","name":"lookup"}"#,
            #"{"type":"toolCall","id":"1","name":"lookup"}"#,
        ] {
            check.receive(ByteBuffer(string: text), at: now, into: &output)
        }
        #expect(check.report.findings.map(\.code) == [.toolIdUsedTwice])
    }

    @Test func sectionsAreThoseOfThePage() throws {
        let page = try String(
            contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent()
                .appendingPathComponent("Sources/Patchbay/Patchbay.docc/AgentProtocol.md"), encoding: .utf8)
        for code in AgentFinding.Code.allCases { #expect(page.contains("\n## \(code.section)\n"), "\(code.section)") }
        for type in AgentSocketServerMessage.types where type != "audio" {
            #expect(page.contains("`\(type)`"), "\(type)")
        }
    }

    // MARK: Over sockets

    @Test func overASocketWithATokenAndWithout() async throws {
        var agent = AgentSocketSimulatedAgent(token: "open-sesame")
        let sound = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-\(UUID().uuidString).wav")
            .path
        defer { try? FileManager.default.removeItem(atPath: sound) }
        let samples = (0..<4800).map { Int16(8000 * sin(0.15 * Double($0))) }
        try WAVFile(samples: samples, sampleRate: 16000).write(to: sound)
        agent.script = SimulatedAgentScript(greeting: sound, replies: [sound], goodbye: nil)
        agent.timing.thinking = .milliseconds(20)
        let simulator = AgentSocketSimulator(agent)
        let port = try #require(try await simulator.start().port)
        var plan = AgentCheck.Plan(question: CheckBench.tone(100))
        plan.stopPatience = .milliseconds(300)
        let url = "ws://127.0.0.1:\(port)/any/path"
        let refused = await AgentCheck.run(plan, target: WebSocketTarget(url))
        #expect(refused.findings.map(\.code) == [.refused] && !refused.isPassed)
        let report = await AgentCheck.run(
            plan, target: WebSocketTarget(url, headers: [("Authorization", "Bearer open-sesame")]))
        #expect(report.findings.isEmpty, "\(report.findings)")
        let statistics = await simulator.statistics()
        await simulator.stop()
        #expect(statistics.startedConversations == 1 && statistics.refusedConversations == 1)
        #expect(statistics.conversations.first?.close == SimulatedClose(code: 1000))
        let gone = await AgentCheck.run(plan, target: WebSocketTarget(url))
        #expect(gone.findings.map(\.code) == [.unreachable])
    }
}

@Suite struct AgentSocketSimulatorOptionsTests {
    @Test func defaultsMakeAnAgent() throws {
        let agent = try AgentSocketSimulatorOptions().agent()
        #expect(agent.inputFormat.description == "pcm16_16000" && agent.form == .binary && agent.mistakes.isEmpty)
    }

    @Test func everythingWrongIsToldAtOnce() {
        var options = AgentSocketSimulatorOptions()
        (options.format, options.audio, options.mistakes, options.token) = ("opus", "morse", ["lies"], "")
        (options.toolParameters, options.toolAfterTurn, options.common.port) = ("[]", 0, 70000)
        let fault = #expect(throws: SimulatorOptionFault.self) { try options.agent() }
        #expect(fault?.problems.count == 7, "\(fault?.description ?? "")")
    }
}
