import ArgumentParser
import Foundation
import Patchbay

struct CallsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "calls",
        abstract: "Lists a server's calls: those that run first, then past ones, also of earlier runs.",
        discussion: """
            EXAMPLES
              patchbay calls
              patchbay calls --active
              patchbay calls --number +15550100001 --limit 5 --format json
              patchbay calls --server https://voice.example.com --token "$PATCHBAY_ADMIN_TOKEN"

            The token comes from --token, PATCHBAY_ADMIN_TOKEN, the .env file, or a local server's own file;
            on the server's own machine none is needed.
            """)

    @Flag(help: "Only calls that run.") var active = false
    @Option(help: "Only calls from or to this number.") var number: String?
    @Option(help: "At most so many, 1 to 1000.") var limit = 20
    @Option(help: "text or json") var format = OutputFormat.text
    @OptionGroup var access: CallsConnection

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit is \(limit); allowed are 1 to 1000") }
    }

    func run() async throws {
        try await access.connection.withServer { server in
            let path =
                "\(access.path)?limit=\(limit)" + (active ? "&active=true" : "")
                + (number.map { "&number=\($0.pathPart)" } ?? "")
            let text = try await server.ask(path)
            if format == .json {
                Terminal.result(text.trimmingCharacters(in: .newlines))
            } else {
                show(try server.read(text, as: Answer.self))
            }
        }
    }

    private struct Answer: Decodable {
        var active: Int
        var calls: [ToldCall]
        var incomplete: String?
    }

    private func show(_ answer: Answer) {
        if let reason = answer.incomplete { Terminal.note("calls may be missing: \(reason.plainLine)") }
        guard !answer.calls.isEmpty else {
            Terminal.result(active ? "no call runs" : "no calls")
            return
        }
        Terminal.result(
            [
                "state".padded(to: 9), "started".padded(to: 19), "length".padded(to: 8), "from".padded(to: 16),
                "to".padded(to: 16), "pipeline".padded(to: 14), "call",
            ].joined(separator: "  "))
        for call in answer.calls {
            let seconds = (call.endedAt ?? Date()).timeIntervalSince(call.startedAt)
            let columns = [
                call.state.padded(to: 9),
                call.startedAt.formatted(
                    .verbatim(
                        "\(year: .defaultDigits)-\(month: .twoDigits)-\(day: .twoDigits) \(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased)):\(minute: .twoDigits):\(second: .twoDigits)",
                        timeZone: .current, calendar: Calendar(identifier: .gregorian))),
                Self.length(seconds).padded(to: 8), call.from.padded(to: 16), call.to.padded(to: 16),
                call.pipeline.padded(to: 14), call.id,
            ]
            Terminal.result(columns.map(\.plainLine).joined(separator: "  "))
        }
        let count = answer.calls.count
        Terminal.note("\(answer.active) running; \(count) shown" + (count == limit ? " (--limit shows more)" : ""))
    }

    /// Minutes and seconds.
    static func length(_ seconds: Double) -> String {
        let seconds = Int(max(0, min(seconds, 360_000)))
        return "\(seconds / 60):" + "\(seconds % 60 + 100)".dropFirst()
    }
}

struct HangupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hangup",
        abstract: "Ends a running call in order: what the caller is just being told is still played.",
        discussion: """
            EXAMPLES
              patchbay hangup call-1f6hr8yo0zq3a
              patchbay hangup CA00000000000000000000000000000001 --server https://voice.example.com

            The token comes from --token, PATCHBAY_ADMIN_TOKEN, the .env file, or a local server's own file;
            on the server's own machine none is needed.
            """)

    @Argument(help: "The call: Patchbay's name of it, or the carrier's.") var call: String
    @OptionGroup var access: CallsConnection

    func run() async throws {
        try await access.connection.withServer { server in
            let ended = try await server.ask("\(access.path(of: call))/hangup", method: .POST, as: Ended.self)
            Terminal.result("hanging up: \(ended.words)".plainLine)
        }
    }

    /// A call, or the session of one that only rings.
    private struct Ended: Decodable {
        var id: String
        var from, to, customerPhone: String?

        var words: String {
            [id, from.map { "from \($0)" }, (to ?? customerPhone).map { "to \($0)" }].compactMap { $0 }
                .joined(separator: " ")
        }
    }
}
