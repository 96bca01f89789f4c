public import Foundation
import GRDB

extension StoredTenant: SQLiteRecord { static var databaseTableName: String { "tenant_entries" } }

enum TenantArea: StoreArea {
    static func register(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration("tenants 1") { database in
            try database.create(table: "tenant_entries", options: .withoutRowID) { table in
                table.column("kind", .text).notNull()
                table.column("id", .text).notNull()
                table.column("version", .integer).notNull()
                table.column("body", .text).notNull()
                table.column("updated_at", .datetime).notNull()
                table.column("updated_by", .text).notNull()
                table.primaryKey(["kind", "id", "version"])
            }
        }
    }

    // Settings, not records of people.
    static func prune(_ database: Database, before date: Date) throws -> Int { 0 }
    static func erase(_ database: Database, number: String) throws -> Int { 0 }

    static func current(_ database: Database, _ kind: String, _ id: String) throws -> StoredTenant? {
        try StoredTenant.fetchOne(
            database, sql: "SELECT * FROM tenant_entries WHERE kind = ? AND id = ? ORDER BY version DESC LIMIT 1",
            arguments: [kind, id])
    }

    static func entries(_ database: Database, _ kind: String) throws -> [StoredTenant] {
        try StoredTenant.fetchAll(
            database,
            sql: """
                SELECT * FROM tenant_entries AS entry WHERE kind = ? AND body <> '' AND version =
                    (SELECT MAX(version) FROM tenant_entries WHERE kind = entry.kind AND id = entry.id)
                ORDER BY id
                """, arguments: [kind])
    }

    /// Those of every kind, by their kind.
    static func entries(_ database: Database) throws -> [String: [StoredTenant]] {
        let kinds = try String.fetchAll(database, sql: "SELECT DISTINCT kind FROM tenant_entries")
        return try Dictionary(uniqueKeysWithValues: kinds.map { ($0, try entries(database, $0)) })
    }

    static func insert(
        _ database: Database, _ kind: String, _ id: String, _ body: String, _ version: Int, _ by: String, _ date: Date
    ) throws {
        try database.execute(
            sql: """
                INSERT INTO tenant_entries (kind, id, version, body, updated_at, updated_by) VALUES (?, ?, ?, ?, ?, ?)
                """, arguments: [kind, id, version, body, date, by])
    }
}

extension SQLiteStore {
    public func entries(kind: String) async throws(StoreError) -> [StoredTenant] {
        try await reading { try TenantArea.entries($0, kind) }
    }

    public func put(
        kind: String, id: String, body: String, version: Int?, by: String, at date: Date,
        check: @escaping @Sendable ([String: [StoredTenant]]) throws(StoreError) -> Void
    ) async throws(StoreError) -> Int {
        guard !body.isEmpty else { throw StoreError(.refused, "an entry needs a text") }
        return try await transaction { database in
            let current = try TenantArea.current(database, kind, id)
            let living = current.map { $0.body.isEmpty ? 0 : $0.version } ?? 0
            if let version, version != living {
                throw StoreError(
                    .conflict, "\(kind) \"\(id)\" has version \(living), not \(version); read it again and change that")
            }
            try check(try TenantArea.entries(database))
            let next = (current?.version ?? 0) + 1
            try TenantArea.insert(database, kind, id, body, next, by, date)
            return next
        }
    }

    public func remove(kind: String, id: String, by: String, at date: Date) async throws(StoreError) -> Bool {
        try await transaction { database in
            guard let current = try TenantArea.current(database, kind, id), !current.body.isEmpty else { return false }
            try TenantArea.insert(database, kind, id, "", current.version + 1, by, date)
            return true
        }
    }

    public func history(kind: String, id: String) async throws(StoreError) -> [StoredTenant] {
        try await reading { database in
            try StoredTenant.fetchAll(
                database, sql: "SELECT * FROM tenant_entries WHERE kind = ? AND id = ? ORDER BY version DESC",
                arguments: [kind, id])
        }
    }
}
