import ArgumentParser
import Patchbay

struct GraphCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "graph",
        abstract: "Draws a pipeline: stages, formats, converters, delay, agents, branches, rules.",
        discussion: """
            EXAMPLES
              patchbay graph Pipelines/demo.json
              patchbay graph +15550100002 --format svg > demo.svg
              patchbay graph Pipelines --format mermaid   all pipelines of a folder, with their numbers and rules

            A number is looked up in the folder that --pipelines names. Exit code 1 when no pipeline answers it.
            """)

    /// How a drawing is written.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, mermaid, svg, json
    }

    @Argument(help: "A file, a folder, or a called number.") var what = "Pipelines"
    @Option(help: "text, mermaid, svg or json") var format = Format.text
    @Option(help: "Folder or file with pipelines, for a number.") var pipelines = "Pipelines"
    @OptionGroup var options: PipelineOptions

    func run() async throws {
        let environment = try await options.environment()
        if what.hasPrefix("+") {
            let set = try load(pipelines, environment)
            guard let route = set.route(what) else {
                Terminal.note("no pipeline answers \(what)")
                throw ExitCode(1)
            }
            return show(PipelineOutline(route.document, in: set))
        }
        let set = try load(what, environment)
        // A file's own pipeline comes before those that its rules lead to.
        if let document = set.documents.first, set.documents.count == 1 || document.file == what {
            return show(PipelineOutline(document, in: set))
        }
        show(PipelineOverview(set))
    }

    /// What is drawn is not run: an unset variable is no reason to refuse.
    private func load(_ path: String, _ environment: ServerEnvironment) throws -> PipelineSet {
        try options.pipelines([path], try .standard(), environment, checkEnvironment: false)
    }

    private func show(_ outline: PipelineOutline) {
        switch format {
        case .text: Terminal.print(outline.text(width: Terminal.width, colour: Terminal.hasColourInResults))
        case .mermaid: Terminal.print(outline.mermaid)
        case .svg: Terminal.print(outline.svg)
        case .json: Terminal.result(outline.json.text())
        }
    }

    private func show(_ overview: PipelineOverview) {
        switch format {
        case .text: Terminal.print(overview.text(width: Terminal.width, colour: Terminal.hasColourInResults))
        case .mermaid: Terminal.print(overview.mermaid)
        case .svg: Terminal.print(overview.svg)
        case .json: Terminal.result(overview.json.text())
        }
    }
}
