import Foundation
import GRDB

/// What was erased, so that it does not come back, and recordings whose files have to go.
enum ErasureArea: StoreArea {
    static func register(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration("erasures 1") { database in
            try database.create(table: "erased_names", options: .withoutRowID) { table in
                table.primaryKey("name", .text)
                table.column("at", .datetime).notNull().indexed()
            }
            try database.create(table: "forgotten_recordings", options: .withoutRowID) { table in
                table.primaryKey("path", .text)
            }
        }
    }

    static func prune(_ database: Database, before date: Date) throws -> Int {
        try forgetRecordings(ofCalls: CallArea.isOld, ["date": date], database)
        return try database.changed("DELETE FROM erased_names WHERE at < ?", [date])
    }

    /// Notes what the other areas are about to remove. No number is among it, and no word.
    static func erase(_ database: Database, number: String) throws -> Int {
        try forgetRecordings(ofCalls: CallArea.isOfNumber, ["number": number], database)
        for (table, condition, columns) in [
            ("calls", CallArea.isOfNumber, ["id", "call_sid", "conversation_id", "session"]),
            ("voice_sessions", VoiceSessionArea.isOfNumber, ["id", "call_sid", "conversation_id", "call"]),
        ] {
            for column in columns {
                try database.execute(
                    sql: """
                        INSERT OR IGNORE INTO erased_names (name, at) SELECT \(column), :now FROM \(table)
                        WHERE \(condition) AND COALESCE(\(column), '') <> ''
                        """, arguments: ["number": number, "now": Date()])
            }
        }
        return 0
    }

    private static func forgetRecordings(
        ofCalls condition: String, _ arguments: StatementArguments, _ database: Database
    ) throws {
        try database.execute(
            sql: """
                INSERT OR IGNORE INTO forgotten_recordings (path) SELECT value
                FROM calls, json_each(CASE WHEN json_valid(recordings) THEN recordings ELSE '[]' END)
                WHERE \(condition)
                """, arguments: arguments)
    }

    /// Whether one of these names was erased.
    static func knows(_ names: [String], _ database: Database) throws -> Bool {
        for name in names where !name.isEmpty {
            let statement = try database.cachedStatement(sql: "SELECT 1 FROM erased_names WHERE name = ?")
            if try Int.fetchOne(statement, arguments: [name]) != nil { return true }
        }
        return false
    }

    /// Lists recordings whose files have to go.
    static func forget(_ paths: [String], _ database: Database) throws {
        for path in paths {
            try database.execute(
                sql: "INSERT OR IGNORE INTO forgotten_recordings (path) VALUES (?)", arguments: [path])
        }
    }
}

extension SQLiteStore {
    public func forgottenRecordings(after path: String?, limit: Int) async throws(StoreError) -> [String] {
        try await reading { database in
            try String.fetchAll(
                database, sql: "SELECT path FROM forgotten_recordings WHERE path > ? ORDER BY path LIMIT ?",
                arguments: [path ?? "", limit])
        }
    }

    public func removedRecordings(_ paths: [String]) async throws(StoreError) {
        try await transaction { database in
            for path in paths {
                try database.execute(sql: "DELETE FROM forgotten_recordings WHERE path = ?", arguments: [path])
            }
        }
        // A file may be called by a number.
        await overwriteLog()
    }
}
