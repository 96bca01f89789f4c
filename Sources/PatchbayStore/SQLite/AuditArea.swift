import Foundation
import GRDB

extension AuditEntry: SQLiteRecord { static var databaseTableName: String { "audit_trail" } }

enum AuditArea: StoreArea {
    static func register(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration("audit 1") { database in
            try database.create(table: "audit_trail") { table in
                table.autoIncrementedPrimaryKey("number")
                table.column("at", .datetime).notNull().indexed()
                table.column("tenant", .text).indexed()
                for column in ["actor", "action", "subject", "outcome", "peer"] {
                    table.column(column, .text).notNull()
                }
            }
        }
    }

    static func prune(_ database: Database, before date: Date) throws -> Int {
        try database.changed("DELETE FROM audit_trail WHERE at < ?", [date])
    }

    /// That something was done stays; about whom does not.
    static func erase(_ database: Database, number: String) throws -> Int {
        try database.changed(
            "UPDATE audit_trail SET subject = 'erased' WHERE subject = ? OR mentions(subject, ?)", [number, number])
    }
}

extension SQLiteStore {
    public func append(_ entries: [AuditEntry]) async throws(StoreError) {
        try await transaction { for entry in entries { try entry.insert($0) } }
    }

    public func auditTrail(tenant: String?, limit: Int) async throws(StoreError) -> [AuditEntry] {
        try await reading { database in
            var request = AuditEntry.order(Column("number").desc)
            if let tenant { request = request.filter(Column("tenant") == tenant) }
            return try request.limit(limit).fetchAll(database)
        }
    }
}
