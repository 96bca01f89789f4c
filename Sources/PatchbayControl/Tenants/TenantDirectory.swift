import Foundation
import Logging
import PatchbayConfig
import PatchbayStore
import Synchronization

/// Whose number is called: what was put in by the control plane, and what stands in `tenants.json` of the set in force.
///
/// A stored tenant takes the place of the file's of that name, and a stored number that of everything said of it elsewhere.
/// Readers see one snapshot, which a change replaces as a whole; a look-up costs a lock and some look-ups in tables, and no
/// look at the disk. Another process that shares the store sees a change at its next reload.
final class TenantDirectory: Sendable {
    /// The kinds of entries in the store.
    enum Kind: String { case tenant, number }

    private struct State {
        var snapshot = Snapshot()
        var isLoaded = false
        /// The first load, while it runs.
        var loading: Task<Result<Void, StoreError>, Never>?
        /// Loads that were begun, and the last one that was put in force: of two that overlap the later one counts.
        var begun = 0
        var inForce = 0
    }

    private let records: any TenantRecords
    private let logger: Logger
    private let clock: @Sendable () -> Date
    private let state = Mutex(State())

    init(_ records: any TenantRecords, logger: Logger, clock: @escaping @Sendable () -> Date) {
        self.records = records
        self.logger = logger
        self.clock = clock
    }

    var snapshot: Snapshot { state.withLock { $0.snapshot } }

    // MARK: Look-ups

    /// What follows from a number being called.
    func assignment(ofNumber number: String, in set: PipelineSet) -> NumberAssignment? {
        let snapshot = snapshot
        if let entry = snapshot.numbers[number]?.value {
            var assignment = entry.tenant.flatMap { snapshot.tenant($0, in: set)?.assignment } ?? NumberAssignment()
            assignment.tenant = entry.tenant
            assignment.pipeline = entry.pipeline ?? assignment.pipeline
            assignment.variables.merge(entry.variables) { $1 }
            return assignment
        }
        return snapshot.owner(ofNumber: number, in: set)?.assignment
    }

    /// What follows from a call being a tenant's, whatever the number.
    func assignment(ofTenant id: String, in set: PipelineSet) -> NumberAssignment? {
        snapshot.tenant(id, in: set)?.assignment
    }

    /// The tenant whose agent it is; `nil` also where several share it.
    func tenant(ofAgent agent: String, in set: PipelineSet) -> String? {
        let owners = tenants(in: set).filter { $0.tenant.agentID == agent }
        return owners.count == 1 ? owners.first?.tenant.id : nil
    }

    /// All tenants by name, those of the file that no stored one has replaced included.
    func tenants(in set: PipelineSet) -> [(tenant: Tenant, stored: Stored<Tenant>?)] {
        let snapshot = snapshot
        let ofFile = set.tenants.tenants.filter { snapshot.tenants[$0.id] == nil }.map { ($0, Stored<Tenant>?.none) }
        let all = snapshot.tenants.values.map { ($0.value, Stored<Tenant>?.some($0)) } + ofFile
        return all.sorted { $0.0.id < $1.0.id }
    }

    /// Every number that belongs to somebody, in order.
    func assignedNumbers(in set: PipelineSet) -> [String] {
        let snapshot = snapshot
        var numbers = Set(snapshot.numbers.keys).union(snapshot.owners.keys)
        for tenant in set.tenants.tenants where snapshot.tenants[tenant.id] == nil {
            numbers.formUnion(tenant.numbers.map(\.number))
        }
        return numbers.sorted()
    }

    // MARK: The store

    /// Reads the store when that has not been done yet; whoever comes meanwhile waits for the same reading.
    ///
    /// - Throws: When the store was never read and cannot be now. The files alone decide nothing then: any number of theirs
    ///   may belong to a stored tenant. The next one who comes has it tried again.
    func loadOnce() async throws(StoreError) {
        let loading = state.withLock { state -> Task<Result<Void, StoreError>, Never>? in
            guard !state.isLoaded else { return nil }
            if let loading = state.loading { return loading }
            let loading = Task { await self.firstLoad() }
            state.loading = loading
            return loading
        }
        try await loading?.value.get()
    }

    private func firstLoad() async -> Result<Void, StoreError> {
        defer { state.withLock { $0.loading = nil } }
        do throws(StoreError) {
            try await load()
            return .success(())
        } catch {
            logger.error("the tenants of the store cannot be read", metadata: ["error": "\(error)"])
            return .failure(error)
        }
    }

    /// Reads the store, and puts what it holds into force.
    func load() async throws(StoreError) {
        let (turn, known) = state.withLock { state in
            state.begun += 1
            return (state.begun, state.snapshot)
        }
        var entries: [String: [StoredTenant]] = [:]
        for kind in [Kind.tenant, .number] { entries[kind.rawValue] = try await records.entries(kind: kind.rawValue) }
        let snapshot = Snapshot(entries, known: known) { logger.error($0, metadata: $1) }
        state.withLock { state in
            state.isLoaded = true
            guard turn > state.inForce else { return }
            state.inForce = turn
            state.snapshot = snapshot
        }
    }

    /// Writes an entry that has been read, and puts it into force.
    ///
    /// - Parameters:
    ///   - version: The version that is expected; 0 for none, `nil` for any.
    ///   - check: Asked with what the store holds in the very moment of the entry; what it throws keeps the entry out.
    func put(
        _ kind: Kind, _ id: String, _ body: String, version: Int?, by principal: Principal,
        check: @escaping @Sendable (Snapshot) throws(StoreError) -> Void
    ) async throws(StoreError) -> Int {
        let known = snapshot
        let written = try await records.put(
            kind: kind.rawValue, id: id, body: body, version: version, by: principal.name, at: clock()
        ) { (entries) throws(StoreError) in
            try check(Snapshot(entries, known: known))
        }
        try await load()
        return written
    }

    /// - Returns: Whether there was one.
    func remove(_ kind: Kind, _ id: String, by principal: Principal) async throws(StoreError) -> Bool {
        let isRemoved = try await records.remove(kind: kind.rawValue, id: id, by: principal.name, at: clock())
        try await load()
        return isRemoved
    }

    /// Says which stored entries lead to pipelines that are not there.
    func complain(about set: PipelineSet) {
        let snapshot = snapshot
        let missing =
            snapshot.tenants.values.map { ($0.value.id, $0.value.pipeline) }
            + snapshot.numbers.values.map { ($0.value.number, $0.value.pipeline) }
        for case (let id, let pipeline?) in missing where set.document(named: pipeline) == nil {
            logger.error(
                "an entry of the store leads to a pipeline that is not there; its calls are turned away",
                metadata: ["entry": "\(id)", "pipeline": "\(pipeline)"])
        }
    }
}
