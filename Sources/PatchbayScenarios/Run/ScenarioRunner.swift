import Foundation
public import PatchbayConfig
import PatchbayControl
import PatchbayCore
import PatchbayProcessors
import PatchbayTransports

/// Runs tests of files, one after another.
public struct ScenarioRunner: Sendable {
    private let registry: ComponentRegistry

    public init(registry: ComponentRegistry) { self.registry = registry }

    /// Runs the tests of a file whose names contain `filter`.
    ///
    /// - Returns: One result for each, or none and the findings when the pipeline has errors.
    public func run(
        _ file: ScenarioFile, filter: String = ""
    ) -> (results: [ScenarioResult], diagnostics: [Diagnostic]) {
        let (pipelines, diagnostics) = ScenarioPipelines.load(file, registry)
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
        var call = try ScenarioCall(try parts.makePlan(info), scenario, directory: file.directory)
        call.run()
        var trace = call.trace
        trace.pipeline = plan.pipeline
        trace.recordings = recordings.lengths()
        return trace
    }
}

/// The pipelines that the calls of a file may reach: those of its pipeline's folder, as a server has them.
struct ScenarioPipelines {
    private let set: PipelineSet
    private let document: PipelineDocument

    static func load(
        _ file: ScenarioFile, _ registry: ComponentRegistry
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
        func load(_ path: String) -> (set: PipelineSet?, diagnostics: [Diagnostic]) {
            PipelineSet.load(
                path, registry: registry, environment: environment, options: LoadOptions(checkEnvironment: false))
        }
        let folder = file.pipeline.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/")
        let path = { (path: String) in URL(fileURLWithPath: path).standardizedFileURL.path }
        // The folder first: rules may lead from one of its pipelines to another.
        for place in [folder.isEmpty ? "." : folder, file.pipeline] {
            let (set, diagnostics) = load(place)
            guard let set else {
                if place == file.pipeline { return (nil, diagnostics) }
                continue
            }
            if let document = set.documents.first(where: { path($0.file) == path(file.pipeline) }) {
                return (ScenarioPipelines(set: set, document: document), diagnostics)
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
        let called =
            scenario.number ?? document.numbers.lazy.map(\.pattern.description).first { !$0.hasSuffix("*") }
            ?? "+15550100002"
        let variables = CallVariables(
            from: scenario.from, to: called, sid: callSid, context: scenario.context)
        guard let route = set.route(called), let decision = set.decide(called, from: scenario.from, at: scenario.at)
        else {
            guard scenario.number == nil else {
                throw PipelineError(.stageFailed, "no pipeline answers \(called)", place: document.file)
            }
            return .plan(try document.plan(for: variables), called: called)
        }
        guard route.document.name == document.name else {
            throw PipelineError(
                .stageFailed, "\(called) leads to pipeline \"\(route.document.name)\", not to \"\(document.name)\"",
                place: document.file)
        }
        switch decision {
        case .pipeline(let route, _): return .plan(try route.plan(for: variables), called: called)
        case .say(let words, _, let steps): return .said(words, rule: steps.last?.description ?? "")
        }
    }
}
