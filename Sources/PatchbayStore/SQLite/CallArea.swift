public import Foundation
import GRDB

extension StoredCall: SQLiteRecord { static var databaseTableName: String { "calls" } }
extension StoredEvent: SQLiteRecord { static var databaseTableName: String { "call_events" } }
extension StoredTurn: SQLiteRecord { static var databaseTableName: String { "call_turns" } }
extension StoredToolCall: SQLiteRecord { static var databaseTableName: String { "call_tool_calls" } }

enum CallArea: StoreArea {
    static func register(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration("calls 1") { database in
            try database.create(table: "calls") { table in
                table.primaryKey("id", .text)
                table.column("call_sid", .text).notNull().indexed()
                table.column("stream_sid", .text)
                table.column("direction", .text).notNull()
                table.column("from", .text).notNull().indexed()
                table.column("to", .text).notNull().indexed()
                table.column("tenant", .text).indexed()
                table.column("pipeline", .text).notNull()
                table.column("version", .text).notNull()
                table.column("backend", .text)
                table.column("status", .text).notNull()
                table.column("created_at", .datetime).notNull().indexed()
                table.column("ended_at", .datetime)
                table.column("end_reason", .text)
                table.column("conversation_id", .text).indexed()
                table.column("session", .text).indexed()
                table.column("time_to_first_audio_ms", .double)
                table.column("response_latency_ms", .double)
                table.column("interruptions", .integer).notNull()
                table.column("agent_takeovers", .integer).notNull()
                table.column("recordings", .text).notNull()
            }
            for (name, columns) in [
                ("call_events", ["event", "detail"]),
                ("call_turns", ["speaker", "text", "heard"]), ("call_tool_calls", ["name", "arguments"]),
            ] {
                try database.create(table: name) { table in
                    table.column("call", .text).notNull().references("calls", onDelete: .cascade)
                    table.column("sequence", .integer).notNull()
                    table.column("at_ms", .integer).notNull()
                    for column in columns { table.column(column, .text).notNull() }
                    table.primaryKey(["call", "sequence"])
                }
            }
            try database.alter(table: "call_turns") {
                $0.add(column: "is_interrupted", .boolean).notNull().defaults(to: false)
            }
            try database.alter(table: "call_tool_calls") { table in
                table.add(column: "output", .text)
                table.add(column: "is_error", .boolean).notNull().defaults(to: false)
                table.add(column: "milliseconds", .integer)
            }
        }
        migrator.registerMigration("calls 2") { database in
            try database.alter(table: "calls") { $0.add(column: "process", .text) }
            try database.create(indexOn: "calls", columns: ["ended_at"])
        }
    }

    static func apply(_ changes: [CallChange], _ database: Database, by process: ProcessMark) throws {
        for change in changes {
            switch change {
            // Not "insert or replace": that would delete the row, and with it what refers to it.
            case .call(let call):
                try call.upsert(database)
                try database.execute(
                    sql: "UPDATE calls SET process = ? WHERE id = ?", arguments: [process.id, call.id])
            case .event(let event): try event.upsert(database)
            case .turn(let turn): try turn.upsert(database)
            case .toolCall(let toolCall): try toolCall.upsert(database)
            }
        }
    }

    static func prune(_ database: Database, before date: Date) throws -> Int {
        try database.changed("DELETE FROM calls WHERE ended_at < ?", [date])
    }

    /// The person's own calls go; where others' calls speak of the number, it is taken out. Calls that run stay as they are.
    static func erase(_ database: Database, number: String) throws -> Int {
        var count = try database.changed(
            #"DELETE FROM calls WHERE ("from" = ? OR "to" = ?) AND ended_at IS NOT NULL"#, [number, number])
        for (table, call, columns) in [
            ("calls", "id", ["end_reason"]), ("call_events", "call", ["detail"]),
            ("call_turns", "call", ["text", "heard"]), ("call_tool_calls", "call", ["arguments", "output"]),
        ] {
            for column in columns {
                count += try database.changed(
                    """
                    UPDATE \(table) SET \(column) = without(\(column), ?) WHERE mentions(\(column), ?)
                    AND \(call) IN (SELECT id FROM calls WHERE ended_at IS NOT NULL)
                    """, [number, number])
            }
        }
        return count
    }
}

extension SQLiteStore {
    public func write(_ changes: [CallChange]) async throws(StoreError) {
        try await transaction { [process] in try CallArea.apply(changes, $0, by: process) }
    }

    public func call(_ id: String) async throws(StoreError) -> StoredCall? {
        try await reading { database in
            try StoredCall.fetchOne(
                database, sql: "SELECT * FROM calls WHERE id = ? OR call_sid = ? ORDER BY created_at DESC LIMIT 1",
                arguments: [id, id])
        }
    }

    public func call(conversation id: String) async throws(StoreError) -> StoredCall? {
        try await reading { database in
            try StoredCall.fetchOne(
                database, sql: "SELECT * FROM calls WHERE conversation_id = ? ORDER BY created_at DESC LIMIT 1",
                arguments: [id])
        }
    }

    public func calls(_ query: CallQuery) async throws(StoreError) -> [StoredCall] {
        try await reading { database in
            var request = StoredCall.order(Column("created_at").desc, Column("id"))
            if let tenant = query.tenant { request = request.filter(Column("tenant") == tenant) }
            if let number = query.number {
                request = request.filter(Column("from") == number || Column("to") == number)
            }
            if let session = query.session { request = request.filter(Column("session") == session) }
            if let isEnded = query.isEnded {
                request = request.filter(isEnded ? Column("ended_at") != nil : Column("ended_at") == nil)
            }
            if let date = query.createdAfter { request = request.filter(Column("created_at") > date) }
            if let date = query.createdBefore { request = request.filter(Column("created_at") < date) }
            return try request.limit(query.limit, offset: query.offset).fetchAll(database)
        }
    }

    public func events(ofCall id: String) async throws(StoreError) -> [StoredEvent] { try await parts(ofCall: id) }
    public func turns(ofCall id: String) async throws(StoreError) -> [StoredTurn] { try await parts(ofCall: id) }
    public func toolCalls(ofCall id: String) async throws(StoreError) -> [StoredToolCall] {
        try await parts(ofCall: id)
    }

    private func parts<Part: SQLiteRecord & Sendable>(ofCall id: String) async throws(StoreError) -> [Part] {
        try await reading { try Part.filter(Column("call") == id).order(Column("sequence")).fetchAll($0) }
    }

    public func usage(tenant: String?, days: Int) async throws(StoreError) -> [StoredUsage] {
        try await reading { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT date(created_at) AS day, tenant, COUNT(*) AS calls,
                        SUM(COALESCE(julianday(ended_at) - julianday(created_at), 0)) * 86400 AS seconds,
                        SUM((SELECT COUNT(*) FROM call_tool_calls WHERE call = calls.id)) AS tool_calls
                    FROM calls WHERE date(created_at) > date('now', ?) AND (? IS NULL OR tenant = ?)
                    GROUP BY day, tenant ORDER BY day DESC, tenant
                    """, arguments: ["-\(max(0, days)) days", tenant, tenant]
            ).map { row in
                StoredUsage(
                    day: row["day"], tenant: row["tenant"], calls: row["calls"], seconds: row["seconds"],
                    toolCalls: row["tool_calls"])
            }
        }
    }

    public func closeAbandoned(before date: Date) async throws(StoreError) -> Int {
        try await transaction { [process] database in
            let owners = try String?.fetchAll(
                database, sql: "SELECT DISTINCT process FROM calls WHERE ended_at IS NULL AND created_at < ?",
                arguments: [date])
            // Its own calls of that time are from before this process, as whoever asks says.
            let dead = owners.filter { $0 == nil || $0 == process.id || $0.map(process.isGone) == true }
            return try dead.reduce(0) { count, owner in
                try count
                    + database.changed(
                        """
                        UPDATE calls SET status = 'failed', end_reason = 'the server stopped in mid-call', ended_at = ?
                        WHERE ended_at IS NULL AND created_at < ? AND process IS ?
                        """, [date, date, owner])
            }
        }
    }
}
