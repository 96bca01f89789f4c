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
        migrator.registerMigration("outbox 2") { database in
            try database.create(indexOn: "outbox", columns: ["endpoint", "next_attempt_at"])
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
        try await transaction { database in
            // What is told of a call may be made when the call has just been erased.
            for message in messages where try !ErasureArea.knows(message.call.map { [$0] } ?? [], database) {
                try message.insert(database, onConflict: .ignore)
            }
        }
    }

    public func dueMessages(
        for endpoint: String?, at date: Date, limit: Int
    ) async throws(StoreError) -> [OutboxMessage] {
        try await reading { database in
            var request = OutboxMessage.filter(Column("next_attempt_at") <= date)
            if let endpoint { request = request.filter(Column("endpoint") == endpoint) }
            return try request.order(Column("next_attempt_at"), Column("created_at")).limit(limit).fetchAll(database)
        }
    }

    public func nextMessageDate(for endpoint: String?) async throws(StoreError) -> Date? {
        try await reading { database in
            guard let endpoint else {
                return try Date.fetchOne(database, sql: "SELECT MIN(next_attempt_at) FROM outbox")
            }
            return try Date.fetchOne(
                database, sql: "SELECT MIN(next_attempt_at) FROM outbox WHERE endpoint = ?", arguments: [endpoint])
        }
    }

    public func waitingEndpoints() async throws(StoreError) -> Set<String> {
        try await reading { database in
            try String.fetchSet(
                database, sql: "SELECT DISTINCT endpoint FROM outbox WHERE next_attempt_at IS NOT NULL")
        }
    }

    public func giveUp(endpoint: String, createdBefore date: Date?, error: String) async throws(StoreError) -> Int {
        try await transaction { database in
            // One that was revived has its error still, and no attempts.
            try database.changed(
                """
                UPDATE outbox SET next_attempt_at = NULL, last_error = ?
                WHERE endpoint = ? AND next_attempt_at IS NOT NULL
                AND (? IS NULL OR created_at < ? AND (attempts > 0 OR last_error IS NULL))
                """, [error, endpoint, date, date])
        }
    }

    public func waitingMessages() async throws(StoreError) -> Int {
        try await reading { try OutboxMessage.filter(Column("next_attempt_at") != nil).fetchCount($0) }
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
