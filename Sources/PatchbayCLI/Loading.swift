import ArgumentParser
import AsyncHTTPClient
import Foundation
import Patchbay

/// Options of every command that reads pipeline files.
struct PipelineOptions: ParsableArguments {
    @Option(
        name: .customLong("env-file"),
        help: "File with settings, one NAME=value a line. (default: .env, if there is one)")
    var envFile: String?

    @Option(help: "Use this agent type instead of every backend that the files name.")
    var agent: String?

    func environment() async throws -> ServerEnvironment { try await .read(envFile) }

    /// Reads what must be without errors; prints what is wrong otherwise and ends with the code for it.
    ///
    /// - Parameter checkEnvironment: Whether an unset variable is an error; it is none for what places no call.
    func pipelines(
        _ paths: [String], _ registry: ComponentRegistry, _ environment: ServerEnvironment,
        checkEnvironment: Bool = true
    ) throws -> PipelineSet {
        let (set, diagnostics) = PipelineSet.load(
            paths, registry: registry, environment: environment.variables,
            options: LoadOptions(checkEnvironment: checkEnvironment, agentOverride: agent))
        if !diagnostics.isEmpty { Terminal.note(diagnostics.page) }
        guard let set else { throw ExitCode.badDocument }
        return set
    }
}

extension ServerEnvironment {
    /// Reads the settings that `--env-file` names, for every command that has it.
    ///
    /// - Throws: `ValidationError` when the file cannot be read.
    static func read(_ file: String?) async throws -> ServerEnvironment {
        do {
            return try ServerEnvironment(file: file)
        } catch {
            throw ValidationError("\(error)")
        }
    }
}
