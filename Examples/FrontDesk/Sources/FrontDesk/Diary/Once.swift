import Crypto
import Foundation
import GRDB

/// What is asked twice is done once: the answer is kept, in the transaction that did it.
struct Once: Sendable {
    /// How long a repetition is recognised.
    static let memory: TimeInterval = 86_400
    /// Longest key, in bytes.
    static let maximumKey = 200

    /// Whose keys they are: two services that choose the same key do not meet.
    var scope: String
    /// `nil` for a request that does not want it.
    var key: String?
    /// A digest of what is asked: a key that comes back with something else is a mistake of whoever asks.
    private var request: String

    /// - Parameter request: All that is asked, in any form that is the same each time.
    init(scope: String, key: String?, request: some DataProtocol) throws {
        guard (key ?? "").utf8.count <= Self.maximumKey else {
            throw Refusal(.validation, "Idempotency-Key has more than \(Self.maximumKey) bytes")
        }
        self.scope = scope
        self.key = key?.nonEmpty
        self.request = SHA256.hash(data: request).map { String(format: "%02x", $0) }.joined()
    }

    /// Does the work, or answers what it answered before. What throws leaves nothing behind, and may be tried again.
    func perform<Answer: Codable>(_ database: Database, at now: Date, _ work: () throws -> Answer) throws -> Answer {
        guard let key else { return try work() }
        let seconds = Int(now.timeIntervalSince1970)
        try database.execute(sql: "DELETE FROM answers WHERE at < ?", arguments: [seconds - Int(Self.memory)])
        let known = try Row.fetchOne(
            database, sql: "SELECT request, answer FROM answers WHERE scope = ? AND key = ?", arguments: [scope, key])
        if let known {
            guard known["request"] == request else {
                throw Refusal(.keyReused, "this Idempotency-Key came with another request before")
            }
            let text: String = known["answer"]
            return try JSONDecoder().decode(Answer.self, from: Data(text.utf8))
        }
        let answer = try work()
        try database.execute(
            sql: "INSERT INTO answers VALUES (?, ?, ?, ?, ?)",
            arguments: [
                scope, key, request, String(decoding: try JSONEncoder().encode(answer), as: UTF8.self), seconds,
            ])
        return answer
    }
}
