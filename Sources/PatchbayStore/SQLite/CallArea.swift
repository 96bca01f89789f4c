import Foundation
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
        var isErased: [String: Bool] = [:]
        for change in changes {
            let id = change.callID
            let skips = try isErased[id] ?? ErasureArea.knows([id], database)
            isErased[id] = skips
            switch change {
            case .recording(_, let path) where skips: try ErasureArea.forget([path], database)
            case _ where skips: break
            case .call(let call):
                // Not "insert or replace": that would delete the row, and with it what refers to it.
                _ = try call.upsertAndFetch(database, onConflict: ["id"]) { excluded in
                    let conversation = Column("conversation_id")
                    return [
                        Column("recordings").noOverwrite,
                        conversation.set(to: excluded[conversation] ?? conversation),
                    ]
                }
                try mark(call.id, as: process, database)
            case .event(let event): try enter(event, database)
            case .turn(let turn): try turn.upsert(database)
            case .toolCall(let toolCall): try toolCall.upsert(database)
            case .recording(let call, let path):
                try database.execute(
                    sql: """
                        UPDATE calls SET recordings = json_insert(recordings, '$[#]', :path) WHERE id = :call
                        AND NOT EXISTS (SELECT 1 FROM json_each(recordings) WHERE value = :path)
                        """, arguments: ["path": path, "call": call])
            }
        }
    }

    /// A call belongs to the process that enters it.
    private static func mark(_ id: String, as process: ProcessMark, _ database: Database) throws {
        try database.execute(
            sql: "UPDATE calls SET process = ? WHERE id = ? AND process IS NULL", arguments: [process.id, id])
    }

    /// Enters an event under its number; what a delivery has put there moves behind the last.
    private static func enter(_ event: StoredEvent, _ database: Database) throws {
        try event.insert(database, onConflict: .ignore)
        guard database.changesCount == 0 else { return }
        guard
            var other = try StoredEvent.fetchOne(database, key: ["call": event.call, "sequence": event.sequence]),
            other != event
        else { return }
        other.sequence = try nextEvent(of: event.call, database).sequence
        try event.upsert(database)
        try other.insert(database)
    }

    /// The number behind the call's last event, and when that was.
    private static func nextEvent(of call: String, _ database: Database) throws -> (sequence: Int, atMs: Int64) {
        let last = try StoredEvent.filter(Column("call") == call).order(Column("sequence").desc).fetchOne(database)
        return ((last?.sequence ?? -1) + 1, last?.atMs ?? 0)
    }

    /// Adds to a call in a transaction that runs already.
    static func add(_ addition: CallAddition, _ database: Database, by process: ProcessMark) throws {
        guard var call = try StoredCall.fetchOne(database, key: addition.id) ?? addition.new else { return }
        let recordings = call.recordings
        addition.change(&call)
        call.id = addition.id
        call.recordings = recordings
        for path in addition.recordings where !call.recordings.contains(path) { call.recordings.append(path) }
        try call.upsert(database)
        try mark(call.id, as: process, database)
        if let event = addition.event {
            let (sequence, atMs) = try nextEvent(of: call.id, database)
            try StoredEvent(call: call.id, sequence: sequence, atMs: atMs, event: event.name, detail: event.detail)
                .insert(database)
        }
        if !addition.turns.isEmpty, try StoredTurn.filter(Column("call") == call.id).isEmpty(database) {
            for turn in addition.turns { try turn.insert(database) }
        }
        if !addition.toolCalls.isEmpty, try StoredToolCall.filter(Column("call") == call.id).isEmpty(database) {
            for toolCall in addition.toolCalls { try toolCall.insert(database) }
        }
    }

    /// Calls that ended before `:date`.
    static let isOld = "ended_at < :date"
    /// Calls from or to `:number` that are over.
    static let isOfNumber = #"("from" = :number OR "to" = :number) AND ended_at IS NOT NULL"#

    static func prune(_ database: Database, before date: Date) throws -> Int {
        try database.changed("DELETE FROM calls WHERE \(isOld)", ["date": date])
    }

    /// The person's own calls go; where others' calls speak of the number, it is taken out. Calls that run stay as they are.
    static func erase(_ database: Database, number: String) throws -> Int {
        var count = try database.changed("DELETE FROM calls WHERE \(isOfNumber)", ["number": number])
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
                        AND status != 'moved'
                    GROUP BY day, tenant ORDER BY day DESC, tenant
                    """, arguments: ["-\(max(0, days)) days", tenant, tenant]
            ).map { row in
                StoredUsage(
                    day: row["day"], tenant: row["tenant"], calls: row["calls"], seconds: row["seconds"],
                    toolCalls: row["tool_calls"])
            }
        }
    }
}
