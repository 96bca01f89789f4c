public import Foundation
import GRDB

extension OutboxMessage: SQLiteRecord { static var databaseTableName: String { "outbox" } }

enum OutboxArea: StoreArea {
    static func register(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration("outbox 1") { database in
            try database.create(table: "outbox") { table in
                table.primaryKey("id", .text)
                for column in ["event", "endpoint", "body"] { table.column(column, .text).notNull() }
                for column in ["tenant", "call", "last_error"] { table.column(column, .text) }
                table.column("created_at", .datetime).notNull()
                table.column("attempts", .integer).notNull()
                table.column("next_attempt_at", .datetime).indexed()
            }
        }
    }

    static func prune(_ database: Database, before date: Date) throws -> Int {
        try database.changed("DELETE FROM outbox WHERE created_at < ? AND next_attempt_at IS NULL", [date])
    }

    /// A message about the number is not sent any more.
    static func erase(_ database: Database, number: String) throws -> Int {
        try database.changed(
            "DELETE FROM outbox WHERE mentions(body, ?) OR instr(body, '\"' || ? || '\"') > 0", [number, number])
    }
}

extension SQLiteStore {
    public func enqueue(_ messages: [OutboxMessage]) async throws(StoreError) {
        try await transaction { for message in messages { try message.insert($0, onConflict: .ignore) } }
    }

    public func dueMessages(at date: Date, limit: Int) async throws(StoreError) -> [OutboxMessage] {
        try await reading { database in
            try OutboxMessage.filter(Column("next_attempt_at") <= date)
                .order(Column("next_attempt_at"), Column("created_at")).limit(limit).fetchAll(database)
        }
    }

    public func nextMessageDate() async throws(StoreError) -> Date? {
        try await reading { try Date.fetchOne($0, sql: "SELECT MIN(next_attempt_at) FROM outbox") }
    }

    public func delivered(message id: String) async throws(StoreError) {
        _ = try await transaction { try OutboxMessage.deleteOne($0, key: id) }
    }

    public func failed(message id: String, error: String, next: Date?) async throws(StoreError) {
        try await transaction { database in
            try database.execute(
                sql: "UPDATE outbox SET attempts = attempts + 1, last_error = ?, next_attempt_at = ? WHERE id = ?",
                arguments: [error, next, id])
        }
    }

    public func deadLetters(tenant: String?, limit: Int) async throws(StoreError) -> [OutboxMessage] {
        try await reading { database in
            var request = OutboxMessage.filter(Column("next_attempt_at") == nil).order(Column("created_at").desc)
            if let tenant { request = request.filter(Column("tenant") == tenant) }
            return try request.limit(limit).fetchAll(database)
        }
    }

    public func revive(message id: String, at date: Date) async throws(StoreError) -> Bool {
        try await transaction { database in
            try database.changed(
                "UPDATE outbox SET next_attempt_at = ?, attempts = 0 WHERE id = ? AND next_attempt_at IS NULL",
                [date, id]
            ) == 1
        }
    }
}
