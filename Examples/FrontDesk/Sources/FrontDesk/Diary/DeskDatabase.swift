import Foundation
import GRDB

/// The SQLite file behind every business of the house, with the rules that only a database can keep.
enum DeskDatabase {
    /// The file's name in the data directory.
    static let fileName = "front-desk.sqlite"

    /// Opens the file, makes it if there is none, and brings its tables up to date.
    ///
    /// In write-ahead mode, so that several processes of one machine may share it.
    static func open(directory: String) throws -> any DatabaseWriter {
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let path = directory + "/" + fileName
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        let pool = try DatabasePool(path: path, configuration: configuration)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        try migrate(pool)
        return pool
    }

    /// A database in memory, for tests.
    static func inMemory() throws -> any DatabaseWriter {
        let queue = try DatabaseQueue()
        try migrate(queue)
        return queue
    }

    private static func migrate(_ database: any DatabaseWriter) throws {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("diary 1") { try $0.execute(sql: diary) }
        migrator.registerMigration("clinic 1") { try $0.execute(sql: clinic) }
        migrator.registerMigration("answers 1") { try $0.execute(sql: answers) }
        try migrator.migrate(database)
    }

    /// Every row belongs to a business, and refers to rows of the same one only: composite keys make anything else impossible.
    private static let diary = """
        CREATE TABLE businesses (
          id TEXT PRIMARY KEY, name TEXT NOT NULL, time_zone TEXT NOT NULL, phone TEXT) STRICT;
        CREATE TABLE opening_hours (
          business TEXT NOT NULL REFERENCES businesses, weekday TEXT NOT NULL,
          opens INTEGER NOT NULL CHECK (opens BETWEEN 0 AND 1439),
          closes INTEGER NOT NULL CHECK (closes > opens AND closes <= 1440),
          PRIMARY KEY (business, weekday, opens)) STRICT;
        CREATE TABLE services (
          business TEXT NOT NULL REFERENCES businesses, id TEXT NOT NULL, name TEXT NOT NULL,
          minutes INTEGER NOT NULL CHECK (minutes % 15 = 0 AND minutes BETWEEN 15 AND 480),
          price_cents INTEGER, PRIMARY KEY (business, id)) STRICT;
        CREATE TABLE employees (
          business TEXT NOT NULL REFERENCES businesses, id TEXT NOT NULL, name TEXT NOT NULL,
          PRIMARY KEY (business, id)) STRICT;
        CREATE TABLE appointments (
          id TEXT PRIMARY KEY, business TEXT NOT NULL, service TEXT NOT NULL, employee TEXT NOT NULL,
          customer_name TEXT NOT NULL, customer_phone TEXT, patient TEXT,
          starts_at INTEGER NOT NULL, ends_at INTEGER NOT NULL,
          status TEXT NOT NULL CHECK (status IN ('booked', 'cancelled')),
          FOREIGN KEY (business, service) REFERENCES services (business, id),
          FOREIGN KEY (business, employee) REFERENCES employees (business, id)) STRICT;
        CREATE INDEX appointments_by_phone ON appointments (business, customer_phone);
        -- A quarter of an hour of somebody's time. The key is what makes a double booking impossible.
        CREATE TABLE occupied (
          business TEXT NOT NULL, employee TEXT NOT NULL, quarter INTEGER NOT NULL,
          appointment TEXT NOT NULL REFERENCES appointments,
          PRIMARY KEY (business, employee, quarter)) STRICT, WITHOUT ROWID;
        CREATE INDEX occupied_by_appointment ON occupied (appointment);
        """

    private static let clinic = """
        CREATE TABLE patients (
          id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL, born TEXT NOT NULL,
          phone TEXT, insurance TEXT, UNIQUE (name_key, born)) STRICT;
        CREATE INDEX patients_by_phone ON patients (phone);
        CREATE TABLE queue (
          number INTEGER PRIMARY KEY AUTOINCREMENT, level TEXT NOT NULL CHECK (level IN ('urgent', 'emergency')),
          name TEXT NOT NULL, phone TEXT, reason TEXT NOT NULL, call_sid TEXT,
          entered_at INTEGER NOT NULL, done_at INTEGER) STRICT;
        """

    private static let answers = """
        CREATE TABLE answers (
          scope TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, answer TEXT NOT NULL, at INTEGER NOT NULL,
          PRIMARY KEY (scope, key)) STRICT, WITHOUT ROWID;
        CREATE INDEX answers_by_time ON answers (at);
        """
}

/// A row that is named as Swift names things, in a table that is named as SQL does.
protocol DeskRecord: Codable, Sendable, FetchableRecord, PersistableRecord {}

extension DeskRecord {
    static var databaseColumnDecodingStrategy: DatabaseColumnDecodingStrategy { .convertFromSnakeCase }
    static var databaseColumnEncodingStrategy: DatabaseColumnEncodingStrategy { .convertToSnakeCase }
}
