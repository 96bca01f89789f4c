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

    func environment() async throws -> ServerEnvironment {
        do {
            return try await ServerEnvironment(file: envFile)
        } catch {
            throw ValidationError("\(error)")
        }
    }

    /// Reads what must be without errors; prints what is wrong otherwise and ends with the code for it.
    func pipelines(_ paths: [String], _ registry: ComponentRegistry, _ environment: ServerEnvironment) throws
        -> PipelineSet
    {
        let (set, diagnostics) = PipelineSet.load(
            paths, registry: registry, environment: environment.variables, options: LoadOptions(agentOverride: agent))
        if !diagnostics.isEmpty { Terminal.note(diagnostics.page) }
        guard let set else { throw ExitCode.badDocument }
        return set
    }
}
