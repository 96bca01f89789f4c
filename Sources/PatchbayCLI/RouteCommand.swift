import ArgumentParser
import Patchbay

struct RouteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "route",
        abstract: "Shows which pipeline a called number reaches: rules, stages, formats, delay.",
        discussion: """
            EXAMPLES
              patchbay route +15550100002
              patchbay route +15550100002 --pipelines Pipelines --format json
              patchbay route +15550100002 --from anonymous --at 2026-12-24T18:00

            Exit code 0 when a pipeline answers, 1 when none does.
            """)

    @Argument(help: "The called number, in E.164.") var number: String
    @Option(help: "The caller's number, as the carrier sends it.") var from = "+15550100001"
    @Option(help: "When the call begins: 2026-12-24T18:00, on this machine's clock, or with a zone. (default: now)")
    var at: String?
    @Option(help: "Folder or file with pipelines.") var pipelines = "Pipelines"
    @Option(help: "text or json") var format = OutputFormat.text
    @OptionGroup var options: PipelineOptions

    func run() async throws {
        let moment = try CallMoment(at).date
        let environment = try await options.environment()
        // A dry run places no call: an unset variable is no reason to refuse.
        let set = try options.pipelines([pipelines], try .standard(), environment, checkEnvironment: false)
        guard let decision = set.decide(number, from: from, at: moment) else {
            let known = set.documents.flatMap { $0.numbers.map(\.pattern.description) }
            Terminal.note(
                "no pipeline answers \(number); numbers are written in E.164, like +15550100002; these are answered: "
                    + known.prefix(10).joined(separator: ", ") + (known.count > 10 ? ", …" : ""))
            throw ExitCode(1)
        }
        let report = try RouteReport(number: number, decision, from: from)
        switch format {
        case .text: Terminal.print(report.text(width: Terminal.width))
        case .json: Terminal.result(report.json.text())
        }
    }
}
