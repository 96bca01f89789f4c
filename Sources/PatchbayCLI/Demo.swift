import ArgumentParser
import AsyncHTTPClient
import Foundation
import Glibc
import Logging
import NIOCore
import NIOPosix
import Patchbay
import PatchbaySimulators
import ServiceLifecycle

struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a whole call with no account and no network, and writes what the caller heard.",
        discussion: """
            EXAMPLES
              patchbay demo
              patchbay demo --output /tmp/call.wav --format json

            Starts a server on a free port of this machine, and a simulated phone that plays real speech to it:
            the caller asks, is answered, interrupts, and says goodbye.
            """)

    @Option(help: "Stereo WAV file to write: caller left, agent right.") var output = "demo.wav"
    @Option(help: "Folder with the demo's pipeline and its audio.") var pipelines = "Pipelines"
    @Option(help: "text or json") var format = OutputFormat.text
    @Option(help: "trace, debug, info, notice, warning, error or critical") var logLevel = Logger.Level.error

    /// What the demo's caller says, and the number it calls.
    private static let number = "+15550100002"
    private static let speech = ["caller-question.wav", "caller-interrupts.wav", "caller-thanks.wav"]

    func run() async throws {
        let registry = try ComponentRegistry.standard()
        let (set, diagnostics) = PipelineSet.load("\(pipelines)/demo.json", registry: registry, environment: [:])
        if !diagnostics.isEmpty { Terminal.note(diagnostics.page) }
        guard let set else { throw ExitCode.badDocument }
        var steps: [PhoneStep] = []
        let triggers: [PhoneStep.Trigger] = [
            .afterPause(milliseconds: 500), .duringSpeech(milliseconds: 1500), .afterPause(milliseconds: 500),
        ]
        for (file, trigger) in zip(Self.speech, triggers) {
            let audio = try WAVFile(path: "\(pipelines)/audio/\(file)").audio(in: .telephony)
            steps.append(PhoneStep(trigger, .speak(Array(audio.readableBytesView))))
        }

        // Signatures are on, as in production: the demo's carrier and server share a secret made up on the spot.
        let secret = Phone.makeSid("")
        var options = ServerOptions()
        options.port = 0
        options.twilioAuthToken = Secret(secret)
        options.drainTimeout = .seconds(1)
        let (addresses, addressSource) = AsyncStream<Int>.makeStream()
        let transcript = DemoTranscript()
        let server = PatchbayServer(
            pipelines: set, settings: ServerSettings(), options: options, tls: try WebSocketTLS.makeContext(),
            httpClient: .shared, records: try SQLiteStore(), logger: Logging.make(logLevel),
            observers: { _ in [transcript] },
            started: { address in
                addressSource.yield(address.port ?? 0)
                addressSource.finish()
            })
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: [.init(service: server)], logger: Logging.make(.error)))
        let running = Task { try await group.run() }
        guard let port = await addresses.first(where: { _ in true }) else {
            try await running.value
            throw CommandFailure(description: "the server did not start")
        }
        Terminal.note(
            "a server on 127.0.0.1:\(port), a phone that calls \(Self.number), the pipeline \(pipelines)/demo.json")

        var call = Phone.Options(voiceURL: "http://127.0.0.1:\(port)/twilio/voice")
        call.statusURL = "http://127.0.0.1:\(port)/twilio/status"
        call.to = Self.number
        call.authToken = secret
        call.steps = steps
        call.maximumMilliseconds = 50_000
        let phone = Phone(httpClient: .shared, on: MultiThreadedEventLoopGroup.singleton.next())
        let report = try await phone.call(call) { line in
            if line.tick % 10 == 0 { Terminal.progress("the call runs: \(line.tick / 50) s") }
        }
        Terminal.endProgress()
        await group.triggerGracefulShutdown()
        try await running.value

        guard let line = report.streams.last else { throw CommandFailure(description: "the server opened no stream") }
        try line.recording.write(to: output)
        let summary = CallSummary(report)
        switch format {
        case .json: Terminal.result(try summary.json)
        case .text:
            for entry in transcript.lines { Terminal.result(entry) }
            Terminal.result(summary.text)
            Terminal.result("recording             \(output) (stereo: caller left, agent right)")
        }
        guard !summary.segments.isEmpty, summary.segments.contains(where: { $0.side == "agent" }) else {
            throw CommandFailure(description: "the caller heard nothing")
        }
    }
}
