import ArgumentParser
import Foundation
import Patchbay
import PatchbaySimulators

struct CheckAgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-agent",
        abstract: "Plays a short conversation with an agent of your own, and says what is wrong with it.",
        discussion: """
            EXAMPLES
              patchbay check-agent ws://127.0.0.1:8765
              patchbay check-agent wss://agents.example.com/salon --token-env AGENT_TOKEN
              patchbay check-agent ws://127.0.0.1:8765 --output-formats mulaw_8000 --format json

            The caller asks, interrupts, presses a key, answers a call of the tool "lookup", and hangs up; it takes some fifteen
            seconds. The rules are in the article "Agents of your own" (AgentProtocol).
            Exit code 0 when nothing is wrong, warnings aside, and 1 otherwise.
            """)

    @Argument(help: "Address of the agent: ws:// or wss://.") var url: String
    @Option(help: "Environment variable with the bearer token of the handshake.") var tokenEnv: String?
    @Option(help: "Header of the handshake as \"Name: value\"; may be repeated.") var header: [String] = []
    @Option(help: "How sound is offered: binary or base64.") var audio = "binary"
    @Option(help: "Formats that the agent may take, separated by commas. (default: the usual ones)")
    var inputFormats: String?
    @Option(help: "Formats that the agent may give, separated by commas. (default: the usual ones)")
    var outputFormats: String?
    @Option(help: "What the pipeline tells of the caller's speech: turns (stages vad and turns), vad, or none.")
    var edges = "turns"
    @Option(help: "Variable for the agent as NAME=VALUE; may be repeated.") var variable: [String] = []
    @Option(help: "What the caller says: a text or a WAV file.") var say = "Hello, can you hear me? I have a question."
    @Option(help: "The caller's voice, of espeak-ng.") var voice = "en"
    @Option(help: "PEM file of certificates to trust for wss://.") var caFile: String?
    @Option(help: "text or json.") var format = OutputFormat.text

    func run() async throws {
        let (sound, problem) = await AgentCheck.question(say, voice: voice)
        var plan = AgentCheck.Plan(question: sound)
        do {
            guard let edges = AgentCheck.Edges(rawValue: edges) else {
                throw ValidationError("--edges \(edges.prefix(40)): possible are turns, vad and none")
            }
            plan.edges = edges
            try plan.offer(audio: audio, inputs: inputFormats, outputs: outputFormats)
            try plan.set(variable)
        } catch let fault as SimulatorOptionFault {
            throw ValidationError(fault.description)
        }
        let target = WebSocketTarget(url, headers: try headers())
        let report = await AgentCheck.run(plan, target: target, tls: try WebSocketTLS.makeContext(caFile: caFile))
        switch format {
        case .json: Terminal.result(report.json(address: "\(target)"))
        case .text:
            if let problem { Terminal.note(problem) }
            Terminal.result(report.page(address: "\(target)"))
        }
        if !report.isPassed { throw ExitCode.failure }
    }

    private func headers() throws -> [(String, String)] {
        var headers = try header.map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else {
                throw ValidationError("--header \"\(line.prefix(20))\" is no \"Name: value\"")
            }
            return (String(parts[0]), parts[1].trimmingCharacters(in: .whitespaces))
        }
        if let tokenEnv {
            guard let token = ProcessInfo.processInfo.environment[tokenEnv], !token.isEmpty else {
                throw ValidationError("--token-env: the environment has no \(tokenEnv)")
            }
            headers.append(("Authorization", "Bearer \(token)"))
        }
        return headers
    }
}

extension AgentCheckReport {
    /// The report for people.
    func page(address: String) -> String {
        var lines: [String] = []
        func line(_ name: String, _ text: String) {
            lines.append(name + String(repeating: " ", count: max(1, 10 - name.count)) + text)
        }
        line("agent", address)
        if let formats, let ready {
            line("ready", "after \(ready.milliseconds) ms; takes \(formats.input), gives \(formats.output)")
        }
        if !answers.isEmpty {
            let delays = answers.map { "\($0.milliseconds) ms" }.joined(separator: ", ")
            line("answers", "\(delays) after the caller's turns; \(seconds(sound)) of sound in all")
        }
        if let stopped { line("stopped", "\(stopped.milliseconds) ms after an interruption") }
        if !tools.isEmpty { line("tools", tools.joined(separator: ", ")) }
        for note in notes { line("note", note) }
        if !findings.isEmpty { lines.append("") }
        for finding in findings {
            let count = finding.count > 1 ? " (\(finding.count) times)" : ""
            line(
                finding.severity.rawValue,
                "\(finding.code.rawValue) at \(seconds(finding.time))\(count): \(finding.message)")
            line("", "see \"\(finding.section)\" in the article \"Agents of your own\"")
        }
        let errors = findings.count { $0.severity == .error }
        func count(_ number: Int, _ word: String) -> String { "\(number) \(word)\(number == 1 ? "" : "s")" }
        let counts = "\(count(errors, "error")), \(count(findings.count - errors, "warning"))"
        lines.append("")
        lines.append("\(isPassed ? "passed" : "failed"): \(counts) in \(seconds(duration))")
        return lines.joined(separator: "\n")
    }

    private func seconds(_ span: TimeSpan) -> String { "\(Double(span.milliseconds / 10) / 100) s" }

    /// The report for programs.
    func json(address: String) -> String {
        struct Finding: Encodable {
            var code, severity, message, section: String
            var ms: Int64
            var count: Int
        }
        struct Report: Encodable {
            struct Formats: Encodable { var input, output: String }
            var url: String
            var passed: Bool
            var readyMs: Int64?
            var formats: Formats?
            var conversation: String?
            var answerMs: [Int64]
            var soundMs: Int64
            var stoppedMs: Int64?
            var tools, notes: [String]
            var durationMs: Int64
            var findings: [Finding]
        }
        let report = Report(
            url: address, passed: isPassed, readyMs: ready?.milliseconds,
            formats: formats.map { .init(input: $0.input, output: $0.output) }, conversation: conversation,
            answerMs: answers.map(\.milliseconds), soundMs: sound.milliseconds, stoppedMs: stopped?.milliseconds,
            tools: tools, notes: notes, durationMs: duration.milliseconds,
            findings: findings.map {
                Finding(
                    code: $0.code.rawValue, severity: $0.severity.rawValue, message: $0.message, section: $0.section,
                    ms: $0.time.milliseconds, count: $0.count)
            })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Texts and numbers always encode.
        return (try? encoder.encode(report)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
