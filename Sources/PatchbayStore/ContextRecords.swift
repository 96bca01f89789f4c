public import Foundation

/// What was looked up about a caller, until the stream that was promised for the call comes, to whichever process.
public protocol ContextRecords: Sendable {
    /// - Parameters:
    ///   - key: The nonce of the call's stream token.
    ///   - values: A JSON object.
    ///   - number: That of the person, whoever dialled, so that it can be erased.
    func keepContext(_ values: String, key: String, number: String, expires: Date) async throws(StoreError)
    /// Removes what has expired by `date`.
    ///
    /// - Returns: How many entries.
    @discardableResult
    func removeContexts(expiredBy date: Date) async throws(StoreError) -> Int
    /// - Returns: `nil` when there is none or it has expired.
    func context(key: String, at date: Date) async throws(StoreError) -> String?
}
