public import Foundation
import GRDB

extension VoiceSession: SQLiteRecord { static var databaseTableName: String { "voice_sessions" } }
extension BlockedNumber: SQLiteRecord { static var databaseTableName: String { "blocked_numbers" } }

enum VoiceSessionArea: StoreArea {
    static func register(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration("voice sessions 1") { database in
            try database.create(table: "voice_sessions") { table in
                table.primaryKey("id", .text)
                for column in ["status", "customer_phone", "pipeline", "variables"] {
                    table.column(column, .text).notNull()
                }
                for column in [
                    "tenant", "agent_name", "customer_id", "call", "answered_by", "transcript", "extracted_intent",
                    "extracted_data", "failure", "idempotency_key",
                ] { table.column(column, .text) }
                table.column("call_sid", .text).indexed()
                table.column("conversation_id", .text).indexed()
                table.column("created_at", .datetime).notNull().indexed()
                table.column("updated_at", .datetime).notNull()
            }
            try database.create(
                indexOn: "voice_sessions", columns: ["customer_phone"])
            try database.execute(
                sql: """
                    CREATE UNIQUE INDEX voice_sessions_on_idempotency_key
                    ON voice_sessions (COALESCE(tenant, ''), idempotency_key) WHERE idempotency_key IS NOT NULL
                    """)
            try database.create(table: "blocked_numbers") { table in
                table.primaryKey("number", .text)
                table.column("reason", .text).notNull()
                table.column("since", .datetime).notNull()
            }
        }
        migrator.registerMigration("voice sessions 2") { database in
            try database.alter(table: "voice_sessions") { $0.add(column: "calling_number", .text) }
        }
    }

    /// Changes a session in a transaction that runs already.
    @discardableResult
    static func update(
        _ id: String, _ database: Database, _ change: (inout VoiceSession) -> Void
    ) throws -> VoiceSession? {
        guard var session = try VoiceSession.fetchOne(database, key: id) else { return nil }
        change(&session)
        session.id = id
        try session.update(database)
        return session
    }

    static func prune(_ database: Database, before date: Date) throws -> Int {
        try database.changed("DELETE FROM voice_sessions WHERE updated_at < ?", [date])
    }

    /// Sessions with a number, but for those whose call runs.
    static let isOfNumber = "customer_phone = :number AND \(hasNoRunningCall)"
    private static let hasNoRunningCall =
        "NOT EXISTS (SELECT 1 FROM calls WHERE calls.id = voice_sessions.call AND ended_at IS NULL)"

    /// The person's own sessions go; where others' speak of the number, it is taken out. The block stays: who asked not to be
    /// known is not dialled again for it.
    static func erase(_ database: Database, number: String) throws -> Int {
        var count = try database.changed("DELETE FROM voice_sessions WHERE \(isOfNumber)", ["number": number])
        for column in ["customer_id", "extracted_intent", "transcript", "failure"] {
            count += try database.changed(
                """
                UPDATE voice_sessions SET \(column) = without(\(column), :number)
                WHERE mentions(\(column), :number) AND \(hasNoRunningCall)
                """, ["number": number])
        }
        // A number in JSON may be one without quotation marks; what is left then is no JSON.
        for column in ["variables", "extracted_data"] {
            count += try database.changed(
                """
                UPDATE voice_sessions SET \(column) = CASE WHEN json_valid(without(\(column), :number))
                THEN without(\(column), :number) ELSE '{}' END
                WHERE mentions(\(column), :number) AND \(hasNoRunningCall)
                """, ["number": number])
        }
        return count
    }
}

extension SQLiteStore {
    public func insert(_ session: VoiceSession) async throws(StoreError) -> (kept: VoiceSession, isNew: Bool) {
        try await transaction { database in
            if let key = session.idempotencyKey,
                let known = try VoiceSession.fetchOne(
                    database, sql: "SELECT * FROM voice_sessions WHERE idempotency_key = ? AND tenant IS ?",
                    arguments: [key, session.tenant])
            {
                return (known, false)
            }
            try session.insert(database)
            return (session, true)
        }
    }

    public func updateSession(
        _ id: String, _ body: @escaping @Sendable (inout VoiceSession) -> Void
    ) async throws(StoreError) -> VoiceSession? {
        try await transaction { try VoiceSessionArea.update(id, $0, body) }
    }

    public func session(_ id: String) async throws(StoreError) -> VoiceSession? {
        try await reading { try VoiceSession.fetchOne($0, key: id) }
    }

    public func session(callSid: String) async throws(StoreError) -> VoiceSession? {
        try await reading { try VoiceSession.filter(Column("call_sid") == callSid).fetchOne($0) }
    }

    public func session(conversation id: String) async throws(StoreError) -> VoiceSession? {
        try await reading { try VoiceSession.filter(Column("conversation_id") == id).fetchOne($0) }
    }

    public func sessions(tenant: String?, limit: Int, offset: Int) async throws(StoreError) -> [VoiceSession] {
        try await reading { database in
            var request = VoiceSession.order(Column("created_at").desc, Column("id"))
            if let tenant { request = request.filter(Column("tenant") == tenant) }
            return try request.limit(limit, offset: offset).fetchAll(database)
        }
    }

    public func dialledSessions(since date: Date, tenant: String?) async throws(StoreError) -> Int {
        try await reading { database in
            var request = VoiceSession.filter(Column("created_at") >= date)
                .filter(!["created", "simulated"].contains(Column("status")))
            if let tenant { request = request.filter(Column("tenant") == tenant) }
            return try request.fetchCount(database)
        }
    }

    public func block(_ number: String, reason: String, at date: Date) async throws(StoreError) {
        try await transaction { try BlockedNumber(number: number, reason: reason, since: date).upsert($0) }
    }

    public func unblock(_ number: String) async throws(StoreError) -> Bool {
        try await transaction { try BlockedNumber.deleteOne($0, key: number) }
    }

    public func isBlocked(_ number: String) async throws(StoreError) -> Bool {
        try await reading { try BlockedNumber.exists($0, key: number) }
    }

    public func blockedNumbers() async throws(StoreError) -> [BlockedNumber] {
        try await reading { try BlockedNumber.order(Column("since").desc).fetchAll($0) }
    }
}
