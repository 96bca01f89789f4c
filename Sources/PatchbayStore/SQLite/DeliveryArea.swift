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
    }

    static func prune(_ database: Database, before date: Date) throws -> Int {
        try database.changed("DELETE FROM deliveries WHERE at < ?", [date])
    }

    static func erase(_ database: Database, number: String) throws -> Int { 0 }
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
            try CallArea.apply(effect.calls, database, by: process)
            if let session = effect.session { try VoiceSessionArea.update(session.id, database, session.change) }
            for message in effect.outbox { try message.insert(database, onConflict: .ignore) }
            return true
        }
    }
}
