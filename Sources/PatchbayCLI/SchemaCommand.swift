import ArgumentParser
import Patchbay
import PatchbayScenarios

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Prints the JSON Schema of pipeline files, for editors and other tools.",
        discussion: """
            EXAMPLES
              patchbay schema > Pipelines/.schema/pipeline.json
              patchbay schema --for server

            Draft 2020-12. A file that begins with { "$schema": ".schema/pipeline.json", … } is completed and checked by
            editors while it is written; the path is relative to the file. `patchbay lint` sees more: whether formats
            fit, variables are set, files exist, numbers are unique.
            """)

    /// The kinds of files.
    enum Document: String, ExpressibleByArgument, CaseIterable {
        case pipeline, fragment, server, tenants, test
    }

    @Option(
        name: .customLong("for"),
        help: "pipeline, fragment (for \"include\"), server (server.json), tenants (tenants.json) or test (*.test.json)"
    )
    var document = Document.pipeline

    func run() throws {
        let schema = DocumentSchema(try .standard())
        switch document {
        case .pipeline: Terminal.result(schema[.pipeline].text())
        case .fragment: Terminal.result(schema[.fragment].text())
        case .server: Terminal.result(schema[.server].text())
        case .tenants: Terminal.result(schema[.tenants].text())
        case .test:
            Terminal.result(
                schema.document(
                    "test", title: "Tests of a Patchbay pipeline", summary: SpecPage.testSummary,
                    fields: ScenarioFile.fields
                ).text())
        }
    }
}
