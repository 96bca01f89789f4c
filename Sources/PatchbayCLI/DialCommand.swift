import ArgumentParser
import Foundation
import Patchbay

struct DialCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dial",
        abstract: "Has a running server call a number.",
        discussion: """
            EXAMPLES
              patchbay dial +15550100002 --pipeline reminder --var name="Ada Lovelace" --wait
              patchbay dial +15550100002 --agent reminder --detect-machine
              patchbay dial +15550100002 --server https://voice.example.com --format json

            Without --wait it returns when the carrier has the order. With it, it tells how the call goes, and ends with the
            call; ending the command does not end the call. The token comes from --token, PATCHBAY_ADMIN_TOKEN, the .env
            file, or a local server's own file. A command that is repeated with the same --key calls once.

            Exit code 0 when the number was dialled (with --wait: when somebody answered), 1 for anything else.
            """)

    @Argument(help: "The number to call, with its country code.") var number: String
    @Option(help: "The pipeline that speaks. (default: that of the calling number)") var pipeline: String?
    @Option(help: "The kind of agent, as server.json has it.") var agent: String?
    @Option(help: "The number to call from. (default: the server's)") var from: String?
    @Option(name: .customLong("var"), help: "A value for a variable, name=value; may be repeated.") var variables:
        [String] = []
    @Flag(help: "Have the carrier listen for an answering machine.") var detectMachine = false
    @Option(help: "Seconds that it rings. (default: the server's)") var timeout: Int?
    @Option(help: "Name of this order, so that it can be repeated without calling twice.") var key: String?
    @Flag(help: "Tell how the call goes until it is over.") var wait = false
    @Option(help: "Path of its calls.") var path = "/calls"
    @Option(help: "Path of its sessions.") var sessionsPath = "/sessions"
    @Option(help: "text or json") var format = OutputFormat.text
    @OptionGroup var connection: ServerConnection

    /// Between two questions how the call goes.
    private static let pause = Duration.milliseconds(400)
    /// Questions in a row that may go unanswered.
    private static let patience = 10
    /// Questions for which it may stay unknown whether the number was dialled: half a minute.
    private static let doubt = 75

    func validate() throws {
        guard PhoneNumber(number) != nil else {
            throw ValidationError("\"\(number)\" is no number; write it with its country code, such as +15550100002")
        }
        for (option, path) in [("--path", path), ("--sessions-path", sessionsPath)] where !path.hasPrefix("/") {
            throw ValidationError("\(option) is \"\(path)\"; it begins with /")
        }
        if let timeout, !(5...600).contains(timeout) {
            throw ValidationError("--timeout is \(timeout); allowed are 5 to 600 seconds")
        }
        for variable in variables where variable.firstIndex(of: "=").map({ $0 == variable.startIndex }) ?? true {
            throw ValidationError("--var is \"\(variable)\"; write name=value")
        }
    }

    func run() async throws {
        try await connection.withServer { try await dial(Client(server: $0)) }
    }

    private func dial(_ client: Client) async throws {
        var order = Order(to: number, from: from, pipeline: pipeline, agentType: agent, timeoutSeconds: timeout)
        if detectMachine { order.machineDetection = true }
        for variable in variables {
            let parts = variable.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            order.variables[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
        }
        let answer: Answer = try await client.ask(
            path, body: String(decoding: try JSONEncoder().encode(order), as: UTF8.self),
            headers: key.map { [("Idempotency-Key", $0)] } ?? [])
        guard wait, !answer.simulated else {
            if format == .json {
                Terminal.result(try Self.json(answer))
            } else {
                Terminal.result("\(answer.status): \(answer.message)")
                Terminal.result("session \(answer.sessionId)" + (answer.callSid.map { ", call \($0)" } ?? ""))
            }
            if answer.status == "failed" { throw ExitCode(1) }
            return
        }
        Terminal.note("session \(answer.sessionId)")
        let session = try await follow(answer.sessionId, client)
        if format == .json {
            Terminal.result(try Self.json(session))
        } else {
            Terminal.result(session.summary)
        }
        if session.status != "completed" { throw ExitCode(1) }
    }

    /// Asks until the call is over.
    private func follow(_ id: String, _ client: Client) async throws -> Session {
        var last = ""
        var failures = 0
        var doubts = 0
        while true {
            do {
                let session: Session = try await client.ask("\(sessionsPath)/\(id)")
                failures = 0
                if session.status != last {
                    last = session.status
                    if !session.isOver { Terminal.note("\(session.status): \(session.message)") }
                }
                doubts = session.status == "unknown" ? doubts + 1 : 0
                if session.isOver || doubts > Self.doubt { return session }
            } catch let failure as CommandFailure {
                // A server that starts anew has the session again.
                failures += 1
                if failures >= Self.patience { throw failure }
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    private static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    // MARK: The server

    private struct Client {
        var server: ServerClient

        /// - Parameter body: Makes it a POST.
        func ask<T: Decodable>(_ path: String, body: String? = nil, headers: [(String, String)] = []) async throws -> T
        {
            let answer = try await server.send(body == nil ? .GET : .POST, path, json: body, headers: headers)
            if answer.isGood, let value = answer.decoded(as: T.self) { return value }
            throw server.failure(answer, at: path, options: "--path and --sessions-path name")
        }
    }

    private struct Order: Encodable {
        var to: String
        var from, pipeline, agentType: String?
        var timeoutSeconds: Int?
        var machineDetection: Bool?
        var variables: [String: String] = [:]
    }

    private struct Answer: Codable {
        var sessionId: String
        var callSid: String?
        var status: String
        var simulated: Bool
        var message: String
    }

    private struct Session: Codable {
        struct Turn: Codable {
            var speaker, text: String?
        }

        var id, status, message, customerPhone, pipeline: String
        var answeredBy, callId, callSid, conversationId, failure: String?
        var transcript: [Turn]?

        var isOver: Bool {
            !["created", "dialing", "unknown", "ringing", "answered"].contains(status)
        }

        var summary: String {
            var lines = (transcript ?? []).compactMap { turn in
                turn.text.map { "  \((turn.speaker ?? "").padded(to: 7)) \($0)" }
            }
            lines.append("\(status): \(message)" + (answeredBy.map { "; answered by \($0)" } ?? ""))
            lines.append("session \(id)" + (callSid.map { ", call \($0)" } ?? ""))
            return lines.joined(separator: "\n")
        }
    }
}
