import AsyncHTTPClient
import Foundation
import Logging
import Metrics
import PatchbayConfig
import PatchbayCore
import PatchbayStore
import PatchbayTransports

/// Looks callers up before their agents are chosen, and keeps what was found for the process that the stream will reach.
///
/// Nothing here ends a call: who cannot be looked up is treated as unknown, which is logged and counted.
struct CallContext: Sendable {
    /// Look-ups by `outcome`: `found`, `unknown`, `failed`, `timeout`, or `kept` when another process had looked.
    static let lookups = "patchbay_context_lookups_total"
    /// How long they took, in seconds.
    static let duration = "patchbay_context_lookup_seconds"
    /// What is found waits for its stream no longer than this.
    static let maximumLifetime: TimeInterval = 3600
    /// Time for the store; it must not hold up the answer to the carrier.
    static let patience = Duration.milliseconds(500)

    private let provider: ContextProvider?
    private let records: any Store
    private let logger: Logger
    private let clock: @Sendable () -> Date

    init(
        _ provider: ContextProvider?, records: any Store, logger: Logger, clock: @escaping @Sendable () -> Date
    ) {
        self.provider = provider
        self.records = records
        self.logger = logger
        self.clock = clock
    }

    /// Why nothing was found out.
    struct Failure: Error { var reason: String }

    /// What `${context.NAME}` means in a call on this route. Costs nothing where nobody looks anything up.
    ///
    /// - Parameters:
    ///   - key: Under which another process may have kept what it found.
    ///   - logger: The call's.
    func values(
        for call: CallVariables, on route: Route, tenant: String?, key: String?, _ logger: Logger
    ) async -> [String: VariableValue] {
        guard provider != nil || route.document.context != nil else { return [:] }
        let lookup: ContextLookup?
        do {
            lookup = try route.contextLookup(for: call)
        } catch {
            logger.error("context is not set up correctly", metadata: ["reason": "\(error)"])
            return [:]
        }
        if let key, let kept = await kept(key) { return kept }
        let start = ContinuousClock.now
        let (values, outcome) = await find(call, lookup, route.document.name, tenant, logger)
        Counter(label: Self.lookups, dimensions: [("outcome", outcome)]).increment()
        let span = ContinuousClock.now - start
        Recorder(label: Self.duration, dimensions: [("outcome", outcome)]).record(span / .seconds(1))
        logger.info(
            "caller looked up",
            metadata: [
                "pipeline": "\(route.document.name)", "outcome": "\(outcome)",
                "ms": "\(Int(span / .milliseconds(1)))", "values": "\(values?.values.count ?? 0)",
            ])
        if let values, values.dropped > 0 {
            logger.warning("values of a caller were left out", metadata: ["count": "\(values.dropped)"])
        }
        return (lookup?.fallback ?? [:]).merging(values?.values ?? [:]) { $1 }
    }

    private func find(
        _ call: CallVariables, _ lookup: ContextLookup?, _ pipeline: String, _ tenant: String?, _ logger: Logger
    ) async -> (values: ContextValues?, outcome: String) {
        let limit = Duration.milliseconds(lookup?.timeout.milliseconds ?? ContextRequest.limit)
        let request = ContextRequest(call: call, pipeline: pipeline, tenant: tenant)
        let deadline = ContinuousClock.now + limit
        let outcome = await Deadline.race(limit) { [provider] () -> ContextValues? in
            if let found = try await provider?(request) {
                var values = ContextValues()
                for (name, value) in found.sorted(by: { $0.key < $1.key }) { values.add(JSONValue(value), named: name) }
                return values
            }
            switch lookup?.work {
            case .request(let request): return try await HTTPLookup.values(request, until: deadline)
            case .query(let file, let statement): return try await SQLiteLookup.values(file, statement, call)
            case nil: return nil
            }
        }
        switch outcome {
        case .finished(let values?): return (values, "found")
        case .finished(nil): return (nil, "unknown")
        case .expired, .cancelled, .failed(is Deadline.Passed):
            logger.warning(
                "the caller could not be looked up in time",
                metadata: ["source": "\(lookup?.written ?? "provider")", "limitMs": "\(Int(limit / .milliseconds(1)))"])
            return (nil, "timeout")
        case .failed(let error):
            // What a host's errors say may hold anything.
            let reason = (error as? Failure)?.reason ?? "\(type(of: error))"
            logger.warning(
                "the caller could not be looked up",
                metadata: ["source": "\(lookup?.written ?? "provider")", "reason": "\(reason)"])
            return (nil, "failed")
        }
    }

    // MARK: Between two processes

    private func kept(_ key: String) async -> [String: VariableValue]? {
        let date = clock()
        let outcome = await Deadline.race(Self.patience) { [records] in try await records.context(key: key, at: date) }
        guard case .finished(let text?) = outcome, let json = JSONValue(parsing: text) else { return nil }
        Counter(label: Self.lookups, dimensions: [("outcome", "kept")]).increment()
        return ContextValues(flattening: json)?.values ?? [:]
    }

    /// Keeps what was found about a caller until the stream comes.
    ///
    /// - Parameters:
    ///   - key: The nonce of the stream's token.
    ///   - lifetime: How long the token is valid.
    func keep(_ values: [String: VariableValue], key: String, number: String, for lifetime: TimeInterval) async {
        guard !values.isEmpty else { return }
        let expires = clock().addingTimeInterval(min(lifetime, Self.maximumLifetime))
        let outcome = await Deadline.race(Self.patience) { [records] in
            try await records.keepContext(values.jsonObject, key: key, number: number, expires: expires)
        }
        if case .finished = outcome { return }
        logger.warning("what is known of the caller could not be kept; another process would look again")
    }
}
