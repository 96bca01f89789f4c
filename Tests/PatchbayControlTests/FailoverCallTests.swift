import Foundation
import NIOCore
import NIOPosix
import Patchbay
import PatchbaySimulators
import PatchbayTesting
import PatchbayWire
import Testing

/// Agents that fail, are avoided or are chosen anew, over real sockets.
@Suite(.serialized) struct FailoverCallTests: Sendable {
    /// Three seconds of a tone.
    private static func line(_ frequency: Double) -> String {
        let path =
            FileManager.default.temporaryDirectory.path
            + "/patchbay-failover-\(Int(frequency))-\(ProcessInfo.processInfo.processIdentifier).wav"
        let samples = Tone(frequency).samples(count: 48_000, sampleRate: 16000)
        do { try WAVFile(samples: samples, sampleRate: 16000).write(to: path) } catch { Issue.record("\(error)") }
        return path
    }

    private static func agent(
        saying frequency: Double, change: (inout SimulatorFaults) -> Void = { _ in }
    ) -> ElevenLabsSimulatedAgent {
        var agent = ElevenLabsSimulatedAgent(inputFormat: .ulaw8000, outputFormat: .ulaw8000)
        agent.script.greeting = line(frequency)
        agent.script.goodbye = nil
        change(&agent.faults.connection)
        return agent
    }

    private func withSimulators(
        _ agents: [ElevenLabsSimulatedAgent], _ body: @Sendable ([String], [ElevenLabsSimulator]) async throws -> Void
    ) async throws {
        var simulators: [ElevenLabsSimulator] = []
        var backends: [String] = []
        for agent in agents {
            let simulator = ElevenLabsSimulator(ElevenLabsSimulator.Configuration(agents: [agent]))
            let port = try await simulator.start().port ?? 0
            simulators.append(simulator)
            backends.append(Self.backend(port: port))
        }
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(backends, simulators)) } catch { outcome = .failure(error) }
        for simulator in simulators { await simulator.stop() }
        try outcome.get()
    }

    private static func backend(port: Int) -> String {
        #"{"type": "elevenlabs", "agentId": "agent_1", "baseUrl": "http://127.0.0.1:\#(port)"}"#
    }

    private static func document(_ backends: [String], _ settings: String = "") -> String {
        """
        {"name": "desk", "numbers": ["*"], "transport": "twilio", "stages": [
          {"type": "agent", \(settings) "backends": [\(backends.joined(separator: ", "))]}
        ]}
        """
    }

    private static let source = PipelineSource(
        load: { (nil, []) }, check: { _, _ in [] },
        readAgent: { bytes, place in
            do {
                return place.readAgent(bytes, registry: try .standard(), environment: [:])
            } catch {
                return (nil, [])
            }
        })

    private func heard(_ line: PhoneLine, _ frequencies: [Double]) -> Double? {
        Tone.strongest(of: frequencies, in: line.heard.map { G711.decodeMulaw($0) }, sampleRate: 8000)
    }

    @Test func theNextAgentIsHeardWhenOneDiesInMidSentence() async throws {
        let agents = [
            Self.agent(saying: 600) { $0.closeWith = .init(code: 1006, after: .milliseconds(400)) },
            Self.agent(saying: 1200),
        ]
        try await withSimulators(agents) { backends, _ in
            try await TestServer.run(Self.document(backends)) { (server: TestServer) async throws in
                let report = try await server.call(
                    "+15550100001", [PhoneStep(.after(milliseconds: 3200), .hangUp)], limit: 8000)
                let heard = try #require(report.streams.first).heard.map { G711.decodeMulaw($0) }
                #expect(Tone.strongest(of: [600, 1200], in: Array(heard.prefix(4000)), sampleRate: 8000) == 600)
                #expect(Tone.strongest(of: [600, 1200], in: Array(heard.suffix(8000)), sampleRate: 8000) == 1200)
                let call = try await server.get("/calls/\(report.callSid)").json
                #expect(call["agentFailures"] as? Int == 1 && call["agentTakeovers"] as? Int == 1)
                let silence = try #require(call["agentSilenceMs"] as? Double)
                #expect(silence < 3000, "nothing was heard for \(silence) ms")
            }
        }
    }

    /// An agent of the vendor greets again unless an override keeps it from that, which not every agent allows.
    @Test(arguments: [true, false]) func aFirstMessageIsLeftOutWhereTheAgentAllowsIt(isAllowed: Bool) async throws {
        var first = Self.agent(saying: 600) { $0.closeWith = .init(code: 1006, after: .milliseconds(400)) }
        first.script.greeting = "Good morning, how can I help you?"
        var next = Self.agent(saying: 600)
        next.script.replies = [Self.line(1200)]
        if !isAllowed { next.allowedOverrides = [] }
        let expected: Double = isAllowed ? 1200 : 600
        try await withSimulators([first, next]) { backends, _ in
            try await TestServer.run(Self.document(backends)) { (server: TestServer) async throws in
                let report = try await server.call(
                    "+15550100001", [PhoneStep(.after(milliseconds: 3000), .hangUp)], limit: 8000)
                let heard = try #require(report.streams.first).heard.map { G711.decodeMulaw($0) }
                #expect(Tone.strongest(of: [600, 1200], in: Array(heard.suffix(8000)), sampleRate: 8000) == expected)
                let call = try await server.get("/calls/\(report.callSid)").json
                #expect(call["agentTakeovers"] as? Int == 1 && call["agentFailures"] as? Int == 1)
                #expect(call["agentReconnects"] as? Int == (isAllowed ? 0 : 1))
            }
        }
    }

    @Test func anAgentThatTakesOverInMidSentenceGoesOnWithoutAGreeting() async throws {
        var next = AgentSocketSimulatedAgent()
        next.script.greeting = Self.line(600)
        next.script.replies = [Self.line(1200)]
        let simulator = AgentSocketSimulator(next)
        let port = try await simulator.start().port ?? 0
        // In words, so that there is a history.
        var first = Self.agent(saying: 600) { $0.closeWith = .init(code: 1006, after: .milliseconds(400)) }
        first.script.greeting = "Good morning, how can I help you?"
        let agents = [first]
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(
                try await withSimulators(agents) { backends, _ in
                    let second = #"{"type": "websocket", "url": "ws://127.0.0.1:\#(port)/"}"#
                    try await TestServer.run(Self.document(backends + [second])) { (server: TestServer) async throws in
                        let report = try await server.call(
                            "+15550100001", [PhoneStep(.after(milliseconds: 3200), .hangUp)], limit: 8000)
                        let heard = try #require(report.streams.first).heard.map { G711.decodeMulaw($0) }
                        #expect(
                            Tone.strongest(of: [600, 1200], in: Array(heard.suffix(8000)), sampleRate: 8000) == 1200)
                        let call = try await server.get("/calls/\(report.callSid)").json
                        #expect(call["agentTakeovers"] as? Int == 1)
                    }
                })
        } catch { outcome = .failure(error) }
        await simulator.stop()
        try outcome.get()
    }

    @Test func anAgentThatCannotBeOpenedIsReplacedByAPerson() async throws {
        let backend = #"{"type": "elevenlabs", "agentId": "${agent}"}"#
        let document = """
            {"name": "desk", "numbers": ["*"], "transport": "twilio", "variables": {"agent": ""}, "stages": [
              {"type": "agent", "transferTo": "+4930123456", "backends": [\(backend)]}
            ]}
            """
        try await TestServer.run(document) { (server: TestServer) async throws in
            let report = try await server.call("+15550100001", limit: 8000)
            #expect(report.said == ["[Dial]"])
        }
    }

    @Test func aCallerIsConnectedByHand() async throws {
        try await withSimulators([Self.agent(saying: 600)]) { backends, _ in
            try await TestServer.run(Self.document(backends)) { (server: TestServer) async throws in
                async let report = server.call("+15550100001", limit: 8000)
                try await server.wait("the agent") {
                    ((try await server.get("/calls").json["calls"] as? [[String: Any]])?.first?["playedMs"] as? Double
                        ?? 0) > 100
                }
                let calls = try #require(try await server.get("/calls").json["calls"] as? [[String: Any]])
                let id = try #require(calls.first?["id"] as? String)
                for (body, status) in [("{", 400), (#"{"to": "mum"}"#, 422), (#"{"to": "+4930123456"}"#, 200)] {
                    #expect(
                        try await server.post("/calls/\(id)/transfer", headers: TestServer.admin, body: body).status
                            == status, "\(body)")
                }
                #expect(try await report.said == ["[Dial]"])
                let late = try await server.post(
                    "/calls/\(id)/transfer", headers: TestServer.admin, body: #"{"to": "+4930123456"}"#)
                #expect(late.status == 409)
            }
        }
    }

    @Test func whenAllHaveFailedAPersonIsDialledOnce() async throws {
        let agents = [Self.agent(saying: 600) { $0.closeWith = .init(code: 1008, after: .milliseconds(200)) }]
        try await withSimulators(agents) { backends, _ in
            let document = Self.document(backends, #""transferTo": "+4930123456","#)
            try await TestServer.run(document) { (server: TestServer) async throws in
                let report = try await server.call("+15550100001", limit: 8000)
                #expect(report.said == ["[Dial]"])
                let sid = report.callSid
                #expect(
                    try await server.get("/calls/\(sid)").json["endReason"] as? String == "transferred: +4930123456")
                func next(_ outcome: String = "") async throws -> String {
                    try await server.webhook(
                        "/twilio/next",
                        FormFields([
                            "CallSid": sid, "From": "+15550100099", "To": "+15550100001", "CallStatus": "in-progress",
                            outcome.isEmpty ? "Other" : "DialCallStatus": outcome,
                        ])
                    ).body
                }
                let again = try await next()
                #expect(again.contains("<Hangup") && !again.contains("<Dial"), "once")
                for (outcome, says) in [("completed", false), ("answered", false), ("busy", true), ("no-answer", true)]
                {
                    let answer = try await next(outcome)
                    #expect(answer.contains("<Say>We encountered an error.") == says && answer.contains("<Hangup"))
                }
            }
        }
    }

    @Test(
        arguments: [
            ("+4915112345678", nil), ("anonymous", "+15550100001"),
        ] as [(String, String?)]) func theNumberThatIsShown(from: String, callerId: String?) async throws
    {
        let document = Self.document([Self.backend(port: 9)], #""transferTo": "+4930123456","#)
        try await TestServer.run(document) { (server: TestServer) async throws in
            let form = FormFields([
                "CallSid": "CA1", "From": from, "To": "+15550100001", "CallStatus": "in-progress",
            ])
            let answer = try await server.webhook("/twilio/voice", form).body
            let token = try #require(answer.firstMatch(of: /name="token" value="([^"]+)"/)).output.1
            try await server.stream(callSid: "CA1", from: from, to: "+15550100001", token: String(token)) {
                try await server.wait("the end of the stream") {
                    try await server.get("/calls/CA1").json["endReason"] as? String == "transferred: +4930123456"
                }
            }
            let next = try await server.webhook("/twilio/next", form).body
            #expect(next.contains(">+4930123456</Dial>") && next.contains(#"timeout="30""#))
            #expect(next.contains("callerId=") == (callerId != nil))
            if let callerId { #expect(next.contains(#"callerId="\#(callerId)""#)) }
        }
    }

    // MARK: Another agent by somebody's word

    @Test func aRunningCallIsGivenAnotherAgent() async throws {
        try await withSimulators([Self.agent(saying: 600)]) { backends, _ in
            let document = Self.document(backends + [#"{"type": "script", "say": "\#(Self.line(1200))"}"#])
            try await TestServer.run(document, source: Self.source) { (server: TestServer) async throws in
                async let report = server.call("+15550100001", limit: 8000)
                try await server.wait("the agent") {
                    ((try await server.get("/calls").json["calls"] as? [[String: Any]])?.first?["playedMs"] as? Double
                        ?? 0) > 100
                }
                let calls = try #require(try await server.get("/calls").json["calls"] as? [[String: Any]])
                let id = try #require(calls.first?["id"] as? String)
                for (body, status, words) in [
                    (#"{"backend": 7}"#, 422, "there is no agent 7"),
                    (#"{"type": "eleven"}"#, 422, "there is no agent"),
                    ("{", 422, "diagnostics"), (#"{"type": "script"}"#, 422, "say"),
                    (#"{"type": "script", "say": "x", "colour": 1}"#, 422, "colour"), ("[]", 422, "diagnostics"),
                    (#"{"backend": 1, "typ": "echo"}"#, 422, "diagnostics"),
                ] {
                    let answer = try await server.post("/calls/\(id)/agent", headers: TestServer.admin, body: body)
                    #expect(answer.status == status && answer.body.contains(words), "\(body): \(answer.body)")
                }
                #expect(
                    try await server.post("/calls/nobody/agent", headers: TestServer.admin, body: "{}").status == 404)
                let changed = try await server.post(
                    "/calls/\(id)/agent", headers: TestServer.admin, body: #"{"backend": 1}"#)
                #expect(changed.status == 200 && changed.json["backend"] as? String == "script")
                let visitor = try await server.post(
                    "/calls/\(id)/agent", headers: TestServer.admin, body: #"{"type": "echo"}"#)
                #expect(visitor.json["backend"] as? String == "echo" && visitor.json["agentChanges"] as? Int == 2)
                #expect(try await server.post("/calls/\(id)/hangup").status == 200)
                let done = try await report
                #expect(try #require(done.streams.first).events.contains { $0.event == .clear })
                let late = try await server.post(
                    "/calls/\(id)/agent", headers: TestServer.admin, body: #"{"backend": 1}"#)
                #expect(late.status == 409)
            }
        }
    }

    @Test func strangersChangeNoAgent() async throws {
        try await TestServer.run(
            echoDocument, options: { $0.adminToken = Secret("letmein") }, source: Self.source
        ) { (server: TestServer) async throws in
            let form = FormFields(["CallSid": "CA1", "From": "+1", "To": "+15550100001", "CallStatus": "ringing"])
            _ = try await server.webhook("/twilio/voice", form)
            let stranger = [("X-Forwarded-For", "203.0.113.9")], body = #"{"backend": 0}"#
            #expect(try await server.post("/calls/CA1/agent", body: body).status == 401, "on this machine too")
            #expect(try await server.post("/calls/CA1/agent", headers: stranger, body: body).status == 401)
            let known = stranger + [("Authorization", "Bearer letmein")]
            #expect(try await server.post("/calls/CA1/agent", headers: known, body: body).status == 200)
        }
    }

    // MARK: Before and between calls

    @Test(arguments: ["early", "answered"]) func whenTheAgentIsConnected(_ moment: String) async throws {
        try await withSimulators([Self.agent(saying: 600)]) { backends, simulators in
            let document = Self.document(backends, #""connect": "\#(moment)","#)
            try await TestServer.run(document) { (server: TestServer) async throws in
                let form = FormFields(["CallSid": "CA1", "From": "+1", "To": "+15550100001", "CallStatus": "ringing"])
                let answer = try await server.webhook("/twilio/voice", form).body
                func isReady() async throws -> Bool {
                    try await server.get("/calls/CA1").body.contains("connected to agent")
                }
                if moment == "early" {
                    try await server.wait("the agent") { try await isReady() }
                } else {
                    #expect(try await !isReady())
                    #expect(await simulators[0].statistics().conversations.isEmpty)
                    let token = try #require(answer.firstMatch(of: /name="token" value="([^"]+)"/)).output.1
                    try await server.stream(callSid: "CA1", from: "+1", to: "+15550100001", token: String(token)) {
                        try await server.wait("the agent") { try await isReady() }
                    }
                }
            }
        }
    }

    @Test func anAgentThatCannotBeReachedIsAvoidedByLaterCalls() async throws {
        // Nobody listens at the discard port.
        let document = Self.document([Self.backend(port: 9), #""echo""#])
        try await TestServer.run(document) { (server: TestServer) async throws in
            for number in 1...4 {
                let sid = "CA\(number)"
                let form = FormFields(["CallSid": sid, "From": "+1", "To": "+15550100001", "CallStatus": "ringing"])
                _ = try await server.webhook("/twilio/voice", form)
                try await server.wait("the next agent") {
                    try await server.get("/calls/\(sid)").body.contains("connected to agent")
                }
                let events = try await server.get("/calls/\(sid)").body
                #expect(events.contains("agent failed") == (number <= 3), "call \(number)")
            }
            let pipelines = try #require(try await server.get("/pipelines").json["pipelines"] as? [[String: Any]])
            let agents = try #require(pipelines.first?["agents"] as? [[String: Any]])
            #expect(
                agents.first?["state"] as? String == "avoided" && agents.first?["backend"] as? String == "elevenlabs")
            #expect((1...30_000).contains(agents.first?["triedInMs"] as? Int ?? 0))
        }
    }
}

extension TestServer {
    /// Opens a carrier's stream by hand, says what a carrier says first, and closes it after `body`.
    func stream(
        callSid: String, from: String, to: String, token: String, _ body: (() async throws -> Void)
    ) async throws {
        let connection = try await WebSocketClient.connect(
            to: WebSocketTarget("ws://127.0.0.1:\(port)/twilio/stream"),
            on: MultiThreadedEventLoopGroup.singleton.next(),
            delegate: Silent())
        let start = TwilioStart(
            streamSid: "MZ1", callSid: callSid, accountSid: "AC1",
            customParameters: ["token": token, "from": from, "to": to])
        try await connection.eventLoop.submit {
            var writer = TwilioPhoneWriter(start: start)
            var batch = MessageBatch()
            batch.text { writer.connected(into: &$0) }
            batch.text { writer.start(into: &$0) }
            connection.send(&batch)
        }.get()
        try await body()
        connection.close()
    }
}

private final class Silent: WebSocketDelegate {
    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {}
    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {}
}
