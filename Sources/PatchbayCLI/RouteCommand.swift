import ArgumentParser
import Foundation
import Patchbay

struct RouteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "route",
        abstract: "Shows which pipeline a called number reaches: stages, formats, delay.",
        discussion: """
            EXAMPLES
              patchbay route +15550100002
              patchbay route +15550100002 --pipelines Pipelines --format json

            Exit code 0 when a pipeline answers, 1 when none does.
            """)

    @Argument(help: "The called number, in E.164.") var number: String
    @Option(help: "Folder or file with pipelines.") var pipelines = "Pipelines"
    @Option(help: "text or json") var format = OutputFormat.text
    @OptionGroup var options: PipelineOptions

    func run() async throws {
        let environment = try await options.environment()
        let set = try options.pipelines([pipelines], try .standard(), environment)
        guard let route = set.route(number) else {
            let known = set.documents.flatMap { $0.numbers.map(\.pattern.description) }
            Terminal.note(
                "no pipeline answers \(number); numbers are written in E.164, like +15550100002; these are answered: "
                    + known.prefix(10).joined(separator: ", ") + (known.count > 10 ? ", …" : ""))
            throw ExitCode(1)
        }
        let report = try RouteReport(number: number, route)
        switch format {
        case .text: Terminal.result(report.text)
        case .json: Terminal.result(try report.json)
        }
    }
}

/// A dry run of one number's pipeline.
struct RouteReport: Encodable {
    struct Stage: Encodable {
        var type, takes, gives: String
        var delayMs: Double
        var inserted: Bool
    }

    var number, pipeline, file, version: String
    var stages: [Stage] = []
    /// Caller to agent plus agent to caller, framing included.
    var latencyMs = 0.0

    init(number: String, _ route: Route) throws {
        self.number = number
        pipeline = route.document.name
        file = route.document.file
        version = route.document.version
        let plan = try route.plan(for: CallVariables(from: "+15550100001", to: number, sid: "CA"))
        let format = plan.transport.component.format(plan.transport.settings)
        stages.append(
            Stage(
                type: plan.transport.component.spec.type, takes: "\(format)", gives: "\(format)",
                delayMs: Double(format.packetMilliseconds), inserted: false))
        try append(plan.stagesBefore)
        let agents = plan.backends.map { $0.component.spec.type }.joined(separator: ", then ")
        stages.append(
            Stage(
                type: "agent (\(agents))", takes: "\(plan.agentFormat)", gives: "\(plan.agentFormat)", delayMs: 0,
                inserted: false))
        try append(plan.stagesAfter)
        stages.append(
            Stage(
                type: plan.transport.component.spec.type, takes: "\(format)", gives: "\(format)", delayMs: 0,
                inserted: false))
        latencyMs = (stages.reduce(0) { $0 + $1.delayMs } * 1000).rounded() / 1000
    }

    private mutating func append(_ planned: [PlannedStage]) throws {
        for stage in planned {
            stages.append(
                Stage(
                    type: stage.component.spec.type, takes: "\(stage.input)", gives: "\(stage.output)",
                    delayMs: Double(try stage.makeProcessor().delay.nanoseconds / 1000) / 1000,
                    inserted: stage.isInserted))
        }
    }

    var text: String {
        var lines = ["\(number) → \(pipeline)  (\(file), version \(version))"]
        for stage in stages {
            let delay = stage.delayMs > 0 ? String(format: "%8.3f ms", stage.delayMs) : ""
            lines.append(
                "  \(stage.type.padded(to: 34)) \(stage.takes.padded(to: 20)) → \(stage.gives.padded(to: 20))\(delay)\(stage.inserted ? "  inserted" : "")"
            )
        }
        lines.append(String(format: "  latency of the pipeline, both ways, framing included: %.3f ms", latencyMs))
        return lines.joined(separator: "\n")
    }

    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}
