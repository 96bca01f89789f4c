public import Foundation

/// One intention to speak with somebody by telephone, from the order to the transcript.
public struct VoiceSession: Sendable, Equatable, Codable {
    public var id: String
    /// `created`, `dialing`, `unknown` (whether it was dialled), `ringing`, `answered`, `completed`, `busy`, `no-answer`,
    /// `failed`, `canceled` or `simulated`.
    public var status: String
    public var tenant: String?
    public var agentName: String?
    public var customerID: String?
    public var customerPhone: String
    /// The number that it is dialled from; `nil` where nothing is dialled.
    public var callingNumber: String?
    public var pipeline: String
    /// What `${name}` means in its call, as a JSON object.
    public var variables: String
    public var createdAt: Date
    public var updatedAt: Date
    public var call: String?
    public var callSid: String?
    public var conversationID: String?
    /// `human`, `machine` or what else the carrier found out about who answered.
    public var answeredBy: String?
    /// The transcript, as JSON.
    public var transcript: String?
    public var extractedIntent: String?
    /// What the vendor's analysis collected, as a JSON object.
    public var extractedData: String?
    /// Why it failed, in plain words.
    public var failure: String?
    /// Names the order; a second one with the same key makes no second session.
    public var idempotencyKey: String?

    public init(
        id: String, status: String = "created", tenant: String? = nil, agentName: String? = nil,
        customerID: String? = nil,
        customerPhone: String, pipeline: String, variables: String = "{}", createdAt: Date,
        idempotencyKey: String? = nil
    ) {
        self.id = id
        self.status = status
        self.tenant = tenant
        self.agentName = agentName
        self.customerID = customerID
        self.customerPhone = customerPhone
        self.pipeline = pipeline
        self.variables = variables
        self.createdAt = createdAt
        updatedAt = createdAt
        self.idempotencyKey = idempotencyKey
    }
}

/// Sessions of outbound calls, how often was dialled, and who must not be.
public protocol VoiceSessionRecords: Sendable {
    /// Enters a session, unless the tenant's idempotency key was used before.
    ///
    /// - Returns: The session that is kept for the order, and whether it is this one. Of several that enter the same at once,
    ///   from whatever process, one alone is told that it is new.
    func insert(_ session: VoiceSession) async throws(StoreError) -> (kept: VoiceSession, isNew: Bool)
    /// Changes a session in one transaction; `body` sees it as it is kept.
    ///
    /// - Returns: The session as it is kept then; `nil` when there is none.
    func updateSession(_ id: String, _ body: @escaping @Sendable (inout VoiceSession) -> Void) async throws(StoreError)
        -> VoiceSession?
    func session(_ id: String) async throws(StoreError) -> VoiceSession?
    func session(callSid: String) async throws(StoreError) -> VoiceSession?
    func session(conversation id: String) async throws(StoreError) -> VoiceSession?
    /// The newest first.
    func sessions(tenant: String?, limit: Int, offset: Int) async throws(StoreError) -> [VoiceSession]
    /// Sessions that were dialled since `date`, for limits that outlive the process.
    func dialledSessions(since date: Date, tenant: String?) async throws(StoreError) -> Int

    /// Keeps anybody from dialling a number.
    func block(_ number: String, reason: String, at date: Date) async throws(StoreError)
    /// - Returns: Whether it was blocked.
    func unblock(_ number: String) async throws(StoreError) -> Bool
    func isBlocked(_ number: String) async throws(StoreError) -> Bool
    func blockedNumbers() async throws(StoreError) -> [BlockedNumber]
}

/// A number that must not be dialled.
public struct BlockedNumber: Sendable, Equatable, Codable {
    public var number: String
    public var reason: String
    public var since: Date

    public init(number: String, reason: String, since: Date) {
        self.number = number
        self.reason = reason
        self.since = since
    }
}
