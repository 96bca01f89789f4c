import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayCore

/// The pipelines in force: what they are, who calls them, how they change.
extension AdminRoutes {
    func addPipelines(to router: some RouterMethods<ControlContext>) {
        for path in settings.paths(.pipelines) {
            router.get(RouterPath(path)) { request, context in
                try switchboard.access.admitToWhole(request, context, .pipelines)
                return try json(PipelinesReport(switchboard))
            }
            router.post(RouterPath("\(path)/reload")) { request, context in
                let principal = try switchboard.access.admitToWhole(request, context)
                let outcome = await switchboard.reload(.http)
                note("pipelines.reload", outcome, principal, request, context)
                return try answer(outcome)
            }
            router.post(RouterPath("\(path)/rollback")) { request, context in
                let principal = try switchboard.access.admitToWhole(request, context)
                let outcome = switchboard.rollback()
                note("pipelines.rollback", outcome, principal, request, context)
                return try answer(outcome)
            }
            router.post(RouterPath("\(path)/lint")) { request, context in
                try switchboard.access.admitToWhole(request, context)
                let body = try await request.body.collect(upTo: SourceText.maximumBytes)
                guard let findings = await switchboard.store.check(Array(body.readableBytesView)) else {
                    throw HTTPError(.conflict, message: "this server's host gave no means to check documents")
                }
                return try json(findings.map(Finding.init))
            }
        }
    }

    private func note(
        _ action: String, _ outcome: PipelineStore.Outcome, _ principal: Principal, _ request: Request,
        _ context: ControlContext
    ) {
        switchboard.audit.note(
            action, "revision \(outcome.revision.number)", by: principal,
            from: request.origin(context, switchboard.options), outcome: outcome.isSound ? "ok" : outcome.name)
    }

    private func answer(_ outcome: PipelineStore.Outcome) throws -> Response {
        var report = ReloadReport(outcome)
        switch outcome {
        case .loaded(_, let warnings), .unchanged(_, let warnings), .heldBack(_, let warnings):
            report.diagnostics = warnings.map(Finding.init)
        case .rolledBack: break
        case .refused(let failure, _):
            report.diagnostics = failure.diagnostics.map(Finding.init)
            return try json(report, .unprocessableContent)
        case .impossible(let reason, _): throw HTTPError(.conflict, message: reason)
        }
        return try json(report)
    }
}

/// One finding, as `patchbay lint --format json` has it.
struct Finding: Encodable, Sendable {
    var file: String
    var line, column: Int
    var code, severity, message, path: String
    var suggestion: String?

    init(_ diagnostic: Diagnostic) {
        (file, line, column) = (diagnostic.file, diagnostic.line, diagnostic.column)
        (code, severity) = (diagnostic.code.description, diagnostic.severity.rawValue)
        (message, path) = (diagnostic.message, diagnostic.path)
        suggestion = diagnostic.suggestion.map { $0.replacement ?? $0.text }
    }
}

/// What a reload or a rollback answers.
private struct ReloadReport: Encodable {
    struct Pipeline: Encodable {
        var name, file, version: String
    }

    var result: String
    /// The revision in force now.
    var revision: Int
    var since: Date
    var restored: Int?
    /// After a rollback, the revision that only an explicit reload or a changed file brings back.
    var heldBack: Int?
    var loadMs: Int64
    var changed, removed: [String]
    var pipelines: [Pipeline]
    var diagnostics: [Finding] = []

    init(_ outcome: PipelineStore.Outcome) {
        let inForce = outcome.revision
        result = outcome.name
        (revision, since) = (inForce.number, inForce.since)
        (restored, heldBack) = (inForce.restored, inForce.heldBack)
        loadMs = inForce.loading.milliseconds
        pipelines = inForce.set.documents.map { Pipeline(name: $0.name, file: $0.file, version: $0.version) }
        switch outcome {
        case .loaded, .rolledBack: (changed, removed) = (inForce.changed, inForce.removed)
        case .unchanged, .heldBack, .refused, .impossible: (changed, removed) = ([], [])
        }
    }
}

/// What `/pipelines` shows.
private struct PipelinesReport: Encodable {
    struct Pipeline: Encodable {
        var name, file, version: String
        var description: String?
        /// How many numbers and prefixes it answers.
        var numbers: Int
        /// How many rules are asked before it answers.
        var rules: Int
        var calls: [Calls]
        /// Its agents that have failed lately; absent while all are well.
        var agents: [AvoidedAgent]?
    }

    /// Running calls of one version.
    struct Calls: Encodable {
        var version: String
        var running: Int
    }

    /// A pipeline that is no longer there, with the calls that still run through it.
    struct Retired: Encodable {
        var name: String
        var calls: [Calls]
    }

    struct Revision: Encodable {
        var revision: Int
        var since: Date
        var loadedBy: PipelineStore.Cause
        var restored: Int?
        var pipelines: Int

        init(_ revision: PipelineStore.Revision) {
            (self.revision, since) = (revision.number, revision.since)
            (loadedBy, restored) = (revision.cause, revision.restored)
            pipelines = revision.set.documents.count
        }
    }

    struct Failure: Encodable {
        var at: Date
        var loadedBy: PipelineStore.Cause
        var diagnostics: [Finding]
    }

    var revision: Int
    var since: Date
    var loadedBy: PipelineStore.Cause
    var restored: Int?
    /// After a rollback, the revision that only an explicit reload or a changed file brings back.
    var heldBack: Int?
    var canReload: Bool
    var lastError: Failure?
    var pipelines: [Pipeline]
    var retired: [Retired]
    /// What a rollback goes back to, the next one first.
    var former: [Revision]

    init(_ switchboard: Switchboard) {
        let store = switchboard.store
        let current = store.current
        let running = switchboard.registry.runningVersions()
        let now = MediaTime.now()
        switchboard.health.forgetStale(at: now)
        let troubled = Dictionary(grouping: switchboard.health.reports, by: \.identity.pipeline)
        (revision, since) = (current.number, current.since)
        (loadedBy, restored, heldBack) = (current.cause, current.restored, current.heldBack)
        canReload = store.canReload
        lastError = store.lastFailure.map {
            Failure(at: $0.at, loadedBy: $0.cause, diagnostics: $0.diagnostics.map(Finding.init))
        }
        pipelines = current.set.documents.map { document in
            Pipeline(
                name: document.name, file: document.file, version: document.version, description: document.summary,
                numbers: document.numbers.count, rules: document.rules.count,
                calls: Self.calls(running[document.name] ?? [:]),
                agents: troubled[document.name].map { $0.map { AvoidedAgent($0, at: now) } })
        }
        retired = running.filter { current.set.document(named: $0.key) == nil }
            .map { Retired(name: $0.key, calls: Self.calls($0.value)) }.sorted { $0.name < $1.name }
        former = store.former.map(Revision.init)
    }

    private static func calls(_ versions: [String: Int]) -> [Calls] {
        versions.map { Calls(version: $0.key, running: $0.value) }.sorted { $0.version < $1.version }
    }
}
