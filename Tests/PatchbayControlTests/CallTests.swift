import Foundation
import NIOCore
import NIOPosix
import Patchbay
import PatchbaySimulators
import PatchbayTesting
import PatchbayWire
import Testing

/// Whole calls over real sockets.
@Suite(.serialized) struct CallTests {
    private func tone(_ frequency: Double, milliseconds: Int) -> [UInt8] {
        Tone(frequency).samples(count: 8 * milliseconds, sampleRate: 8000).map { G711.encodeMulaw($0) }
    }

    /// A stream opened by hand, up to its start message.
    private func openStream(
        _ server: TestServer, _ callSid: String, _ parameters: [String: String]
    ) async throws -> WebSocketConnection {
        let connection = try await WebSocketClient.connect(
            to: WebSocketTarget("ws://127.0.0.1:\(server.port)/twilio/stream"),
            on: MultiThreadedEventLoopGroup.singleton.next(), delegate: Probe())
        let start = TwilioStart(streamSid: "MZ1", callSid: callSid, accountSid: "AC1", customParameters: parameters)
        try await connection.eventLoop.submit {
            var writer = TwilioPhoneWriter(start: start)
            var batch = MessageBatch()
            batch.text { writer.connected(into: &$0) }
            batch.text { writer.start(into: &$0) }
            connection.send(&batch)
        }.get()
        return connection
    }

    @Test func anEchoGivesBackEveryByte() async throws {
        PrometheusMetrics.bootstrap()
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let spoken = tone(440, milliseconds: 1000)
            let report = try await server.call(
                "+15550100001",
                [
                    PhoneStep(.after(milliseconds: 100), .speak(spoken)), PhoneStep(.after(milliseconds: 300), .hangUp),
                ])
            let line = try #require(report.streams.first)
            let loud = Array(line.receivedAudio.drop { $0 == 0xFF }.prefix(spoken.count - 160))
            #expect(loud == Array(spoken.drop { $0 == 0xFF }.prefix(loud.count)), "µ-law passes through untouched")
            #expect(line.events.allSatisfy { if case .refused = $0.event { false } else { true } })
            try await server.wait("the call's end") { try await server.get("/calls").json["active"] as? Int == 0 }
            let calls = try await server.get("/calls").json["calls"] as? [[String: Any]]
            let call = try #require(calls?.first)
            #expect(call["state"] as? String == "ended" && call["callSid"] as? String == report.callSid)
            #expect(call["backend"] as? String == "echo" && call["pipeline"] as? String == "echo")
            let one = try await server.get("/calls/\(report.callSid)").json
            #expect((one["events"] as? [[String: Any]])?.isEmpty == false)
            let metrics = try await server.get("/metrics").body
            #expect(metrics.contains("# TYPE patchbay_calls_active gauge\npatchbay_calls_active 0"))
            #expect(metrics.contains(#"patchbay_calls_total{direction="inbound",outcome="callerHungUp"}"#))
        }
    }

    @Test func theDecodedChainKeepsTheTone() async throws {
        let document = """
            {"name": "full", "numbers": ["*"], "transport": "twilio", "stages": ["decoder", {"type": "resampler", "rateHz": 16000},
             "vad", "echo", {"type": "resampler", "rateHz": 8000}, "encoder"]}
            """
        try await TestServer.run(document) { (server: TestServer) async throws in
            let report = try await server.call(
                "+49301234567",
                [
                    PhoneStep(.after(milliseconds: 0), .speak(tone(1000, milliseconds: 1000))),
                    PhoneStep(.after(milliseconds: 200), .hangUp),
                ])
            let heard = try #require(report.streams.first).receivedAudio.map { G711.decodeMulaw($0) }
            let middle = Array(heard.dropFirst(4000).prefix(3200))
            #expect(Tone.strongest(of: [500, 1000, 2000], in: middle, sampleRate: 8000) == 1000)
            #expect(Tone.level(of: 1000, in: middle, sampleRate: 8000) > -14)
        }
    }

    @Test func aTokenIsNeededIsBoundToTheCallAndWorksOnce() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            func stream(_ callSid: String, _ parameters: [String: String]) async throws -> WebSocketClose {
                try await openStream(server, callSid, parameters).closeFuture.get()
            }
            let form = FormFields(["CallSid": "CA1", "From": "+1555", "To": "+15550100001", "CallStatus": "ringing"])
            let answer = try await server.webhook("/twilio/voice", form).body
            let token = try #require(answer.firstMatch(of: /name="token" value="([^"]+)"/)).output.1
            let parameters = ["token": String(token), "from": "+1555", "to": "+15550100001"]

            #expect(try await stream("CA1", [:]).code == 1008, "no token")
            #expect(try await stream("CA2", parameters).code == 1008, "another call's token")
            var other = parameters
            other["to"] = "+15550100002"
            #expect(try await stream("CA1", other).code == 1008, "another number")
            var ticket = parameters
            ticket["token"] = String(try #require(answer.firstMatch(of: /ticket=([^"]+)"/)).output.1)
            #expect(try await stream("CA1", ticket).code == 1008, "the ticket for the next step opens no stream")
            var forged = parameters
            forged["token"] = String(token.dropLast()) + (token.hasSuffix("0") ? "1" : "0")
            #expect(try await stream("CA1", forged).code == 1008, "a changed token")
            let first = Task { try await stream("CA1", parameters) }
            try await server.wait("the stream") {
                let calls = try await server.get("/calls").json["calls"] as? [[String: Any]]
                return calls?.first?["state"] as? String == "streaming"
            }
            #expect(try await stream("CA1", parameters).code == 1008, "a token works once")
            let id = try #require(
                (try await server.get("/calls").json["calls"] as? [[String: Any]])?.first?["id"] as? String)
            #expect(try await server.post("/calls/\(id)/hangup").status == 200)
            #expect(try await first.value.code == 1000, "the running call was not touched")
        }
    }

    @Test func anOperatorsHangUpReachesTheCaller() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            async let report = server.call("+15550100001", limit: 8000)
            try await server.wait("the stream") {
                let calls = try await server.get("/calls").json["calls"] as? [[String: Any]]
                return calls?.first?["state"] as? String == "streaming"
            }
            let id = try #require(
                (try await server.get("/calls").json["calls"] as? [[String: Any]])?.first?["id"] as? String)
            #expect(try await server.post("/calls/\(id)/hangup").status == 200)
            let done = try await report
            #expect(done.closes.first?.code == 1000)
            #expect(done.steps.last == .hangup, "the next step of an orderly end is a hang-up")
            #expect(try await server.post("/calls/\(id)/hangup").status == 409)
            #expect(try await server.post("/calls/nobody/hangup").status == 404)
        }
    }

    @Test func aCallThatWasEndedWhileItRangTakesNoStream() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let form = FormFields(["CallSid": "CA7", "From": "+1", "To": "+15550100001", "CallStatus": "ringing"])
            _ = try await server.webhook("/twilio/voice", form)
            #expect(try await server.post("/calls/CA7/hangup").status == 200)
            try await server.wait("the end") { try await server.get("/calls").json["active"] as? Int == 0 }
            let next = FormFields(["CallSid": "CA7", "From": "+1", "To": "+15550100001", "CallStatus": "completed"])
            let answer = try await server.webhook("/twilio/next?ticket=x", next).body
            #expect(answer.contains("<Response><Hangup /></Response>"), "a finished call is not resumed")
        }
    }

    @Test func whatWasHeardOfAnInterruptedAnswerIsShown() async throws {
        let say = "This is a long sentence that the caller does not want to hear to its end at all, really not."
        let document = """
            {"name": "talk", "numbers": ["*"], "transport": "twilio", "stages": ["decoder", "vad",
             {"type": "turns", "minimumBargeInMs": 100, "confirmMs": 100},
             {"type": "script", "say": "\(say)", "replies": ["Yes?"], "silenceSeconds": 60}, {"type": "resampler", "rateHz": 8000},
             "encoder"]}
            """
        try await TestServer.run(document) { (server: TestServer) async throws in
            let report = try await server.call(
                "+15550100001",
                [
                    PhoneStep(.after(milliseconds: 1500), .speak(tone(440, milliseconds: 1000))),
                    PhoneStep(.after(milliseconds: 3500), .hangUp),
                ])
            let call = try await server.get("/calls/\(report.callSid)").json
            let events = try #require(call["events"] as? [[String: Any]])
            let interruption = try #require(events.first { $0["event"] as? String == "interruption" })
            let detail = try #require(interruption["detail"] as? String)
            #expect(detail.contains("the caller spoke; heard 1") && detail.contains("This is"), "\(detail)")
            #expect(!detail.contains("really not"))
            #expect(events.contains { $0["event"] as? String == "playback paused" })
            let heard = try #require(call["heard"] as? [String: Any])
            #expect(heard["text"] as? String == "Yes?" && heard["complete"] as? Bool == true, "\(heard), \(events)")
        }
    }

    @Test func anAgentThatCannotBeReachedIsToldInWords() async throws {
        let document =
            #"{"name": "gone", "numbers": ["*"], "transport": "twilio", "stages": [{"type": "elevenlabs", "agentId": "a", "baseUrl": "http://127.0.0.1:9"}]}"#
        try await TestServer.run(document) { (server: TestServer) async throws in
            let report = try await server.call("+15550100001")
            #expect(report.said == ["We encountered an error. Please try again later."])
            #expect(report.steps.last == .hangup)
            let calls = try await server.get("/calls").json["calls"] as? [[String: Any]]
            #expect(calls?.first?["state"] as? String == "failed")
        }
    }

    @Test func theNextBackendAnswersWhenTheFirstCannotBeReached() async throws {
        let document = """
            {"name": "fallback", "numbers": ["*"], "transport": "twilio", "stages": [{"type": "agent", "backends": [
              {"type": "elevenlabs", "agentId": "a", "baseUrl": "http://127.0.0.1:9"}, {"type": "echo"}]}]}
            """
        try await TestServer.run(document) { (server: TestServer) async throws in
            let report = try await server.call(
                "+15550100001",
                [
                    PhoneStep(.after(milliseconds: 200), .speak(tone(440, milliseconds: 400))),
                    PhoneStep(.after(milliseconds: 300), .hangUp),
                ])
            let heard = try #require(report.streams.first).heard
            #expect(heard.contains { $0 != 0xFF })
        }
    }

    @Test func aPeerThatVanishesEndsItsCallAndNoOther() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            async let healthy = server.call(
                "+15550100001",
                [
                    PhoneStep(.after(milliseconds: 0), .speak(tone(440, milliseconds: 1000))),
                    PhoneStep(.after(milliseconds: 100), .hangUp),
                ])
            let form = FormFields(["CallSid": "CA1", "From": "+1555", "To": "+15550100001", "CallStatus": "ringing"])
            let answer = try await server.webhook("/twilio/voice", form).body
            let token = try #require(answer.firstMatch(of: /name="token" value="([^"]+)"/)).output.1
            let connection = try await openStream(
                server, "CA1", ["token": String(token), "from": "+1555", "to": "+15550100001"])
            try await server.wait("the stream") {
                try await server.get("/calls/CA1").json["state"] as? String == "streaming"
            }
            try await connection.channel.close()
            try await server.wait("the end") { try await server.get("/calls/CA1").json["state"] as? String == "ended" }
            #expect((try await server.get("/calls/CA1").json["endReason"] as? String)?.contains("streamLost") == true)
            #expect(try await healthy.streams.first?.isHungUp == true)
        }
    }

    @Test func aPhoneThatCannotReachTheStreamSaysSo() async throws {
        try await TestServer.run(
            echoDocument,
            options: {
                $0.publicURL = "http://127.0.0.1:9"
                $0.skipsSignatures = true
            }
        ) { (server: TestServer) async throws -> Void in
            await #expect(throws: Phone.Failure.self) { _ = try await server.call("+15550100001") }
        }
    }

    @Test func aHandshakeWithAWrongSignatureIsRefused() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            func connect(_ path: String, _ signature: String?) async -> Int? {
                let target = WebSocketTarget(
                    "ws://127.0.0.1:\(server.port)\(path)",
                    headers: signature.map { [("X-Twilio-Signature", $0)] } ?? [])
                do {
                    let connection = try await WebSocketClient.connect(
                        to: target, on: MultiThreadedEventLoopGroup.singleton.next(), delegate: Probe())
                    connection.close()
                    return 101
                } catch {
                    return (error as? WebSocketConnectError)?.status
                }
            }
            let url = "ws://127.0.0.1:\(server.port)/twilio/stream"
            let right = TwilioSignature(secrets: [TestServer.secret]).sign(url: url)
            #expect(await connect("/twilio/stream", right) == 101)
            #expect(await connect("/twilio/stream", nil) == 101, "then the token decides")
            #expect(await connect("/twilio/stream", "wrong") == 403)
            #expect(await connect("/elsewhere", right) == 404)
        }
    }

    @Test func aHugeMessageEndsItsOwnCallOnly() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let spoken = tone(440, milliseconds: 1500)
            async let healthy = server.call(
                "+15550100001",
                [
                    PhoneStep(.after(milliseconds: 0), .speak(spoken)), PhoneStep(.after(milliseconds: 200), .hangUp),
                ])
            let connection = try await WebSocketClient.connect(
                to: WebSocketTarget("ws://127.0.0.1:\(server.port)/twilio/stream"),
                on: MultiThreadedEventLoopGroup.singleton.next(), delegate: Probe())
            try await connection.eventLoop.submit {
                var batch = MessageBatch()
                batch.text { $0.writeRepeatingByte(UInt8(ascii: "x"), count: (1 << 20) + 1) }
                connection.send(&batch)
            }.get()
            #expect(try await connection.closeFuture.get().code == 1009)
            let line = try #require(try await healthy.streams.first)
            #expect(line.heard.filter { $0 != 0xFF }.count > spoken.count / 2)
        }
    }

    @Test func drainingTurnsNewCallersAwayWithWordsAndLetsOthersFinish() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            async let report = server.call(
                "+15550100001",
                [
                    PhoneStep(.after(milliseconds: 0), .speak(tone(440, milliseconds: 1000))),
                    PhoneStep(.after(milliseconds: 100), .hangUp),
                ])
            try await server.wait("the stream") { try await server.get("/calls").json["active"] as? Int == 1 }
            async let drained: Void = server.switchboard.drain(timeout: .seconds(5))
            try await server.wait("not ready") { try await server.get("/ready").status == 503 }
            #expect(try await server.get("/health").status == 200)
            let form = FormFields(["CallSid": "CA9", "From": "+1", "To": "+15550100001", "CallStatus": "ringing"])
            let turnedAway = try await server.webhook("/twilio/voice", form)
            #expect(turnedAway.body.contains("<Say>We cannot take your call at the moment."))
            let done = try await report
            #expect(done.streams.first?.isHungUp == true, "the running call went on to its end")
            await drained
        }
    }

    @Test func aStreamThatBreaksIsTakenUpAgainAndNotForEver() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            let form = FormFields(["CallSid": "CA5", "From": "+1", "To": "+15550100001", "CallStatus": "in-progress"])
            var answer = try await server.webhook("/twilio/voice", form).body
            for resume in 1...4 {
                let action = try #require(answer.firstMatch(of: /action="[^"]*(\/twilio\/next\?ticket=[^"]+)"/)).output
                    .1
                answer = try await server.webhook(String(action), form).body
                if resume <= 3 {
                    #expect(answer.contains("<Stream"), "resume \(resume)")
                } else {
                    #expect(answer.contains("<Say>We encountered an error."), "three times are enough")
                }
            }
            let forged = try await server.webhook("/twilio/next?ticket=0.9999999999.x.y", form).body
            #expect(forged.contains("<Say>We encountered an error."))
        }
    }

    @Test func manyCallsLeaveNothingBehind() async throws {
        try await TestServer.run(echoDocument) { (server: TestServer) async throws in
            func descriptors() throws -> Int {
                try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
            }
            func round(_ count: Int) async throws {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<count {
                        group.addTask {
                            _ = try await server.call("+15550100001", [PhoneStep(.after(milliseconds: 60), .hangUp)])
                        }
                    }
                    try await group.waitForAll()
                }
                try await server.wait("all calls' end") { try await server.get("/calls").json["active"] as? Int == 0 }
            }
            try await round(20)
            let before = try descriptors()
            for _ in 0..<5 { try await round(20) }
            try await server.wait("closed sockets") { try descriptors() <= before + 4 }
        }
    }
}

/// A delegate that is only there to be spoken to.
private final class Probe: WebSocketDelegate {
    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {}
    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {}
}
