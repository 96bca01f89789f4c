import ArgumentParser
import Patchbay

struct Lint: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks pipeline files and reports every mistake at once.",
        discussion: """
            EXAMPLES
              patchbay lint
              patchbay lint Pipelines/salon.json --no-environment
              patchbay lint --format json | jq '.[].message'

            Exit code 0 without errors, 78 with errors.
            """)

    @Argument(help: "Files or folders. (default: Pipelines)") var paths: [String] = []
    @Flag(help: "Do not ask whether the environment variables that files name are set.") var noEnvironment = false
    @Option(help: "text or json") var format = OutputFormat.text
    @OptionGroup var options: PipelineOptions

    func run() async throws {
        let paths = paths.isEmpty ? ["Pipelines"] : paths
        let environment = try await options.environment()
        let registry = try ComponentRegistry.standard()
        var (_, diagnostics) = PipelineSet.load(
            paths, registry: registry, environment: environment.variables,
            options: LoadOptions(checkEnvironment: !noEnvironment, agentOverride: options.agent))
        for path in paths where !path.hasSuffix(".json") {
            diagnostics += ServerSettings.load(directory: path).diagnostics
        }
        switch format {
        case .json: Terminal.result(diagnostics.json)
        case .text:
            if diagnostics.isEmpty {
                Terminal.result("\(paths.joined(separator: ", ")): no errors")
            } else {
                Terminal.result(diagnostics.page)
            }
        }
        if diagnostics.hasErrors { throw ExitCode.badDocument }
    }
}
