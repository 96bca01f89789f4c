import Logging
import Metrics
import PatchbayConfig
import PatchbayCore

extension Switchboard {
    /// Findings that are logged of one load; all of them are under `/pipelines`.
    private static let loggedFindings = 20

    /// Reads the pipelines again and puts them into force when they are sound. Calls that run keep what they have.
    ///
    /// What comes of it is logged and counted.
    @discardableResult
    public func reload(_ cause: PipelineStore.Cause) async -> PipelineStore.Outcome {
        let outcome = await store.reload(cause)
        // What another process has put in meanwhile counts here from now on.
        do {
            try await tenants.load()
            tenants.complain(about: store.current.set)
        } catch {
            logger.error(
                "the tenants of the store cannot be read; those known stay", metadata: ["error": "\(error)"])
        }
        return report(outcome.warning(of: tenants.snapshot.collisions(in: outcome.revision.set)), cause)
    }

    /// Goes back to the pipelines that were in force before.
    @discardableResult
    public func rollback() -> PipelineStore.Outcome {
        let outcome = report(store.rollback(), .rollback)
        complainAboutTenants()
        return outcome
    }

    /// Logs where what the store holds of tenants does not go with the pipelines in force and their files of tenants.
    func complainAboutTenants() {
        tenants.complain(about: store.current.set)
        log(tenants.snapshot.collisions(in: store.current.set))
    }

    private func report(_ outcome: PipelineStore.Outcome, _ cause: PipelineStore.Cause) -> PipelineStore.Outcome {
        Counter(label: ServerMetrics.reloads, dimensions: [("outcome", outcome.name)]).increment()
        var metadata: Logger.Metadata = ["cause": "\(cause.rawValue)", "revision": "\(outcome.revision.number)"]
        switch outcome {
        case .loaded(let revision, let warnings):
            metadata["pipelines"] = "\(revision.set.documents.count)"
            metadata["changed"] = Self.list(revision.changed)
            if !revision.removed.isEmpty { metadata["removed"] = Self.list(revision.removed) }
            metadata["milliseconds"] = "\(revision.loading.milliseconds)"
            logger.notice("pipelines reloaded", metadata: metadata)
            log(warnings)
        case .unchanged(_, let warnings):
            logger.notice("pipelines are unchanged", metadata: metadata)
            log(warnings)
        case .rolledBack(let revision):
            metadata["restored"] = "\(revision.restored ?? 0)"
            metadata["heldBack"] = "\(revision.heldBack ?? 0)"
            metadata["changed"] = Self.list(revision.changed + revision.removed)
            logger.notice(
                "pipelines rolled back; the files are left alone until one changes, or a reload is asked for",
                metadata: metadata)
        case .heldBack(let revision, let warnings):
            metadata["heldBack"] = "\(revision.heldBack ?? 0)"
            logger.notice(
                "the files hold what the rollback left; change one, or ask for a reload, to have it in force",
                metadata: metadata)
            log(warnings)
        case .refused(let failure, _):
            metadata["findings"] = "\(failure.diagnostics.summary)"
            logger.error("the pipelines have errors; those in force stay", metadata: metadata)
            log(failure.diagnostics)
        case .impossible(let reason, _):
            metadata["reason"] = "\(reason)"
            logger.warning("nothing to load", metadata: metadata)
        }
        return outcome
    }

    private static func list(_ names: [String]) -> Logger.MetadataValue {
        let shown = names.prefix(10).joined(separator: ", ")
        return names.count > 10 ? "\(shown) and \(names.count - 10) more" : "\(shown)"
    }

    private func log(_ diagnostics: [Diagnostic]) {
        for diagnostic in diagnostics.prefix(Self.loggedFindings) {
            logger.log(
                level: diagnostic.severity == .error ? .error : .warning,
                "\(diagnostic.message)",
                metadata: [
                    "place": "\(diagnostic.file):\(diagnostic.line):\(diagnostic.column)",
                    "code": "\(diagnostic.code)",
                ])
        }
        if diagnostics.count > Self.loggedFindings {
            logger.warning("\(diagnostics.count - Self.loggedFindings) more findings are not logged")
        }
    }
}

extension PipelineStore.Outcome {
    /// The revision in force afterwards.
    public var revision: PipelineStore.Revision {
        switch self {
        case .loaded(let revision, _), .unchanged(let revision, _), .heldBack(let revision, _),
            .rolledBack(let revision):
            revision
        case .refused(_, let inForce), .impossible(_, let inForce): inForce
        }
    }

    /// The same with more that is to be told of what is in force.
    func warning(of more: [Diagnostic]) -> Self {
        switch self {
        case .loaded(let revision, let known): .loaded(revision, known + more)
        case .unchanged(let revision, let known): .unchanged(revision, known + more)
        case .heldBack(let revision, let known): .heldBack(revision, known + more)
        case .refused, .rolledBack, .impossible: self
        }
    }

    /// Whether what was asked for is in force.
    var isSound: Bool {
        switch self {
        case .loaded, .unchanged, .rolledBack: true
        case .heldBack, .refused, .impossible: false
        }
    }

    /// For metrics and answers.
    var name: String {
        switch self {
        case .loaded: "loaded"
        case .unchanged: "unchanged"
        case .rolledBack: "rolledBack"
        case .heldBack: "heldBack"
        case .refused: "refused"
        case .impossible: "impossible"
        }
    }
}

extension Duration {
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
