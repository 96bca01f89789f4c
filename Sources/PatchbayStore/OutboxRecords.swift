public import Foundation

/// A webhook on its way out.
public struct OutboxMessage: Sendable, Equatable, Codable {
    /// Also its idempotency key at the receiver.
    public var id: String
    /// For instance `call.ended`.
    public var event: String
    public var tenant: String?
    public var call: String?
    /// Name of the endpoint in the server's settings.
    public var endpoint: String
    /// The JSON that is signed and sent.
    public var body: String
    public var createdAt: Date
    public var attempts = 0
    /// When it is tried next; `nil` for a dead letter.
    public var nextAttemptAt: Date?
    public var lastError: String?

    public init(
        id: String, event: String, tenant: String? = nil, call: String? = nil, endpoint: String, body: String,
        createdAt: Date
    ) {
        self.id = id
        self.event = event
        self.tenant = tenant
        self.call = call
        self.endpoint = endpoint
        self.body = body
        self.createdAt = createdAt
        nextAttemptAt = createdAt
    }
}

/// Webhooks that have not been taken by their receivers yet, and those that never will be.
public protocol OutboxRecords: Sendable {
    func enqueue(_ messages: [OutboxMessage]) async throws(StoreError)
    /// Messages that are due, the oldest first: those of one endpoint, or of all.
    func dueMessages(for endpoint: String?, at date: Date, limit: Int) async throws(StoreError) -> [OutboxMessage]
    /// When the next message is due, of one endpoint or of all; `nil` when none waits.
    func nextMessageDate(for endpoint: String?) async throws(StoreError) -> Date?
    /// The endpoints that messages wait for.
    func waitingEndpoints() async throws(StoreError) -> Set<String>
    /// How many messages wait to be sent, now or later. Dead letters do not.
    func waitingMessages() async throws(StoreError) -> Int
    func delivered(message id: String) async throws(StoreError)
    /// - Parameter next: `nil` makes it a dead letter.
    func failed(message id: String, error: String, next: Date?) async throws(StoreError)
    /// Makes dead letters of what waits for an endpoint in vain.
    ///
    /// - Parameter date: Only of what is older, and not of what was revived and has not been tried since; `nil` takes everything.
    /// - Returns: How many.
    func giveUp(endpoint: String, createdBefore date: Date?, error: String) async throws(StoreError) -> Int
    /// The newest first.
    func deadLetters(tenant: String?, limit: Int) async throws(StoreError) -> [OutboxMessage]
    /// Puts a dead letter back in line.
    ///
    /// - Returns: Whether there was one.
    func revive(message id: String, at date: Date) async throws(StoreError) -> Bool
}

extension OutboxRecords {
    /// Messages to any endpoint that are due, the oldest first.
    public func dueMessages(at date: Date, limit: Int) async throws(StoreError) -> [OutboxMessage] {
        try await dueMessages(for: nil, at: date, limit: limit)
    }

    /// When the next message to any endpoint is due; `nil` when none waits.
    public func nextMessageDate() async throws(StoreError) -> Date? { try await nextMessageDate(for: nil) }
}
