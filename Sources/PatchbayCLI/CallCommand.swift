import ArgumentParser
import AsyncHTTPClient
import Foundation
import NIOPosix
import Patchbay
import PatchbaySimulators

struct CallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "call",
        abstract: "Calls a server as Twilio would: signed webhook, TwiML, a media stream in real time.",
        discussion: """
            EXAMPLES
              patchbay call --server http://127.0.0.1:8080 --to +15550100002 --audio question.wav
              patchbay call --server https://voice.example.com --voice-path /api/twilio/voice \\
                  --to +15551234567 --from +15557654321 --audio question.wav --record call.wav

            Works against anybody's server. TWILIO_AUTH_TOKEN signs the webhooks. The audio begins when the other
            side has spoken and paused, or after --wait milliseconds.
            """)

    @Option(help: "Origin of the server.") var server = "http://127.0.0.1:8080"
    @Option(help: "Path of its voice webhook.") var voicePath = "/twilio/voice"
    @Option(help: "Path of its status webhook; empty reports nothing.") var statusPath = "/twilio/status"
    @Option(help: "The called number.") var to: String
    @Option(help: "The caller's number.") var from = "+15550100001"
    @Option(help: "WAV files that the caller speaks, one after each answer.") var audio: [String] = []
    @Option(help: "Milliseconds of silence before the first file; without it the caller waits for a greeting.")
    var wait: Int?
    @Option(help: "Keys to type at the end, for instance 12#; may be repeated, each waits for an answer.")
    var keys: [String] = []
    @Option(help: "Seconds after which the caller hangs up.") var limit = 60
    @Option(help: "Write the call as a stereo WAV file, caller left, agent right.") var record: String?
    @Option(help: "PEM file of authorities to trust.") var caFile: String?
    @Option(help: "text or json") var format = OutputFormat.text
    @Option(name: .customLong("env-file"), help: "File with settings. (default: .env, if there is one)") var envFile:
        String?

    func validate() throws {
        guard server.hasPrefix("http://") || server.hasPrefix("https://") else {
            throw ValidationError("--server is \"\(server)\"; it begins with http:// or https://")
        }
        guard limit >= 1 else { throw ValidationError("--limit is \(limit); allowed is 1 second or more") }
        if let key = keys.joined().first(where: { !"0123456789*#ABCD".contains($0) }) {
            throw ValidationError("--keys holds \"\(key)\"; keys are 0 to 9, *, # and A to D")
        }
    }

    func run() async throws {
        try await HTTPClient.withPromptClient { try await call(with: $0) }
    }

    /// What a file sounds like on a telephone.
    static func spoken(_ path: String) throws -> [UInt8] {
        do {
            return Array(try WAVFile(path: path).audio(in: .telephony).readableBytesView)
        } catch {
            throw CommandFailure(
                description: "\(path) cannot be spoken: \((error as? WAVError)?.message ?? "\(error)")")
        }
    }

    private func call(with httpClient: HTTPClient) async throws {
        let environment = try await ServerEnvironment.read(envFile)
        var options = Phone.Options(voiceURL: server + voicePath)
        options.statusURL = statusPath.isEmpty ? nil : server + statusPath
        options.to = to
        options.from = from
        options.authToken = environment.options.twilioAuthToken?.reveal()
        options.maximumMilliseconds = limit * 1000
        for (index, path) in audio.enumerated() {
            let spoken = try Self.spoken(path)
            let trigger: PhoneStep.Trigger =
                if index == 0, let wait { .after(milliseconds: wait) } else { .afterPause(milliseconds: 600) }
            options.steps.append(PhoneStep(trigger, .speak(spoken)))
        }
        for typed in keys {
            for (index, key) in typed.enumerated() {
                let trigger = index == 0 ? PhoneStep.Trigger.afterPause(milliseconds: 600) : .after(milliseconds: 200)
                options.steps.append(PhoneStep(trigger, .press(key)))
            }
        }

        let tls = try WebSocketTLS.makeContext(caFile: caFile)
        let phone = Phone(httpClient: httpClient, on: MultiThreadedEventLoopGroup.singleton.next(), tls: tls)
        let report: Phone.Report
        do {
            report = try await phone.call(options) { line in
                if line.tick % 25 == 0 { Terminal.progress("on the line for \(line.tick / 50) s") }
            }
        } catch {
            Terminal.endProgress()
            throw CommandFailure(description: "\(server) could not be called: \(error.words)")
        }
        Terminal.endProgress()
        let summary = CallSummary(report)
        switch format {
        case .text: Terminal.result(summary.text)
        case .json: Terminal.result(try summary.json)
        }
        if let record {
            guard let line = report.streams.last else {
                throw CommandFailure(description: "nothing to record: the server opened no stream")
            }
            try line.recording.write(to: record)
            Terminal.note("recording: \(record)")
        }
        if report.streams.isEmpty { throw ExitCode(1) }
    }
}
