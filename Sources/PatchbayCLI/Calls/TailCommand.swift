import ArgumentParser
import Foundation
import Patchbay

struct TailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Follows what happens in a call, or in all calls of a server.",
        discussion: """
            EXAMPLES
              patchbay tail
              patchbay tail CA00000000000000000000000000000001
              patchbay tail --format json | jq .event

            One call is told from its beginning to its end. Without a call, all calls are told from now on, until Ctrl-C.
            The token comes from --token, PATCHBAY_ADMIN_TOKEN or the .env file; on the server's own machine none is needed.
            """)

    @Argument(help: "The call: Patchbay's name of it, or the carrier's. (default: all calls)") var call: String?
    @Option(help: "Path of the server's events of all calls.") var eventsPath = "/events"
    @Option(help: "text or json, one object a line") var format = OutputFormat.text
    @OptionGroup var access: CallsConnection

    /// Times that a line which breaks is taken up again without anything having come.
    private static let attempts = 5

    func validate() throws {
        guard eventsPath.hasPrefix("/") else {
            throw ValidationError("--events-path is \"\(eventsPath)\"; it begins with /")
        }
    }

    func run() async throws {
        try await access.connection.withServer { server in
            let path = call.map { "\(access.path(of: $0))/events" } ?? eventsPath
            var last: String?
            var isOver = false
            var attempt = 0
            while !isOver, attempt < Self.attempts {
                do {
                    let hasMore = try await server.follow(path, after: call == nil ? nil : last) { id, data in
                        last = id
                        attempt = 0
                        let event = try server.read(data, as: ToldEvent.self)
                        show(event, data)
                        isOver = call != nil && event.event == "call ended"
                    }
                    // A server that stops ends the line; of a call that runs no more there is no rest.
                    if !hasMore || call == nil { return }
                } catch let error as CommandFailure where last == nil || attempt == Self.attempts - 1 {
                    throw error
                } catch {
                    Terminal.note("the line broke: \(error.words)")
                }
                guard !isOver else { return }
                attempt += 1
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    private struct ToldEvent: Decodable {
        var callId: String
        var atMs: Int64
        var event, detail: String
    }

    private func show(_ event: ToldEvent, _ data: String) {
        guard format == .text else {
            Terminal.result(data)
            return
        }
        let time = String(format: "%9.3f", Double(event.atMs) / 1000)
        let who = call == nil ? "\(event.callId.padded(to: 19))  " : ""
        Terminal.result("\(who)\(time)  \(event.event.padded(to: 20))  \(event.detail)".plainLine)
    }
}
