public import Foundation

/// A tenant as it was put in by the control plane.
public struct StoredTenant: Sendable, Equatable, Codable {
    public var id: String
    /// Its description as JSON; the control plane checks and reads it.
    public var body: String
    /// Counts up with every change.
    public var version: Int
    public var updatedAt: Date
    public var updatedBy: String

    public init(id: String, body: String, version: Int, updatedAt: Date, updatedBy: String) {
        self.id = id
        self.body = body
        self.version = version
        self.updatedAt = updatedAt
        self.updatedBy = updatedBy
    }
}

/// Tenants and numbers that were put in by the control plane, in all their versions.
public protocol TenantRecords: Sendable {
    /// Every current entry of a kind: `tenant` or `number`.
    func entries(kind: String) async throws(StoreError) -> [StoredTenant]
    /// Writes an entry.
    ///
    /// - Parameters:
    ///   - version: The version that is expected to be current: 0 for none, `nil` for any.
    ///   - check: Asked in the entry's own transaction, with the current entries of every kind by their kind: what it throws
    ///     keeps the entry out, and nobody changes anything between its answer and the entry.
    /// - Throws: ``StoreError/Code/conflict`` when another version is current; what `check` throws.
    /// - Returns: The new version's number.
    func put(
        kind: String, id: String, body: String, version: Int?, by: String, at date: Date,
        check: @escaping @Sendable ([String: [StoredTenant]]) throws(StoreError) -> Void
    ) async throws(StoreError) -> Int
    /// - Returns: Whether there was one.
    func remove(kind: String, id: String, by: String, at date: Date) async throws(StoreError) -> Bool
    /// All versions of an entry, the newest first; a removal has an empty body.
    func history(kind: String, id: String) async throws(StoreError) -> [StoredTenant]
}

extension TenantRecords {
    /// Writes an entry whatever the others are.
    @discardableResult
    public func put(
        kind: String, id: String, body: String, version: Int?, by: String, at date: Date
    ) async throws(StoreError) -> Int {
        try await put(kind: kind, id: id, body: body, version: version, by: by, at: date) { _ in }
    }
}
