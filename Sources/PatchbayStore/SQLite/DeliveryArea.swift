public import Foundation
import GRDB

enum DeliveryArea: StoreArea {
    static func register(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration("deliveries 1") { database in
            try database.create(table: "deliveries", options: .withoutRowID) { table in
                table.column("source", .text).notNull()
                table.column("key", .text).notNull()
                table.column("at", .datetime).notNull().indexed()
                table.primaryKey(["source", "key"])
            }
        }
        migrator.registerMigration("deliveries 2") { database in
            try database.alter(table: "deliveries") { table in
                // Who works on it, as long as somebody does.
                table.add(column: "process", .text)
                table.add(column: "answer", .text)
            }
        }
    }

    static func prune(_ database: Database, before date: Date) throws -> Int {
        try database.changed("DELETE FROM deliveries WHERE at < ?", [date])
    }

    static func erase(_ database: Database, number: String) throws -> Int {
        try database.changed(
            "UPDATE deliveries SET answer = without(answer, ?) WHERE mentions(answer, ?)", [number, number])
    }
}

extension SQLiteStore {
    public func deliver(
        source: String, key: String, at date: Date, _ effect: DeliveryEffect
    ) async throws(StoreError) -> Bool {
        try await transaction { [process] database in
            let isNew =
                try database.changed(
                    "INSERT OR IGNORE INTO deliveries (source, key, at) VALUES (?, ?, ?)", [source, key, date]) == 1
            guard isNew else { return false }
            guard try !ErasureArea.knows(effect.names, database) else {
                try ErasureArea.forget(effect.call?.recordings ?? [], database)
                return true
            }
            if let call = effect.call { try CallArea.add(call, database, by: process) }
            if let session = effect.session { try VoiceSessionArea.update(session.id, database, session.change) }
            for message in effect.outbox { try message.insert(database, onConflict: .ignore) }
            return true
        }
    }

    public func claim(source: String, key: String, at date: Date) async throws(StoreError) -> DeliveryClaim {
        try await transaction { [process] database in
            let isNew =
                try database.changed(
                    "INSERT OR IGNORE INTO deliveries (source, key, at, process) VALUES (?, ?, ?, ?)",
                    [source, key, date, process.id]) == 1
            if isNew { return .new }
            let row = try Row.fetchOne(
                database, sql: "SELECT process, answer FROM deliveries WHERE source = ? AND key = ?",
                arguments: [source, key])
            if let answer: String = row?["answer"] { return .settled(answer: answer) }
            guard let owner: String = row?["process"], !process.isGone(owner) else { return .abandoned }
            return .inProgress
        }
    }

    public func settle(source: String, key: String, answer: String) async throws(StoreError) {
        try await transaction { database in
            try database.execute(
                sql: "UPDATE deliveries SET answer = ?, process = NULL WHERE source = ? AND key = ?",
                arguments: [answer, source, key])
        }
    }
}
