import GRDB

/// An entry as a row: properties in camel case, columns in snake case, so that people can ask the file with SQL of their own.
protocol SQLiteRecord: Codable, FetchableRecord, PersistableRecord {}

extension SQLiteRecord {
    static var databaseColumnEncodingStrategy: DatabaseColumnEncodingStrategy { .convertToSnakeCase }
    static var databaseColumnDecodingStrategy: DatabaseColumnDecodingStrategy {
        .custom { column in ColumnKey(property: column) }
    }
}

/// The property of a column; unlike GRDB's own strategy it knows that we write `conversationID`.
private struct ColumnKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(property column: String) {
        let words = column.split(separator: "_")
        stringValue = words.dropFirst().reduce(String(words.first ?? "")) {
            $0 + ($1 == "id" ? "ID" : $1.prefix(1).uppercased() + $1.dropFirst())
        }
    }

    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension Database {
    /// Runs one statement and says how many rows it changed.
    func changed(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws -> Int {
        try execute(sql: sql, arguments: arguments)
        return changesCount
    }
}
