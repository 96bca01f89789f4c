import ArgumentParser
import Patchbay
import PatchbayScenarios

struct Lint: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks pipelines and everything beside them, and reports every mistake at once.",
        discussion: """
            EXAMPLES
              patchbay lint
              patchbay lint Pipelines/salon.json --no-environment
              patchbay lint Pipelines README.md docs --warnings-as-errors
              patchbay lint --format json | jq '.[].message'

            In a folder it checks the pipelines, fragments (*.fragment.json), tests (*.test.json), server.json and Markdown,
            but not in the folders within it, which may be deployments of their own: name each, as in
            patchbay lint Pipelines/clinic.
            In Markdown it checks the blocks of ```json where they stand; ```json ignore is left alone.
            Exit code 0 without errors, 78 with errors.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, json, github
    }

    @Argument(help: "Files or folders. (default: Pipelines)") var paths: [String] = []
    @Flag(help: "Do not ask whether the environment variables that files name are set.") var noEnvironment = false
    @Flag(help: "End with exit code 78 after warnings too.") var warningsAsErrors = false
    @Option(help: "text, json or github (annotations of a pull request)") var format = Format.text
    @OptionGroup var options: PipelineOptions

    /// Checks that take no longer than a glance need no counter.
    private static let countsFrom = 100

    func run() async throws {
        let environment = try await options.environment()
        let lint = DocumentLint(
            registry: try ComponentRegistry.standard(), environment: environment.variables,
            options: LoadOptions(checkEnvironment: !noEnvironment, agentOverride: options.agent),
            checkTest: { source in
                let found = ScenarioFile.load(source).diagnostics
                // In an article there is no file whose name says which pipeline is tested.
                let isExample = !source.file.hasSuffix(ScenarioFile.suffix)
                return isExample ? found.filter { $0.code != .missingField || !$0.path.isEmpty } : found
            })
        let paths = paths.isEmpty ? ["Pipelines"] : paths
        let report = lint.check(paths) { done, total in
            if total > Self.countsFrom { Terminal.progress("checking \(done + 1) of \(total) files") }
        }
        Terminal.endProgress()
        let diagnostics = report.diagnostics
        switch format {
        case .text:
            Terminal.result(report.rendered(colour: Terminal.hasColour))
            let left = DocumentLint.foldersLeftOut(of: paths)
            if !left.isEmpty {
                Terminal.note("not looked into: \(left.joined(separator: ", ")); name a folder to check it")
            }
        case .json: Terminal.result(diagnostics.json)
        case .github: if !diagnostics.isEmpty { Terminal.result(report.annotations) }
        }
        if diagnostics.hasErrors || (warningsAsErrors && !diagnostics.isEmpty) { throw ExitCode.badDocument }
    }
}
