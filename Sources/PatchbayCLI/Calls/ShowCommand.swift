import ArgumentParser
import Foundation
import Patchbay

struct ShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Draws a call over time: what both sides said, what of it was heard, tools, events.",
        discussion: """
            EXAMPLES
              patchbay show call-1f6hr8yo0zq3a
              patchbay show CA00000000000000000000000000000001 --width 120
              patchbay show call-1f6hr8yo0zq3a --format json

            The caller stands on the left, the agent on the right, events between them. Where nobody looks, for instance in a
            pipe, every line names its speaker instead; --width draws in any case.
            The token comes from --token, PATCHBAY_ADMIN_TOKEN or the .env file; on the server's own machine none is needed.
            """)

    @Argument(help: "The call: Patchbay's name of it, or the carrier's.") var call: String
    @Option(help: "Columns to draw in, 60 to 300. (default: the terminal's)") var width: Int?
    @Option(help: "text or json") var format = OutputFormat.text
    @OptionGroup var access: CallsConnection

    func validate() throws {
        if let width, !(60...300).contains(width) {
            throw ValidationError("--width is \(width); allowed are 60 to 300")
        }
    }

    func run() async throws {
        try await access.connection.withServer { server in
            let path = access.path(of: call)
            let told = try await server.ask(path)
            let said = try await server.ask("\(path)/transcript")
            guard format == .text else {
                let (call, transcript) = (told.trimmed, said.trimmed)
                Terminal.result("{\"call\": \(call), \"transcript\": \(transcript)}")
                return
            }
            let drawing = CallDrawing(
                try server.read(told, as: ToldCall.self), try server.read(said, as: ToldTranscript.self))
            for line in drawing.lines(width: width ?? (Terminal.isRead ? max(60, Terminal.width) : nil)) {
                Terminal.result(line)
            }
        }
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
