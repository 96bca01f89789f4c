public import Foundation
import GRDB

/// What others are told of calls goes into the outbox with the change that it tells, or not at all.
extension SQLiteStore {
    public func write(
        _ changes: [CallChange], telling messages: @escaping @Sendable (CallNews) -> [OutboxMessage]
    ) async throws(StoreError) -> Set<String> {
        try await transaction { [process] database in
            var isOver: [String: Bool] = [:]
            var order: [String] = []
            for case .call(let call) in changes where !order.contains(call.id) {
                order.append(call.id)
                isOver[call.id] = try Bool.fetchOne(
                    database, sql: "SELECT ended_at IS NOT NULL FROM calls WHERE id = ?", arguments: [call.id])
            }
            try CallArea.apply(changes, database, by: process)
            var endpoints: Set<String> = []
            for id in order {
                guard isOver[id] != true, let call = try StoredCall.fetchOne(database, key: id) else { continue }
                if call.endedAt != nil {
                    endpoints.formUnion(try Self.tellEnd(of: call, database, messages))
                } else if isOver[id] == nil {
                    endpoints.formUnion(try Self.enqueue(messages(.began(call)), database))
                }
            }
            return endpoints
        }
    }

    public func closeAbandoned(
        before date: Date, telling messages: @escaping @Sendable (CallNews) -> [OutboxMessage]
    ) async throws(StoreError) -> Int {
        try await transaction { [process] database in
            let owners = try String?.fetchAll(
                database, sql: "SELECT DISTINCT process FROM calls WHERE ended_at IS NULL AND created_at < ?",
                arguments: [date])
            // Its own calls of that time are from before this process, as whoever asks says.
            let dead = owners.filter { $0 == nil || $0 == process.id || $0.map(process.isGone) == true }
            var count = 0
            for owner in dead {
                let calls = try String.fetchAll(
                    database,
                    sql: "SELECT id FROM calls WHERE ended_at IS NULL AND created_at < ? AND process IS ?",
                    arguments: [date, owner])
                for id in calls {
                    // It lasted at least until the last that is known of it; when the process died nobody knows.
                    try database.execute(
                        sql: """
                            UPDATE calls SET status = 'failed', end_reason = 'the server stopped in mid-call',
                                ended_at = COALESCE(
                                    (SELECT strftime('%Y-%m-%d %H:%M:%f', created_at, (MAX(at_ms) / 1000.0) || ' seconds')
                                     FROM call_events WHERE call = calls.id), created_at)
                            WHERE id = ?
                            """, arguments: [id])
                    guard let call = try StoredCall.fetchOne(database, key: id) else { continue }
                    _ = try Self.tellEnd(of: call, database, messages)
                }
                count += calls.count
            }
            return count
        }
    }

    private static func tellEnd(
        of call: StoredCall, _ database: Database, _ messages: (CallNews) -> [OutboxMessage]
    ) throws -> Set<String> {
        let turns = try StoredTurn.filter(Column("call") == call.id).order(Column("sequence")).fetchAll(database)
        return try enqueue(messages(.ended(call, turns: turns)), database)
    }

    private static func enqueue(_ messages: [OutboxMessage], _ database: Database) throws -> Set<String> {
        for message in messages { try message.insert(database, onConflict: .ignore) }
        return Set(messages.map(\.endpoint))
    }
}
