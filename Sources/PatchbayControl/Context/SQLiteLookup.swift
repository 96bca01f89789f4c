import Foundation
import GRDB
import PatchbayConfig

/// Asks a SQLite database about a caller. The file is opened for reading alone, so nothing in a statement can change it.
enum SQLiteLookup {
    /// How long a reader waits for a writer of the same file.
    static let patience: TimeInterval = 0.25

    /// - Returns: `nil` when no row is found. Of several rows the first counts; cancelling the task interrupts the query.
    static func values(
        _ file: String, _ statement: SQLStatement, _ call: CallVariables
    ) async throws -> ContextValues? {
        let known = ["from": call.from, "to": call.to, "sid": call.sid]
        let arguments = known.filter { statement.parameters.contains($0.key) }
        do {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.busyMode = .timeout(patience)
            let database = try DatabaseQueue(path: file, configuration: configuration)
            return try await database.read { database in
                guard
                    let row = try Row.fetchOne(database, sql: statement.text, arguments: StatementArguments(arguments))
                else { return nil }
                var values = ContextValues()
                for (column, value) in row { values.add(JSONValue(value), named: column) }
                return values
            }
        } catch let error as DatabaseError {
            // Neither the statement nor what was bound: it holds the caller's number.
            throw CallContext.Failure(
                reason: "the database failed: \(error.message ?? error.resultCode.description)")
        }
    }
}

extension JSONValue {
    fileprivate init(_ value: DatabaseValue) {
        switch value.storage {
        case .int64(let number): self = .number(String(number))
        case .double(let number): self = JSONValue(number)
        case .string(let text): self = .string(text)
        // Bytes have no form that a text could take.
        case .null, .blob: self = .null
        }
    }
}
