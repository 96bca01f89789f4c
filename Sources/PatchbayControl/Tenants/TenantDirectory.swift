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
    /// An entry of the store.
    struct Stored<Value: Sendable>: Sendable {
        var value: Value
        var version: Int
        var updatedAt: Date
        var updatedBy: String
        /// As it was put in.
        var body: String
    }

    /// All that the store holds.
    struct Snapshot: Sendable {
        fileprivate(set) var tenants: [String: Stored<Tenant>] = [:]
        fileprivate(set) var numbers: [String: Stored<NumberEntry>] = [:]
        /// The stored tenant of each number.
        fileprivate(set) var owners: [String: String] = [:]
    }

    /// The kinds of entries in the store.
    enum Kind: String { case tenant, number }

    private struct State {
        var snapshot = Snapshot()
        var isLoaded = false
        /// Loads that were begun, and the last one that was put in force: of two that overlap the later one counts.
        var begun = 0
        var inForce = 0
        var nextTry = Date.distantPast
    }

    /// The least pause between two tries while the store fails, in seconds.
    private static let pause: TimeInterval = 5

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
            var assignment = entry.tenant.flatMap { tenant($0, in: set, snapshot)?.assignment } ?? NumberAssignment()
            assignment.tenant = entry.tenant
            assignment.pipeline = entry.pipeline ?? assignment.pipeline
            assignment.variables.merge(entry.variables) { $1 }
            return assignment
        }
        return owner(ofNumber: number, in: set, snapshot)?.assignment
    }

    /// What follows from a call being a tenant's, whatever the number.
    func assignment(ofTenant id: String, in set: PipelineSet) -> NumberAssignment? {
        tenant(id, in: set, snapshot)?.assignment
    }

    func tenant(_ id: String, in set: PipelineSet, _ snapshot: Snapshot) -> Tenant? {
        snapshot.tenants[id]?.value ?? set.tenants.tenant(id)
    }

    /// The tenant whose agent it is; `nil` also where several share it.
    func tenant(ofAgent agent: String, in set: PipelineSet) -> String? {
        let owners = tenants(in: set).filter { $0.tenant.agentID == agent }
        return owners.count == 1 ? owners.first?.tenant.id : nil
    }

    /// The tenant that has the number in its list.
    private func owner(ofNumber number: String, in set: PipelineSet, _ snapshot: Snapshot) -> Tenant? {
        if let id = snapshot.owners[number] { return snapshot.tenants[id]?.value }
        guard let tenant = set.tenants.tenant(ofNumber: number), snapshot.tenants[tenant.id] == nil else { return nil }
        return tenant
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

    /// Reads the store when that has not been done yet. A store that fails is asked again after a while; until then the files
    /// decide.
    func loadOnce() async {
        let isDue = state.withLock { state in
            guard !state.isLoaded, clock() >= state.nextTry else { return false }
            state.nextTry = clock().addingTimeInterval(Self.pause)
            return true
        }
        guard isDue else { return }
        do {
            try await load()
        } catch {
            logger.error("the tenants of the store cannot be read; the files decide", metadata: ["error": "\(error)"])
        }
    }

    /// Reads the store, and puts what it holds into force.
    func load() async throws(StoreError) {
        let turn = state.withLock { state in
            state.begun += 1
            return state.begun
        }
        var snapshot = Snapshot()
        for entry in try await records.entries(kind: Kind.tenant.rawValue) {
            let (tenant, findings) = Tenant.read(
                SourceText(file: "tenants/\(entry.id)", entry.body), id: entry.id, pipelines: nil)
            guard let tenant else {
                complain(entry, findings)
                continue
            }
            snapshot.tenants[entry.id] = Stored(tenant, entry)
            for number in tenant.numbers {
                if let other = snapshot.owners[number.number] {
                    logger.error(
                        "two stored tenants have one number; the first keeps it",
                        metadata: ["number": "\(number.number)", "tenants": "\(other), \(entry.id)"])
                } else {
                    snapshot.owners[number.number] = entry.id
                }
            }
        }
        for entry in try await records.entries(kind: Kind.number.rawValue) {
            let (number, findings) = NumberEntry.read(
                SourceText(file: "numbers/\(entry.id)", entry.body), number: entry.id, pipelines: nil,
                isTenant: { _ in true })
            guard let number else {
                complain(entry, findings)
                continue
            }
            snapshot.numbers[entry.id] = Stored(number, entry)
        }
        state.withLock { [snapshot] state in
            state.isLoaded = true
            guard turn > state.inForce else { return }
            state.inForce = turn
            state.snapshot = snapshot
        }
    }

    private func complain(_ entry: StoredTenant, _ findings: [Diagnostic]) {
        logger.error(
            "an entry of the store is left out; put it in again",
            metadata: ["entry": "\(entry.id)", "reason": "\(findings.first?.message ?? "")"])
    }

    /// Writes an entry that has been checked, and puts it into force.
    ///
    /// - Parameter version: The version that is expected; 0 for none, `nil` for any.
    func put(
        _ kind: Kind, _ id: String, _ body: String, version: Int?, by principal: Principal
    ) async throws(StoreError) -> Int {
        let written = try await records.put(
            kind: kind.rawValue, id: id, body: body, version: version, by: principal.name, at: clock())
        try await load()
        return written
    }

    /// - Returns: Whether there was one.
    func remove(_ kind: Kind, _ id: String, by principal: Principal) async throws(StoreError) -> Bool {
        let isRemoved = try await records.remove(kind: kind.rawValue, id: id, by: principal.name, at: clock())
        try await load()
        return isRemoved
    }

    /// Says which stored entries lead to pipelines that are not there; after a reload.
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

extension TenantDirectory.Stored {
    fileprivate init(_ value: Value, _ entry: StoredTenant) {
        self.init(
            value: value, version: entry.version, updatedAt: entry.updatedAt, updatedBy: entry.updatedBy,
            body: entry.body)
    }
}
