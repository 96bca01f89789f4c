public import Foundation

/// Who did what.
public struct AuditEntry: Sendable, Equatable, Codable {
    public var at: Date
    /// Who asked: a token's name, a JWT's subject, `local`, `carrier`.
    public var actor: String
    public var tenant: String?
    /// For instance `call.dial`, `tenant.put`, `webhook.refused`.
    public var action: String
    /// What it was done to.
    public var subject: String
    /// `ok` or why not.
    public var outcome: String
    public var peer: String

    public init(
        at: Date, actor: String, tenant: String? = nil, action: String, subject: String, outcome: String, peer: String
    ) {
        self.at = at
        self.actor = actor
        self.tenant = tenant
        self.action = action
        self.subject = subject
        self.outcome = outcome
        self.peer = peer
    }
}

/// The trail of what people and programs did to this server.
public protocol AuditRecords: Sendable {
    func append(_ entries: [AuditEntry]) async throws(StoreError)
    /// The newest first.
    func auditTrail(tenant: String?, limit: Int) async throws(StoreError) -> [AuditEntry]
}
