import ArgumentParser
import Foundation
import Patchbay

struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Lets a running server read its pipelines again, or go back to those it had before.",
        discussion: """
            EXAMPLES
              patchbay reload
              patchbay reload --back
              patchbay reload --server https://voice.example.com --token "$PATCHBAY_ADMIN_TOKEN"

            Running calls keep the pipelines they began with. A set with errors, or with no pipeline at all, changes nothing;
            the errors are printed. After --back, SIGHUP and --watch leave the files alone until one of them changes.
            The token comes from --token, PATCHBAY_ADMIN_TOKEN or the .env file; on the server's own machine none is needed.

            Exit code 0 when the server did it, 78 when the pipelines have errors, 1 for anything else.
            """)

    @Flag(help: "Go back to the pipelines that were in force before.") var back = false
    @OptionGroup var connection: ServerConnection
    @Option(help: "Path of its pipelines.") var path = "/pipelines"
    @Option(help: "text or json") var format = OutputFormat.text

    /// Pipelines that are listed.
    private static let listed = 20

    func validate() throws {
        guard path.hasPrefix("/") else { throw ValidationError("--path is \"\(path)\"; it begins with /") }
    }

    func run() async throws {
        try await connection.withServer { try await reload($0) }
    }

    private func reload(_ client: ServerClient) async throws {
        let answer = try await client.send(.POST, "\(path)/\(back ? "rollback" : "reload")")
        guard [200, 422].contains(answer.status) else { throw client.failure(answer, at: path) }
        let report = try client.read(answer.text, as: Answer.self)
        if format == .json {
            Terminal.result(answer.text.trimmingCharacters(in: .newlines))
        } else {
            show(report)
        }
        if answer.status == 422 { throw ExitCode.badDocument }
    }

    private func show(_ answer: Answer) {
        if !answer.diagnostics.isEmpty { Terminal.note(answer.diagnostics.map(\.diagnostic).page) }
        let count = answer.pipelines.count
        let inForce = "revision \(answer.revision) with \(count) pipeline\(count == 1 ? "" : "s") is in force"
        switch answer.result {
        case "loaded": Terminal.result("loaded: \(inForce)")
        case "rolledBack":
            Terminal.result("back to revision \(answer.restored ?? 0): \(inForce)")
            if let heldBack = answer.heldBack {
                Terminal.result(
                    "the files still hold revision \(heldBack): `patchbay reload` takes it, SIGHUP and --watch "
                        + "leave it until a file changes")
            }
        case "heldBack":
            Terminal.result("held back: the files hold revision \(answer.heldBack ?? 0), which was left; \(inForce)")
        case "unchanged": Terminal.result("nothing changed: \(inForce)")
        default: Terminal.result("refused: the pipelines have errors; \(inForce) as before")
        }
        let changed = Set(answer.changed)
        let shown = answer.pipelines.filter { changed.contains($0.name) }
        for pipeline in shown.prefix(Self.listed) {
            Terminal.result("  \(pipeline.name.padded(to: 14)) version \(pipeline.version)  (\(pipeline.file))")
        }
        if shown.count > Self.listed { Terminal.result("  and \(shown.count - Self.listed) more") }
        for name in answer.removed.prefix(Self.listed) {
            Terminal.result("  \(name.padded(to: 14)) is no longer there")
        }
    }

    private struct Answer: Decodable {
        var result: String
        var revision: Int
        var restored, heldBack: Int?
        var changed, removed: [String]
        var pipelines: [Pipeline]
        var diagnostics: [Finding]
    }

    private struct Pipeline: Decodable {
        var name, file, version: String
    }

    /// A finding as the server sends it.
    private struct Finding: Decodable {
        var file: String
        var line, column: Int
        var code, severity, message, path: String
        var suggestion: String?

        var diagnostic: Diagnostic {
            Diagnostic(
                file: file, line: line, column: column, Diagnostic.Code(code),
                severity: Diagnostic.Severity(rawValue: severity) ?? .error, message, path: path,
                suggestion: suggestion.map { Diagnostic.Suggestion($0) })
        }
    }
}
