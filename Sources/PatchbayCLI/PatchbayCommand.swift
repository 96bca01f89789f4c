import ArgumentParser
import Patchbay

struct PatchbayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "patchbay",
        abstract: "Phone calls through declared voice pipelines to AI agents.",
        discussion: """
            EXAMPLES
              patchbay demo                  a whole call, with no account and no network
              patchbay serve Pipelines       answer calls on 127.0.0.1:8080
              patchbay lint                  check every pipeline file
              patchbay route +15550100002    what a call to that number runs through
              patchbay create                a pipeline file to start from
            """,
        version: ServerVersion.text,
        subcommands: [
            Demo.self, Serve.self, ReloadCommand.self, CallsCommand.self, ShowCommand.self, TailCommand.self,
            HangupCommand.self, CallCommand.self, DialCommand.self, RunCommand.self, Simulate.self,
            CheckAgentCommand.self, Lint.self,
            TestCommand.self, RouteCommand.self, GraphCommand.self, List.self, Describe.self, CreateCommand.self,
            SchemaCommand.self, Bench.self, VADCommand.self, ModelCommand.self,
        ])
}

extension ExitCode {
    /// A document was wrong (EX_CONFIG of sysexits.h).
    static let badDocument = ExitCode(78)
}

/// How results are printed.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json
}
