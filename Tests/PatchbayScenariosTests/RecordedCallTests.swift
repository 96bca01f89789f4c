import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOPosix
import Patchbay
import PatchbayScenarios
import PatchbaySimulators
import PatchbayTesting
import ServiceLifecycle
import Testing

/// From a call over real sockets to a test that passes, and fails when the pipeline is another.
struct RecordedCallTests {
    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func document(_ stages: String, port: Int) -> String {
        """
        {"name": "desk", "numbers": ["+15550100001"], "transport": "twilio", "stages": [
          {"type": "elevenlabs", "agentId": "a", "baseUrl": "http://127.0.0.1:\(port)", "apiKey": {"env": "EL_KEY"}}\(stages)]}
        """
    }

    /// Serves the folder's pipeline with a wire log while a phone calls.
    private func call(_ folder: ScenarioFolder, _ steps: [PhoneStep]) async throws {
        let environment = ["EL_KEY": "planted-key-4711"]
        let (set, diagnostics) = PipelineSet.load(
            "\(folder.path)/desk.json", registry: try .standard(), environment: environment)
        var options = ServerOptions()
        options.port = 0
        options.skipsSignatures = true
        options.drainTimeout = .milliseconds(200)
        options.wireLog = try WireLog(directory: "\(folder.path)/log", logger: Self.quiet)
        let (ports, source) = AsyncStream<Int>.makeStream()
        let server = PatchbayServer(
            pipelines: try #require(set, "\(diagnostics.rendered())"), settings: ServerSettings(), options: options,
            tls: try WebSocketTLS.makeContext(), httpClient: .shared, records: try SQLiteStore(), logger: Self.quiet,
            started: { source.yield($0.port ?? 0) })
        let group = ServiceGroup(configuration: .init(services: [.init(service: server)], logger: Self.quiet))
        let running = Task { try await group.run() }
        let port = try #require(await ports.first { _ in true })
        var call = Phone.Options(voiceURL: "http://127.0.0.1:\(port)/twilio/voice")
        call.to = "+15550100001"
        call.steps = steps
        call.maximumMilliseconds = 6000
        _ = try await Phone(httpClient: .shared, on: MultiThreadedEventLoopGroup.singleton.next()).call(call)
        await group.triggerGracefulShutdown()
        try await running.value
        options.wireLog?.finish()
    }

    @Test func aCallBecomesATestThatPassesAndNoticesAChange() async throws {
        let folder = try ScenarioFolder()
        try folder.writeTone(440, milliseconds: 400, to: "greeting.wav")
        try folder.writeTone(880, milliseconds: 400, to: "reply.wav")
        var options = ElevenLabsSimulatorOptions()
        (options.common.port, options.format) = (0, "ulaw_8000")
        (options.greeting, options.replies) = ("\(folder.path)/greeting.wav", ["\(folder.path)/reply.wav"])
        options.apiKey = "planted-key-4711"
        let simulator = ElevenLabsSimulator(try options.configuration())
        let port = try #require(try await simulator.start().port)
        try folder.write(document("", port: port), to: "desk.json")
        let question = Tone(300).samples(count: 8 * 400, sampleRate: 8000).map { G711.encodeMulaw($0) }
        try await call(
            folder,
            [
                PhoneStep(.afterPause(milliseconds: 300), .speak(question)),
                PhoneStep(.after(milliseconds: 100), .press("7")),
                PhoneStep(.afterPause(milliseconds: 500), .hangUp),
            ])
        await simulator.stop()

        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/log").first)
        let text = try String(contentsOfFile: "\(folder.path)/log/\(name)", encoding: .utf8)
        #expect(!text.contains("planted-key") && text.contains(#""token":"[secret]""#))
        let recorded = try RecordedCall(path: "\(folder.path)/log/\(name)")
        #expect(recorded.gaps.isEmpty && recorded.ended?.kind == "callerHungUp" && recorded.connections.count == 1)
        let files = try ScenarioRecorder(recorded).write(to: "\(folder.path)/desk.test.json", pipeline: nil)
        #expect(
            files.map { $0.split(separator: "/").last } == ["desk.test.json", "desk.caller.wav", "desk.agent.jsonl"])

        let result = try #require(try folder.runAll().first)
        #expect(result.isPassed, "\(result.text())")
        #expect(result.checks.count >= 8, "\(result.text())")
        let keys = result.trace.entries.filter { $0.event == .keyPressed }
        #expect(keys.map(\.detail) == ["7"])

        // The agent cannot be heard any more: the drawing shows where it was.
        try folder.write(
            document(#", "decoder", {"type": "gain", "gainDb": -50}, "encoder""#, port: port), to: "desk.json")
        let changed = try #require(try folder.runAll().first)
        #expect(!changed.isPassed && changed.text().contains("seen: never in the call"), "\(changed.text())")
        #expect(changed.text().split(separator: "\n").contains { $0.contains("expect 2") && $0.contains("[") })
    }

    private static let dialling = "{\"ms\": 1, \"event\": \"dialling\", \"backend\": \"elevenlabs\"}"

    /// Lines that nobody but a damaged disk or an attacker writes.
    @Test(arguments: [
        #"{"ms": 1e30, "event": "ended"}"#, #"{"ms": 9223372036854, "event": "ended"}"#,
        #"{"ms": -1, "event": "ended"}"#, #"{"ms": "5", "event": "ended"}"#,
        #"{"ms": 86400001, "direction": "agent>"}"#,
        #"{"ms": 2, "event": "closed", "peer": "agent", "code": 1e30}"#,
        #"{"ms": 2, "event": "closed", "peer": "agent", "code": -1}"#,
        #"{"ms": 2, "event": "dropped", "messages": 1e300}"#,
    ])
    func numbersOutOfBoundsAreRefusedWithTheirLine(line: String) throws {
        let folder = try ScenarioFolder()
        try folder.write("{\"wireLog\": 1}\n\(Self.dialling)\n\(line)\n", to: "x.wire.jsonl")
        let fault = #expect(throws: Diagnostic.self) { try RecordedCall(path: "\(folder.path)/x.wire.jsonl") }
        #expect(fault?.line == 3 && fault?.code == .outOfRange, "\(fault?.description ?? "")")
    }

    private func log(_ folder: ScenarioFolder, _ lines: [String]) throws -> RecordedCall {
        let start = """
            {"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1",\
            "streamSid":"MZ1","callSid":"CA1",\
            "tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}
            """
        let all = ["{\"wireLog\": 1}", "{\"ms\": 10, \"direction\": \"carrier>\", \"message\": \(start)}"] + lines
        try folder.write(all.joined(separator: "\n") + "\n", to: "x.wire.jsonl")
        return try RecordedCall(path: "\(folder.path)/x.wire.jsonl")
    }

    @Test func aTimeThatTheCallNeverReachedMakesNoSilenceOfItsLength() throws {
        let folder = try ScenarioFolder()
        let payload = Data(repeating: 0xFF, count: 160).base64EncodedString()
        let call = try log(
            folder,
            ["0", "20", "86400000", "9000000000000000000", "-5", "60"].enumerated().map { index, timestamp in
                """
                {"ms": \(30 + 20 * index), "direction": "carrier>", "message": {"event":"media","sequenceNumber":"2",\
                "streamSid":"MZ1","media":{"track":"inbound","chunk":"1","timestamp":"\(timestamp)","payload":"\(payload)"}}}
                """
            })
        _ = try ScenarioRecorder(call).write(to: "\(folder.path)/desk.test.json", pipeline: "\(folder.path)/desk.json")
        let sound = try WAVFile(path: "\(folder.path)/desk.caller.wav")
        #expect((480...960).contains(sound.samples().count), "\(sound.samples().count) samples")
    }

    @Test func aCallOfMoreThanAnHourIsNoTest() throws {
        let call = try log(try ScenarioFolder(), [#"{"ms": 4000000, "event": "ended", "reason": "callerHungUp"}"#])
        let fault = #expect(throws: Diagnostic.self) { try ScenarioRecorder(call) }
        #expect(fault?.code == .outOfRange)
    }

    /// Found by fuzzing: what a vendor said was taken for a reference to a variable.
    @Test func whatALogSaysIsNeverSubstituted() throws {
        let folder = try ScenarioFolder()
        let call = try log(
            folder,
            [
                #"{"ms": 11, "event": "dialling", "backend": "eleven${env.HOME}"}"#,
                #"{"ms": 12, "event": "unreachable", "reason": "no $${x} here, ${"}"#,
            ])
        let file = "\(folder.path)/desk.test.json"
        try folder.write("{}", to: "desk.json")
        _ = try ScenarioRecorder(call).write(to: file, pipeline: "\(folder.path)/desk.json")
        let (tests, diagnostics) = ScenarioFile.load(path: file)
        let agent = try #require(tests?.scenarios.first?.connections.first, "\(diagnostics.rendered())")
        #expect(agent.backend == "eleven${env.HOME}" && agent.refusal == "no $${x} here, ${")
        #expect(tests?.scenarios.first?.expectations.count == 1, "the log breaks off, and the test can still fail")
    }

    @Test func nothingIsReplacedUnasked() throws {
        let folder = try ScenarioFolder()
        let recorder = try ScenarioRecorder(
            try log(
                folder,
                [Self.dialling, #"{"ms": 20, "direction": "agent>", "text": "no object"}"#]))
        let names = ["desk.test.json", "desk.caller.wav", "desk.agent.jsonl"]
        func write(overwrites: Bool = false) throws -> [String] {
            try recorder.write(
                to: "\(folder.path)/desk.test.json", pipeline: "\(folder.path)/desk.json", overwrites: overwrites)
        }
        for kept in names {
            try folder.write("by hand", to: kept)
            let fault = #expect(throws: Diagnostic.self) { try write() }
            #expect(fault?.file == "\(folder.path)/\(kept)")
            #expect(try Set(folder.files()).intersection(names) == [kept])
            #expect(try String(contentsOfFile: "\(folder.path)/\(kept)", encoding: .utf8) == "by hand")
            try FileManager.default.removeItem(atPath: "\(folder.path)/\(kept)")
        }
        #expect(try write().count == 3)
        #expect(try write(overwrites: true).count == 3)
    }

    @Test func whatIsNoLogIsRefusedWithItsLine() throws {
        let folder = try ScenarioFolder()
        for (text, line, code) in [
            ("", 1, Diagnostic.Code.syntax), ("{\"a\": 1}\n", 1, .missingField),
            ("{\"wireLog\": 1}\nnonsense\n", 2, .syntax),
        ] {
            try folder.write(text, to: "x.wire.jsonl")
            let fault = #expect(throws: Diagnostic.self) { try RecordedCall(path: "\(folder.path)/x.wire.jsonl") }
            #expect(fault?.line == line && fault?.code == code, "\(fault?.description ?? "")")
        }
        #expect(throws: Diagnostic.self) { try RecordedCall(path: "/nowhere") }
        try folder.write(
            "{\"wireLog\": 1}\n{\"ms\": 1, \"event\": \"cut\", \"limit\": \"bytesPerCall\"}\n", to: "x.wire.jsonl")
        let call = try RecordedCall(path: "\(folder.path)/x.wire.jsonl")
        #expect(call.gaps == [#"the log was cut by its limit "bytesPerCall""#])
        #expect(throws: Diagnostic.self) { try ScenarioRecorder(call) }
    }
}
