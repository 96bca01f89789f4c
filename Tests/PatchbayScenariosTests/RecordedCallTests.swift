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
            tls: try WebSocketTLS.makeContext(), httpClient: .shared, logger: Self.quiet,
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
        (options.port, options.format) = (0, "ulaw_8000")
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
