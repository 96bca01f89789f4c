public import Foundation
import GRDB

enum ContextArea: StoreArea {
    static func register(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration("contexts 1") { database in
            try database.create(table: "contexts", options: .withoutRowID) { table in
                table.primaryKey("key", .text)
                table.column("value", .text).notNull()
                table.column("number", .text).notNull().indexed()
                table.column("expires_at", .datetime).notNull().indexed()
            }
        }
    }

    static func prune(_ database: Database, before date: Date) throws -> Int {
        try database.changed("DELETE FROM contexts WHERE expires_at < ?", [date])
    }

    static func erase(_ database: Database, number: String) throws -> Int {
        try database.changed("DELETE FROM contexts WHERE number = ?", [number])
    }
}

extension SQLiteStore {
    public func keepContext(
        _ values: String, key: String, number: String, expires: Date
    ) async throws(StoreError) {
        try await transaction { database in
            // What nobody came for goes with the next entry.
            try database.execute(sql: "DELETE FROM contexts WHERE expires_at < ?", arguments: [Date()])
            try database.execute(
                sql: "INSERT OR REPLACE INTO contexts (key, value, number, expires_at) VALUES (?, ?, ?, ?)",
                arguments: [key, values, number, expires])
        }
    }

    @discardableResult
    public func removeContexts(expiredBy date: Date) async throws(StoreError) -> Int {
        try await transaction { database in try ContextArea.prune(database, before: date) }
    }

    public func context(key: String, at date: Date) async throws(StoreError) -> String? {
        try await reading { database in
            try String.fetchOne(
                database, sql: "SELECT value FROM contexts WHERE key = ? AND expires_at >= ?", arguments: [key, date])
        }
    }
}
