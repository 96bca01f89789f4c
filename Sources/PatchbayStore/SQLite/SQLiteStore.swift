public import Foundation
import GRDB

/// Keeps everything in one SQLite file of a data directory.
///
/// The file is in write-ahead mode, so readers never wait for a writer, and several processes of one machine may share it. A
/// commit is on disk when it returns (`synchronous = FULL`): some milliseconds on a spinning disk, well under one on flash.
public final class SQLiteStore: Store {
    /// The file's name in the data directory.
    public static let fileName = "patchbay.sqlite"
    /// How long a writer waits for one of another process.
    static let patience: TimeInterval = 5

    let database: any DatabaseWriter
    /// Tells this process's calls from those of others.
    let process: ProcessMark

    /// What each kind of entry is made of; every table belongs to one.
    /// Erasures are the first: they note what the others are about to remove.
    static let areas: [any StoreArea.Type] = [
        ErasureArea.self, CallArea.self, VoiceSessionArea.self, DeliveryArea.self, OutboxArea.self, ContextArea.self,
        TenantArea.self,
        AuditArea.self,
    ]

    /// Opens the file, makes it if there is none, and brings its tables up to date. The folder is made too, for its owner alone.
    ///
    /// - Throws: When it cannot be opened, is no database, or belongs to a newer release.
    public init(directory: String) throws(StoreError) {
        (database, process) = try Self.guarded {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            let path = directory + "/" + Self.fileName
            var configuration = Configuration()
            configuration.busyMode = .timeout(Self.patience)
            configuration.prepareDatabase {
                try $0.execute(sql: "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON")
                Mentions.add(to: $0)
            }
            let pool = try DatabasePool(path: path, configuration: configuration)
            for file in [path, path + "-wal", path + "-shm"] {
                try? FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
            }
            try Self.migrate(pool)
            return (pool, try ProcessMark(directory: directory))
        }
    }

    /// A store in memory, for tests and for servers that need not remember.
    public init() throws(StoreError) {
        database = try Self.guarded {
            var configuration = Configuration()
            configuration.prepareDatabase { Mentions.add(to: $0) }
            let queue = try DatabaseQueue(configuration: configuration)
            try Self.migrate(queue)
            return queue
        }
        process = ProcessMark()
    }

    private static func migrate(_ database: any DatabaseWriter) throws {
        var migrator = DatabaseMigrator()
        for area in areas { area.register(in: &migrator) }
        guard try !database.read(migrator.hasBeenSuperseded) else {
            throw StoreError(
                .unavailable, "the store was written by a newer release; start that one, or name another folder")
        }
        try migrator.migrate(database)
    }

    // MARK: The whole

    @discardableResult
    public func prune(before date: Date) async throws(StoreError) -> Int {
        try await transaction { database in try Self.areas.reduce(0) { try $0 + $1.prune(database, before: date) } }
    }

    @discardableResult
    public func erase(number: String) async throws(StoreError) -> Int {
        let count = try await transaction { database in
            try Self.areas.reduce(0) { try $0 + $1.erase(database, number: number) }
        }
        await overwriteLog()
        return count
    }

    /// Has what was forgotten overwritten on the disk: it stands in the log of writes still, or in the file that the log
    /// has not reached. Somebody who reads just now keeps it there until the next time.
    func overwriteLog() async {
        _ = try? await database.writeWithoutTransaction { try $0.checkpoint(.truncate) }
    }

    public func check() async throws(StoreError) {
        try await transaction { try $0.execute(sql: "PRAGMA user_version = 0") }
    }

    // MARK: For the areas

    /// One transaction: all of it is on disk afterwards, or nothing.
    func transaction<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws(StoreError) -> T {
        do {
            return try await database.write(body)
        } catch {
            throw Self.storeError(error)
        }
    }

    /// Reads one state of the file.
    func reading<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws(StoreError) -> T {
        do {
            return try await database.read(body)
        } catch {
            throw Self.storeError(error)
        }
    }

    private static func guarded<T>(_ body: () throws -> T) throws(StoreError) -> T {
        do {
            return try body()
        } catch {
            throw storeError(error)
        }
    }

    private static func storeError(_ error: any Error) -> StoreError {
        if let error = error as? StoreError { return error }
        if let error = error as? DatabaseError {
            // Neither the statement nor its arguments: they hold what people said.
            let message = error.message ?? error.resultCode.description
            switch error.resultCode.primaryResultCode {
            case .SQLITE_CONSTRAINT, .SQLITE_TOOBIG, .SQLITE_MISMATCH:
                return StoreError(.refused, "the store refuses an entry: \(message)")
            default: return StoreError(.unavailable, "the store failed: \(message)")
            }
        }
        return StoreError(.unavailable, "the store failed: \(error.localizedDescription)")
    }
}

/// One kind of entry: its tables, and how they forget.
protocol StoreArea: SendableMetatype {
    /// Registers the tables. A migration that has been released is never changed; the next one goes behind it.
    static func register(in migrator: inout DatabaseMigrator)
    /// Removes what ended before `date`, and says how many entries.
    static func prune(_ database: Database, before date: Date) throws -> Int
    /// Removes or blanks what is known of a number, and says how many entries.
    static func erase(_ database: Database, number: String) throws -> Int
}
