import Foundation
import Logging
import PatchbayConfig
import PatchbayStore

extension TenantDirectory {
    /// An entry of the store.
    struct Stored<Value: Sendable>: Sendable {
        var value: Value
        var version: Int
        var updatedAt: Date
        var updatedBy: String
        /// As it was put in.
        var body: String

        fileprivate init(_ value: Value, _ entry: StoredTenant) {
            self.value = value
            (version, updatedAt, updatedBy, body) = (entry.version, entry.updatedAt, entry.updatedBy, entry.body)
        }
    }

    /// All that the store holds.
    struct Snapshot: Sendable {
        private(set) var tenants: [String: Stored<Tenant>] = [:]
        private(set) var numbers: [String: Stored<NumberEntry>] = [:]
        /// The stored tenant of each number.
        private(set) var owners: [String: String] = [:]

        init() {}

        /// Reads entries, those of each kind by its name.
        ///
        /// - Parameters:
        ///   - known: What has been read before: an entry is only read again in another version.
        ///   - complain: Told of what cannot be used.
        init(
            _ entries: [String: [StoredTenant]], known: Snapshot = Snapshot(),
            complain: (Logger.Message, Logger.Metadata) -> Void = { _, _ in }
        ) {
            func stored<Value>(
                _ entry: StoredTenant, _ known: Stored<Value>?, _ read: () -> (Value?, [Diagnostic])
            ) -> Stored<Value>? {
                if let known, known.version == entry.version { return known }
                let (value, findings) = read()
                if let value { return Stored(value, entry) }
                complain(
                    "an entry of the store is left out; put it in again",
                    ["entry": "\(entry.id)", "reason": "\(findings.first?.message ?? "")"])
                return nil
            }
            for entry in entries[Kind.tenant.rawValue] ?? [] {
                let tenant = stored(entry, known.tenants[entry.id]) {
                    Tenant.read(SourceText(file: "tenants/\(entry.id)", entry.body), id: entry.id, pipelines: nil)
                }
                tenants[entry.id] = tenant
                for number in tenant?.value.numbers ?? [] {
                    if let other = owners[number.number] {
                        complain(
                            "two stored tenants have one number; the first keeps it",
                            ["number": "\(number.number)", "tenants": "\(other), \(entry.id)"])
                    } else {
                        owners[number.number] = entry.id
                    }
                }
            }
            for entry in entries[Kind.number.rawValue] ?? [] {
                numbers[entry.id] = stored(entry, known.numbers[entry.id]) {
                    NumberEntry.read(
                        SourceText(file: "numbers/\(entry.id)", entry.body), number: entry.id, pipelines: nil,
                        isTenant: { _ in true })
                }
            }
        }

        /// A tenant by its name: the stored one, else that of the file.
        func tenant(_ id: String, in set: PipelineSet) -> Tenant? { tenants[id]?.value ?? set.tenants.tenant(id) }

        /// The tenant that has the number in its list. A file's counts where no stored one has replaced it.
        func owner(ofNumber number: String, in set: PipelineSet) -> Tenant? {
            if let id = owners[number] { return tenants[id]?.value }
            guard let tenant = set.tenants.tenant(ofNumber: number), tenants[tenant.id] == nil else { return nil }
            return tenant
        }
    }
}

// MARK: Whose a number may become

extension TenantDirectory.Snapshot {
    /// Checks that no number of a tenant's list is another's, by an entry of the number's own or by a list.
    func check(_ tenant: Tenant, in set: PipelineSet) throws(StoreError) {
        for number in tenant.numbers.map(\.number) {
            for other in [numbers[number]?.value.tenant, owner(ofNumber: number, in: set)?.id] {
                guard let other, other != tenant.id else { continue }
                throw StoreError(
                    .taken, "\(number) belongs to tenant \"\(other)\" already; take it from that one first")
            }
        }
    }

    /// Checks that a number's entry does not take it from the tenant that it belongs to.
    func check(_ entry: NumberEntry, in set: PipelineSet) throws(StoreError) {
        let holder =
            if let stored = numbers[entry.number] { stored.value.tenant } else {
                owner(ofNumber: entry.number, in: set)?.id
            }
        guard let holder, holder != entry.tenant else { return }
        throw StoreError(
            .taken,
            "\(entry.number) belongs to tenant \"\(holder)\" already; to take it from that one, read the number and send its ETag as If-Match"
        )
    }

    /// Numbers that a file gives to a tenant and that a stored tenant has in its list; they stay with the stored one.
    func collisions(in set: PipelineSet) -> [Diagnostic] {
        set.tenants.tenants.filter { tenants[$0.id] == nil }.flatMap { tenant in
            tenant.numbers.compactMap { number in
                // An entry of the number's own was made to decide.
                guard numbers[number.number] == nil, let owner = owners[number.number] else { return nil }
                return Diagnostic(
                    file: set.tenants.file(of: tenant.id) ?? "tenants.json", .duplicateNumber, severity: .warning,
                    "\(number.number) of tenant \"\(tenant.id)\" belongs to the stored tenant \"\(owner)\" already, which keeps it",
                    path: "tenants", suggestion: .init("take it from one of them"))
            }
        }
    }
}
