import Foundation
import Logging
public import PatchbayConfig
import PatchbayControl
import PatchbayCore
import PatchbayProcessors
import PatchbayTransports

/// Runs tests of files, one after another.
///
/// Reads a folder of pipelines once for all files that test them in the same environment.
public struct ScenarioRunner: Sendable {
    private let registry: ComponentRegistry
    private var loads: [PipelineLoad.Key: PipelineLoad] = [:]

    public init(registry: ComponentRegistry) { self.registry = registry }

    /// Runs the tests of a file whose names contain `filter`.
    ///
    /// - Returns: One result for each, or none and the findings when the pipeline has errors. Findings are those of all
    ///   pipelines of the folder, for each file the same.
    public mutating func run(
        _ file: ScenarioFile, filter: String = ""
    ) -> (results: [ScenarioResult], diagnostics: [Diagnostic]) {
        let (pipelines, diagnostics) = ScenarioPipelines.load(file, registry, &loads)
        guard let pipelines else { return ([], diagnostics) }
        let scenarios = file.scenarios.filter { filter.isEmpty || $0.name.localizedCaseInsensitiveContains(filter) }
        return (scenarios.map { run($0, of: file, pipelines) }, diagnostics)
    }

    private func run(_ scenario: Scenario, of file: ScenarioFile, _ pipelines: ScenarioPipelines) -> ScenarioResult {
        let clock = ContinuousClock()
        let begin = clock.now
        var trace = ScenarioTrace(soundThreshold: scenario.soundThreshold)
        do throws(PipelineError) {
            trace = try call(scenario, file, pipelines)
        } catch {
            trace.problems.append("the call could not be made: \(error)")
        }
        return ScenarioResult(file: file.file, scenario, trace, took: begin.duration(to: clock.now))
    }

    private func call(
        _ scenario: Scenario, _ file: ScenarioFile, _ pipelines: ScenarioPipelines
    ) throws(PipelineError) -> ScenarioTrace {
        let plan: PipelinePlan, called: String
        switch try pipelines.answer(to: scenario, callSid: ScenarioCall.callSid) {
        case .plan(let answering, let number): (plan, called) = (answering, number)
        case .said(let words, let rule):
            var trace = ScenarioTrace(soundThreshold: scenario.soundThreshold)
            trace.said = words
            trace.end = EndReason(.answeredByRule, rule)
            trace.note(.ended, at: .zero, "\(EndReason(.answeredByRule, rule))")
            for step in scenario.caller { trace.problems.append("\(step.place) never came: a rule spoke instead") }
            return trace
        }
        guard plan.transport.component is TwilioTransport else {
            throw PipelineError(
                .stageFailed,
                "the caller of a test speaks Twilio's protocol, not \"\(plan.transport.component.spec.type)\"",
                place: plan.file)
        }
        let recordings = try ScenarioRecordings()
        defer { recordings.remove() }
        let info = CallInfo(
            id: "test", callSid: ScenarioCall.callSid, from: scenario.from, to: called, pipeline: plan.pipeline,
            version: plan.version)
        let parts = try CallParts(recordings.redirected(plan))
        let tools = parts.toolRunner(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        var call = try ScenarioCall(try parts.makePlan(info), tools: tools, scenario, directory: file.directory)
        call.run()
        var trace = call.trace
        trace.pipeline = plan.pipeline
        trace.recordings = recordings.lengths()
        return trace
    }
}

/// Pipelines as they were read from one place.
private struct PipelineLoad: Sendable {
    struct Key: Hashable {
        var place: String
        var environment: [String: String]
    }

    var set: PipelineSet?
    var diagnostics: [Diagnostic]
}

/// The pipelines that the calls of a file may reach: those of its pipeline's folder, as a server has them.
private struct ScenarioPipelines {
    private let set: PipelineSet
    private let document: PipelineDocument

    static func load(
        _ file: ScenarioFile, _ registry: ComponentRegistry, _ loads: inout [PipelineLoad.Key: PipelineLoad]
    ) -> (pipelines: ScenarioPipelines?, diagnostics: [Diagnostic]) {
        var environment = file.environment
        for spec in registry.agents.map(\.spec) {
            for field in spec.fields where field.defaultValue == nil {
                // Nobody is dialled: any name will do where a pipeline leaves it to the environment.
                if case .string = field.kind, let name = field.environmentDefault, environment[name] == nil {
                    environment[name] = "test"
                }
            }
        }
        func load(_ path: String) -> PipelineLoad {
            let key = PipelineLoad.Key(place: path, environment: environment)
            if let known = loads[key] { return known }
            let (set, diagnostics) = PipelineSet.load(
                path, registry: registry, environment: environment, options: LoadOptions(checkEnvironment: false))
            let load = PipelineLoad(set: set, diagnostics: diagnostics)
            loads[key] = load
            return load
        }
        let folder = file.pipeline.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/")
        let path = { (path: String) in URL(fileURLWithPath: path).standardizedFileURL.path }
        // The folder first: rules may lead from one of its pipelines to another.
        for place in [folder.isEmpty ? "." : folder, file.pipeline] {
            let load = load(place)
            guard let set = load.set else {
                if place == file.pipeline { return (nil, load.diagnostics) }
                continue
            }
            if let document = set.documents.first(where: { path($0.file) == path(file.pipeline) }) {
                return (ScenarioPipelines(set: set, document: document), load.diagnostics)
            }
        }
        return (nil, [Diagnostic(file: file.pipeline, .unreadableFile, "the file holds no pipeline")])
    }

    /// What becomes of the call of a test.
    enum Answer {
        /// What the call is made of, and the number it calls.
        case plan(PipelinePlan, called: String)
        /// A rule speaks instead.
        case said(String, rule: String)
    }

    func answer(to scenario: Scenario, callSid: String) throws(PipelineError) -> Answer {
        let called = scenario.number ?? callableNumber ?? Self.anyNumber
        let call = CallVariables(from: scenario.from, to: called, sid: callSid, context: scenario.context)
        switch try decide(scenario, call) {
        case .pipeline(let route, _):
            // Nobody is looked up in a test; what it does not say of the caller is as of one who is unknown.
            return .plan(try route.plan(for: try route.withDefaultContext(call)), called: called)
        case .say(let words, _, let steps): return .said(words, rule: steps.last?.description ?? "")
        }
    }

    private func decide(_ scenario: Scenario, _ call: CallVariables) throws(PipelineError) -> RouteDecision {
        if scenario.number == nil, callableNumber == nil {
            // Only rules lead here. The call begins as if one had.
            return set.decide(startingAt: document, call, at: scenario.at)
        }
        let assignment = set.tenants.tenant(ofNumber: call.to)?.assignment
        guard let route = set.route(call.to, assigned: assignment), let decision = set.decide(call, at: scenario.at)
        else { throw PipelineError(.stageFailed, "no pipeline answers \(call.to)", place: document.file) }
        guard route.document.name == document.name else {
            throw PipelineError(
                .stageFailed,
                "\(call.to) leads to pipeline \"\(route.document.name)\", not to \"\(document.name)\"; "
                    + (callableNumber.map { "\"number\" could be \"\($0)\"" }
                        ?? "leave \"number\" out, and the call begins there"),
                place: document.file)
        }
        return decision
    }

    /// The first number of the pipeline's own that leads to it, digits in place of a star.
    private var callableNumber: String? {
        document.numbers.lazy.flatMap { Self.numbers(of: $0.pattern) }.first {
            set.route($0)?.document.name == document.name
        }
    }

    private static let anyNumber = "+15550100002"

    /// Some numbers of a pattern: one may belong to a pipeline that names more of its digits.
    private static func numbers(of pattern: NumberPattern) -> [String] {
        let digits = (0...9).reversed().map(String.init)
        return switch pattern {
        case .exact(let number): [number]
        case .prefix(let prefix):
            digits.map { prefix + String(repeating: $0, count: max(1, 12 - prefix.utf8.count)) }
        case .any: [anyNumber] + digits.dropLast().map { "+" + String(repeating: $0, count: 11) }
        }
    }
}
